"""What users' bags are like: cut off, damaged, without an index, at odds with their metadata."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import whole_files
from faulty import PACKETS, SIZE, bases
from faulty_files import STAMP, array_bag, as_mcap, packet_bag, stored
from rosbags.rosbag1 import Writer
from rosbags.rosbag2 import CompressionMode
from rosbags.typesys import Stores, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.recordings.salvage import zstd
from evlayerseg_ros.recordings.storage import messages_in

ROUNDS = 40  # of the 12 sound packets


def write(path: Path, storage="mcap", short=None, empty=(), **how):
    """A bag of 12 * ROUNDS packets in encoding mono; number `short` is cut."""
    with packet_bag(path, storage, "/camera/events", **how) as (connect, add):
        for topic in empty:
            connect(topic)
        for seq in range(12 * ROUNDS):
            base = bases()[seq % 12] + seq // 12 * bases()[-1]
            data, keep = PACKETS["mono"][seq % 12], 40 if seq == short else None
            add(STAMP + base, *SIZE, seq, base, "mono", data, keep=keep)
    return path


def run(path, **options):
    """The counters of a stream that got all of a recording, and the number of its windows."""
    _, windows, stats = whole_files.run(path, **options)
    return stats, len(windows)


@pytest.mark.parametrize("storage", ["mcap", "db3", "bag"])
def test_one_message_that_is_cut_short(tmp_path, storage):
    path = write(tmp_path / f"some{'.bag' if storage == 'bag' else ''}", storage, short=200)
    stats, windows = run(path)
    assert (stats.packets, stats.bad_packets, stats.lost_packets) == (12 * ROUNDS - 1, 1, 0)
    assert "is cut off or damaged: expected event_camera_msgs/msg/EventPacket" in stats.last_error
    assert windows == run(write(tmp_path / f"whole{path.suffix}", storage))[1]


@pytest.mark.parametrize(
    ("mode", "share"),
    [
        (CompressionMode.NONE, 0.4),
        (CompressionMode.NONE, 0.97),
        (CompressionMode.STORAGE, 0.97),
    ],
)
@pytest.mark.parametrize("folder", [True, False])
def test_a_recorder_that_lost_its_power(tmp_path, mode, folder, share):
    bag = write(tmp_path / "some", mode=mode)
    file = stored(bag)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    stats, _ = run(bag if folder else file)
    assert 0.3 * 12 * ROUNDS < stats.packets <= 12 * ROUNDS
    assert "is not whole" in stats.last_error and "`mcap recover` mends it" in stats.last_error


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_database_that_was_cut_or_ends_in_zeros(tmp_path, share, zeros):
    """As a file system leaves it that lost its power: the pages up to there are read."""
    file = stored(write(tmp_path / "some", "db3"))
    content = file.read_bytes()
    left = int(share * len(content))
    file.write_bytes(content[:left] + bytes(len(content) - left) * zeros)
    stats, _ = run(file)
    assert 0.8 * share * 12 * ROUNDS < stats.packets < 12 * ROUNDS
    assert "its database is damaged or cut off" in stats.last_error


def test_a_file_of_which_nothing_is_left(tmp_path):
    file = stored(write(tmp_path / "some", mode=CompressionMode.STORAGE))
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(InputError, match="nothing is left; `mcap recover` mends it"):
        open_recording(file)


@pytest.mark.parametrize("storage", ["mcap", "db3", "bag"])
def test_a_damaged_part_in_the_middle(tmp_path, storage):
    bag = write(tmp_path / f"some{'.bag' if storage == 'bag' else ''}", storage)
    file = bag if storage == "bag" else stored(bag)
    content = bytearray(file.read_bytes())
    at = len(content) // 2
    content[at : at + 6000] = b"\xff" * 6000
    file.write_bytes(content)
    stats, _ = run(bag)
    assert stats.packets > 0.4 * 12 * ROUNDS
    assert stats.bad_packets + stats.lost_packets + stats.restarts > 0


@pytest.mark.parametrize("storage", ["mcap", "db3"])
def test_metadata_that_disagree_do_not_matter(tmp_path, storage):
    bag = write(tmp_path / "some", storage)
    metadata = bag / "metadata.yaml"
    text = metadata.read_text()
    odd = "offered_qos_profiles: '- history: 3'"
    for wrong in (
        text.replace("offered_qos_profiles: []", odd),
        text.replace("/camera/events", "/other"),
        text.replace("storage_identifier", "storage"),
        "rosbag2_bagfile_information: [",
    ):
        metadata.write_text(wrong)
        assert run(bag)[0].packets == 12 * ROUNDS
    metadata.unlink()
    assert run(bag)[0].packets == 12 * ROUNDS


def test_messages_that_the_metadata_count_and_no_file_holds(tmp_path):
    bag = write(tmp_path / "some", "db3")
    base = sqlite3.connect(stored(bag))
    base.execute("DELETE FROM messages")
    base.commit()
    base.close()
    with pytest.raises(InputError, match=r"says 480 messages, none on /camera/events could be"):
        open_recording(bag)


def test_a_bag_of_two_files_of_which_one_is_missing(tmp_path):
    bag = write(tmp_path / "some")
    file = stored(bag)
    metadata = bag / "metadata.yaml"
    lines = f"  - {file.name}\n  - some_1.mcap\n"
    metadata.write_text(metadata.read_text().replace(f"  - {file.name}\n", lines, 1))
    stats, _ = run(bag)
    assert (stats.packets, stats.bad_packets) == (12 * ROUNDS, 1)
    assert "lacks its file some_1.mcap" in stats.last_error


def test_an_mcap_without_a_message_index(tmp_path):
    """As some recorders and `mcap` tools leave it: the chunks are there, their indexes are not."""
    file = stored(write(tmp_path / "some"))
    content = bytearray(file.read_bytes())
    at = 8
    while at < len(content) - 8:
        code, length = content[at], int.from_bytes(content[at + 1 : at + 9], "little")
        if code == 0x08:  # chunk index: no message index
            content[at + 9 + 32 : at + 9 + 36] = (0).to_bytes(4, "little")
            rest = content[at + 9 + 36 + 10 : at + 9 + length]
            content[at + 9 + 36 : at + 9 + length] = rest + bytes(10)
        at += 9 + length
    file.write_bytes(content)
    assert run(file)[0].packets == 12 * ROUNDS


def test_a_ros_1_bag_whose_recorder_was_ended(tmp_path):
    whole = write(tmp_path / "some.bag", "bag").read_bytes()
    active = tmp_path / "SOME.BAG.active"
    active.write_bytes(whole[: int(0.8 * len(whole))])
    stats, _ = run(active)
    assert 300 < stats.packets < 12 * ROUNDS and "`rosbag reindex` mends it" in stats.last_error


def test_a_database_whose_messages_are_in_its_log(tmp_path):
    """As rosbag2's resilient preset leaves it where the power is lost: a write-ahead log beside."""
    bag = write(tmp_path / "some", "db3")
    left = shutil.copytree(bag, tmp_path / "left")
    base = sqlite3.connect(stored(bag))
    rows = list(base.execute("SELECT * FROM messages"))
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA wal_autocheckpoint = 0")
    base.execute("DELETE FROM messages")
    base.commit()
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
    base.commit()
    for path in bag.iterdir():
        shutil.copy(path, left / path.name)
    base.close()
    log = left / f"{stored(bag).name}-wal"
    assert log.stat().st_size > 500_000
    assert run(left)[0].packets == 12 * ROUNDS
    assert log.is_file()  # what was recorded is left as it is


