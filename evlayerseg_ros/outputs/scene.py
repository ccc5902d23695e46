"""What the node sees as a scene in Rerun: pictures, masks, motions, tracks and figures over time.

Needs the extra [view]; besides it only blueprint.py imports rerun.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

os.environ.setdefault("RUST_LOG", "error")  # Rerun's own notes, before it is imported

import rerun as rr

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.motion.evidence import motion_at
from evlayerseg_ros.outputs.blueprint import TIMELINE, blueprint
from evlayerseg_ros.outputs.outputs import LABEL_NAMES, Image, Output, Points, affine_in
from evlayerseg_ros.outputs.pictures import LAYER_COLORS
from evlayerseg_ros.surroundings import first_line

SHOWN = ("mask", "mask_overlay", "sharpened_events", "layers")
"""Topics that a scene is made of; any of them may be missing."""

_AHEAD = 0.1  # s: an arrow ends where the object is after this time
_ARROW_LEAST = 15.0  # px, so that slow motions can be seen
_TRAIL = 60  # windows that a track goes back
_PATIENCE = 60.0  # s that the last of it may take
_OPENING = 10.0  # and beginning a file
_WHITE, _QUIET = (255, 255, 255), (150, 160, 180)  # RGB of arrows, texts; of the background's line


class SceneStuckError(InputError):
    """Rerun cannot get rid of a scene, and would wait for that without end when Python ends."""


class Scene:
    """A Rerun recording with a layout of our own. Choose one of show, serve and save, then log.

    Args:
        name: what the viewer calls it.
        live: show the newest window, instead of playing all from the first on.
    """

    def __init__(self, name: str, live: bool = False) -> None:
        batches = rr.ChunkBatcherConfig.NEVER() if live else None
        name = "evlayerseg " + re.sub(r"\W+", "-", name)
        self._stream = rr.RecordingStream(name, batcher_config=batches)
        self._live = live
        self._blueprint = blueprint(live)
        self._first: int | None = None
        self._trails: dict[int, deque[tuple[float, float]]] = {}
        self._said = ""
        self._doubt = "the viewer gone"  # where not all can be sent
        self._plotted: set[int] = set()  # labels whose line of speed goes on

    @property
    def begun(self) -> bool:
        """Whether something was shown."""
        return self._first is not None

    def show(self) -> None:
        """Opens the viewer in a window; InputError where it cannot be started."""
        # An environment that is not activated is not in PATH.
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
        if shutil.which("rerun") is None:
            raise InputError("The program `rerun` is not found: pip install rerun-sdk, or --web.")
        try:
            self._stream.spawn(connect=False)
            with suppress(ChildProcessError):  # a viewer that was there is used
                if os.waitpid(-1, os.WNOHANG)[1]:
                    raise RuntimeError("what it said stands above")
        except RuntimeError as error:
            told = f"The viewer `rerun` does not start ({first_line(error)}): use --web, or --save."
            raise InputError(told) from error
        self._stream.connect_grpc(default_blueprint=self._blueprint)
        self._begin()

    def serve(self, open_browser: bool, web_port: int, grpc_port: int) -> str:
        """Serves the viewer and the scene on this machine; returns the address for a browser.

        Raises:
            InputError: a port is taken.
        """
        for port in (web_port, grpc_port):
            _need_free(port)
        data = self._stream.serve_grpc(
            grpc_port=grpc_port, default_blueprint=self._blueprint, server_memory_limit="2GiB"
        )
        rr.serve_web_viewer(web_port=web_port, open_browser=open_browser, connect_to=data)
        self._begin()
        return f"http://localhost:{web_port}/?url={data.replace('+', '%2B')}"

    def save(self, path: Path) -> None:
        """Writes the scene to a file, which `rerun FILE` opens.

        Raises:
            InputError: it cannot be written.
            SceneStuckError: nor is that said: on a full disk Rerun may wait for it.
        """
        self._doubt = "the disk full"
        failed: list[BaseException] = []

        def save() -> None:
            try:
                self._stream.save(path, default_blueprint=self._blueprint)
            except BaseException as error:  # a panic of Rust's is no Exception
                failed.append(error)

        saving = threading.Thread(target=save, daemon=True)
        saving.start()
        saving.join(_OPENING)
        if saving.is_alive():
            raise self._stuck()
        if failed:
            why = first_line(failed[0])
            told = f"Cannot write {path} ({why}): expected a new file, and room for it."
            raise InputError(told) from failed[0]
        self._begin()

    def log(
        self, stamp: int, outputs: Mapping[str, Output], figures: Mapping[str, float] | None = None
    ) -> None:
        """Shows a window.

        Args:
            stamp: of its end, ns.
            outputs: by topic, of SHOWN.
            figures: further numbers to plot, by their name, such as "latency ms".
        """
        self._go_to(stamp)
        log = self._stream.log
        for name, path in (("mask_overlay", "camera/events"), ("sharpened_events", "sharpened")):
            picture = outputs.get(name)
            if isinstance(picture, Image):
                log(path, rr.Image(picture.data))
        mask, layers = outputs.get("mask"), outputs.get("layers")
        if isinstance(mask, Image):
            log("camera/mask", rr.SegmentationImage(mask.data, opacity=0.35))
        elif outputs:  # it was lost on its way: an old one would be wrong
            for path in ("camera/mask", "camera/objects", "camera/names"):
                log(path, rr.Clear(recursive=False))
        if isinstance(layers, Points):
            self._log_layers(layers.data, mask.data if isinstance(mask, Image) else None)
        for name, value in (figures or {}).items():
            log(["times" if name.endswith(" ms") else "figures", name], rr.Scalars(value))
        self._send()

    def say(self, stamp: int, sentence: str, level: str = "INFO") -> None:
        """Puts a sentence into the log, unless it was the last one; stamp in ns."""
        if sentence != self._said:
            self._said = sentence
            self._go_to(stamp)
            self._stream.log("log", rr.TextLog(sentence, level=level))
            self._send()

    def forget(self) -> None:
        """What comes next does not follow what came: tracks begin anew."""
        self._trails.clear()

    def close(self) -> None:
        """Sends what is left.

        Raises:
            SceneStuckError: it cannot be written.
        """
        try:
            self._stream.flush(timeout_sec=_PATIENCE)
        except RuntimeError as error:
            raise self._stuck() from error
        self._stream.disconnect()

    def _send(self) -> None:
        """Live, a window is sent whole, since the viewer shows whatever came last."""
        if self._live:
            self._stream.flush(timeout_sec=0)

    def _stuck(self) -> SceneStuckError:
        return SceneStuckError(f"Rerun cannot write or send it all: is {self._doubt}?")

    def _begin(self) -> None:
        classes = [
            rr.AnnotationInfo(id=label, label=name, color=_color(label))
            for label, name in LABEL_NAMES.items()
        ]
        self._stream.log("/", rr.AnnotationContext(classes), static=True)
        for label in range(len(LAYER_COLORS) + 1):
            line = rr.SeriesLines(colors=_color(label) if label else _QUIET, widths=2.0)
            self._stream.log(["speed", LABEL_NAMES[label]], line, static=True)

    def _go_to(self, stamp: int) -> None:
        self._first = stamp if self._first is None else self._first
        self._stream.set_time(TIMELINE, duration=(stamp - self._first) * 1e-9)

    def _log_layers(self, table: np.ndarray, mask: np.ndarray | None) -> None:
        """Boxes, arrows, tracks and speeds of what moves; the background's speed, too."""
        seen = table[(table["events"] > 0) & (table["label"] > 0)]
        height, width = (0, 0) if mask is None else mask.shape
        speeds = {0: float(np.hypot(*motion_at(affine_in(table)[0], width / 2, height / 2)))}
        origins, vectors, ids = [], [], []
        for row, motion in zip(seen, affine_in(seen), strict=True):
            x, y, label = float(row["x"]), float(row["y"]), int(row["label"])
            velocity = motion_at(motion, x, y)
            speeds[label] = float(np.hypot(*velocity))
            origins.append((x, y))
            vectors.append(_arrow(velocity))
            ids.append(label)
        log = self._stream.log
        texts = [f"{label}: {speeds[label]:.0f} px/s" for label in ids]
        arrows = rr.Arrows2D(vectors=vectors, origins=origins, radii=2.0, colors=_WHITE)
        log("camera/motion", arrows)
        if mask is not None:
            found = [cv2.boundingRect((mask == label).view(np.uint8)) for label in ids]
            array = np.array(found, np.float32).reshape(-1, 4)
            colors = [_color(label) for label in ids]
            kind = rr.Box2DFormat.XYWH
            log("camera/objects", rr.Boxes2D(array=array, array_format=kind, colors=colors))
            # Below the boxes: a box's own text is in its colour, on grey, and over the object.
            below = array[:, :2] + array[:, 2:] * (0.5, 1)
            names = rr.Points2D(below, radii=0, colors=_WHITE, labels=texts, show_labels=True)
            log("camera/names", names)
        self._log_tracks(dict(zip(ids, origins)))
        for label in self._plotted - set(speeds):  # gone: a line would join it to its successor
            log(["speed", LABEL_NAMES[label]], rr.Clear(recursive=False))
        self._plotted = set(speeds)
        for label, speed in speeds.items():
            log(["speed", LABEL_NAMES[label]], rr.Scalars(speed))
        log("figures/objects", rr.Scalars(len(ids)))

    def _log_tracks(self, places: Mapping[int, tuple[float, float]]) -> None:
        for label in [*self._trails]:
            if label not in places:  # lost: its track ends, its number may be given again
                del self._trails[label]
        for label, place in places.items():
            self._trails.setdefault(label, deque(maxlen=_TRAIL)).append(place)
        trails = {label: trail for label, trail in self._trails.items() if len(trail) > 1}
        strips = rr.LineStrips2D(
            [list(trail) for trail in trails.values()],
            colors=[_color(label) for label in trails],
            labels=[str(label) for label in trails],
            radii=1.5,
        )
        self._stream.log("tracks", strips)


def _color(label: int) -> tuple[int, int, int, int]:
    """RGBA of a label; nothing for the background."""
    if label == 0:
        return (0, 0, 0, 0)
    return (*LAYER_COLORS[(label - 1) % len(LAYER_COLORS)], 255)


def _arrow(velocity: np.ndarray) -> np.ndarray:
    """float64 [2], px: to where an object will be, or longer where that is hard to see."""
    speed = float(np.hypot(*velocity))
    return velocity * max(_AHEAD, _ARROW_LEAST / max(speed, 1.0))


def _need_free(port: int) -> None:
    """Raises an InputError where another program listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise InputError(
                f"Port {port} cannot be used ({error.strerror}): choose others with --web-port and "
                "--grpc-port, or end the program that has it, such as another view."
            ) from error
