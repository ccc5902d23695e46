"""The threads that turn packets into results, so that the subscription only enqueues."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.sequence import MOST_BYTES
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet, Window
from evlayerseg_ros.surroundings import give_back_memory

if TYPE_CHECKING:
    from evlayerseg_ros.segmentation.segmenter import Segmentation

# Memory that packets may take while they wait to be decoded.
MAX_QUEUED_BYTES = 64 << 20
GIVE_BACK_EVERY = 20.0  # s after which freed memory is given back again


class _Incoming(NamedTuple):
    message: Any
    size: int  # bytes
    arrived: float  # s


class _Waiting(NamedTuple):
    window: Window
    frame_id: str
    arrived: float  # of the packet that closed it, s
    due: float  # s: windows of one packet are due one after the other, as if they came so


@dataclass
class Counters:
    """What became of everything since the worker was made; counters only grow.

    Attributes:
        packets_dropped: packets that waited too long, or beyond MAX_QUEUED_BYTES; the oldest go.
        windows_dropped: windows that waited too long, or beyond `max_windows`; the oldest go.
        windows_idle: windows that nobody wanted, so that they were not segmented.
        windows_cut: windows closed early because packets stopped; events that still come form an
            extra window.
        windows_done: windows segmented and published.
        failures: windows or packets that raised what they should not.
    """

    packets_dropped: int = 0
    windows_dropped: int = 0
    windows_idle: int = 0
    windows_cut: int = 0
    windows_done: int = 0
    failures: int = 0


class Worker:
    """Packets in a bounded queue -> PacketStream -> bounded windows -> Segmenter -> publish.

    One thread decodes packets and cuts windows, another one segments and publishes them, so that
    packets do not wait for the network. Where either cannot keep up, the oldest that waits goes, so
    that results stay young: nothing waits longer than `max_wait` while something newer does.

    Args:
        stream: decodes packets and cuts windows.
        read: makes a Packet of one message, which arrived at that time, by `clock`.
        segment: segments a window, on a thread of its own.
        forget: makes `segment` forget the windows before, on that same thread.
        wanted: whether anybody listens at all.
        publish: takes each window, its segmentation, frame_id, and when the packet that closed it
            arrived, by `clock`.
        measure: takes each result's latency in s, from the arrival of the packet that closed the
            window to the end of publishing.
        report: takes a sentence for each fault, on either thread; the worker goes on.
        max_windows: how many windows may wait; more only if one packet closes more.
        max_wait: how long a packet or a window may wait while newer ones do, s, see `_Waiting.due`.
        clock: the time in s.
    """

    def __init__(
        self,
        stream: PacketStream,
        read: Callable[[Any, float], Packet],
        segment: Callable[[Window], Segmentation],
        forget: Callable[[], None],
        wanted: Callable[[], bool],
        publish: Callable[[Window, Segmentation, str, float], None],
        measure: Callable[[float], None],
        report: Callable[[str], None],
        max_windows: int,
        max_wait: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self.counters = Counters()
        self.max_windows, self.max_wait = max_windows, max_wait
        self._read, self._segment, self._wanted = read, segment, wanted
        self._forget_motions = forget
        self._publish, self._measure, self._report = publish, measure, report
        self._clock = clock
        self._queue: deque[_Incoming] = deque()
        self._queued_bytes = 0
        self._skipped = False  # whether packets before the queue's first were dropped
        self._windows: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._packet_came = threading.Condition(self._lock)
        self._window_came = threading.Condition(self._lock)
        self._stopping = False
        self._next_stream: PacketStream | None = None
        self._resetting = False  # the decode thread is to forget what it buffers
        self._forgetting = False  # the segment thread is to forget the windows before
        self._give_back_at = clock() + GIVE_BACK_EVERY  # s
        self._open = False  # whether a stall would have something to flush
        self._last = 0.0
        self._frame_id = ""
        self._threads = [
            threading.Thread(target=self._repeat, args=(step,), name=name, daemon=True)
            for step, name in ((self._decode, "decode"), (self._segment_next, "segment"))
        ]

    def start(self) -> None:
        """Begins to work."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads after what they are doing; what waits is dropped."""
        with self._lock:
            self._stopping = True
            self._packet_came.notify()
            self._window_came.notify()
        for thread in self._threads:
            thread.join()

    def put(self, message: Any, size: int) -> None:
        """Enqueues one message of `size` bytes; the oldest make room. Never blocks for long."""
        with self._lock:
            now = self._clock()
            self._queue.append(_Incoming(message, size, now))
            self._queued_bytes += size
            while len(self._queue) > 1 and (
                self._queued_bytes > MAX_QUEUED_BYTES
                or now - self._queue[0].arrived > self.max_wait
            ):
                self._queued_bytes -= self._queue.popleft().size
                self._skipped = True
                self.counters.packets_dropped += 1
            self._packet_came.notify()

    def reset(self, stream: PacketStream | None = None) -> None:
        """Forgets what is buffered and the motions of before; with a stream, goes on with that.

        Returns at once: each thread forgets what is its own before it goes on. A window that is
        being segmented meanwhile is still published.
        """
        with self._lock:
            self._queue.clear()
            self._windows.clear()
            self._queued_bytes, self._skipped = 0, False
            self._resetting, self._next_stream = True, stream
            self._forgetting = True
            self._packet_came.notify()
            self._window_came.notify()

    @property
    def backlog(self) -> int:
        """Windows that wait."""
        return len(self._windows)

    @property
    def queued_bytes(self) -> int:
        """Bytes of packets that wait."""
        return self._queued_bytes

    def _repeat(self, step: Callable[[], None]) -> None:
        """A thread: one step after the other, whatever fails in them."""
        while not self._stopping:
            try:
                step()
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self.counters.failures += 1
        # An InputError says all that there is to say: the network failed on a window.
        known = isinstance(error, InputError)
        self._report(str(error) if known else f"{type(error).__name__}: {error}")

    def _decode(self) -> None:
        """Decodes what waits; if no message comes for long, closes the open window."""
        with self._lock:
            if not (self._queue or self._resetting or self._stopping):
                timeout = max(0.0, self._deadline() - self._clock()) if self._open else None
                self._packet_came.wait(timeout)
            if self._resetting:
                self._begin_anew()
            items = self._pop()
            skipped, self._skipped = self._skipped and bool(items), False
        if items:
            if skipped:
                self.stream.skip()
            self._decode_messages(items)
        if self._open and not self._queue and self._clock() >= self._deadline():
            self._open = False
            windows = self.stream.flush()
            self.counters.windows_cut += len(windows)
            self._add(windows, self._frame_id, self._clock())

    def _pop(self) -> list[_Incoming]:
        """The next message, with those behind it that are decoded with it if all are small."""
        items: list[_Incoming] = []
        total = 0
        while self._queue and (not items or total + self._queue[0].size <= MOST_BYTES):
            items.append(self._queue.popleft())
            total += items[-1].size
        self._queued_bytes -= total
        return items

    def _begin_anew(self) -> None:
        self.stream.reset()
        self.stream = self._next_stream or self.stream
        self._open = self._resetting = False

    def _decode_messages(self, items: list[_Incoming]) -> None:
        """Decodes messages; a bad one is reported and the next is welcome."""
        now = self._clock()
        read: list[tuple[Packet, float]] = []
        for item in items:
            try:
                read.append((self._read(item.message, item.arrived), item.arrived))
            except Exception as error:
                self._refuse(error)
        if any(packet.holds_something for packet, _ in read):  # else the scene may be quiet
            self._last, self._open = now, True
        results = self.stream.push_each([packet for packet, _ in read])
        before = self.stream.stats.events
        for (packet, arrived), windows in zip(read, results, strict=True):
            if isinstance(windows, Exception):
                self._refuse(windows)
            else:  # a window that opened before this packet is of the camera before
                old = sum(window.first < before for window in windows)
                self._add(windows[:old], self._frame_id, arrived)
                self._frame_id = packet.frame_id
                self._add(windows[old:], self._frame_id, arrived)
            before = self.stream.stats.events

    def _refuse(self, error: Exception) -> None:
        """Tells of a packet that cannot be used; a fault of ours counts as a failure."""
        if not isinstance(error, InputError):
            return self._fail(error)
        self._report(str(error))

    def _add(self, windows: list[Window], frame_id: str, arrived: float) -> None:
        with self._lock:
            if self._resetting:
                return
            for one in windows:
                due = arrived + (one.end - windows[0].end) * 1e-9
                self._windows.append(_Waiting(one, frame_id, arrived, due))
            while len(self._windows) > max(self.max_windows, len(windows)):
                self._drop_window()
            self._window_came.notify()

    def _drop_window(self) -> None:
        self._windows.popleft()
        self.counters.windows_dropped += 1

    def _segment_next(self) -> None:
        """Segments and publishes the oldest window that has not waited too long, or the last."""
        with self._lock:
            if not (self._windows or self._forgetting or self._stopping):
                self._window_came.wait()
            forget, self._forgetting = self._forgetting, False
            now = self._clock()
            while len(self._windows) > 1 and now - self._windows[0].due > self.max_wait:
                self._drop_window()
            if give_back := now >= self._give_back_at:
                self._give_back_at = now + GIVE_BACK_EVERY
            waiting = self._windows.popleft() if self._windows and not self._stopping else None
        if give_back:
            give_back_memory()
        if forget:
            self._forget_motions()
        if waiting is None:
            return
        if not self._wanted():
            self.counters.windows_idle += 1
            return
        segmentation = self._segment(waiting.window)
        self._publish(waiting.window, segmentation, waiting.frame_id, waiting.arrived)
        self.counters.windows_done += 1
        self._measure(self._clock() - waiting.arrived)

    def _deadline(self) -> float:
        return self._last + self.stream.silence_ns * 1e-9
