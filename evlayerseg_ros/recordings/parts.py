"""Which files a bag consists of, in which order."""

from __future__ import annotations

import os
import re
import struct
import sys
from functools import cache
from pathlib import Path

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.beginnings import bag_kind, kind_of

# rosbag2 numbers the files of a bag.
_NUMBER = re.compile(r"_(\d+)(?=\.\w+$)")


def files_of(path: Path) -> tuple[list[Path], list[str]]:
    """The files of a bag in order, and a sentence on each that is missing.

    Raises:
        InputError: there is none, or there are several bags.
    """
    if not path.is_dir():
        return [path], []
    metadata = path / "metadata.yaml"
    text = metadata.read_text(errors="replace") if metadata.exists() else ""
    named = re.findall(r"^\s*-\s+['\"]?(\S+?\.(?:mcap|db3)(?:\.zstd?)?)['\"]?\s*$", text, re.M)
    listed = {_plain(name): path / name for name in (Path(n).name for n in named)}
    found = sorted(p for p in path.iterdir() if p.is_file() and bag_kind(p) in (".mcap", ".db3"))
    parts = {_plain(p.name): p for p in sorted(found, key=_likely_whole)}
    there = [name for name in listed if name in parts]
    bags = {_bag_of(name)[0] for name in there or parts}
    if not there and len(bags) > 1:
        names = ", ".join(p.name for p in found)
        raise InputError(f"{path} holds several recordings, choose one: {names}.")
    # rosbag2 counts from 0: what begins elsewhere may be one of several recordings.
    bags = {bag for bag in bags if not there or (bag, 0) in map(_bag_of, parts)}
    more = [name for name in parts if name not in there and _bag_of(name)[0] in bags]
    if there and more:
        names = ", ".join(sorted(more, key=_bag_of))
        _tell(f"{path} has files that its metadata.yaml does not list, and they are read: {names}.")
    if more:
        there = sorted([*there, *more], key=_bag_of)
    if not there:
        raise InputError(
            f"{path} holds no file of a bag: expected .mcap or .db3 beside its metadata.yaml."
            f"{_to_unpack(path)}"
        )
    missing = [file.name for name, file in listed.items() if name not in parts]
    return [parts[name] for name in there], [
        f"{path} lacks its file {name}: the others are used.{_to_unpack(path, name)}"
        for name in missing
    ]


def _likely_whole(path: Path) -> int:
    """2 for a file that is whole, 1 for a compressed one, 0 for one that was cut off.

    The last part of a bag may not be compressed yet, or not wholly, or not unpacked wholly.
    """
    if kind_of(path).packed:
        return 1
    with path.open("rb") as file:
        begin = file.read(32)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        if begin.startswith(b"SQLite") and len(begin) == 32:  # bytes of a page, and how many pages
            page, pages = struct.unpack_from(">H10xI", begin, 16)
            return 2 * (size >= (page if page > 1 else 1 << 16) * pages)
        return 2 * (len(begin) == 32 and file.read() == begin[:8])


def _to_unpack(folder: Path, name: str = "") -> str:
    """What to do with a file of a bag that has to be unpacked first, "" if there is none."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.startswith(name) and bag_kind(path.with_suffix("")):
            kind = kind_of(path)
            if kind.remedy:
                return f" {path.name} is {kind.what}: {kind.remedy}."
    return ""


def _plain(name: str) -> str:
    """A file's name without the ending of its compression."""
    return re.sub(r"\.zstd?$", "", name, flags=re.I)


def _bag_of(name: str) -> tuple[str, int]:
    """Of a file's name what all files of its bag share, and its number."""
    number = _NUMBER.search(name)
    return _NUMBER.sub("_", name), int(number[1]) if number else 0


@cache
def _tell(sentence: str) -> None:
    """Prints a sentence once, however often a bag is opened."""
    print(f"evlayerseg: {sentence}", file=sys.stderr)
