"""open_recording on every kind of sound recording."""

from __future__ import annotations

import shutil
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import faery
import h5py
import hdf5plugin
import numpy as np
import pytest
from faulty_files import array_bag, event_array

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.pipeline import windows_of
from evlayerseg_ros.recordings.readers import CHUNK, open_recording
from evlayerseg_ros.replay.play import encoded
from evlayerseg_ros.replay.replay import part_of

EVENTS = "/event_camera/events"
BAGS = {
    "event_camera_py/test_events_1": ("evt3", 640, 480, 517, EVENTS),
    "event_camera_py/test_events_1/test_events_1.db3": ("evt3", 640, 480, 517, EVENTS),
    "event_camera_py/test_events_1.bag": ("evt3", 640, 480, 517, EVENTS),
    "event_camera_py/test_events_2/test_events_2_0.mcap": ("libcaer_cmp", 346, 260, 100, EVENTS),
    "event_camera_codecs/test_data_evt3_trigger": ("evt3", 1280, 720, 105, None),
    "event_camera_codecs/test_data_libcaer_rollover": ("libcaer", 640, 480, 201, None),
    "event_camera_codecs/test_data_mono_cd": ("mono", 640, 480, 2, None),
}


@pytest.mark.parametrize("name", BAGS)
def test_bags(recordings, name):
    encoding, width, height, count, topic = BAGS[name]
    with open_recording(recordings / name) as recording:
        packets = list(recording)
        assert (recording.width, recording.height, recording.total) == (width, height, count)
        assert topic in (None, recording.topic)
    assert len(packets) == count and 0 < packets[-1].stamp - packets[0].stamp < 3e9
    assert {(p.encoding, p.width, p.height) for p in packets} == {(encoding, width, height)}
    assert [p.seq - packets[0].seq for p in packets] == list(range(count))
    assert all(a.stamp <= b.stamp for a, b in pairwise(packets))


@pytest.mark.parametrize(
    ("name", "count", "size", "span"),
    [
        ("vendor/sparks_evt3.raw", 1_218_618, (1280, 720), 10.77),
        ("vendor/driving_evt3.raw", 219_596, (1280, 720), 0.0088),
        ("vendor/vga_evt2.raw", 521_252, (640, 480), 0.096),
        ("vendor/driving_evt2.raw", 539_481, (640, 480), 0.050),
        ("vendor/cars_davis346.aedat4", 78_830, (346, 260), 2.36),
        ("ijrr/dynamic_rotation/events.txt", 30_000, (240, 180), None),
        ("ijrr/shapes_rotation", 20_000, (240, 180), None),
    ],
)
def test_files(recordings, name, count, size, span):
    with open_recording(recordings / name) as recording:
        packets = list(recording)
        assert (recording.width, recording.height) == size
        assert recording.total in (None, len(packets))
        assert recording.total or not name.endswith(".raw")
    events = Events.concatenate([p.events for p in packets])
    assert len(events) == count
    assert np.all(np.diff(events.t) >= 0)
    assert all(p.encoding == "events" and p.stamp == p.events.t[0] for p in packets)
    if span is not None:
        assert (events.t[-1] - events.t[0]) * 1e-9 == pytest.approx(span, rel=0.01)


def test_text_times_are_exact(recordings):
    with open_recording(recordings / "ijrr/shapes_rotation/events.txt") as recording:
        events = next(iter(recording)).events
    assert events.t[:3].tolist() == [2_097_134_001, 2_097_140_000, 2_097_141_001]
    assert (events.x[0], events.y[0], events.p[0]) == (162, 27, 0)


def some_events(n=1000, size=(346, 260), start=7_000_000_000):
    rng = np.random.default_rng(5)
    t = start + np.cumsum(rng.integers(0, 100, n)) * 1000
    x, y = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    return Events.from_arrays(x, y, t, rng.integers(0, 2, n), *size)


def read(path, **options):
    with open_recording(path, **options) as recording:
        return Events.concatenate([p.events for p in recording])


def same(a, b):
    return (a.width, a.height) == (b.width, b.height) and all(
        np.array_equal(getattr(a, k), getattr(b, k)) for k in "xytp"
    )


@pytest.mark.parametrize("suffix", ["es", "dat"])
def test_faery_files(tmp_path, suffix):
    sent = some_events()
    table = np.zeros(len(sent), faery.EVENTS_DTYPE)
    table["t"], table["x"], table["y"], table["on"] = sent.t // 1000, sent.x, sent.y, sent.p
    path = tmp_path / f"some.{suffix}"
    faery.events_stream_from_array(table, (346, 260)).to_file(path, zero_t0=False)
    got = read(path)
    assert same(replace(got, t=got.t - got.t[0]), replace(sent, t=sent.t - sent.t[0]))


def test_evt21_raw(tmp_path):
    words = [(0, 0x8 << 28 | 1000), (0b101, 0x1 << 28 | 3 << 22 | 32 << 11 | 5)]
    path = tmp_path / "some.raw"
    header = b"% format EVT21;height=320;width=320\n% end\n"
    path.write_bytes(header + np.array(words, "<u4").tobytes())
    events = read(path)
    assert (events.width, events.height) == (320, 320)
    assert events.x.tolist() == [32, 34] and events.t.tolist() == [64_003_000] * 2


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    sent = some_events(2 * CHUNK + 17)
    path = tmp_path / "some.npz"
    save(path, x=sent.x, y=sent.y, t=sent.t, p=sent.p, size=(346, 260))
    assert same(read(path), sent)
    with open_recording(path) as recording:
        assert [len(p.events) for p in recording] == [CHUNK, CHUNK, 17]
        assert recording.total == 3


