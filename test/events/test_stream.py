"""PacketStream: what a camera and a network do to packets, seen, counted and survived."""

from __future__ import annotations

import numpy as np
import pytest
from faulty import evt3_packet

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events, Packet
from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig

MS = 1_000_000
S = 1_000_000_000
STAMP = 1_700_000_000 * S


def events_at(t, size=(64, 48)):
    t = np.asarray(t, np.int64)
    return Events.from_arrays(t * 0 + 1, t * 0 + 2, t, t * 0 + 1, *size)


class Camera:
    """Pushes packets of 4 ms of EVT3 events into a stream, as a driver would."""

    def __init__(self, **config):
        self.stream = PacketStream(WindowConfig(**config))
        self.us, self.seq, self.stamp = 5_000, 0, STAMP
        self.windows = []

    def send(self, n=1, size=(64, 48), delay=0):
        for _ in range(n):
            packet = Packet("evt3", *size, 0, evt3_packet(self.us), self.stamp + delay, self.seq)
            self.windows += self.stream.push(packet)
            self.skip()
        return self

    def skip(self, n=1):
        self.us, self.seq = self.us + 4000 * n, self.seq + n
        self.stamp += 4 * MS * n
        return self

    def end(self):
        self.windows += self.stream.flush()
        return self.windows


def test_a_sound_stream_counts_and_stamps():
    camera = Camera(duration_ms=20).send(50)
    windows = camera.end()
    assert [len(w.events) for w in windows] == [50] * 10
    # The header stamp belongs to the first event of its packet.
    assert all(w.stamp == STAMP + w.end - 5 * MS for w in windows)
    stats = camera.stream.stats
    assert (stats.packets, stats.events, stats.windows) == (50, 500, 10)
    assert stats.last_fault == stats.last_error == ""


def test_lost_packets_are_counted_and_the_stream_goes_on():
    camera = Camera(duration_ms=20).send(12).skip(3).send(35)
    windows = camera.end()
    stats = camera.stream.stats
    assert (stats.lost_packets, stats.gaps, stats.time_jumps) == (3, 1, 0)
    assert "3 packets were lost before packet 15" in stats.last_fault
    assert sum(len(w.events) for w in windows) == 470
    assert [w.start for w in windows] == [(5 + 20 * k) * MS for k in range(10)]


def test_doubled_and_late_packets_are_left_out():
    camera = Camera(duration_ms=20).send(10)
    for seq in (9, 7):
        age = 4 * MS * (10 - seq)
        data = evt3_packet(camera.us - 4000 * (10 - seq))
        assert camera.stream.push(Packet("evt3", 64, 48, 0, data, camera.stamp - age, seq)) == []
    windows = camera.send(5).end()
    assert camera.stream.stats.doubled_packets == 2
    assert sum(len(w.events) for w in windows) == 150
    assert np.all(np.diff(np.concatenate([w.events.t for w in windows])) > 0)


@pytest.mark.parametrize("length", [6, 20, 99])
def test_a_short_bag_that_loops(length):
    """Less than 1 s and 100 packets: at first it looks like packets that come again."""
    camera = Camera(duration_ms=20)
    for _ in range(4):
        camera.us, camera.seq, camera.stamp = 5_000, 0, STAMP
        camera.send(length)
    windows = camera.end()
    once = Camera(duration_ms=20).send(length).end()
    assert [w.stamp for w in windows] == 4 * [w.stamp for w in once]
    assert [len(w.events) for w in windows] == 4 * [len(w.events) for w in once]
    stats = camera.stream.stats
    assert (stats.restarts, stats.doubled_packets, stats.lost_packets) == (3, 0, 0)
    assert stats.packets == 4 * length


def test_a_short_bag_that_loops_with_losses():
    camera = Camera(duration_ms=20)
    for lost in (3, 8):
        camera.us, camera.seq, camera.stamp = 5_000, 0, STAMP
        camera.send(lost).skip().send(40)
    assert (camera.stream.stats.restarts, camera.stream.stats.lost_packets) == (1, 2)


