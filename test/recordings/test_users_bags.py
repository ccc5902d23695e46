"""What users' bags are like: cut off, damaged, without an index, at odds with their metadata."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest
from faulty_files import ROUNDS, camera_bag, counted, packet_bag, stored
from rosbags.rosbag2 import CompressionMode

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.packed import zstd
from evlayerseg_ros.recordings.readers import open_recording


@pytest.mark.parametrize("storage", ["mcap", "db3", "bag"])
def test_one_message_that_is_cut_short(tmp_path, storage):
    path = camera_bag(tmp_path / f"some{'.bag' if storage == 'bag' else ''}", storage, short=200)
    stats, windows = counted(path)
    assert (stats.packets, stats.bad_packets, stats.lost_packets) == (12 * ROUNDS - 1, 1, 0)
    assert "is cut off or damaged: expected event_camera_msgs/msg/EventPacket" in stats.last_error
    assert windows == counted(camera_bag(tmp_path / f"whole{path.suffix}", storage))[1]


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
    bag = camera_bag(tmp_path / "some", mode=mode)
    file = stored(bag)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    stats, _ = counted(bag if folder else file)
    assert 0.3 * 12 * ROUNDS < stats.packets <= 12 * ROUNDS
    assert "is not whole" in stats.last_error and "`mcap recover` mends it" in stats.last_error


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_database_that_was_cut_or_ends_in_zeros(tmp_path, share, zeros):
    """As a file system leaves it that lost its power: the pages up to there are read."""
    file = stored(camera_bag(tmp_path / "some", "db3"))
    content = file.read_bytes()
    left = int(share * len(content))
    file.write_bytes(content[:left] + bytes(len(content) - left) * zeros)
    stats, _ = counted(file)
    assert 0.8 * share * 12 * ROUNDS < stats.packets < 12 * ROUNDS
    assert "its database is damaged or cut off" in stats.last_error


def test_a_file_of_which_nothing_is_left(tmp_path):
    file = stored(camera_bag(tmp_path / "some", mode=CompressionMode.STORAGE))
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(InputError, match="nothing is left; `mcap recover` mends it"):
        open_recording(file)


@pytest.mark.parametrize("storage", ["mcap", "db3", "bag"])
def test_a_damaged_part_in_the_middle(tmp_path, storage):
    bag = camera_bag(tmp_path / f"some{'.bag' if storage == 'bag' else ''}", storage)
    file = bag if storage == "bag" else stored(bag)
    content = bytearray(file.read_bytes())
    at = len(content) // 2
    content[at : at + 6000] = b"\xff" * 6000
    file.write_bytes(content)
    stats, _ = counted(bag)
    assert stats.packets > 0.4 * 12 * ROUNDS
    assert stats.bad_packets + stats.lost_packets + stats.restarts > 0


@pytest.mark.parametrize("storage", ["mcap", "db3"])
def test_metadata_that_disagree_do_not_matter(tmp_path, storage):
    bag = camera_bag(tmp_path / "some", storage)
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
        assert counted(bag)[0].packets == 12 * ROUNDS
    metadata.unlink()
    assert counted(bag)[0].packets == 12 * ROUNDS


def test_messages_that_the_metadata_count_and_no_file_holds(tmp_path):
    bag = camera_bag(tmp_path / "some", "db3")
    base = sqlite3.connect(stored(bag))
    base.execute("DELETE FROM messages")
    base.commit()
    base.close()
    with pytest.raises(InputError, match=r"says 480 messages, none on /camera/events could be"):
        open_recording(bag)


def test_a_bag_of_two_files_of_which_one_is_missing(tmp_path):
    bag = camera_bag(tmp_path / "some")
    file = stored(bag)
    metadata = bag / "metadata.yaml"
    lines = f"  - {file.name}\n  - some_1.mcap\n"
    metadata.write_text(metadata.read_text().replace(f"  - {file.name}\n", lines, 1))
    stats, _ = counted(bag)
    assert (stats.packets, stats.bad_packets) == (12 * ROUNDS, 1)
    assert "lacks its file some_1.mcap" in stats.last_error


def test_an_mcap_without_a_message_index(tmp_path):
    """As some recorders and `mcap` tools leave it: the chunks are there, their indexes are not."""
    file = stored(camera_bag(tmp_path / "some"))
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
    assert counted(file)[0].packets == 12 * ROUNDS


def test_a_ros_1_bag_whose_recorder_was_ended(tmp_path):
    whole = camera_bag(tmp_path / "some.bag", "bag").read_bytes()
    active = tmp_path / "SOME.BAG.active"
    active.write_bytes(whole[: int(0.8 * len(whole))])
    stats, _ = counted(active)
    assert 300 < stats.packets < 12 * ROUNDS and "`rosbag reindex` mends it" in stats.last_error


def test_a_database_whose_messages_are_in_its_log(tmp_path):
    """As rosbag2's resilient preset leaves it where the power is lost: a write-ahead log beside."""
    bag = camera_bag(tmp_path / "some", "db3")
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
    assert counted(left)[0].packets == 12 * ROUNDS
    assert log.is_file()  # what was recorded is left as it is


