"""Segmenter: the one object that node, replay and evaluation call."""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from evlayerseg_ros.errors import InferenceError, InputError
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.events.voxel import voxel_grid
from evlayerseg_ros.motion.contrast import settle, sharpen
from evlayerseg_ros.segmentation.config import (
    CAMERA_MOTIONS,
    PostprocessConfig,
    SegmenterConfig,
)
from evlayerseg_ros.segmentation.merge import merge
from evlayerseg_ros.segmentation.model_file import PROVIDERS, ModelInfo, open_model, reason
from evlayerseg_ros.segmentation.outline import snap
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.split import keep_numbers, split

EVENTS = 100_000  # of a window that are looked at, as many as training showed
MEMORY = 100_000_000  # ns from one window's end to the next one's start in which motions last
log = logging.getLogger(__name__)


class Segmenter:
    """Events in, Segmentation out, through ONNX Runtime. Not for several threads at once.

    Attributes:
        refine, track: as `load` takes them; may be changed at any time.
        info: what the model file says of itself.
        requested: the provider asked for (auto, or one of PROVIDERS).
        provider: the provider really in use (one of PROVIDERS).
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
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
        self._before: Segmentation | None = None  # what the network said last
        self._numbers = np.zeros((0, 0), np.uint8)  # and the objects that this became
        self.info = info
        self.requested = requested
        names = {full: short for short, full in PROVIDERS.items()}
        self.provider = names.get(session.get_providers()[0], session.get_providers()[0])
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
            provider: auto (the fastest there is), cpu, openvino (a CPU with onnxruntime-openvino),
                cuda or tensorrt. One that cannot be had is replaced by the CPU with a warning;
                `provider` of the result tells which it became.
            precision: fp32, or fp16 for TensorRT engines; the other providers ignore it.
            threads: of ONNX Runtime on the CPU; 0 is as many as there are cores, at most 4.
            refine: run the network again on events deblurred by its first answer, where the model
                is made for it: better masks and motions for twice the time.
            track: begin with the motions found in the window before, where the model is made for
                it and the windows follow each other: about as good as `refine`, at no cost. What
                it answers then depends on the windows that came before; see `forget`.
            camera_motion, postprocess: see SegmenterConfig.

        Raises:
            InputError: no such model or provider, or the file is not a model of this package.
        """
        if provider not in ("auto", *PROVIDERS):
            raise InputError(f"Provider {provider!r} is none of auto, {', '.join(PROVIDERS)}.")
        if precision not in ("fp32", "fp16"):
            raise InputError(f"Precision {precision!r} is neither fp32 nor fp16.")
        if camera_motion not in CAMERA_MOTIONS:
            raise InputError(
                f"Camera motion {camera_motion!r} is none of {', '.join(CAMERA_MOTIONS)}."
            )
        path, session, info = open_model(model, provider, precision, threads)
        segmenter = cls(session, info, provider, refine, track, camera_motion, postprocess)
        segmenter._check_interface(path)
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

    def __call__(self, window: Window) -> Segmentation:
        """Segment a window.

        Args:
            window: events of any sensor size.

        Returns:
            Labels at the window's end and the affine motion of each: background, and as many
            moving layers as there are motions. A window without events or without duration is all
            background at rest.

        Raises:
            InferenceError: the network failed, or gave something else than masks and motions.
        """
        events = window.events
        if len(events) == 0 or window.end <= window.start:
            labels = np.zeros((events.height, events.width), np.uint8)
            return Segmentation(window, labels, np.zeros((self.info.layers, 2, 3)))
        some, known = window.thinned(EVENTS), self._expected(window)
        result = self._look(some, known)
        if not self.info.voxel.layers:
            result = replace(result, window=window)
            return most_events_first(result) if self.info.background == "most_events" else result
        if self.refine:
            result = self._look(some, result.affine)
        stages = self.postprocess
        result = merge(result) if stages.merge else result
        self._before = result
        result = split(result) if stages.split else result
        result = snap(result) if stages.outline else result
        if known is not None and stages.track:
            result = keep_numbers(result, self._numbers)
        self._numbers = result.labels
        result = replace(result, window=window)
        return settle(result) if stages.settle else result

    def forget(self) -> None:
        """Begin anew: the next window does not follow the last one."""
        self._before = None

    def _expected(self, window: Window) -> np.ndarray | None:
        """float64 [L, 2, 3], px/s: what is known of the layers' motions beforehand, or None."""
        before = self._before
        if before is None or not (self.track and self.info.voxel.layers):
            return None
        events, last = window.events, before.window
        same_sensor = (events.width, events.height) == (last.events.width, last.events.height)
        follows = last.end <= window.end and window.start - last.end <= MEMORY
        middle = np.array([events.width / 2, events.height / 2, 1])
        ways = np.abs(before.affine @ middle) * window.duration
        if not (same_sensor and follows and (ways < events.width).all()):  # nor if it is no number
            return None
        # A layer that was not seen is looked for as a part of the background.
        unseen = [not (before.labels == layer).any() for layer in range(len(before.affine))]
        return np.where(np.array(unseen)[:, None, None], before.affine[0], before.affine)

    def _look(self, window: Window, known: np.ndarray | None) -> Segmentation:
        """One pass of the network; `known` float64 [L, 2, 3], px/s, is what it is told."""
        events, spec = window.events, self.info.voxel
        shape = spec.shape(events.width, events.height)
        if self._voxel.shape[1:] != shape:
            self._voxel = np.zeros((1, *shape), np.float32)
        voxel_grid(window, spec, self._voxel[0], known)
        masks, affine = self._run()
        cell = spec.cell(events.width)
        labels = upsample_labels(masks[0], shape[1:], cell, events.height, events.width)
        motions = cells_to_px(affine[0].astype(np.float64), cell) / window.duration
        result = Segmentation(window, labels, motions if known is None else motions + known)
        if not spec.layers:
            return result
        return Segmentation(window, labels, sharpen(result))

    def _run(self) -> tuple[np.ndarray, np.ndarray]:
        """masks float32 [1, L, h, w] and affine [1, L, 2, 3] of the voxel grid."""
        try:
            masks, affine = self._session.run(["masks", "affine"], {"voxel": self._voxel})
        except Exception as error:  # ONNX Runtime raises many kinds: memory, device, shapes
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

    def _check_interface(self, path: Path) -> None:
        """Refuse a model whose inputs and outputs are not those that its metadata promise."""
        try:
            inputs = {i.name: i.shape for i in self._session.get_inputs()}
            outputs = {o.name: o.shape for o in self._session.get_outputs()}
        except UnicodeDecodeError as error:
            raise InputError(f"Model {path} has names that are no text ({error}).") from error
        fits = list(inputs) == ["voxel"] and len(inputs["voxel"]) == 4
        fits = fits and inputs["voxel"][1] == self.info.voxel.channels
        fits = fits and {"masks", "affine"} <= set(outputs)
        if not fits:
            raise InputError(
                f"Model {path} has inputs {inputs} and outputs {list(outputs)}, expected voxel "
                f"[1, {self.info.voxel.channels}, H, W] to masks and affine."
            )