def test_many_late_packets_are_no_new_beginning():
    """A link delivers ten packets after twenty younger ones, and then goes on."""
    camera = Camera(duration_ms=20).send(10)
    late = beside(camera)
    camera.skip(10).send(20)
    late.send(10)
    camera.send(5).end()
    stats = camera.stream.stats
    assert (stats.restarts, stats.doubled_packets, stats.lost_packets) == (0, 10, 10)
    assert stats.time_jumps == 0


def test_some_packets_sent_again_are_no_new_beginning():
    camera = Camera(duration_ms=20).send(10)
    again = beside(camera)
    camera.send(4)
    again.send(4)
    camera.send(5).end()
    stats = camera.stream.stats
    assert (stats.restarts, stats.doubled_packets, stats.packets) == (0, 4, 19)


def beside(camera):
    """Another sender into the same stream, from where this one is."""
    other = Camera()
    other.stream = camera.stream
    other.us, other.seq, other.stamp = camera.us, camera.seq, camera.stamp
    return other


@pytest.mark.parametrize("skipped", [1, 20, 400])
def test_packets_that_the_caller_leaves_out(skipped):
    """The decoder finds time and address again, also after many wraps of EVT3's low time."""
    camera = Camera(duration_ms=20).send(12)
    camera.skip(skipped).stream.skip()
    windows = camera.send(20).end()
    stats = camera.stream.stats
    assert (stats.lost_packets, stats.restarts, stats.time_jumps) == (0, 0, 0)
    assert stats.time_errors == stats.unsynced == 0
    assert sum(len(w.events) for w in windows) == 320
    assert windows[-1].end == (5 + 4 * (32 + skipped)) * MS - 400_000
    assert windows[-1].stamp == STAMP + windows[-1].end - 5 * MS


def test_a_camera_that_starts_again():
    camera = Camera(duration_ms=20).send(12)
    camera.seq, camera.us = 0, 1000
    camera.stamp += 500 * MS
    windows = camera.send(10).end()
    assert camera.stream.stats.restarts == 1
    assert camera.stream.stats.lost_packets == 0
    assert [len(w.events) for w in windows] == [50, 50, 20, 50, 50]
    assert windows[3].start == 1 * MS
    assert windows[3].stamp == STAMP + (12 * 4 + 500) * MS + windows[3].end - 1 * MS


@pytest.mark.parametrize("jump_us", [8_000_000, -3_000])
def test_sensor_time_that_jumps_sets_the_clock_anew(jump_us):
    camera = Camera(duration_ms=20).send(20)
    camera.us += jump_us * 1000 if jump_us < 0 else jump_us
    windows = camera.send(20).end()
    stats = camera.stream.stats
    assert stats.time_jumps == 1 and "jumped" in stats.last_fault
    assert stats.stray_events == 0
    stamps = np.array([w.stamp for w in windows])
    assert np.all(np.diff(stamps) > 0)
    assert np.abs(stamps[-1] - camera.stamp) < 20 * MS


def test_a_bag_that_loops():
    camera = Camera(duration_ms=20)
    for _ in range(3):
        camera.us, camera.seq, camera.stamp = 5_000, 700, STAMP
        camera.send(500)
    windows = camera.end()
    assert camera.stream.stats.restarts == 2
    assert [w.start for w in windows] == [(5 + 20 * k) * MS for k in range(100)] * 3


def test_another_size_and_another_encoding():
    camera = Camera(duration_ms=20).send(7).send(5, size=(32, 32))
    assert camera.stream.stats.restarts == 1
    assert "64x48 to evt3 32x32" in camera.stream.stats.last_fault
    assert [(w.events.width, len(w.events)) for w in camera.windows] == [(64, 50), (64, 20)]
    events = events_at(np.arange(30) * MS)
    packet = Packet("mono", 64, 48, 0, encode_mono(events, 0), camera.stamp, camera.seq)
    camera.windows += camera.stream.push(packet)
    assert "evt3 32x32 to mono 64x48" in camera.stream.stats.last_fault
    assert len(camera.end()[-1].events) == 10


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"encoding": "evt9"}, "Unknown encoding"),
        ({"data": b"\0\0\0"}, "Truncated evt3 packet of 3 bytes"),
        ({"width": 0}, "0x48"),
        ({"height": 100_000}, "64x100000"),
        ({"big_endian": True}, "little-endian"),
        ({"fault": "A message of 3 bytes is none."}, "A message of 3 bytes is none."),
    ],
)
def test_a_corrupt_packet_is_refused_and_the_next_is_welcome(change, told):
    camera = Camera(duration_ms=20).send(10)
    packet = {
        "encoding": "evt3",
        "width": 64,
        "height": 48,
        "time_base": 0,
        "data": evt3_packet(camera.us),
        "stamp": camera.stamp,
        "seq": camera.seq,
    }
    with pytest.raises(InputError, match=told):
        camera.stream.push(Packet(**{**packet, **change}))
    camera.skip()
    windows = camera.send(10).end()
    stats = camera.stream.stats
    assert (stats.bad_packets, stats.lost_packets, stats.restarts) == (1, 0, 0)
    assert told in stats.last_error
    assert sum(len(w.events) for w in windows) == 200


