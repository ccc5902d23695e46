"""Files laid out in another way than the documents of their kind say: read, told or refused."""

from __future__ import annotations

import struct

import faery
import h5py
import numpy as np
import pytest
from faulty import PACKETS, SIZE, bases
from faulty_files import STAMP, array_bag, packet_bag, plain_mcap
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.errors import InputError, MissingPackage
from evlayerseg_ros.events.dvs import check_layout
from evlayerseg_ros.recordings import vendor
from evlayerseg_ros.recordings.readers import open_recording

OFFSET = 49_599_300_523  # us


@pytest.mark.parametrize("name", ["HISTO3D", "DIFF3D", "AER-8b", "MTR12", "EVT4"])
def test_a_raw_file_of_what_is_no_stream_of_events_is_refused(tmp_path, name):
    head = f"% format {name};height=320;width=320\n% plugin_name hal_plugin_genx320\n% end\n"
    (tmp_path / "some.raw").write_bytes(head.encode() + bytes(range(256)) * 9)
    with pytest.raises(InputError, match=f"is {name}, which is not read"):
        open_recording(tmp_path / "some.raw")


@pytest.mark.parametrize(
    "line", ["format EVT3_LEGACY", "format\n% plugin_name hal_plugin_imx636_evk3"]
)
def test_a_raw_file_whose_header_says_more_than_its_encoding(tmp_path, line):
    e, path = some_events(), tmp_path / "some.raw"
    head = f"% {line}\n% geometry 640x480\n% end\n"
    path.write_bytes(head.encode() + encode("evt3", e, 0).tobytes())
    assert run(path)[2].events == 20_000


