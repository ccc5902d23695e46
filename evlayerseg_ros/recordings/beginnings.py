"""What a file is by its first bytes, where its name says something else."""

from __future__ import annotations

from pathlib import Path

from evlayerseg_ros.errors import InputError

_AGAIN = "download it again"
# First bytes; what such a file is; the endings under which it is read, or what to do.
_BEGINNINGS: tuple[tuple[bytes, str, tuple[str, ...] | str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", (".h5", ".hdf5")),
    (b"PK\x03\x04", "an npz file (or a zip archive, to be unpacked)", (".npz",)),
    (b"\x93NUMPY", "one array of numpy", "expected an npz with x, y, t and p"),
    (b"\x89MCAP", "an mcap file", (".mcap",)),
    (b"SQLite format 3", "a database of rosbag2", (".db3",)),
    (b"#ROSBAG V2", "a ROS 1 bag", (".bag", ".active")),
    (b"#!AER-DAT4", "an AEDAT4 file", (".aedat4", ".aedat")),
    (b"#!AER-DAT", "an AEDAT file", (".aedat", ".aedat4")),
    (b"Event Stream", "an Event Stream file", (".es",)),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", (".zstd", ".zst")),
    (b"\x1f\x8b", "compressed", "unpack it with gunzip first"),
    (b"7z\xbc\xaf\x27\x1c", "an archive", "unpack it first"),
    (b"version https://git-lfs", "a pointer of Git LFS", "`git lfs pull` fetches the file itself"),
    (b"<!doctype html", "a web page", _AGAIN),
    (b"<html", "a web page", _AGAIN),
)


def check_beginning(path: Path) -> None:
    """Refuses a file whose first bytes say that it is of another kind than its name.

    Raises:
        InputError: it is; says what it is, and what to do.
    """
    with path.open("rb") as file:
        begun = file.read(32)
    for first, what, then in _BEGINNINGS:
        if not begun.lower().startswith(first.lower()):
            continue
        if isinstance(then, str):
            raise InputError(f"{path} is {what}: {then}.")
        if path.suffix.lower() not in then:
            raise InputError(f"{path} is {what} by its first bytes: name it so, {then[0]}.")
        return