def test_the_size_asked_for_wins_over_the_packet():
    stream = PacketStream(WindowConfig(), width=320, height=240)
    stream.push(Packet("evt3", 0, 0, 0, evt3_packet(0), STAMP))
    (window,) = stream.flush()
    assert (window.events.width, window.events.height) == (320, 240)


def test_a_pause_without_packets_is_no_fault():
    stream, windows = PacketStream(WindowConfig(duration_ms=20)), []
    for k in range(20):  # libcaer sends nothing while nothing moves
        us = 4000 * k + (7_000_000 if k >= 10 else 0)
        low = us + np.arange(10) * 400
        data = np.stack([np.full(10, 1 | 2 << 2 | 1 << 17), low], axis=1).astype("<u4")
        stamp = STAMP + us * 1000 + 100_000
        data = data.view(np.uint8).ravel()
        windows += stream.push(Packet("libcaer", 64, 48, STAMP, data, stamp, k))
    windows += stream.flush()
    assert (stream.stats.pauses, stream.stats.time_jumps, stream.stats.last_fault) == (1, 0, "")
    assert [len(w.events) for w in windows] == [50, 50, 50, 50]


def test_sources_that_do_not_count_are_not_called_lossy():
    stream = PacketStream(WindowConfig())
    for k in range(10):
        data = evt3_packet(5000 + 4000 * k)
        stream.push(Packet("evt3", 64, 48, 0, data, STAMP + 4 * MS * k, 0))
    assert (stream.stats.packets, stream.stats.last_fault) == (10, "")


def test_mono_stamp_is_header_stamp_plus_dt():
    stream = PacketStream(WindowConfig(duration_ms=10))
    windows = []
    for k in range(10):
        t = S + k * 10 * MS + np.arange(10) * MS
        base = int(t[0]) - 12_345
        jitter = (k * 7919) % 1000  # the header stamp is exact, whatever it says
        data = encode_mono(events_at(t), base)
        windows += stream.push(Packet("mono", 64, 48, base, data, STAMP + base + jitter, k))
    windows += stream.flush()
    assert [w.stamp - STAMP - w.end for w in windows] == [(k * 7919) % 1000 for k in range(10)]


def test_decoded_events_keep_their_times():
    stream = PacketStream(WindowConfig(duration_ms=10))
    t = STAMP + np.arange(100) * MS
    windows = stream.push(Packet.of_events(events_at(t), STAMP)) + stream.flush()
    assert [w.stamp for w in windows] == [w.end for w in windows]
    stream = PacketStream(WindowConfig(duration_ms=10))
    windows = stream.push(Packet.of_events(events_at(t - STAMP))) + stream.flush()
    assert windows[-1].stamp == 99 * MS
    # Times that are no ROS times are mapped by the header stamp.
    stream = PacketStream(WindowConfig(duration_ms=10))
    windows = stream.push(Packet.of_events(events_at(t - STAMP), STAMP)) + stream.flush()
    assert windows[-1].stamp == STAMP + 99 * MS


def test_decoded_events_that_overlap_a_little_stay_in_order():
    stream = PacketStream(WindowConfig(duration_ms=10))
    stream.push(Packet.of_events(events_at([0, 5 * MS])))
    windows = stream.push(Packet.of_events(events_at([4 * MS, 12 * MS]))) + stream.flush()
    assert [w.events.t.tolist() for w in windows] == [[0, 5 * MS, 5 * MS], [12 * MS]]
    assert stream.stats.time_jumps == 0
