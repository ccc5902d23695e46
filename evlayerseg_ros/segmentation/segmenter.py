"""Segmenter: the one object that node, replay and evaluation call."""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np

from evlayerseg_ros.errors import InferenceError, InputError
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.motion.camera_rest import CameraRest
from evlayerseg_ros.motion.evidence import gather_evidence, subsample
from evlayerseg_ros.segmentation.config import CAMERA_MOTIONS, PostprocessConfig, SegmenterConfig
from evlayerseg_ros.segmentation.labels import (
    cells_to_px,
    distinct,
    most_events_first,
    upsample_labels,
)
from evlayerseg_ros.segmentation.model_file import ModelInfo, open_model
from evlayerseg_ros.segmentation.network_input import Prior, network_input, trusted_score
from evlayerseg_ros.segmentation.objects import cut_objects, with_motions
from evlayerseg_ros.segmentation.outline import refine_outlines
from evlayerseg_ros.segmentation.parallax import ParallaxState
from evlayerseg_ros.segmentation.past_events import PastEvents
from evlayerseg_ros.segmentation.search import Found, Search, Seen
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.session import NAMES, Session, reason
from evlayerseg_ros.segmentation.tracks import Tracks, renumbered
from evlayerseg_ros.segmentation.turn import Turn

WINDOW_EVENTS = 50_000  # that are looked at; more make masks no better
MASK_STEP = 2  # cells of the voxel grid per step of the network's mask
FIRST_PASSES = 3  # of the network at the first window: each begins with what the one before found
MOST_MOTIONS = 6  # beside the background's that are told to the network
EDGE = 3.0  # px of 640 around a mask in which events still are its own: those of its outline
HELD = 4.0  # supported events in a place and around it that hold something, before a resting camera
SURELY_NOT = -4.0  # score of the network below which it is believed nevertheless
CLOSED = np.ones((3, 3), np.uint8)  # gaps of that many places are closed
log = logging.getLogger(__name__)


