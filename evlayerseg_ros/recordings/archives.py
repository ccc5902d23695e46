"""npz files: zip archives of arrays. Whatever zipfile raises for damage becomes a BadZipFile."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What zipfile also raises for damage: it takes it for other versions, compressions or encryption.
_DAMAGE = (NotImplementedError, RuntimeError, UnicodeDecodeError, struct.error)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive, closed afterwards.

    Raises:
        zipfile.BadZipFile: it is damaged, or a file in it that is read meanwhile.
        OSError: it cannot be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGE as error:
        raise zipfile.BadZipFile(str(error)) from error


def names_in(path: Path) -> set[str]:
    """The files in an npz; none if it is no sound one, which reading tells."""
    if path.suffix.lower() != ".npz" or not path.is_file() or not zipfile.is_zipfile(path):
        return set()
    try:
        with opened(path) as archive:
            return set(archive.namelist())
    except zipfile.BadZipFile:
        return set()
