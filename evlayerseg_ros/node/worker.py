"""The thread that turns packets into results, so that the subscription only enqueues."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Window

if TYPE_CHECKING:
    from evlayerseg_ros.inference.segmenter import Segmentation

# Memory that packets may take while they wait to be decoded.
MAX_QUEUED_BYTES = 64 << 20


class _Incoming(NamedTuple):
    message: Any
    size: int  # bytes
    arrived: float  # time.monotonic()


class _Waiting(NamedTuple):
    window: Window
    frame_id: str
    arrived: float  # of the packet that closed it


@dataclass
class Counters:
    """What became of everything since the worker was made; counters only grow.

    Attributes:
        packets_dropped: packets that found the queue full; the oldest go.
        windows_dropped: windows that waited too long; the oldest go.
        windows_idle: windows that nobody wanted, so that they were not segmented.
        windows_done: windows segmented and published.
        failures: windows or packets that raised what they should not.
    """

    packets_dropped: int = 0
    windows_dropped: int = 0
    windows_idle: int = 0
    windows_done: int = 0
    failures: int = 0


class Worker:
    """Packets in a bounded queue -> PacketStream -> bounded windows -> Segmenter -> publish.

    All callables run on the worker's thread.

    Args:
        stream: decodes packets and cuts windows.
        push: gives one message to the stream; returns the windows it closes and its frame_id.
        segment: the Segmenter.
        wanted: whether anybody listens at all.
        publish: takes each window, its segmentation and frame_id.
        measure: takes each result's latency in s, from the arrival of the packet that closed the
            window to the end of publishing.
        report: takes a sentence for each fault; the worker goes on.
        max_windows: how many windows may wait.
    """

    def __init__(
        self,
        stream: PacketStream,
        push: Callable[[PacketStream, Any], tuple[list[Window], str]],
        segment: Callable[[Window], Segmentation],
        wanted: Callable[[], bool],
        publish: Callable[[Window, Segmentation, str], None],
        measure: Callable[[float], None],
        report: Callable[[str], None],
        max_windows: int,
    ) -> None:
        self.stream = stream
        self.counters = Counters()
        self.max_windows = max_windows
        self._push, self._segment, self._wanted = push, segment, wanted
        self._publish, self._measure, self._report = publish, measure, report
        self._queue: deque[_Incoming] = deque()
        self._queued_bytes = 0
        self._windows: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._next_stream: PacketStream | None = None
        self._resetting = False
        self._open = False  # whether a stall would have something to flush
        self._last = 0.0
        self._frame_id = ""
        self._thread = threading.Thread(target=self._run, name="evlayerseg worker", daemon=True)

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is doing; what waits is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def put(self, message: Any, size: int) -> None:
        """Enqueues one message of `size` bytes; the oldest make room. Never blocks for long."""
        with self._changed:
            self._queue.append(_Incoming(message, size, time.monotonic()))
            self._queued_bytes += size
            while self._queued_bytes > MAX_QUEUED_BYTES and len(self._queue) > 1:
                self._queued_bytes -= self._queue.popleft().size
                self.counters.packets_dropped += 1
            self._changed.notify()

    def reset(self, stream: PacketStream | None = None) -> None:
        """Forgets what is buffered; with a stream, goes on with that one."""
        with self._changed:
            self._queue.clear()
            self._queued_bytes = 0
            self._resetting, self._next_stream = True, stream
            self._changed.notify()

    @property
    def backlog(self) -> int:
        """Windows that wait."""
        return len(self._windows)

    @property
    def queued_bytes(self) -> int:
        """Bytes of packets that wait."""
        return self._queued_bytes

    # -- the thread

    def _run(self) -> None:
        while (incoming := self._next()) is not None:
            try:
                for item in incoming:
                    self._take(item)
                if not incoming and self._stalled():
                    self._open = False
                    self._add(self.stream.flush(), time.monotonic())
                if self._windows:
                    self._finish(self._windows.popleft())
            except InputError as error:  # the network failed on a window
                self.counters.failures += 1
                self._report(str(error))
            except Exception as error:  # a fault of ours must not end the node
                self.counters.failures += 1
                self._report(f"{type(error).__name__}: {error}")

    def _next(self) -> list[_Incoming] | None:
        """What has come in, waiting for it if there is nothing else to do; None at the end."""
        with self._changed:
            if not (self._queue or self._windows or self._resetting or self._stopping):
                timeout = max(0.0, self._deadline() - time.monotonic()) if self._open else None
                self._changed.wait(timeout)
            if self._stopping:
                return None
            if self._resetting:
                self._forget()
            incoming = list(self._queue)
            self._queue.clear()
            self._queued_bytes = 0
            return incoming

    def _forget(self) -> None:
        self.stream.reset()
        self.stream = self._next_stream or self.stream
        self._windows.clear()
        self._open = self._resetting = False

    def _take(self, item: _Incoming) -> None:
        """Decodes one message; a bad one is reported and the next is welcome."""
        self._last, self._open = time.monotonic(), True
        try:
            windows, self._frame_id = self._push(self.stream, item.message)
        except InputError as error:
            self._report(str(error))
        else:
            self._add(windows, item.arrived)

    def _add(self, windows: list[Window], arrived: float) -> None:
        self._windows.extend(_Waiting(window, self._frame_id, arrived) for window in windows)
        while len(self._windows) > self.max_windows:
            self._windows.popleft()
            self.counters.windows_dropped += 1

    def _finish(self, waiting: _Waiting) -> None:
        if not self._wanted():
            self.counters.windows_idle += 1
            return
        segmentation = self._segment(waiting.window)
        self._publish(waiting.window, segmentation, waiting.frame_id)
        self.counters.windows_done += 1
        self._measure(time.monotonic() - waiting.arrived)

    def _deadline(self) -> float:
        return self._last + self.stream.silence_ns * 1e-9

    def _stalled(self) -> bool:
        return self._open and time.monotonic() >= self._deadline()
