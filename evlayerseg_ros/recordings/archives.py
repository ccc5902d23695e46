"""npz files: zip archives of arrays. Whatever is wrong with a damaged one is a BadZipFile."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Versions, ways to compress and encryption that only damage makes, and broken tables.
_DAMAGE = (NotImplementedError, RuntimeError, UnicodeDecodeError, struct.error)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive that is closed afterwards.

    Raises:
        zipfile.BadZipFile: it is damaged, or one of its files that is opened inside.
        OSError: it cannot be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGE as error:
        raise zipfile.BadZipFile(str(error)) from error


def names_in(path: Path) -> set[str]:
    """The files of an archive; none of what is no archive, or damaged: that is told where it is
    read."""
    if path.suffix.lower() != ".npz" or not path.is_file() or not zipfile.is_zipfile(path):
        return set()
    try:
        with opened(path) as archive:
            return set(archive.namelist())
    except zipfile.BadZipFile:
        return set()
