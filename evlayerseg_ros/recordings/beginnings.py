"""What kind of file it is, by its first bytes and by its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from evlayerseg_ros.errors import InputError

ZSTD = b"\x28\xb5\x2f\xfd"
# zstd passes over frames that begin so; pzstd writes one first.
SKIPPED = tuple(bytes([0x50 + k]) + b"\x2a\x4d\x18" for k in range(16))
_PACKED = "compressed with zstd", (".zstd", ".zst")
# ROS 1 adds .active to the name of a bag that it still writes.
_BAG = re.compile(r"(\.mcap|\.db3)(\.zstd?)?$|(\.bag)(\.active)?$", re.IGNORECASE)


class Kind(NamedTuple):
    """A kind of file: its first bytes, what it is, its endings; a remedy if it cannot be read."""

    first: bytes
    what: str
    endings: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def packed(self) -> bool:
        """Whether it is compressed with zstd."""
        return ".zstd" in self.endings


_KINDS = (
    Kind(b"\x89HDF\r\n\x1a\n", "an HDF5 file", (".h5", ".hdf5")),
    Kind(b"PK\x03\x04", "an npz file (or a zip archive, to be unpacked)", (".npz",)),
    Kind(b"\x93NUMPY", "one array of numpy", (".npy",)),
    Kind(b"\x89MCAP", "an mcap file", (".mcap",)),
    Kind(b"SQLite format 3", "a database of rosbag2", (".db3",)),
    Kind(b"#ROSBAG V2", "a ROS 1 bag", (".bag", ".active")),
    Kind(b"#!AER-DAT4", "an AEDAT4 file", (".aedat4", ".aedat")),
    Kind(b"#!AER-DAT", "an AEDAT file", (".aedat", ".aedat4")),
    Kind(b"MATLAB 7.3", "a MATLAB file", (".mat", ".h5", ".hdf5")),
    Kind(b"MATLAB 5.0", "a MATLAB file", (".mat",)),
    Kind(b"Event Stream", "an Event Stream file", (".es",)),
    Kind(ZSTD, *_PACKED),
    *(Kind(skipped, *_PACKED) for skipped in SKIPPED),
    Kind(b"\x1f\x8b", "compressed", remedy="unpack it with gunzip first"),
    Kind(b"\xfd7zXZ\0", "compressed", remedy="unpack it with unxz first"),
    Kind(b"BZh", "compressed", remedy="unpack it with bunzip2 first"),
    Kind(b"\x04\x22\x4d\x18", "compressed", remedy="unpack it with unlz4 first"),
    Kind(b"7z\xbc\xaf\x27\x1c", "an archive", remedy="unpack it first"),
    Kind(
        b"version https://git-lfs",
        "a pointer of Git LFS",
        remedy="`git lfs pull` fetches the file itself",
    ),
    Kind(b"\xff\xfe", "text in UTF-16", remedy="save it as UTF-8"),
    Kind(b"\xfe\xff", "text in UTF-16", remedy="save it as UTF-8"),
    Kind(bytes(32), "zeros from its first byte on", remedy="its recorder or disk lost its power"),
    Kind(b"<!doctype html", "a web page", remedy="download it again"),
    Kind(b"<html", "a web page", remedy="download it again"),
    Kind(b"", ""),
)
_TAR = Kind(b"", "a tar archive", remedy="unpack it with `tar -xf` first")
_TARS = re.compile(r"\.(tar\.\w+|tgz|tbz2?|txz)$", re.IGNORECASE)
_EMPTY = Kind(b"", "empty", remedy="copy or record it again")


def bag_kind(path: Path) -> str:
    """.mcap, .db3 or .bag (ROS 1) by a file's name, compressed or not; "" if it is no bag's."""
    found = _BAG.search(path.name)
    return (found[1] or found[3]).lower() if found else ""


def kind_of(path: Path) -> Kind:
    """What a file is by its first bytes."""
    with path.open("rb") as file:
        begun = file.read(262).lower()
    if not begun:
        return _EMPTY
    if begun[257:] == b"ustar":
        return _TAR
    return next(kind for kind in _KINDS if begun.startswith(kind.first.lower()))


def ending_of(path: Path) -> str:
    """The usual ending of a file's kind by its first bytes; its name's where these tell nothing.

    Raises:
        InputError: it is of another kind than its name, or has to be unpacked first.
    """
    kind, ending = kind_of(path), path.suffix.lower()
    if kind.remedy:
        remedy = _TAR.remedy if _TARS.search(path.name) else kind.remedy
        raise InputError(f"{path} is {kind.what}: {remedy}.")
    if not kind.endings:
        return ending
    if kind.packed and bag_kind(path) not in (".mcap", ".db3"):
        raise InputError(f"{path} is {kind.what}: unpack it with unzstd first.")
    if ending == ".zip":
        raise InputError(f"{path} is an archive: unpack it first.")
    if ending not in kind.endings:
        right = f"{bag_kind(path)}.zstd" if kind.packed else kind.endings[0]
        raise InputError(f"{path} is {kind.what} by its first bytes: rename it to end in {right}.")
    return kind.endings[0]
