"""Pipeline: packets to windows to segmentations. Node, replay, evaluate and bench run this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.stats import StreamStats
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet, Window
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.segmentation.config import SegmenterConfig
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.segmentation.turn import Turn

CONTRADICTED = (
    "the events contradict the gyro, which is not used: its axes (x right, y down, z forward), "
    "unit (rad/s), clock or the camera matrix are wrong, or it is not the camera's"
)
# How long a packet or a window may wait while newer ones do, before the node drops it.
MAX_WAIT_MS = 40.0

# Takes a window; where the camera's turn is known, that as well (see Segmenter).
Segment = Callable[..., Segmentation]
# The image motion that the camera's turn makes in a window, float64 [2, 3], px/s; None: not known.
TurnOf = Callable[[Window], np.ndarray | None]


@dataclass(frozen=True)
class PipelineConfig:
    """Everything that decides what comes out of a recording; the defaults are the node's.

    Attributes:
        window: when a window opens and closes.
        segmenter: the model, and how a window is segmented.
        width, height: of the sensor, px; 0 takes what the packets say.
        imu: with camera_motion "imu", a file with a gyro's samples, or a topic of the bag; "": the
            bag's own. The node hears ~/imu.
        camera_matrix: fx, fy, cx, cy, px; None: from the bag's CameraInfo. The node hears its own.
    """

    window: WindowConfig = field(default_factory=WindowConfig)
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    width: int = 0
    height: int = 0
    imu: str = ""
    camera_matrix: tuple[float, float, float, float] | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) in px where both are said, else None."""
        return (self.width, self.height) if self.width and self.height else None

    def stream(self, starts: np.ndarray | None = None) -> PacketStream:
        """What makes windows of packets.

        Args:
            starts: int64 [M], sensor times in ns at which windows open; None: the window rule says.

        Raises:
            InputError: a wrong value in `window`.
        """
        return PacketStream(self.window, self.width, self.height, starts)


class Segmented(NamedTuple):
    """A window's answer.

    Attributes:
        segmentation: its labels and motions; `segmentation.window` is the window.
        frame_id: of the camera that saw it.
        seconds: wall time from events to segmentation.
    """

    segmentation: Segmentation
    frame_id: str
    seconds: float


class Pipeline:
    """Packets of one camera in, a Segmentation a window out. Not for several threads at once.

    The node calls `stream.push_each` and `answer` on a thread each; everything else calls `run`.

    Args:
        config: what to do.
        segment: what segments a window; None loads the model that `config.segmenter` names.
        starts: int64 [M], sensor times in ns at which windows open; None: `config.window` says.
        turn_of: what a gyro says; used with camera_motion "imu".

    Attributes:
        config: as given.
        segment: as given, or the Segmenter.
        stream: packets to windows; its `stats` say what was wrong with the packets.

    Raises:
        InputError: there is no such model, or a wrong value in config.
    """

    def __init__(
        self,
        config: PipelineConfig | None = None,
        segment: Segment | None = None,
        starts: np.ndarray | None = None,
        turn_of: TurnOf | None = None,
    ) -> None:
        self.config = config or PipelineConfig()
        self.stream = self.config.stream(starts)
        self.segment: Segment = segment or Segmenter.from_config(self.config.segmenter)
        self._turn_of = turn_of if self.config.segmenter.camera_motion == "imu" else None
        self._windows, self._without_turn = 0, 0

    @property
    def stats(self) -> StreamStats:
        """What the packets have been through since the pipeline was made."""
        return self.stream.stats

    def run(self, packets: Iterable[Packet]) -> Iterator[Segmented]:
        """The answers to a recording from its beginning, one window after the other.

        Args:
            packets: of one topic, in order.

        Raises:
            InputError: the network failed, or no window came since packets could not be decoded.
        """
        self.begin()
        for window, frame_id in windows_of(packets, self.stream):
            begun = time.perf_counter()
            segmentation = self.answer(window)
            yield Segmented(segmentation, frame_id, time.perf_counter() - begun)
        if not self.stats.windows and self.stats.last_error:
            raise InputError(self.stats.last_error)

    def answer(self, window: Window) -> Segmentation:
        """Segments one window; raises as the Segmenter does."""
        if self._turn_of is None:
            return self.segment(window)
        turn = self._turn_of(window)
        self._windows += 1
        self._without_turn += turn is None
        return self.segment(window, turn)

    @property
    def contradicted(self) -> bool:
        """Whether the events contradict the gyro, which is not used then."""
        segment: object = self.segment
        return isinstance(segment, Segmenter) and segment.turn.check.contradicted

    def faults(self) -> str:
        """What was wrong with the packets and the gyro, "" if nothing was."""
        told = [self.stats.in_words()]
        if self._without_turn:
            told.append(
                f"{self._without_turn} of {self._windows} windows had no gyro samples of their time"
            )
        if self.contradicted:
            told.append(CONTRADICTED)
        return "; ".join(filter(None, told))

    def begin(self) -> None:
        """Nothing of before is known, and nothing of the gyro."""
        self.forget()
        if isinstance(self.segment, Segmenter):
            self.segment.turn = Turn()

    def forget(self) -> None:
        """The next window does not follow the last one: no motion of before is used."""
        if isinstance(self.segment, Segmenter):
            self.segment.forget()


def windows_of(packets: Iterable[Packet], stream: PacketStream) -> Iterator[tuple[Window, str]]:
    """The windows of a recording, and the frame_id of the camera that saw them.

    A packet that cannot be decoded is counted and left out, as in the node.

    Args:
        packets: of one topic, in order.
        stream: cuts the windows; its counters tell of losses.
    """
    frame_id = ""
    for packet in packets:
        before = stream.stats.events
        windows: list[Window] = []
        last = frame_id
        with suppress(InputError):
            windows = stream.push(packet)
            frame_id = packet.frame_id
        for window in windows:  # one that opened before this packet is of the camera before
            yield window, last if window.first < before else frame_id
    for window in stream.flush():
        yield window, frame_id