def upsample_labels(
    masks: np.ndarray, grid: tuple[int, int], cell: int, height: int, width: int
) -> np.ndarray:
    """Labels at the sensor's resolution.

    Args:
        masks: float32 [L, h, w], scores of each layer on a map that spans the voxel grid.
        grid: (rows, columns) of the voxel grid, padding included.
        cell: px per cell.
        height, width: of the sensor, px.

    Returns:
        uint8 [height, width], the layer of the highest bilinearly interpolated score.
    """
    size = (grid[1] * cell, grid[0] * cell)

    def enlarge(score: np.ndarray) -> np.ndarray:
        if score.shape != (size[1], size[0]):
            score = cv2.resize(score, size, interpolation=cv2.INTER_LINEAR)
        return score[:height, :width]

    if len(masks) == 2:
        return (enlarge(masks[1] - masks[0]) > 0).astype(np.uint8)
    return np.argmax(np.stack([enlarge(m) for m in masks]), 0).astype(np.uint8)


def cells_to_px(affine: np.ndarray, cell: int) -> np.ndarray:
    """Affine displacement [..., 2, 3] in cells at cell coordinates as px at pixel coordinates.

    Pixel x lies at (x - (cell - 1) / 2) / cell, since the first cell's centre is (cell - 1) / 2.
    """
    out = affine.copy()
    out[..., 2] = affine[..., 2] * cell - affine[..., :2].sum(-1) * (cell - 1) / 2
    return out


def most_events_first(result: Segmentation) -> Segmentation:
    """The same with the layer that holds most events as label 0, the others in their order."""
    counts = np.bincount(
        result.labels[result.window.events.y, result.window.events.x],
        minlength=len(result.affine),
    )
    order = np.argsort(np.arange(len(counts)) != counts.argmax(), kind="stable")
    rank = np.empty(len(order), np.uint8)
    rank[order] = np.arange(len(order))
    return Segmentation(result.window, rank[result.labels], result.affine[order])
