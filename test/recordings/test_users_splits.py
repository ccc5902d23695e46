"""Bags of several files: at odds with their metadata, or beside those of other bags."""

from __future__ import annotations

import gzip
import shutil

import pytest
from faulty_files import ROUNDS, camera_bag, counted, stored

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.packed import zstd
from evlayerseg_ros.recordings.parts import files_of
from evlayerseg_ros.recordings.readers import open_recording


def folder_of(folder, names, listed=()):
    """A folder with files of these names, and metadata.yaml with those listed, if any."""
    file = stored(camera_bag(folder.with_name("one"))).read_bytes()
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(zstd.compress(file) if "zst" in name else file)
    if listed:
        lines = "".join(f"    - {name}\n" for name in listed)
        (folder / "metadata.yaml").write_text(f"  relative_file_paths:\n{lines}")
    return folder


def test_files_that_the_metadata_do_not_list_are_read_and_told_once(tmp_path, capsys):
    names = ["some_0.mcap", "some_1.mcap", "some_10.mcap", "some_9.mcap"]
    bag = folder_of(tmp_path / "some", [*names, "other_2.mcap", "some.mcap"], listed=names[1:2])
    for _ in range(2):
        files, missing = files_of(bag)
        found = [file.name for file in files]
        assert found == ["some_0.mcap", "some_1.mcap", "some_9.mcap", "some_10.mcap"]
        assert not missing
    told = "does not list, and they are read: some_0.mcap, some_9.mcap, some_10.mcap."
    assert capsys.readouterr().err.count(told) == 1
    shutil.rmtree(tmp_path / "one")
    bag = folder_of(tmp_path / "two", names[:2], listed=names[:1])
    with open_recording(bag) as recording:
        assert [packet.fault for packet in recording] == [""] * 24 * ROUNDS


@pytest.mark.parametrize("ending", ["zstd", "zst"])
def test_a_file_that_the_user_unpacked(tmp_path, ending, capsys):
    listed = [f"some_{n}.mcap.{ending}" for n in range(2)]
    bag = folder_of(tmp_path / "some", [listed[0], "some_1.mcap"], listed)
    with open_recording(bag) as recording:
        assert [packet.fault for packet in recording] == [""] * 24 * ROUNDS
    (bag / "some_0.mcap").write_bytes(b"")  # unpacking it was broken off
    assert [file.name for file in files_of(bag)[0]] == [listed[0], "some_1.mcap"]
    assert not capsys.readouterr().err


def test_another_recording_beside_a_bag_is_not_read(tmp_path):
    """Numbers of a bag's files begin at 0."""
    bag = folder_of(tmp_path / "some", ["cam_1.mcap", "cam_2.mcap"], listed=["cam_1.mcap"])
    assert [file.name for file in files_of(bag)[0]] == ["cam_1.mcap"]


def test_the_metadata_give_the_order(tmp_path):
    names = ["b_0.mcap", "a_1.mcap", "a_0.mcap"]
    bag = folder_of(tmp_path / "some", names, listed=names)
    assert [file.name for file in files_of(bag)[0]] == names


@pytest.mark.parametrize(
    "names",
    [
        ("run1.mcap", "run2.mcap"),
        ("rosbag2_2024_01_01-10_00_00_0.mcap", "rosbag2_2024_01_02-11_00_00_0.mcap"),
        ("some.mcap", "some_1.mcap"),
        ("some_0.db3", "some_1.mcap"),
    ],
)
def test_recordings_whose_names_differ_in_more_than_the_last_number(tmp_path, names):
    bag = folder_of(tmp_path / "some", names)
    with pytest.raises(InputError, match=f"several recordings, choose one: {', '.join(names)}"):
        open_recording(bag)


def test_parts_of_one_recording_without_its_metadata(tmp_path):
    names = [f"rosbag2_2024_01_01-10_00_00_{n}.mcap" for n in (0, 2, 10)]
    bag = folder_of(tmp_path / "some", names)
    assert [file.name for file in files_of(bag)[0]] == names