def test_recordings_of_their_own_in_one_folder_are_listed(tmp_path):
    folder = tmp_path / "several"
    folder.mkdir()
    file = stored(write(tmp_path / "some"))
    for name in ("left.mcap", "right.mcap"):
        shutil.copy(file, folder / name)
    with pytest.raises(InputError, match=r"several recordings, choose one: left\.mcap, right\.mca"):
        open_recording(folder)


@pytest.mark.parametrize("ending", ["zstd", "zst"])
@pytest.mark.parametrize("storage", ["mcap", "db3"])
def test_a_lone_file_that_is_compressed(tmp_path, storage, ending):
    file = stored(write(tmp_path / "some", storage))
    alone = tmp_path / f"{file.name}.{ending}"
    alone.write_bytes(zstd.compress(file.read_bytes()))
    assert run(alone)[0].packets == 12 * ROUNDS
    alone.write_bytes(alone.read_bytes()[: int(0.9 * alone.stat().st_size)])
    if storage == "mcap":
        stats, _ = run(alone)
        assert 0 < stats.packets < 12 * ROUNDS and "was cut off" in stats.last_error


@pytest.mark.parametrize("storage", ["mcap", "db3"])
def test_a_compressed_file_cut_before_its_first_block(tmp_path, storage):
    alone = tmp_path / f"some.{storage}.zst"
    alone.write_bytes(zstd.compress(bytes(range(256)) * 99)[:20])
    with pytest.raises(InputError, match=r"it was cut off, and nothing is left; copy or download"):
        open_recording(alone)


def test_messages_that_are_compressed_alone_without_their_metadata(tmp_path):
    file = stored(write(tmp_path / "some", "db3", mode=CompressionMode.MESSAGE))
    alone = shutil.copy(file, tmp_path / "alone.db3")
    assert run(alone)[0].packets == 12 * ROUNDS


def test_an_empty_topic_beside_a_full_one(tmp_path):
    bag = write(tmp_path / "some", empty=("/dead/events",))
    assert run(bag)[0].packets == 12 * ROUNDS
    assert run(bag, topic="camera/events")[0].packets == 12 * ROUNDS  # without its slash
    for storage in ("mcap", "db3", "bag"):
        bag = write(tmp_path / f"{storage}.{storage}", storage, empty=("/dead/events",))
        with pytest.raises(InputError, match="has no messages on topic /dead/events"):
            open_recording(bag, topic="/dead/events")


def test_topics_that_are_all_empty(tmp_path):
    with packet_bag(tmp_path / "some", topic="/b/events") as (connect, _):
        connect("/a/events")
    with pytest.raises(InputError, match="has no messages on topic /a/events"):
        open_recording(tmp_path / "some")


