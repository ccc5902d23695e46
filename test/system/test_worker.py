"""Worker: what waits is bounded, the newest wins, and all that is left out is counted."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.scenes import PACKET_NS
from evlayerseg_ros.bench.scenes import packets as scene
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Events, Packet
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.node import worker as module
from evlayerseg_ros.node.worker import Worker

SIZE = (64, 48)
STAMP = 1_700_000_000_000_000_000
TIMEOUT = 60.0
STEP = PACKET_NS * 1e-9  # s from packet to packet


def recorded(n, mev_s=0.1):
    """Packets of EVT 3.0."""
    return [
        Packet("evt3", *SIZE, 0, encode("evt3", events), STAMP + k * PACKET_NS, k)
        for k, events in enumerate(scene(*SIZE, mev_s, n))
    ]


def offline(packets):
    """The windows of these packets if nothing is in a hurry."""
    stream = PacketStream(WindowConfig())
    return [w for packet in packets for w in stream.push(packet)] + stream.flush()


class Slow:
    """A worker whose threads wait for the test, and whose clock is that of the camera.

    Attributes:
        now: the time, s.
        masks: windows published.
    """

    def __init__(self, max_windows=3, max_wait=0.04):
        self.now = 0.0
        self.masks, self.faults = [], []
        self.takes = 0.0  # s, a window
        self.forgot = []  # on which thread, and after how many windows
        self.segmented_on = set()
        self.decoded = 0  # packets, whose windows wait
        self._free = {name: threading.Event() for name in ("decode", "segment")}
        self._busy = {name: threading.Event() for name in ("decode", "segment")}
        self._changed = threading.Condition()
        self.worker = Worker(
            PacketStream(WindowConfig()),
            read=self._wait_in("decode", lambda packet, arrived: packet),
            segment=self._wait_in("segment", self._segment),
            forget=lambda: self.forgot.append((threading.current_thread().name, len(self.masks))),
            wanted=lambda: True,
            publish=self._publish,
            measure=lambda latency: None,
            report=self.faults.append,
            max_windows=max_windows,
            max_wait=max_wait,
            clock=lambda: self.now,
        )
        take = self.worker._decode_messages

        def counted(items):
            take(items)
            with self._changed:
                self.decoded += len(items)
                self._changed.notify()

        self.worker._decode_messages = counted
        self.worker.start()

    def _wait_in(self, name, action):
        def waiting(*arguments):
            self._busy[name].set()
            assert self._free[name].wait(TIMEOUT)
            return action(*arguments)

        return waiting

    def _segment(self, window):
        self.segmented_on.add(threading.current_thread().name)
        self.now += self.takes
        return window

    def _publish(self, window, segmentation, frame_id, arrived):
        with self._changed:
            self.masks.append(window)
            self._changed.notify()

    def put(self, packet):
        """A packet comes when it is complete."""
        self.now = (packet.seq + 1) * STEP
        self.worker.put(packet, len(packet.data))

    def until_busy(self, name):
        assert self._busy[name].wait(TIMEOUT)

    def free(self, *names):
        for name in names:
            self._free[name].set()

    def until(self, ready):
        with self._changed:
            while not ready():
                assert self._changed.wait(TIMEOUT)

    def until_decoded(self, n):
        """Until n packets are decoded and their windows wait."""
        self.until(lambda: self.decoded >= n)


@pytest.fixture
def make():
    made = []

    def slow(**how):
        made.append(Slow(**how))
        return made[-1]

    yield slow
    for slow in made:
        slow.free("decode", "segment")
        slow.worker.stop()
        assert slow.faults == []


def test_packets_that_come_faster_than_they_are_decoded(make):
    """The oldest go; the decoder finds its way again, and whole windows are as offline."""
    slow, sent = make(max_wait=0.12), recorded(50)
    slow.put(sent[0])
    slow.until_busy("decode")
    for packet in sent[1:]:
        slow.put(packet)
    # The first is being decoded, and those of the last 0.12 s wait.
    kept = [sent[0]] + [p for p in sent if (49 - p.seq) * STEP <= 0.12]
    counters = slow.worker.counters
    assert counters.packets_dropped == 50 - len(kept) > 10
    assert slow.worker.queued_bytes == sum(len(p.data) for p in kept[1:])
    slow.free("decode", "segment")
    slow.until_decoded(len(kept))
    stats = slow.worker.stream.stats
    assert (stats.lost_packets, stats.time_jumps, stats.restarts) == (0, 0, 0)
    assert stats.unsynced == stats.time_errors == stats.unknown_words == 0
    slow.until(lambda: len(slow.masks) == stats.windows - counters.windows_dropped)

    def whole(windows):
        return [w for w in windows if w.start >= (kept[1].seq + 1) * PACKET_NS]

    *expected, _ = whole(offline(sent))  # the last one is still open
    assert len(expected) >= 2
    for window, same in zip(whole(slow.masks), expected, strict=True):
        assert (window.start, window.end) == (same.start, same.end)
        assert np.array_equal(window.events.x, same.events.x)
        assert np.array_equal(window.events.t, same.events.t)


def test_a_network_that_is_too_slow_gets_the_newest_window(make):
    """While it is busy with one, the others wait, but none longer than max_wait."""
    slow, sent = make(max_windows=1000, max_wait=0.04), recorded(200)
    slow.free("decode")
    closing = {}  # the packet that closes each window, by the window's end
    stream = PacketStream(WindowConfig())
    for packet in sent:
        closing |= {w.end: packet.seq for w in stream.push(packet)}
    first = min(closing.values())
    for packet in sent:
        slow.put(packet)
        slow.until_decoded(packet.seq + 1)
        if packet.seq == first:
            slow.until_busy("segment")
    waited = list(closing)[1:]
    assert slow.worker.backlog == len(waited)
    slow.free("segment")
    young = [end for end in waited if (199 - closing[end]) * STEP <= 0.04]
    slow.until(lambda: len(slow.masks) == 1 + len(young))
    assert [w.end for w in slow.masks] == [next(iter(closing)), *young]
    assert len(young) == 1
    counters = slow.worker.counters
    assert counters.windows_dropped == len(closing) - len(slow.masks)
    assert (counters.packets_dropped, slow.worker.backlog) == (0, 0)


def test_a_packet_of_many_windows_waits_for_a_network_that_keeps_up(make):
    slow = make(max_windows=3, max_wait=0.04)
    slow.takes = 0.02
    long = Events.concatenate(list(scene(*SIZE, 0.1, 130)))  # 532 ms
    packet = Packet("evt3", *SIZE, 0, encode("evt3", long), STAMP, 0)
    slow.put(packet)
    slow.free("decode", "segment")
    slow.until(lambda: len(slow.masks) == 16)
    assert slow.worker.counters.windows_dropped == 0


def test_a_camera_that_stutters_has_its_window_cut_and_counted(make):
    """What came before and after the silence is one window more than without it."""
    slow, sent = make(), recorded(10)
    slow.free("decode", "segment")
    for packet in sent[:5]:
        slow.put(packet)
    slow.until_decoded(5)
    before = len(offline(sent[:5]))
    slow.now += 10
    slow.until(lambda: len(slow.masks) == before)
    assert slow.worker.counters.windows_cut == 1
    slow.now -= 10
    for packet in sent[5:]:
        slow.put(packet)
    slow.until_decoded(10)
    assert slow.worker.counters.windows_cut == 1


def test_packets_without_events_keep_no_window_open(make):
    slow, sent = make(), recorded(10)
    slow.free("decode", "segment")
    for packet in sent:
        slow.put(packet)
    slow.until_decoded(10)
    for k in range(10, 200):
        slow.put(replace(sent[9], data=b"", seq=k))
        slow.until_decoded(k + 1)
    slow.until(lambda: len(slow.masks) == len(offline(sent)))
    assert slow.worker.counters.windows_cut == 1


def test_no_more_windows_wait_than_asked_for(make):
    slow, sent = make(max_windows=3, max_wait=60.0), recorded(200)
    slow.free("decode")
    for packet in sent:
        slow.put(packet)
        slow.until_decoded(packet.seq + 1)
        assert slow.worker.backlog <= 3
    slow.until_busy("segment")
    slow.free("segment")
    slow.until(lambda: len(slow.masks) == 4)
    stats, counters = slow.worker.stream.stats, slow.worker.counters
    assert stats.windows == 4 + counters.windows_dropped
    assert [w.end for w in slow.masks[1:]] == [w.end for w in offline(sent)][-4:-1]


def test_packets_take_bounded_memory(make, monkeypatch):
    monkeypatch.setattr(module, "MAX_QUEUED_BYTES", 10_000)
    slow, sent = make(max_wait=60.0), recorded(200)
    for packet in sent:
        slow.put(packet)
        assert slow.worker.queued_bytes <= 10_000
    slow.until_busy("decode")
    assert slow.worker.counters.packets_dropped > 0


def test_freed_memory_is_given_back_every_while(make, monkeypatch):
    gave = []
    slow, sent = make(max_windows=100, max_wait=60.0), recorded(200)
    monkeypatch.setattr(module, "give_back_memory", lambda: gave.append(len(slow.masks)))
    slow.free("decode")
    slow.free("segment")
    for k, packet in enumerate(sent):
        slow.now += module.GIVE_BACK_EVERY * (k in (60, 120))
        slow.worker.put(packet, len(packet.data))
        slow.until_decoded(packet.seq + 1)
        slow.until(lambda: len(slow.masks) == slow.worker.stream.stats.windows)
    slow.worker.stop()
    assert len(gave) == 2 and 0 < gave[0] < gave[1] < len(slow.masks)


def reset_while_busy(make):
    """A worker that was reset after 40 packets, while it segmented a window; and all packets."""
    slow, sent = make(max_windows=1000, max_wait=60.0), recorded(60)
    slow.free("decode")
    for packet in sent[:40]:
        slow.put(packet)
    slow.until_decoded(40)
    slow.until_busy("segment")
    slow.worker.reset()
    return slow, sent


def test_nothing_old_comes_out_after_a_reset(make):
    slow, sent = reset_while_busy(make)
    for packet in sent[40:]:
        slow.put(packet)
    slow.until_decoded(60)
    slow.free("segment")
    after = [w.stamp for w in offline(sent[40:])][:-1]
    slow.until(lambda: len(slow.masks) == 1 + len(after))
    assert [w.stamp for w in slow.masks[1:]] == after


def test_a_reset_while_a_window_is_segmented_is_forgotten_on_that_thread(make):
    """A Segmenter is not for several threads: it forgets between two windows, never in one."""
    slow, sent = reset_while_busy(make)
    assert slow.forgot == []  # the window is still being segmented
    for packet in sent[40:]:
        slow.put(packet)
    slow.until_decoded(60)
    slow.free("segment")
    slow.until(lambda: len(slow.masks) == len(offline(sent[40:])))
    assert slow.forgot == [("segment", 1)] and slow.segmented_on == {"segment"}


def test_a_reset_is_forgotten_at_once_where_nothing_is_segmented(make):
    slow = make()
    slow.worker.reset()
    for _ in range(1000):
        if slow.forgot:
            break
        time.sleep(0.01)
    assert slow.forgot == [("segment", 0)]