NAMES = ["b_0.mcap", "b_1.mcap", "b_2.mcap"]


def three(folder, middle=lambda content: content):
    """A bag in three files; of the second what `middle` makes of it, None: not there."""
    folder.mkdir()
    each = 4 * ROUNDS
    for k, name in enumerate(NAMES):
        part = camera_bag(folder / f"part{k}", begin=k * each, end=(k + 1) * each)
        content = stored(part).read_bytes()
        content = middle(content) if k == 1 else content
        shutil.rmtree(part)
        if content is not None:
            (folder / name).write_bytes(content)
    lines = "".join(f"    - {name}\n" for name in NAMES)
    (folder / "metadata.yaml").write_text(f"  relative_file_paths:\n{lines}")
    return folder


@pytest.mark.parametrize(
    ("middle", "why"),
    [
        (lambda content: None, "lacks its file b_1.mcap"),
        (lambda content: content[: len(content) // 2], "`mcap recover` mends it"),
        (lambda content: b"", "b_1.mcap is empty, and left out: copy or record it again."),
        (gzip.compress, "b_1.mcap is compressed, and left out: unpack it with gunzip first."),
    ],
)
def test_a_part_that_cannot_be_read_is_told_with_what_was_lost(tmp_path, middle, why):
    told = counted(three(tmp_path / "some", middle))[0].in_words()
    assert "1 bad packets" in told and why in told and "packets were lost before" in told


def test_a_part_that_has_to_be_unpacked_is_named(tmp_path):
    bag = three(tmp_path / "some")
    (bag / "b_1.mcap").rename(bag / "b_1.mcap.gz")
    (bag / "b_1.mcap.gz").write_bytes(gzip.compress((bag / "b_1.mcap.gz").read_bytes()))
    told = "lacks its file b_1.mcap: the others are used. b_1.mcap.gz is compressed: unpack it"
    assert told in counted(bag)[0].in_words()


@pytest.mark.parametrize("storage", ["mcap", "db3"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", ["mcap", "db3", "mcap.zstd", "db3.zst"])
def test_a_file_of_a_bag_is_what_its_bytes_say(tmp_path, storage, packed, ending):
    content = stored(camera_bag(tmp_path / "one", storage)).read_bytes()
    bag = tmp_path / "some"
    bag.mkdir()
    (bag / f"b_0.{ending}").write_bytes(zstd.compress(content) if packed else content)
    assert counted(bag)[0].packets == 12 * ROUNDS


@pytest.mark.parametrize("storage", ["mcap", "db3"])
def test_of_a_file_and_its_compressed_form_the_whole_one_is_read(tmp_path, storage):
    file = stored(camera_bag(tmp_path / "some", storage))
    content = file.read_bytes()
    packed = file.with_name(f"{file.name}.zstd")
    packed.write_bytes(zstd.compress(content))
    file.write_bytes(content[: len(content) // 2])
    assert counted(file.parent)[0].packets == 12 * ROUNDS
    file.write_bytes(content)
    packed.write_bytes(zstd.compress(content)[:999])
    assert counted(file.parent)[0].packets == 12 * ROUNDS


@pytest.mark.parametrize("storage", ["mcap", "bag"])
def test_files_that_were_joined(tmp_path, storage):
    each, content = 4 * ROUNDS, b""
    for k in range(3):
        ending = "" if storage == "mcap" else ".bag"
        part = camera_bag(tmp_path / f"{k}{ending}", storage, begin=k * each, end=(k + 1) * each)
        content += (part if ending else stored(part)).read_bytes()
    (tmp_path / f"all.{storage}").write_bytes(content)
    stats = counted(tmp_path / f"all.{storage}")[0]
    assert (stats.packets, stats.in_words()) == (12 * ROUNDS, "")