def test_hdf5_of_the_authors(tmp_path):
    sent = some_events(size=(640, 480), start=1_609_459_200 * 10**9)
    path = tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        file["events/xs"], file["events/ys"] = sent.x.astype(np.int16), sent.y.astype(np.int16)
        file["events/ts"], file["events/ps"] = sent.t * 1e-9, sent.p.astype(bool)
        file.attrs["t0"], file.attrs["duration"] = sent.t[0] * 1e-9, 0.05
    got = read(path)
    assert np.abs(got.t - sent.t).max() < 500  # float64 seconds since 1970 resolve 240 ns
    assert all(np.array_equal(getattr(got, k), getattr(sent, k)) for k in "xyp")


def test_hdf5_of_dsec(tmp_path):
    sent = some_events(size=(640, 480))
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        file["events/x"], file["events/y"] = sent.x, sent.y
        file["events/t"], file["events/p"] = (sent.t - sent.t[0]) // 1000, sent.p
        file["t_offset"] = sent.t[0] // 1000
    assert same(read(path), sent)
    assert same(read(tmp_path), sent)  # a folder with just that file


def test_hdf5_with_the_filters_that_data_sets_use(tmp_path):
    sent = some_events(n=20_000, size=(640, 480))
    columns = {"x": sent.x, "y": sent.y, "t": (sent.t - sent.t[0]) // 1000, "p": sent.p}
    # Blosc with Zstd is DSEC's, Zstd that of the paper's authors.
    for filters in (hdf5plugin.Blosc(cname="zstd", clevel=1), hdf5plugin.Zstd(clevel=1)):
        path = tmp_path / f"{type(filters).__name__}.h5"
        with h5py.File(path, "w") as file:
            for name, column in columns.items():
                file.create_dataset(f"events/{name}", data=column, chunks=(4096,), **filters)
            file["t_offset"] = sent.t[0] // 1000
        assert same(read(path), sent)


def test_a_bad_event_array_in_a_bag_is_counted_and_the_rest_is_read(tmp_path):
    """As in the node; and played, it is left out."""
    sound = [event_array(some_events(20, start=k * 10**8)) for k in range(3)]
    messages = [b"\0\1\0\0 no such message", *sound[:2], sound[2][:-40], sound[2]]
    with array_bag(tmp_path / "bag") as add:
        for k, raw in enumerate(messages):
            add(raw, k)
    stream = PacketStream(WindowConfig())
    with open_recording(tmp_path / "bag") as recording:
        assert (recording.width, recording.height) == (346, 260)
        windows = [window for window, _ in windows_of(part_of(recording), stream)]
        assert sum(len(list(encoded(packet))) for packet in recording) >= 3
    assert sum(len(window.events) for window in windows) == 60
    assert (stream.stats.bad_packets, stream.stats.packets) == (2, 3)
    assert "is no EventArray" in stream.stats.last_error


@pytest.mark.parametrize("ros1", [False, True])
def test_dvs_event_arrays(tmp_path, ros1):
    sent = some_events(start=1_700_000_000 * 10**9)
    path = tmp_path / ("some.bag" if ros1 else "some")
    with array_bag(path, ros1, topics=("/dvs/events",)) as add:
        for part in (sent[:400], sent[400:401], sent[401:]):
            add(part, int(part.t[0]))
    assert same(read(path), sent)
    with open_recording(path) as recording:
        packets = list(recording)
    assert [p.stamp for p in packets] == [sent.t[0], sent.t[400], sent.t[401]]
    assert {(p.topic, p.frame_id, p.encoding) for p in packets} == {
        ("/dvs/events", "dvs", "events")
    }


def test_several_topics_need_a_choice(tmp_path):
    sent = some_events(10)
    topics = ("/left/events", "/right/events")
    with array_bag(tmp_path / "some", topics=topics) as add:
        for topic in topics:
            add(sent, int(sent.t[0]), topic)
    with pytest.raises(InputError, match="choose: /left/events, /right/events"):
        open_recording(tmp_path / "some")
    assert same(read(tmp_path / "some", topic="/right/events"), sent)
    with pytest.raises(InputError, match=r"no topic /up .*/left/events"):
        open_recording(tmp_path / "some", topic="/up")


def test_memory_does_not_grow_with_the_file(tmp_path):
    def peak(n):
        path = tmp_path / "some.npz"
        some = some_events(n)
        np.savez(path, x=some.x, y=some.y, t=some.t, p=some.p, size=(346, 260))
        del some
        with open_recording(path) as recording:
            tracemalloc.start()
            for _ in recording:
                pass
            used = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return used

    assert peak(16 * CHUNK) < 1.2 * peak(4 * CHUNK)


def test_storage_identifier_missing(recordings, tmp_path):
    with open_recording(recordings / "event_camera_py/test_events_2") as recording:
        assert recording.total == 100  # the files say what they are
    name = "test_events_2_0.mcap"
    shutil.copy(recordings / "event_camera_py/test_events_2" / name, tmp_path / name)
    with open_recording(tmp_path) as recording:  # a folder with just that file
        assert recording.total == 100