def test_the_old_name_of_event_packets(tmp_path):
    bag = write(tmp_path / "some", kind="event_array_msgs/msg/EventArray")
    assert run(bag)[0].packets == 12 * ROUNDS


@pytest.mark.parametrize("kind", ["packets", "arrays"])
def test_mcap_with_messages_as_ros_1_serializes_them(tmp_path, kind):
    bag, e = tmp_path / "some.bag", whole_files.some_events(1000, (240, 180))
    if kind == "packets":
        write(bag, "bag")
    else:
        with array_bag(bag, ros1=True) as add:
            for k in range(2):
                add(Events(e.x, e.y, STAMP + e.t + k * 10**9, e.p, 240, 180), STAMP + k * 10**9)
    path = as_mcap(bag, tmp_path / "some.mcap")
    stats, windows = run(path)
    assert (stats, windows) == run(bag)
    assert stats.bad_packets == 0 and stats.packets == (12 * ROUNDS if kind == "packets" else 2)
    path.write_bytes(path.read_bytes()[:-100])
    assert run(path)[0].last_error.endswith("`mcap recover` mends it.")


def test_a_gyro_in_such_an_mcap(tmp_path):
    types = get_typestore(Stores.ROS1_NOETIC)
    new, kind = types.types, "sensor_msgs/msg/Imu"
    head = new["std_msgs/msg/Header"](7, new["builtin_interfaces/msg/Time"](12, 34), "imu")
    rate, none = new["geometry_msgs/msg/Vector3"](0.1, 0.2, 0.3), np.zeros(9)
    still = new["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    with Writer(tmp_path / "some.bag") as bag:
        connection = bag.add_connection("/imu", kind, typestore=types)
        message = new[kind](head, still, none, rate, none, rate, none)
        bag.write(connection, STAMP, bytes(types.serialize_ros1(message, kind)))
    path = as_mcap(tmp_path / "some.bag", tmp_path / "some.mcap")
    wanted = lambda _, found: found == kind  # noqa: E731
    ((topic, found),) = messages_in(path, wanted, lambda message, _: message)
    assert topic == "/imu" and found.header.stamp.sec == 12 and found.angular_velocity.z == 0.3


@pytest.mark.parametrize("ros1", [False, True])
@pytest.mark.parametrize("package", ["dvs_msgs", "prophesee_event_msgs", "dv_ros_msgs"])
def test_event_arrays_of_three_packages(tmp_path, package, ros1):
    path = tmp_path / ("some.bag" if ros1 else "some")
    with array_bag(path, ros1, package) as add:
        for k in range(100):  # one of 10 ms a message
            t, x = STAMP + k * 10_000_000 + np.arange(50) * 200_000, np.arange(50)
            first = int(t[0])
            if k % 10 == 5:
                t[20] -= 99_000_000
                x[7] = 700
            add(Events(x, x * 0 + 3, t, x * 0 + 1, 240, 180), first)
    stats, windows = run(path)
    assert (stats.packets, stats.events, windows) == (100, 4980, 31)
    assert (stats.out_of_range, stats.stray_events, stats.time_jumps) == (10, 10, 0)
    stats, _ = run(path, size=(800, 180))
    assert (stats.events, stats.out_of_range) == (4990, 0)


@pytest.mark.parametrize("beside", [False, True])
def test_a_recorder_that_was_ended_before_it_compressed_its_last_part(tmp_path, beside):
    file = stored(write(tmp_path / "some", "db3"))
    folder = tmp_path / "left"
    folder.mkdir()
    (folder / "rosbag2_0.db3.zstd").write_bytes(zstd.compress(file.read_bytes()))
    shutil.copy(file, folder / "rosbag2_1.db3")
    if beside:  # it had begun to
        (folder / "rosbag2_1.db3.zstd").write_bytes(b"\x28\xb5\x2f\xfd")
    with open_recording(folder) as recording:
        assert [packet.fault for packet in recording] == [""] * 24 * ROUNDS


def test_messages_that_metadata_with_lists_of_qos_count(tmp_path):
    """As ROS 2 writes them from Jazzy on."""
    bag = write(tmp_path / "some", "db3", empty=("/dead/events",))
    (bag / "metadata.yaml").write_text(
        "rosbag2_bagfile_information:\n  topics_with_message_count:\n"
        "    - topic_metadata:\n        name: /dead/events\n"
        "        offered_qos_profiles:\n          - history: keep_last\n            depth: 10\n"
        "      message_count: 123\n"
    )
    with pytest.raises(InputError, match="says 123 messages, none on /dead/events could be read"):
        open_recording(bag, topic="/dead/events")


def test_endings_in_capitals(tmp_path):
    file = stored(write(tmp_path / "some"))
    packed = tmp_path / "x.mcap.ZST"
    packed.write_bytes(zstd.compress(file.read_bytes()))
    assert run(packed)[0].packets == 12 * ROUNDS
    (tmp_path / "folder").mkdir()
    file.rename(tmp_path / "folder" / "X.MCAP")
    assert run(tmp_path / "folder")[0].packets == 12 * ROUNDS
