"""A recording through the node's pipeline without ROS: deterministic, and as fast as it goes."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from types import FrameType

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.event_array_filter import LATE_TIME
from evlayerseg_ros.events.types import Packet, Window
from evlayerseg_ros.interrupts import is_interrupt
from evlayerseg_ros.outputs import outputs
from evlayerseg_ros.pipeline import Pipeline
from evlayerseg_ros.recordings.writer import BagWriter
from evlayerseg_ros.replay.video import Frames, VideoWriter
from evlayerseg_ros.segmentation.segmentation import Segmentation

DEFAULT_TOPICS = ("mask", "layers", "mask_overlay")


@dataclass
class Summary:
    """What a replay did.

    Attributes:
        windows: how many.
        events: in these windows; one that several windows share counts in each.
        faults: what was wrong with the recording, "" if nothing was.
        interrupted: Ctrl-C ended it; what was written until then is whole.
        seconds: wall time of the whole replay.
        span: seconds of the recording from its first window to its last.
        compute: seconds that each window took from events to segmentation.
    """

    windows: int = 0
    events: int = 0
    seconds: float = 0.0
    span: float = 0.0
    faults: str = ""
    interrupted: bool = False
    compute: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.windows:
            return "0 windows: the recording holds no events in that part"
        p50, p99 = np.percentile(self.compute, (50, 99)) * 1e3
        text = (
            f"{self.windows} windows, {self.events * 1e-6:.3f} M events, {self.span:.2f} s of "
            f"recording in {self.seconds:.2f} s ({self.windows / self.seconds:.1f} windows/s, "
            f"{self.events * 1e-6 / self.seconds:.2f} Mev/s), "
            f"a window's compute p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        )
        return f"{text}; {self.faults}" if self.faults else text


def part_of(
    packets: Iterable[Packet], start: float = 0.0, duration: float | None = None
) -> Iterator[Packet]:
    """The packets from `start` s after the first on, for `duration` s (None: to the end).

    Files are cut to the event, bags to the packet. A clock that was set back in between takes no
    time, and nothing is lost by it.
    """
    begin = round(start * 1e9)
    end = sys.maxsize if duration is None else begin + round(duration * 1e9)
    origin = last = None  # ns, of the first packet, by the clock of the last one
    before: tuple[int, int] | None = None  # both, where the last one went back
    for packet in packets:
        if packet.fault:  # nobody knows when it was
            yield packet
            continue
        if origin is None or last is None:
            origin = packet.stamp
        elif last - packet.stamp > LATE_TIME:
            before, origin = (origin, last), origin - (last - packet.stamp)
        else:
            if before and packet.stamp >= before[1]:  # the last one was a stray
                origin = before[0]
            before = None
        last = packet.stamp
        if last - origin >= end:
            return
        if packet.events is not None and not packet.topic and (begin or duration is not None):
            keep = slice(*np.searchsorted(packet.events.t - origin, (begin, end)))
            if keep.start < keep.stop or packet.outside or packet.strays:
                yield replace(packet, events=packet.events[keep])
        elif last - origin >= begin:
            yield packet


def replay(
    packets: Iterable[Packet],
    pipeline: Pipeline,
    bag: Path | None = None,
    video: Path | None = None,
    topics: Sequence[str] = DEFAULT_TOPICS,
    fps: float = 30.0,
    progress: Callable[[int, float], object] = lambda events, seconds: None,
) -> Summary:
    """Segments a recording and writes what the node would publish.

    Args:
        packets: the recording.
        pipeline: what the node runs.
        bag: rosbag2 to write (see BagWriter), or None.
        video: mp4 to write, a frame a window, or None.
        topics: which outputs go into the bag, names of OUTPUTS.
        fps: of the video.
        progress: called after each window with the events and the wall time (s) so far.

    Raises:
        InputError: the recording is unsound, a topic is unknown or a file cannot be written.
    """
    if unknown := set(topics) - set(outputs.OUTPUTS):
        raise InputError(
            f"There is no output {min(unknown)}; there are {', '.join(outputs.OUTPUTS)}."
        )
    summary = Summary()
    begun = time.perf_counter()
    first: int | None = None
    with _sink(bag, video, topics, fps) as write, _until_interrupted(summary):
        going_on = takewhile(lambda packet: not summary.interrupted, packets)
        for segmentation, frame_id, seconds in pipeline.run(going_on):
            window = segmentation.window
            summary.compute.append(seconds)
            first = window.start if first is None else first
            summary.windows += 1
            summary.events += len(window.events)
            summary.span = (window.end - first) * 1e-9
            write(window, segmentation, frame_id, first)
            summary.seconds = time.perf_counter() - begun
            progress(summary.events, summary.seconds)
            if summary.interrupted:
                break
    summary.seconds = time.perf_counter() - begun
    summary.faults = pipeline.faults()
    return summary


@contextmanager
def _until_interrupted(summary: Summary) -> Iterator[None]:
    """Lets what is around it end in order on Ctrl-C: after this window; a second one, at once.

    An exception anywhere is no order: inside an import it leaves a lock that threads wait for.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if summary.interrupted:
            raise KeyboardInterrupt
        summary.interrupted = True

    ours = threading.current_thread() is threading.main_thread()  # others can set no handler
    before = signal.signal(signal.SIGINT, stop) if ours else None
    try:
        yield
    except (KeyboardInterrupt, SystemError) as error:
        if not is_interrupt(error):
            raise
        summary.interrupted = True
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _sink(
    bag: Path | None, video: Path | None, topics: Sequence[str], fps: float
) -> Iterator[Callable[[Window, Segmentation, str, int], None]]:
    """What writes a window to the bag and the video while the next one is segmented."""
    with ExitStack() as stack:
        bag_writer = stack.enter_context(BagWriter(bag)) if bag else None
        video_writer = stack.enter_context(VideoWriter(video, fps)) if video else None
        pool = stack.enter_context(ThreadPoolExecutor(1))
        pending: list[Future[None]] = []
        frames = Frames()

        def write(window: Window, segmentation: Segmentation, frame_id: str, first: int) -> None:
            if bag_writer:
                for topic in topics:
                    output = outputs.OUTPUTS[topic](window, segmentation)
                    bag_writer.write(topic, output, window.stamp, frame_id)
            if video_writer:
                video_writer.write(frame_of(window, segmentation, first, frames))

        def finish() -> None:
            while pending:
                pending.pop().result()

        def take(window: Window, segmentation: Segmentation, frame_id: str, first: int) -> None:
            finish()
            pending.append(pool.submit(write, window, segmentation, frame_id, first))

        yield take
        finish()


def frame_of(window: Window, segmentation: Segmentation, first: int, frames: Frames) -> np.ndarray:
    """A video frame of a window, uint8 [h, w, 3] RGB.

    Args:
        window: the window.
        segmentation: of the window.
        first: sensor time in ns from which the caption counts.
        frames: what draws it.
    """
    count, duration = len(window.events), max(window.duration, 1e-9)
    note = (
        f"{window.duration * 1e3:.1f} ms   {count * 1e-3:.1f} k events   "
        f"{count / duration * 1e-6:.2f} Mev/s"
    )
    shown = {
        make.__name__: make(window, segmentation).data
        for make in (outputs.mask_overlay, outputs.flow, outputs.sharpened_events, outputs.mask)
    }
    seconds = (window.end - first) * 1e-9
    return frames.draw(shown, segmentation.objects, window.duration, seconds, note)