def test_recordings_of_their_own_in_one_folder_are_listed(tmp_path):
    folder = tmp_path / "several"
    folder.mkdir()
    file = stored(camera_bag(tmp_path / "some"))
    for name in ("left.mcap", "right.mcap"):
        shutil.copy(file, folder / name)
    with pytest.raises(InputError, match=r"several recordings, choose one: left\.mcap, right\.mca"):
        open_recording(folder)


@pytest.mark.parametrize("ending", ["zstd", "zst"])
@pytest.mark.parametrize("storage", ["mcap", "db3"])
def test_a_lone_file_that_is_compressed(tmp_path, storage, ending):
    file = stored(camera_bag(tmp_path / "some", storage))
    alone = tmp_path / f"{file.name}.{ending}"
    alone.write_bytes(zstd.compress(file.read_bytes()))
    assert counted(alone)[0].packets == 12 * ROUNDS
    alone.write_bytes(alone.read_bytes()[: int(0.9 * alone.stat().st_size)])
    if storage == "mcap":
        stats, _ = counted(alone)
        assert 0 < stats.packets < 12 * ROUNDS and "was cut off" in stats.last_error


def test_zstd_in_frames_and_with_a_long_window(tmp_path):
    """As of pzstd, of two files joined, and of --long=31."""
    content = stored(camera_bag(tmp_path / "some")).read_bytes()
    half = len(content) // 2
    long = {zstd.CompressionParameter.window_log: zstd.CompressionParameter.window_log.bounds()[1]}
    skipped = b"\x50\x2a\x4d\x18" + bytes([4, 0, 0, 0]) + b"some"
    tool = zstd.ZstdCompressor(options=long)
    for packed in (
        zstd.compress(content[:half]) + skipped + zstd.compress(content[half:]),
        skipped + zstd.compress(content),
        tool.compress(content[:half]) + tool.compress(content[half:]) + tool.flush(),
    ):
        (tmp_path / "alone.mcap.zst").write_bytes(packed)
        stats = counted(tmp_path / "alone.mcap.zst")[0]
        assert (stats.packets, stats.in_words()) == (12 * ROUNDS, "")


def test_messages_whose_topic_the_database_does_not_name(tmp_path):
    file = stored(camera_bag(tmp_path / "some", "db3"))
    with contextlib.closing(sqlite3.connect(file)) as base, base:
        base.execute("UPDATE messages SET topic_id = 9 WHERE id > ?", (12 * ROUNDS - 7,))
    stats, _ = counted(file)
    assert stats.packets == 12 * ROUNDS - 7
    assert "it does not name the topic of 7 messages" in stats.in_words()


@pytest.mark.parametrize("storage", ["mcap", "db3"])
def test_a_compressed_file_cut_before_its_first_block(tmp_path, storage):
    alone = tmp_path / f"some.{storage}.zst"
    alone.write_bytes(zstd.compress(bytes(range(256)) * 99)[:20])
    with pytest.raises(InputError, match=r"it was cut off, and nothing is left; copy or download"):
        open_recording(alone)


def test_messages_that_are_compressed_alone_without_their_metadata(tmp_path):
    file = stored(camera_bag(tmp_path / "some", "db3", mode=CompressionMode.MESSAGE))
    alone = shutil.copy(file, tmp_path / "alone.db3")
    assert counted(alone)[0].packets == 12 * ROUNDS


def test_an_empty_topic_beside_a_full_one(tmp_path):
    bag = camera_bag(tmp_path / "some", empty=("/dead/events",))
    assert counted(bag)[0].packets == 12 * ROUNDS
    assert counted(bag, topic="camera/events")[0].packets == 12 * ROUNDS  # without its slash
    for storage in ("mcap", "db3", "bag"):
        bag = camera_bag(tmp_path / f"{storage}.{storage}", storage, empty=("/dead/events",))
        with pytest.raises(InputError, match="has no messages on topic /dead/events"):
            open_recording(bag, topic="/dead/events")


def test_topics_that_are_all_empty(tmp_path):
    with packet_bag(tmp_path / "some", topic="/b/events") as (connect, _):
        connect("/a/events")
    with pytest.raises(InputError, match="has no messages on topic /a/events"):
        open_recording(tmp_path / "some")


@pytest.mark.parametrize("beside", [False, True])
def test_a_recorder_that_was_ended_before_it_compressed_its_last_part(tmp_path, beside):
    file = stored(camera_bag(tmp_path / "some", "db3"))
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
    bag = camera_bag(tmp_path / "some", "db3", empty=("/dead/events",))
    (bag / "metadata.yaml").write_text(
        "rosbag2_bagfile_information:\n  topics_with_message_count:\n"
        "    - topic_metadata:\n        name: /dead/events\n"
        "        offered_qos_profiles:\n          - history: keep_last\n            depth: 10\n"
        "      message_count: 123\n"
    )
    with pytest.raises(InputError, match="says 123 messages, none on /dead/events could be read"):
        open_recording(bag, topic="/dead/events")


def test_endings_in_capitals(tmp_path):
    file = stored(camera_bag(tmp_path / "some"))
    packed = tmp_path / "x.mcap.ZST"
    packed.write_bytes(zstd.compress(file.read_bytes()))
    assert counted(packed)[0].packets == 12 * ROUNDS
    (tmp_path / "folder").mkdir()
    file.rename(tmp_path / "folder" / "X.MCAP")
    assert counted(tmp_path / "folder")[0].packets == 12 * ROUNDS
