"""Decoders against published sums, faery, and streams constructed from the published formats."""

from __future__ import annotations

import faery
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.events.codecs import Decoder, encode_mono
from evlayerseg_ros.recordings.readers import open_recording

WORD = {"evt3": 2, "evt2": 4, "evt21": 8, "libcaer": 8, "libcaer_cmp": 2, "mono": 8}


def decode_all(path):
    """The events of a bag and the decoder that gave them."""
    parts = []
    with open_recording(path) as recording:
        decoder = None
        for packet in recording:
            decoder = decoder or Decoder(packet.encoding, packet.width, packet.height)
            parts.append(decoder.decode(packet.data, packet.time_base))
    return Events.concatenate(parts), decoder


def total(column):
    """Sum modulo 2^64, as the published sums are."""
    return int(column.astype(np.uint64).sum(dtype=np.uint64))


# Counts and sums that the recordings' publishers give: events, t, x, y, ON events.
PUBLISHED = {
    "event_camera_py/test_events_1": (343_474, None, None, None, 125_183),
    "event_camera_py/test_events_1.bag": (343_474, None, None, None, 125_183),
    "event_camera_py/test_events_2/test_events_2_0.mcap": (571_266, None, None, None, 211_043),
    "event_camera_codecs/test_data_evt3_trigger": (
        82_469,
        1_222_326_831_810_000,
        42_078_718,
        31_656_267,
        41_439,
    ),
    "event_camera_codecs/test_data_libcaer_rollover": (
        334_331,
        15_762_826_572_202_229_126,
        111_651_612,
        82_801_007,
        181_908,
    ),
    "event_camera_codecs/test_data_mono_cd": (100, 4_950_000, 34_450, 26_450, 50),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sums(recordings, name):
    events, decoder = decode_all(recordings / name)
    found = (len(events), *(total(c) for c in (events.t, events.x, events.y, events.p)))
    for value, published in zip(found, PUBLISHED[name], strict=True):
        assert published is None or value == published
    assert np.all(np.diff(events.t) >= 0)
    assert not any(decoder.counted)


def test_libcaer_time_rolls_over_inside_the_recording(recordings):
    events, _ = decode_all(recordings / "event_camera_codecs/test_data_libcaer_rollover")
    low = (events.t - events.t[0]) // 1000 + 2_146_490_012  # first 31-bit time of the file, us
    assert low[0] < 1 << 31 <= low[-1]
    assert np.diff(events.t).max() < 10_000_000


def raw_data(path):
    """The bytes of a RAW file after its header."""
    data = path.read_bytes()
    at = 0
    while data[at : at + 1] == b"%":
        at = data.index(b"\n", at) + 1
    return np.frombuffer(data, np.uint8, offset=at)


@pytest.mark.parametrize(
    ("name", "encoding", "size", "count"),
    [
        ("sparks_evt3.raw", "evt3", (1280, 720), 1_218_618),
        ("driving_evt3.raw", "evt3", (1280, 720), 219_596),
        ("vga_evt2.raw", "evt2", (640, 480), 521_252),
        ("driving_evt2.raw", "evt2", (640, 480), 539_481),
    ],
)
def test_agrees_with_faery_event_for_event(recordings, name, encoding, size, count):
    path = recordings / "vendor" / name
    events = Decoder(encoding, *size).decode(raw_data(path))
    peer = np.concatenate(
        list(
            faery.events_stream_from_file(path, dimensions_fallback=size, version_fallback=encoding)
        )
    )
    assert len(events) == count
    np.testing.assert_array_equal(events.x, peer["x"])
    np.testing.assert_array_equal(events.y, peer["y"])
    np.testing.assert_array_equal(events.t, peer["t"].astype(np.int64) * 1000)
    np.testing.assert_array_equal(events.p, peer["on"])


@pytest.mark.parametrize("version", ["evt2", "evt3"])
def test_reads_what_faery_encodes(tmp_path, version):
    rng = np.random.default_rng(3)
    n = 20_000
    sent = np.zeros(n, faery.EVENTS_DTYPE)
    sent["t"] = 5000 + np.cumsum(rng.integers(1, 4000, n))  # 40 s: EVT3 wraps twice
    sent["x"], sent["y"] = rng.integers(0, 640, n), rng.integers(0, 480, n)
    sent["on"] = rng.integers(0, 2, n)
    path = tmp_path / "some.raw"
    stream = faery.events_stream_from_array(sent, (640, 480))
    stream.to_file(path, version=version, zero_t0=False)
    events = Decoder(version, 640, 480).decode(raw_data(path))
    np.testing.assert_array_equal(events.t, sent["t"].astype(np.int64) * 1000)
    np.testing.assert_array_equal(events.x, sent["x"])
    np.testing.assert_array_equal(events.y, sent["y"])
    np.testing.assert_array_equal(events.p, sent["on"])


# -- constructed streams


def evt3(*words):
    return np.array(words, "<u2").view(np.uint8)


def evt3_time(us):
    return 0x8000 | (us >> 12) & 0xFFF, 0x6000 | us & 0xFFF


def evt3_event(us, x, y, p):
    return (*evt3_time(us), y, 0x2000 | p << 11 | x)


def test_evt3_all_kinds_of_words():
    data = evt3(
        0x2005,  # an event before any time: dropped
        *evt3_time(5000),
        0x3000 | 1 << 11 | 100,  # base x 100, ON
        7,  # row 7
        0x4000 | 0b100000000001,  # 12 pixels: 100 and 111
        0x5000 | 0b10000010,  # 8 pixels: 113 and 119
        0x2000 | 300,  # one OFF event at x 300
        0xA001,  # external trigger
        0xE000,  # vendor's
        0x7000,
        0xF000,
        0x1000,  # no such word
        0x2000 | 700,  # outside 640 columns
    )
    decoder = Decoder("evt3", 640, 480)
    events = decoder.decode(data)
    assert events.x.tolist() == [100, 111, 113, 119, 300]
    assert events.y.tolist() == [7] * 5
    assert events.p.tolist() == [1, 1, 1, 1, 0]
    assert events.t.tolist() == [5_000_000] * 5
    assert decoder.now == 5_000_000
    assert decoder.counted == (1, 1, 1, 0, 0)  # the last one, the first one, no such word


def test_evt3_time_wraps_every_16_77_s():
    times = np.arange(3_000, 60_000_000, 4_001)  # us, a minute
    words = np.array([evt3_event(int(t), 1, 2, 1) for t in times], "<u2")
    events = Decoder("evt3", 640, 480).decode(words.view(np.uint8).ravel())
    np.testing.assert_array_equal(events.t, times * 1000)


@pytest.mark.parametrize("bit", range(12))
def test_evt3_bit_error_in_a_time_word_does_no_lasting_harm(bit):
    times = np.arange(3_000, 40_000_000, 1_003)
    words = np.array([evt3_event(int(t), 1, 2, 1) for t in times], "<u2")
    wrong = 20_000
    words[wrong, 0] ^= 1 << bit
    decoder = Decoder("evt3", 640, 480)
    events = decoder.decode(words.view(np.uint8).ravel())
    assert len(events) == len(times)
    assert np.all(np.diff(events.t) >= 0)
    off = np.flatnonzero(events.t != times * 1000)
    # A small error is indistinguishable from time passing, so it may hold time up for 65 ms.
    assert np.all((off >= wrong) & (off < wrong + 66))
    assert np.abs(events.t - times * 1000).max() <= 66_000_000


def test_evt3_believes_a_jump_that_lasts():
    before, after = np.arange(0, 50_000, 500), np.arange(9_000_000, 9_100_000, 500)
    words = np.array([evt3_event(int(t), 1, 2, 1) for t in np.concatenate([before, after])], "<u2")
    events = Decoder("evt3", 640, 480).decode(words.view(np.uint8).ravel())
    assert events.t[-1] == after[-1] * 1000
    assert np.sum(events.t < 9_000_000_000) <= len(before) + 3 * 9  # 3 time words to believe it


def test_evt3_after_a_loss_waits_for_time_and_row_and_keeps_the_wraps():
    decoder = Decoder("evt3", 640, 480)
    decoder.decode(evt3(*evt3_event(16_777_000, 1, 2, 1)))
    decoder.decode(evt3(*evt3_event(16_777_300, 1, 2, 1)))  # wrapped
    decoder.resync()
    assert len(decoder.decode(evt3(0x2003))) == 0
    assert len(decoder.decode(evt3(*evt3_time(16_800_000), 0x2003))) == 0
    assert decoder.decode(evt3(9, 0x2003)).t.tolist() == [16_800_000_000]


@pytest.mark.parametrize("high_half_first", [False, True])
def test_evt21_both_orders_of_halves(high_half_first):
    high = 123_456
    words = [
        (0x8 << 28 | high, 0),
        (0x1 << 28 | 5 << 22 | 64 << 11 | 10, 0x80000001),  # ON at x 64 and 95
        (0x0 << 28 | 6 << 22 | 32 << 11 | 11, 0x00000010),  # OFF at x 36
        (0xA << 28 | 7 << 22 | 1, 0),  # external trigger
    ]
    pairs = [(h, v) if high_half_first else (v, h) for h, v in words]
    decoder = Decoder("evt21", 640, 480)
    events = decoder.decode(np.array(pairs, "<u4").view(np.uint8).ravel())
    assert events.x.tolist() == [64, 95, 36]
    assert events.y.tolist() == [10, 10, 11]
    assert events.p.tolist() == [1, 1, 0]
    us = high * 64
    assert events.t.tolist() == [(us + 5) * 1000, (us + 5) * 1000, (us + 6) * 1000]
    assert not any(decoder.counted)  # a trigger is none of them


def test_evt2_by_its_published_layout():
    words = np.array([0x8 << 28 | 1000, 0x1 << 28 | 63 << 22 | 639 << 11 | 479, 0xE0000000], "<u4")
    decoder = Decoder("evt2", 640, 480)
    events = decoder.decode(words.view(np.uint8))
    assert (events.x[0], events.y[0], events.p[0], events.t[0]) == (639, 479, 1, 64_063_000)
    assert not any(decoder.counted)  # a trigger is none of them


def same(a, b):
    return all(np.array_equal(getattr(a, k), getattr(b, k)) for k in "xytp")


@settings(max_examples=60, deadline=None)
@given(
    base=st.integers(0, 2**61),
    rows=st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1),
            st.integers(0, 639),
            st.integers(0, 479),
            st.integers(0, 1),
        ),
        max_size=50,
    ),
)
def test_mono_round_trip(base, rows):
    rows = np.array(sorted(rows), np.int64).reshape(-1, 4)
    sent = Events.from_arrays(rows[:, 1], rows[:, 2], rows[:, 0] + base, rows[:, 3], 640, 480)
    got = Decoder("mono", 640, 480).decode(encode_mono(sent, base), base)
    assert same(sent, got)


def test_mono_cannot_hold_more_than_its_time_span():
    events = Events.from_arrays([1, 1], [1, 1], [0, 1 << 32], [1, 1], 640, 480)
    with pytest.raises(InputError, match=r"4.29 s"):
        encode_mono(events, 0)


def test_errors_name_encoding_and_expectation():
    with pytest.raises(InputError, match=r'"evt4".*evt3, evt2'):
        Decoder("evt4", 640, 480)
    with pytest.raises(InputError, match=r"0x480.*expected 1 to"):
        Decoder("evt3", 0, 480)
    decoder = Decoder("libcaer", 640, 480)
    with pytest.raises(InputError, match=r"Truncated libcaer packet of 9 bytes.*multiple of 8"):
        decoder.decode(bytes(9))
    with pytest.raises(InputError, match="Time base"):
        decoder.decode(bytes(8), 2**63)
    assert len(decoder.decode(bytes(8), 5)) == 1  # still usable
