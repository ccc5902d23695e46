"""Sizes that messages, and headers of RAW and DAT files, state or do not; joined files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faulty import PACKETS, SIZE, bases
from faulty_files import STAMP, array_bag, packet_bag
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.recordings import raw


def test_packets_that_say_no_size_at_first(tmp_path):
    """As of a driver that asks its camera later."""
    with packet_bag(tmp_path / "some") as (_, add):
        for seq, data in enumerate(PACKETS["mono"]):
            size = (0, 0) if seq < 3 else SIZE
            add(STAMP + bases()[seq], *size, seq, bases()[seq], "mono", data)
    recording, _, stats = run(tmp_path / "some")
    assert (recording.width, recording.height) == SIZE and stats.bad_packets == 3


@pytest.mark.parametrize("ros1", [False, True])
@pytest.mark.parametrize("how", ["mono", "arrays"])
def test_messages_that_say_the_height_for_the_width(tmp_path, how, ros1):
    path = tmp_path / ("some.bag" if ros1 else "some")
    if how == "mono":
        with packet_bag(path, "bag" if ros1 else "mcap") as (_, add):
            for seq, data in enumerate(PACKETS["mono"]):
                add(STAMP + bases()[seq], *SIZE[::-1], seq, bases()[seq], "mono", data)
    else:
        e = some_events(size=SIZE)
        with array_bag(path, ros1) as add:
            for part in range(0, len(e), 500):
                some = e[part : part + 500]
                add(replace(some, width=SIZE[1], height=SIZE[0]), STAMP + int(some.t[0]))
    recording, _, stats = run(path)
    assert (recording.width, recording.height) == SIZE and stats.out_of_range == 0
    assert "it says 240x320 pixels, and is taken as 320x240" in recording.note


def test_messages_of_a_camera_that_stands_upright(tmp_path):
    e = some_events(size=SIZE[::-1])
    with array_bag(tmp_path / "some") as add:
        add(e, STAMP)
    recording, _, stats = run(tmp_path / "some")
    assert (recording.width, recording.height) == SIZE[::-1] and not recording.note
    assert stats.events == 20_000


@pytest.mark.parametrize("kind", ["raw", "dat", "txt"])
def test_headers_that_say_the_height_for_the_width(tmp_path, kind):
    e = some_events()
    path = tmp_path / f"some.{kind}"
    if kind == "txt":
        write_table(path, e, size=VGA[::-1])
    elif kind == "raw":
        path.write_bytes(b"% evt 3.0\n% geometry 480x640\n" + encode("evt3", e, 0).tobytes())
    else:
        words = e.p.astype("u4") << 28 | e.y.astype("u4") << 14 | e.x
        rows = np.column_stack([e.t // 1000, words]).astype("<u4").tobytes()
        path.write_bytes(b"% Version 2\n% Width 480\n% Height 640\n\x0c\x08" + rows)
    recording, _, stats = run(path)
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)
    assert "it says 480x640 pixels, and is taken as 640x480" in recording.note


@pytest.mark.parametrize("encoding, unit", [("evt2", "u4"), ("evt21", "u8"), ("evt3", "u2")])
def test_raw_files_whose_header_says_that_their_words_are_big_endian(tmp_path, encoding, unit):
    e, path = some_events(), tmp_path / "some.raw"
    words = np.frombuffer(encode(encoding, e, 0).tobytes(), f"<{unit}").astype(f">{unit}")
    name = encoding.upper()
    head = f"% format {name};height=480;width=640;endianness=big\n% end\n"
    path.write_bytes(head.encode() + words.tobytes())
    _, windows, stats = run(path)
    assert stats.events == 20_000 and len(windows) == 16


@pytest.mark.parametrize("kind", ["raw", "dat"])
def test_a_header_with_a_size_that_no_sensor_has_is_told(tmp_path, kind):
    path = tmp_path / f"some.{kind}"
    head = b"% evt 3.0\n% Width 320\n% Height 32768\n% end\n"
    path.write_bytes(head + b"\x0c\x08" * (kind == "dat") + bytes(range(64)))
    with pytest.raises(InputError, match=r"some\..* A sensor of 320x32768 pixels: expected 1 to"):
        run(path)


def test_a_dat_of_zeros_is_told(tmp_path):
    (tmp_path / "some.dat").write_bytes(b"% Version 2\n\x0c\x08" + bytes(8000))
    with pytest.raises(InputError, match="ends in zeros: its recorder lost its power"):
        run(tmp_path / "some.dat")


@pytest.mark.parametrize("encoding", ["evt2", "evt21", "evt3"])
def test_a_raw_file_that_begins_with_a_thing_in_a_corner(tmp_path, monkeypatch, encoding):
    """Its header says no size: events from all of it tell."""
    monkeypatch.setattr(raw, "_BLOCK", 1 << 14)
    e = some_events()
    begun = e.t < 250_000_000
    x, y = np.where(begun, e.x % 200, e.x), np.where(begun, e.y % 150, e.y)
    e = Events.from_arrays(x, y, e.t, e.p, *VGA)
    head = f"% evt {encoding[3:4]}.{encoding[4:] or 0}\n% end\n".encode()
    (tmp_path / "some.raw").write_bytes(head + encode(encoding, e, 0).tobytes())
    recording, _, stats = run(tmp_path / "some.raw")
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)


@pytest.mark.parametrize("block", [1 << 14, 1 << 20])
@pytest.mark.parametrize("kind", ["evt2", "evt3", "dat"])
def test_raw_files_that_were_joined(tmp_path, monkeypatch, kind, block):
    """The second header is passed over; its length is no multiple of a word."""
    monkeypatch.setattr(raw, "_BLOCK", block)
    e = some_events()
    head = b"% Date 2024-01-01\n\n% evt " + kind[3:].encode() + b".0\n% geometry 640x480\n% end\n"
    if kind == "dat":
        head = b"% Data file of events\n% Width 640\n% Height 480\n\x0c\x08"
    content = b""
    for part in (e[:9999], e[9999:]):
        address = part.x | part.y.astype("u4") << 14 | part.p.astype("u4") << 28
        words = np.column_stack([part.t // 1000, address])
        data = words.astype("<u4") if kind == "dat" else encode(kind, part, 0)
        content += head + data.tobytes()
    path = tmp_path / f"some.{'dat' if kind == 'dat' else 'raw'}"
    path.write_bytes(content)
    _, windows, stats = run(path)
    assert (stats.events, stats.in_words()) == (20_000, "")
    for name in "xytp":
        found = np.concatenate([getattr(window.events, name) for window in windows])
        np.testing.assert_array_equal(found, getattr(e, name))