class Segmenter:
    """Events in, Segmentation out, by ONNX Runtime or OpenVINO. Not for several threads at once.

    Attributes:
        refine, track, camera_motion, postprocess: as `load` takes them; may be changed at any time.
        turn: of the camera, as far as a gyro tells it.
        prior: what the network was told of the last window; None: nothing.
        info: what the model file says of itself.
        requested: the provider asked for (auto, or one of NAMES).
        provider: the provider really in use (see NAMES).
    """

    def __init__(
        self,
        session: Session,
        info: ModelInfo,
        requested: str,
        refine: bool = False,
        track: bool = False,
        camera_motion: str = "auto",
        postprocess: PostprocessConfig | None = None,
    ) -> None:
        self._session = session
        self.camera_motion = camera_motion
        self.postprocess = postprocess or PostprocessConfig()
        self.refine = refine
        self.track = track
        self._camera = CameraRest(camera_motion)
        self.turn = Turn()
        self._network_motion: np.ndarray | None = None  # px/s, what it last said of what moves
        self.forget()
        self.info = info
        self.requested = requested
        self.provider = session.provider
        self.prior: Prior | None = None
        self._voxel = np.zeros((1, 0, 0, 0), np.float32)

    @classmethod
    def load(
        cls,
        model: str | Path = "default",
        provider: str = "auto",
        precision: str = "fp32",
        threads: int = 0,
        refine: bool = False,
        track: bool = False,
        camera_motion: str = "auto",
        postprocess: PostprocessConfig | None = None,
    ) -> Segmenter:
        """Load a model.

        Args:
            model: "default", which is layernet on a GPU and layernet-int8 on a CPU; the name of
                weights shipped with the package; or an ONNX file made by `evlayerseg export`.
            provider: auto (the fastest there is), cpu, openvino (an x86 CPU),
                cuda or tensorrt. One that cannot be had is replaced by the CPU with a warning;
                `provider` of the result tells which it became.
            precision: fp32, or fp16 for TensorRT engines; the other providers ignore it.
            threads: that run the network on a CPU; 0: one for OpenVINO, as many as there are cores
                (at most 4) for ONNX Runtime.
            refine: run the network again on events deblurred by its first answer, where the model
                is made for it: better masks and motions for twice the time.
            track: begin with the motions found in the window before, as the node does, where the
                model is made for it and the windows follow each other: about as good as `refine`,
                at no cost. What it answers then depends on the windows before; see `forget`.
            camera_motion, postprocess: see SegmenterConfig.

        Raises:
            InputError: no such model or provider, or the file is not a model of this package.
        """
        if provider not in ("auto", *NAMES):
            raise InputError(f"Provider {provider!r} is none of auto, {', '.join(NAMES)}.")
        if precision not in ("fp32", "fp16"):
            raise InputError(f"Precision {precision!r} is neither fp32 nor fp16.")
        if camera_motion not in CAMERA_MOTIONS:
            raise InputError(
                f"Camera motion {camera_motion!r} is none of {', '.join(CAMERA_MOTIONS)}."
            )
        session, info = open_model(model, provider, precision, threads)
        segmenter = cls(session, info, provider, refine, track, camera_motion, postprocess)
        if provider not in ("auto", segmenter.provider):
            log.warning(
                "Provider %s was asked for but cannot be had; running on %s.",
                provider, segmenter.provider,
            )  # fmt: skip
        return segmenter

    @classmethod
    def from_config(cls, config: SegmenterConfig) -> Segmenter:
        """The Segmenter that a configuration describes; raises as `load` does."""
        return cls.load(**{f.name: getattr(config, f.name) for f in fields(config)})

    def __call__(self, window: Window, turn: np.ndarray | None = None) -> Segmentation:
        """Segment a window.

        Args:
            window: events of any sensor size.
            turn: float64 [2, 3], px/s, the image motion that the camera's turn makes in the window
                (see motion/gyro.py); None: not known. Used with camera_motion "imu", once the
                events have borne it out.

        Returns:
            Labels at the window's end and the affine motion of each. A window without events or
            without duration is all background at rest.

        Raises:
            InferenceError: the network failed, or gave something else than masks and motions.
        """
        events, turn = window.events, turn if self.camera_motion == "imu" else None
        self.prior = None
        if len(events) == 0 or window.end <= window.start:
            labels = np.zeros((events.height, events.width), np.uint8)
            return Segmentation(window, labels, np.zeros((1, 2, 3)))
        some = replace(window, events=subsample(events, WINDOW_EVENTS))
        if not self.info.voxel.layers:
            result = replace(self._plain_pass(some), window=window)
            return most_events_first(result) if self.info.background == "most_events" else result
        if not (self.track and self._past_events.followed_by(window)):
            self.forget()
        moves = self.turn.check.says_that_it_moves(turn, events)
        rests = self._camera.update(events, window.end) and not moves
        past = self.turn.follow(self._past_events, some, turn, rests)
        self._tracks.turn_by(self.turn.changed)
        if self._network_motion is not None:
            self._network_motion = self._network_motion + self.turn.changed
        step = self.info.voxel.cell(events.width) * MASK_STEP
        if not self._search.looks:  # what the network says when it is told nothing
            background, self._network_motion = self._plain_pass(some).affine[:2]
            self._search.found = Found(background)
        first = self.track and not rests and self._past_events.windows == 1
        for _ in range(FIRST_PASSES if first else 1):  # each changes what the next one is told
            objects, moved = self._tracks.labels_now(window.end, step)
            seen = Seen(past, window.end, objects, moved, rests, self.turn.now)
            self._search.update(seen, self.turn.changed)
            motions = self._motions(window)
            mask = self._moving_now(window.end, step, rests) if self.postprocess.memory else None
            result = self._told_pass(some, past, motions, mask, rests)
        if self.refine and len(result.affine) > 1:
            result = self._told_pass(some, past, list(result.affine), mask, rests)
        if self.postprocess.parallax and self.prior:
            few = result.with_window(
                replace(some, events=subsample(some.events, self.postprocess.events))
            )
            ids = {track.id for track in self._tracks.tracks}
            self._parallax.update(few, ids, self.prior.evidence, self.turn.now)
            result = result.without(self._parallax.static_tracks(window.end))
        return replace(result, window=window)

    def forget(self) -> None:
        """Begin anew: the next window does not follow the last one."""
        self._past_events = PastEvents()
        self._network_motion = None
        self._camera.forget()
        self._parallax = ParallaxState()
        self._search = Search(self.postprocess.propose)
        self._tracks = Tracks(self.postprocess)

    def _motions(self, window: Window) -> list[np.ndarray]:
        """float64 [2, 3] each, px/s: what things may move along; the background's motion first."""
        tracks = self._tracks.tracks
        motions = [self._search.found.background, *(track.motion for track in tracks)]
        if not tracks and self._network_motion is not None:
            motions.append(self._network_motion)
        motions += self._search.found.proposed
        return distinct(motions, window)[: 1 + MOST_MOTIONS]

    def _moving_now(self, end: int, step: float, rests: bool) -> np.ndarray | None:
        """float32 [h, w], 1 where a track is at `end`, but for things at rest; None: no tracks."""
        still = set() if rests else self._parallax.static_tracks(end)
        tracks = zip(self._tracks.tracks, self._tracks.now(end, step), strict=True)
        masks = [mask for track, mask in tracks if track.id not in still]
        return np.maximum.reduce(masks).astype(np.float32) if masks else None

    def _told_pass(
        self, window: Window, past: Events, motions: list[np.ndarray], mask: np.ndarray | None,
        rests: bool,
    ) -> Segmentation:  # fmt: skip
        """One pass of the network, told what is known, and what follows it.

        Args:
            window: the events.
            past: those of the last 133 ms.
            motions: float64 [2, 3] each, px/s, the background's first.
            mask: float32 [h, w], 1 where objects are expected; None: nowhere.
            rests: whether the camera does.
        """
        events, spec, stages = window.events, self.info.voxel, self.postprocess
        cell = spec.cell(events.width)
        step = cell * MASK_STEP
        evidence = gather_evidence(past, window.end, np.array(motions), cell)
        self.prior = Prior(evidence, mask, rests, self.turn.now)
        masks, affine = self._run(window, self.prior)
        rows, columns = (int(np.ceil(side / step)) for side in (events.height, events.width))
        logits = (masks[0, 1] - masks[0, 0])[:rows, :columns]
        score = logits
        if spec.extras:
            by_labels = self.info.regime == "labels"
            score = logits + trusted_score(self.prior, by_labels)[:rows, :columns]
        if rests and stages.still:
            score = np.maximum(score, self._supported_score(logits, step))
        start = motions[0] + cells_to_px(affine[0, 1].astype(np.float64), cell) / window.duration
        self._network_motion = start
        labels, affines = cut_objects((score > 0).astype(np.uint8), evidence, start, step, stages)
        full = upsample_labels(labels, score, step, events.height, events.width)
        margin = max(1, int(EDGE * events.width / 640))
        sure = 1 / (1 + np.exp(-score))
        scores = {k: float(sure[labels == k].mean()) for k in range(1, len(affines))}
        found = Segmentation(window, full, affines, margin, scores, rests)
        found = with_motions(found, stages, past, first=self._past_events.windows == 1)
        coarse = cv2.resize(found.labels, (columns, rows), interpolation=cv2.INTER_NEAREST)
        # From here on labels are ids of tracks, the same from window to window.
        found = renumbered(found, self._tracks.assign(found, coarse, step))
        return refine_outlines(found) if stages.outline and not rests else found

    def _supported_score(self, score: np.ndarray, step: float) -> np.ndarray:
        """float32 [h, w], above zero where a resting camera sees what is not noise.

        There all events that support each other come from things that move, unless the network is
        sure that they do not (lamps that flicker, patches of noise).
        """
        near = cv2.blur(self._camera.supported_counts(score.shape, step), (3, 3)) * 9
        dense = cv2.morphologyEx((near >= HELD).astype(np.uint8), cv2.MORPH_CLOSE, CLOSED)
        return np.where((dense > 0) & (score > SURELY_NOT), np.float32(0.1), np.float32(-1))

    def _plain_pass(self, window: Window) -> Segmentation:
        """One pass of a network that is told nothing; of the paper's, the whole answer."""
        masks, affine = self._run(window, None)
        events, cell = window.events, self.info.voxel.cell(window.events.width)
        size = (int(self._voxel.shape[3] * cell), int(self._voxel.shape[2] * cell))
        scores = [cv2.resize(m, size)[: events.height, : events.width] for m in masks[0]]
        motions = cells_to_px(affine[0].astype(np.float64), cell) / window.duration
        return Segmentation(window, np.argmax(scores, 0).astype(np.uint8), motions)

    def _run(self, window: Window, prior: Prior | None) -> tuple[np.ndarray, np.ndarray]:
        """What the network says: masks float32 [1, L, h, w] and affine [1, L, 2, 3] of its grid."""
        shape = self.info.voxel.shape(window.events.width, window.events.height)
        if self._voxel.shape[1:] != shape:
            self._voxel = np.zeros((1, *shape), np.float32)
        network_input(window, self.info.voxel, prior, self._voxel[0])
        try:
            masks, affine = self._session.run(self._voxel)
        except Exception as error:  # of many kinds: memory, device, shapes
            raise InferenceError(
                f"Model {self.info.name} failed on {self.provider}: {reason(error)}"
            ) from error
        layers = self.info.layers
        if masks.ndim != 4 or len(masks[0]) != layers or affine.shape != (1, layers, 2, 3):
            raise InferenceError(
                f"Model {self.info.name} gave masks {masks.shape} and affine {affine.shape}: "
                f"expected (1, {layers}, h, w) and (1, {layers}, 2, 3)."
            )
        return masks, affine