def test_a_header_of_aedat_in_another_language(tmp_path):
    e, path = some_events(size=(240, 180)), tmp_path / "some.aedat"
    address = (
        (179 - e.y.astype("u4")) << 22 | (239 - e.x.astype("u4")) << 12 | e.p.astype("u4") << 11
    )
    words = np.column_stack([address, (e.t // 1000).astype("u4")]).astype(">u4").tobytes()
    head = "#!AER-DAT2.0\r\n# Küche\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"
    path.write_bytes(head.encode() + b"# End\r\n" + words)
    recording, _, stats = run(path)
    assert (recording.width, recording.height, stats.events) == (240, 180, 20_000)


def bag_of_other_events(path, one: str) -> None:
    """A bag that defines its EventArray's events like that; it holds one message."""
    ros1 = path.suffix == ".bag"
    types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
    stamp = "time" if ros1 else "builtin_interfaces/Time"
    types.register(get_types_from_msg(one.replace("TIME", stamp), "my_msgs/msg/Event"))
    array = "std_msgs/Header header\nuint32 height\nuint32 width\nmy_msgs/Event[] events"
    types.register(get_types_from_msg(array, "my_msgs/msg/EventArray"))
    plugin = StoragePlugin.MCAP if path.suffix == ".mcap" else StoragePlugin.SQLITE3
    folder = path.with_suffix(".bag") if ros1 else path
    with Writer1(folder) if ros1 else Writer2(folder, version=9, storage_plugin=plugin) as bag:
        connection = bag.add_connection("/events", "my_msgs/msg/EventArray", typestore=types)
        bag.write(connection, STAMP, bytes(100))


@pytest.mark.parametrize("name", ["some.bag", "some.mcap", "some"])
@pytest.mark.parametrize(
    "one",
    [
        "uint16 x\nuint16 y\nuint64 ts\nbool polarity",
        "uint16 y\nuint16 x\nTIME ts\nbool polarity",
        "uint16 x\nuint16 y\nTIME ts\nint8 polarity",
        "TIME ts\nuint16 x\nuint16 y\nbool polarity",
        "uint16 row\nuint16 col\nTIME ts\nbool polarity",
        "uint16 y_pos\nuint16 x_pos\nTIME ts\nbool polarity",
        "uint16 v\nuint16 u\nTIME ts\nbool polarity",
        "uint8 ON=1\nuint16 x\nuint16 y\nTIME ts\nbool polarity\nfloat32 weight",
    ],
)
def test_an_event_array_with_other_fields_is_refused_by_its_definition(tmp_path, name, one):
    bag_of_other_events(tmp_path / name, one)
    with pytest.raises(InputError, match=r"events have `.*`: expected `uint16 x, uint16 y, time"):
        open_recording(tmp_path / name)


def test_an_event_array_with_a_number_for_the_polarity_or_without_a_definition_is_read(tmp_path):
    with array_bag(tmp_path / "some") as add:
        add(some_events(1000), STAMP)
    with open_recording(tmp_path / "some") as opened:
        (storage,) = opened._storages
        messages = [(raw.time, bytes(raw.data)) for raw in storage.messages(storage.counts)]
    path = plain_mcap(tmp_path / "plain.mcap", messages, "/events", "my_msgs/msg/EventArray")
    assert run(path)[2].events == run(tmp_path / "some")[2].events == 1000
    one = "uint16 x # px\nuint16 y\nTIME ts\n\nuint8 polarity"
    bag_of_other_events(tmp_path / "numbers", one)
    with pytest.raises(InputError, match="none on /events could be read"):  # but it may hold them
        open_recording(tmp_path / "numbers")


@pytest.mark.parametrize(
    "one",
    ["uint16 col\nuint16 row\ntime ts\nbool on", "uint16 x\nuint16 y\ntime ts\nbyte polarity"],
)
def test_an_event_array_of_the_same_layout_with_other_names_passes(one):
    check_layout(f"Event[] events\n{'=' * 80}\nMSG: my_msgs/Event\n{one}\n")


@pytest.mark.parametrize("frames", [("left", "right"), ("left", ""), ("left", "left")])
def test_a_topic_with_the_packets_of_two_cameras_is_told(tmp_path, frames):
    with packet_bag(tmp_path / "some") as (_, add):
        for seq, data in enumerate(PACKETS["mono"]):
            base = bases()[seq]
            add(STAMP + base, *SIZE, seq, base, "mono", data, frame=frames[seq % 2])
    told = f"{tmp_path / 'some'}: /events has events of left, right, which are read as one."
    assert run(tmp_path / "some")[0].note == (told if "right" in frames else "")


@pytest.mark.parametrize("lack", ["events", "polarities"])
def test_the_other_camera_of_an_hdf5_that_is_not_read_is_told(tmp_path, lack):
    e = some_events()
    with h5py.File(tmp_path / "some.h5", "w") as file:
        for side, n in (("left", 20_000), ("right", 100 if lack == "events" else 20_000)):
            for name in "xytp" if (side, lack) != ("right", "polarities") else "xyt":
                file[f"{side}/events/{name}"] = getattr(e, name)[:n] // (1000 if name == "t" else 1)
    recording, _, stats = run(tmp_path / "some.h5")
    assert stats.events == 20_000
    assert "of left/events and right/events the first is read (--topic chooses)" in recording.note
    assert "first" not in run(tmp_path / "some.h5", topic="right/events")[0].note


def test_a_table_at_the_root_of_an_hdf5_can_be_chosen(tmp_path):
    e = some_events()
    with h5py.File(tmp_path / "some.h5", "w") as file:
        for where, shift in (("", 0), ("other/", 1)):
            for name, column in zip("xytp", (e.x, e.y, e.t // 1000 + shift, e.p), strict=True):
                file[f"{where}{name}"] = column
    with pytest.raises(InputError, match="choose: /, other"):
        open_recording(tmp_path / "some.h5")
    windows = run(tmp_path / "some.h5", topic="/")[1]
    assert windows[0].events.t[0] == e.t[0]
    with pytest.raises(InputError, match="no events at more: it has /, other"):
        open_recording(tmp_path / "some.h5", topic="more")


@pytest.mark.parametrize("which", ["camera", "cam_id"])
@pytest.mark.parametrize("compound", [False, True])
def test_events_of_two_cameras_in_one_hdf5_table_are_refused(tmp_path, which, compound):
    e = some_events()
    columns = {"t": e.t // 1000, "x": e.x, "y": e.y, "p": e.p, which: np.arange(len(e)) % 2}
    with h5py.File(tmp_path / "some.h5", "w") as file:
        if compound:
            file["events"] = np.rec.fromarrays(list(columns.values()), names=list(columns))
        else:
            file.create_group("events").update(columns)
    with pytest.raises(InputError, match=f"several cameras, told by {which}"):
        open_recording(tmp_path / "some.h5")


@pytest.mark.parametrize("order", ["ptyx", "tyxp", "yxtp"])
@pytest.mark.parametrize("words", [False, True])
def test_an_attribute_tells_the_order_of_a_table(tmp_path, order, words):
    e = some_events()
    columns = {"t": e.t // 1000, "x": e.x, "y": e.y, "p": e.p}
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["events"] = np.column_stack([columns[name] for name in order])
        file["events"].attrs["columns"] = ", ".join(order) if words else np.array(list(order), "S")
    np.testing.assert_array_equal(run(tmp_path / "some.h5", size=VGA)[1][0].events.x[:9], e.x[:9])


@pytest.mark.parametrize("where", ["dvs/events", "dvs", "/", "dvs/fields"])
@pytest.mark.parametrize(
    "stated",
    ["[t, y, x, p]", '["t", "y", "x", "p"]', "(timestamp [us], row, col, polarity)", "t [s] y x p",
     "t|y|x|p", np.array([b"t", b"y", b"x", b"p"])],
)  # fmt: skip
def test_where_and_how_an_hdf5_states_an_order(tmp_path, where, stated):
    e = some_events()
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["dvs/events"] = np.column_stack([e.t // 1000, e.y, e.x, e.p])
        if where in file:
            file[where].attrs["columns"] = stated
        else:
            file[where] = stated
    np.testing.assert_array_equal(run(tmp_path / "some.h5", size=VGA)[1][0].events.x[:9], e.x[:9])


@pytest.mark.parametrize("stated", [np.array(list("tyxp")), "t, y, x, p"])
@pytest.mark.parametrize("first", [True, False])
def test_an_array_of_words_tells_the_order_of_a_table_of_numpy(tmp_path, stated, first):
    e = some_events()
    table = np.column_stack([e.t // 1000, e.y, e.x, e.p])
    parts = {"columns": stated, "events": table} if first else {"events": table, "fields": stated}
    np.savez(tmp_path / "some.npz", **parts)
    np.testing.assert_array_equal(run(tmp_path / "some.npz", size=VGA)[1][0].events.x[:9], e.x[:9])


@pytest.mark.parametrize("stated", ["x, y, t, p", "width, height, depth, unit", 3.0])
def test_an_attribute_that_the_values_contradict_tells_no_order(tmp_path, stated):
    e = some_events()
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["events"] = np.column_stack([e.t // 1000, e.x, e.y, e.p])
        file["events"].attrs["columns"] = stated
    np.testing.assert_array_equal(run(tmp_path / "some.h5", size=VGA)[1][0].events.x[:9], e.x[:9])


@pytest.mark.parametrize("where", ["cam0/events/t_offset", "cam0/t_offset", "t_offset"])
@pytest.mark.parametrize("attribute", [False, True])
def test_where_an_hdf5_says_from_when_on_its_times_count(tmp_path, where, attribute):
    e = some_events()
    with h5py.File(tmp_path / "some.h5", "w") as file:
        for name, column in zip("xytp", (e.x, e.y, e.t // 1000, e.p), strict=True):
            file[f"cam0/events/{name}"] = column
        at, _, name = where.rpartition("/")
        if attribute:
            file[at or "/"].attrs[name] = OFFSET
        else:
            file[where] = OFFSET
    windows = run(tmp_path / "some.h5")[1]
    assert windows[0].events.t[0] == e.t[0] + OFFSET * 1000


@pytest.mark.parametrize("offset", [OFFSET, np.zeros((1, 0))])
def test_an_attribute_with_an_offset_does_not_make_a_file_one_of_dsec(tmp_path, offset):
    e = some_events()
    path = write_table(tmp_path / "some.h5", e, e.t // 10**6)
    notes = [run(path)[0].note]
    with h5py.File(path, "a") as file:
        file.attrs["t_offset"] = offset
    notes.append(run(path)[0].note)
    assert "its times are taken as ms" in notes[0] == notes[1]


@pytest.mark.parametrize("suffix", ["h5", "npz", "npy"])
@pytest.mark.parametrize("dtype", ["u4", "i4"])
def test_nanoseconds_in_32_bits_go_on_where_they_wrap(tmp_path, dtype, suffix):
    e = some_events(60_000, span_us=6_000_000)
    path, t = tmp_path / f"some.{suffix}", e.t.astype(dtype)
    if suffix == "npy":
        np.save(path, np.rec.fromarrays([t, e.x, e.y, e.p], names="t,x,y,p"))
    else:
        write_table(path, e, t)
    _, windows, stats = run(path)
    assert stats.events == 60_000 and stats.restarts == 0
    assert windows[-1].events.t[-1] - windows[0].events.t[0] > 5_900_000_000


def evimo(path, e, t, size=VGA):
    """A sequence of EVIMO2 or, where the path ends in .npz, of EVIMO."""
    meta = np.array({"frames": [], "meta": {"res_x": size[0], "res_y": size[1]}}, dtype=object)
    if path.suffix:
        rows, mask = np.column_stack([t, e.x, e.y, e.p]), np.zeros((1, *size[::-1]), np.uint8)
        np.savez(path, events=rows, mask=mask, meta=meta)
        return path
    path.mkdir()
    for name, values in (("t", t), ("xy", np.column_stack([e.x, e.y])), ("p", e.p)):
        np.save(path / f"dataset_events_{name}.npy", values)
    np.savez(path / "dataset_info.npz", meta=meta)
    return path


@pytest.mark.parametrize("name", ["some", "some.npz"])
@pytest.mark.parametrize(("unit", "ns"), [("us", 1000), ("ns", 1), ("s", 10**9)])
def test_evimo_in_other_units_and_with_its_sides_exchanged(tmp_path, name, unit, ns):
    e = some_events()
    t = e.t / ns if unit == "s" else e.t // ns
    recording, windows, stats = run(evimo(tmp_path / name, e, t, VGA[::-1]))
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)
    assert "it says 480x640 pixels, and is taken as 640x480" in recording.note
    assert (f"its times are taken as {unit}" in recording.note) == (unit != "s")
    assert windows[0].events.t[0] == pytest.approx(e.t[0], abs=2)


def test_evimo2_names_the_file_that_it_lacks(tmp_path):
    e = some_events(100)
    folder = evimo(tmp_path / "some", e, e.t * 1e-9)
    (folder / "dataset_events_p.npy").unlink()
    with pytest.raises(InputError, match=r"some lacks its file dataset_events_p\.npy\.$"):
        open_recording(folder)


def test_aedat4_that_was_cut_off_within_its_table_of_packets(tmp_path):
    e, path = some_events(), tmp_path / "some.aedat4"
    table = np.zeros(len(e), faery.EVENTS_DTYPE)
    table["t"], table["x"], table["y"], table["on"] = e.t // 1000, e.x, e.y, e.p
    faery.events_stream_from_array(table, VGA).to_file(path, zero_t0=False)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    assert run(path)[2].events == 20_000
    (length,) = struct.unpack("<I", content[14:18])
    path.write_bytes(content[: 18 + length // 2])
    with pytest.raises(InputError, match="cannot be read as an AEDAT4 file"):
        open_recording(path)


@pytest.mark.parametrize("error", [MissingPackage("faery is lacking."), RuntimeError("no codec")])
def test_aedat4_is_not_copied_where_its_table_of_packets_is_not_at_fault(
    tmp_path, monkeypatch, error
):
    e, path = some_events(), tmp_path / "some.aedat4"
    table = np.zeros(len(e), faery.EVENTS_DTYPE)
    faery.events_stream_from_array(table, VGA).to_file(path, zero_t0=False)

    def refuses(_: object) -> None:
        raise error

    copied: list[object] = []
    monkeypatch.setattr(vendor.Aedat4Recording, "_decoder", refuses)
    monkeypatch.setattr(vendor.shutil, "copyfile", lambda *paths, **_: copied.append(paths))
    kind = MissingPackage if isinstance(error, MissingPackage) else InputError
    with pytest.raises(kind, match=r"some\.aedat4"):
        open_recording(path)
    assert not copied
