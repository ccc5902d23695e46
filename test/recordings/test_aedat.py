"""AEDAT files of every age, and of several cameras."""

from __future__ import annotations

import faery
import numpy as np
import pytest
from whole_files import VGA, aedat_3, run, some_events

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.recordings.readers import open_recording

CHIPS = {
    "DVS128": (128, 128),
    "DAVIS240C": (240, 180),
    "DAVIS346B": (346, 260),
    "SBret10": (240, 180),  # the first DAVIS240
    "SeeBetter20": (240, 180),
    "Tmpdiff128": (128, 128),  # the first DVS128
    "Davis208PixelParade": (208, 192),
    "DAVI346": (346, 260),  # as AedatTools writes it
}
OF_DVS128 = ("DVS128", "Tmpdiff128")


def write_aedat_2(path, e, dvs128, head):
    """Events and, among them, one word that is none."""
    size = (e.width, e.height)
    x, y, p = (getattr(e, k).astype(np.uint32) for k in "xyp")
    x, y = size[0] - 1 - x, size[1] - 1 - y  # as the chip counts
    address = y << 8 | x << 1 | 1 - p if dvs128 else y << 22 | x << 12 | p << 11
    words = np.column_stack([address, (e.t // 1000).astype(np.uint32)])
    other = 0x8000 if dvs128 else 1 << 31  # a trigger, a sample of a frame
    words = np.insert(words, 50, [other, words[50, 1]], 0)
    path.write_bytes(f"#!AER-DAT2.0\r\n{head}# End\r\n".encode() + words.astype(">u4").tobytes())


def all_of(path):
    with open_recording(path) as recording:
        return recording, Events.concatenate([packet.events for packet in recording])


@pytest.mark.parametrize("chip", CHIPS)
def test_aedat_2(tmp_path, chip):
    e, path = some_events(size=CHIPS[chip]), tmp_path / "some.aedat"
    write_aedat_2(path, e, chip in OF_DVS128, f"# AEChip: eu.seebetter.ini.chips.davis.{chip}\r\n")
    recording, got = all_of(path)
    assert (recording.width, recording.height) == CHIPS[chip] and not recording.note
    assert all(np.array_equal(getattr(got, k), getattr(e, k)) for k in "xytp")


@pytest.mark.parametrize("chip", ["DVS128", "DAVIS240C"])
@pytest.mark.parametrize("head", ["", "# AEChip: \r\n"])
def test_aedat_2_that_names_no_chip(tmp_path, chip, head):
    e, path = some_events(size=CHIPS[chip]), tmp_path / "some.aedat"
    write_aedat_2(path, e, chip == "DVS128", head)
    recording, got = all_of(path)
    assert (recording.width, recording.height) == CHIPS[chip]
    assert f"by its addresses is taken as a {chip[:5].rstrip('1')}" in recording.note
    assert all(np.array_equal(getattr(got, k), getattr(e, k)) for k in "xytp")


@pytest.mark.parametrize(("size", "late"), [((346, 260), 0), ((346, 260), 140_000), (VGA, 140_000)])
def test_aedat_2_of_a_davis_whose_events_reach_its_border_late_or_never(tmp_path, size, late):
    """As v2e writes it; seen from their middle they would fit on a sensor that no DAVIS has."""
    e, path = some_events(200_000, size), tmp_path / "some.aedat"
    middle = slice(None) if not late else slice(late)
    e.x[middle], e.y[middle] = 70 + e.x[middle] % 200, 60 + e.y[middle] % 150
    write_aedat_2(path, e, False, "")
    recording, got = all_of(path)
    assert (recording.width, recording.height) == size
    assert all(np.array_equal(getattr(got, k), getattr(e, k)) for k in "xytp")


@pytest.mark.parametrize("chip", ["CochleaAMS1c", "DVXplorer", "Tmpdiff128StereoPair"])
def test_aedat_2_of_a_chip_that_is_not_read(tmp_path, chip):
    path = tmp_path / "some.aedat"
    write_aedat_2(path, some_events(size=(128, 128)), True, f"# AEChip: ch.unizh.{chip}\r\n")
    with pytest.raises(InputError, match=f"chip {chip}, .* expected a DVS128 or a DAVIS; write"):
        open_recording(path)


def test_aedat_3_with_compressed_times(tmp_path):
    path = tmp_path / "some.aedat"
    head = "#!AER-DAT3.1\r\n#Format: {}\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    packet = aedat_3(some_events(size=(128, 128)), 1)
    path.write_bytes(head.format("SerializedTS,PNGFrames").encode() + packet)
    with pytest.raises(InputError, match=r"Format: SerializedTS,PNGFrames.*expected Format: RAW"):
        open_recording(path)
    path.write_bytes(head.format("RAW").encode() + packet)
    assert len(all_of(path)[1]) == 20_000


def test_aedat_3_with_two_cameras(tmp_path):
    e = some_events(size=(128, 128))
    path = tmp_path / "some.aedat"
    head = b"#!AER-DAT3.1\r\n#Source 1: DVS128\r\n#Source 2: DAVIS240C\r\n#!END-HEADER\r\n"
    path.write_bytes(head + aedat_3(e[:9000], 1) + aedat_3(e[:100], 2) + aedat_3(e[9000:], 1))
    with pytest.raises(InputError, match="several cameras, choose: 1, 2"):
        open_recording(path)
    recording, windows, stats = run(path, topic="1")
    assert (recording.width, recording.height) == (128, 128)
    assert stats.events == 20_000 and len(windows) == 16
    recording, _, stats = run(path, topic="2")
    assert (recording.width, stats.events) == (240, 100)
    path.write_bytes(head)
    with pytest.raises(InputError, match="holds no events: expected an AEDAT"):
        open_recording(path)


def stereo(sizes):
    """The description of an AEDAT4 file with a stream of events a source."""

    def word(value):
        return faery.aedat.DescriptionAttribute(
            "int" if isinstance(value, int) else "string", value
        )

    nodes = []
    for k, (source, (width, height)) in enumerate(sizes.items()):
        about = {"source": word(source), "sizeX": word(width), "sizeY": word(height)}
        info = faery.aedat.DescriptionNode("info", f"/outInfo/{k}/info/", about, [])
        names = ("compression", "typeIdentifier", "originalOutputName", "originalModuleName")
        said = {n: word(v) for n, v in zip(names, ("LZ4", "EVTS", "events", "x"), strict=True)}
        nodes.append(faery.aedat.DescriptionNode(str(k), f"/outInfo/{k}/", said, [info]))
    return [faery.aedat.DescriptionNode("outInfo", "/outInfo/", {}, nodes)]


def write_aedat_4(path, sizes, filled):
    """20,000 events in each stream of a source that is filled."""
    with faery.aedat.Encoder(path, stereo(sizes), faery.aedat.LZ4_DEFAULT) as encoder:
        for track, (source, size) in enumerate(sizes.items()):
            e = some_events(size=size) if source in filled else Events.empty(*size)
            table = np.zeros(len(e), faery.EVENTS_DTYPE)
            table["t"], table["x"], table["y"], table["on"] = e.t // 1000, e.x, e.y, e.p
            encoder.write(track, table)


@pytest.mark.parametrize("filled", ["LEFT", "RIGHT"])
def test_stereo_aedat4_with_one_empty_stream(tmp_path, filled):
    path, sizes = tmp_path / "some.aedat4", {"LEFT": (346, 260), "RIGHT": VGA}
    write_aedat_4(path, sizes, [filled])
    recording, _, stats = run(path)
    assert ((recording.width, recording.height), stats.events) == (sizes[filled], 20_000)
    write_aedat_4(path, sizes, [])
    with pytest.raises(InputError, match="holds no events"):
        run(path)


def test_stereo_aedat4(tmp_path):
    path = tmp_path / "some.aedat4"
    sizes = {"LEFT": (346, 260), "RIGHT": VGA}
    write_aedat_4(path, sizes, sizes)
    with pytest.raises(InputError, match=r"choose: 0 \(LEFT, 346x260\), 1 \(RIGHT, 640x480\)"):
        open_recording(path)
    for topic in ("1", "RIGHT"):
        recording, _, stats = run(path, topic=topic)
        assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)
    with pytest.raises(InputError, match="no stream of events 7"):
        open_recording(path, topic="7")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(0.8 * len(whole))])
    _, _, stats = run(path, topic="0")
    assert stats.events == 20_000 and "broke off" in stats.last_error
