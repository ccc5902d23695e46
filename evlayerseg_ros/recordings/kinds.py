"""Which recording a path stands for, and what reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from evlayerseg_ros.errors import InputError, needs
from evlayerseg_ros.recordings import columns
from evlayerseg_ros.recordings.archives import names_in
from evlayerseg_ros.recordings.beginnings import bag_kind, ending_of, kind_of

# What reads each ending, imported on use as each needs a library; whether it takes a topic.
_READERS = {
    ".npy": ("arrays:ArrayRecording", True),
    ".npz": ("npz:NpzRecording", False),
    ".raw": ("raw:RawRecording", False),
    ".dat": ("dat:DatRecording", False),
    ".bin": ("dat:BinRecording", False),
    ".mat": ("mat:MatRecording", True),
    ".aedat4": ("vendor:Aedat4Recording", True),
    ".aedat": ("aedat:AedatRecording", True),
    ".es": ("vendor:EsRecording", False),
    ".txt": ("text:TextRecording", False),
    ".csv": ("text:TextRecording", False),
    ".tsv": ("text:TextRecording", False),
    ".h5": ("hdf:HdfRecording", True),
    ".hdf5": ("hdf:HdfRecording", True),
}
# Endings that other files have, too.
_ANYTHING = (".txt", ".csv", ".tsv", ".bin", ".mat")
# Endings of arrays, some of which hold no events.
_ARRAYS = (".npy", ".npz", ".h5", ".hdf5")
# The file that makes a folder a bag, or a sequence of EVIMO2.
_BAG, _SEQUENCE = "metadata.yaml", "dataset_info.npz"
# Those that folders of other data sets keep their events in.
_EVENTS = ("events.h5", "events.txt")
# Of several recordings or tables so many are named.
_LISTED = 8


def reader_of(path: Path) -> tuple[str, bool]:
    """The module and class that reads a path, and whether it takes a topic.

    Raises:
        InputError: the path is of no known kind, or of another than its name says.
    """
    if _has(path, _SEQUENCE):
        return "evimo2:Evimo2Recording", False
    if path.is_dir():
        return "bags:BagRecording", True
    ending = ending_of(path)
    if bag_kind(path):
        return "bags:BagRecording", True
    if ending == ".npz":
        return _reader_of_npz(path)
    if ending == ".mat" and kind_of(path).first.startswith(b"MATLAB 7.3"):
        ending = ".h5"
    if ending not in _READERS:
        raise InputError(
            f"{path} is of no known kind: expected a bag (folder, .mcap, .db3, .bag), .raw, .dat, "
            ".bin, .aedat4, .aedat, .es, .h5, .mat, .npz, .npy, .txt or .csv."
        )
    return _READERS[ending]


def recording_at(path: Path) -> Path:
    """The recording that a path stands for: itself, its bag's folder, or the only one in a folder.

    Raises:
        InputError: a folder holds none, or several.
    """
    if path.name == _BAG:
        path = path.parent
    if not path.is_dir() or _has(path, _SEQUENCE) or _is_bag(path):
        return path
    found = [path / name for name in _EVENTS if _has(path, name)] or recordings_in(path)
    if len(found) > 1:
        listed = some_of([p.name for p in found])
        raise InputError(f"{path} holds several recordings, choose one: {listed}.")
    return recording_at(found[0])


def some_of(names: Iterable[str]) -> str:
    """The first names of a list, and how many more there are."""
    first, rest = (names := list(names))[:_LISTED], len(names) - _LISTED
    return ", ".join(first) + (f" and {rest} more" if rest > 0 else "")


def _has(folder: Path, *names: str) -> bool:
    return any((folder / name).exists() for name in names)


def _is_bag(folder: Path) -> bool:
    return any(p.name == _BAG or bag_kind(p) in (".mcap", ".db3") for p in folder.iterdir())


def recordings_in(path: Path, deep: bool = False) -> list[Path]:
    """The recordings of a folder, by name, or the path itself where it is one.

    Of events.h5 and events.txt, which hold the same events, the first one counts.

    Args:
        path: where to look.
        deep: also look in all folders below, and take any .txt that lies beside neither of these.

    Raises:
        InputError: a folder that holds none.
    """
    found = list(_inside(path, deep, set()))
    if found:
        return found
    for folder in sorted(path.glob("[!.]*")):
        if not deep and folder.is_dir() and any(_inside(folder, False, set())):
            raise InputError(
                f"{path} holds no recordings itself, but {folder} does: name that one."
            )
    raise InputError(
        f"{path} holds no recordings: expected a bag, {', '.join(_EVENTS)} or others that "
        f"`replay` reads; name a {', '.join(_ANYTHING)} itself, as it may be anything."
    )


def _inside(path: Path, deep: bool, seen: set[Path]) -> Iterator[Path]:
    """Recordings in a folder; `seen`: folders looked into before, to which links may lead back."""
    if not path.is_dir() or _has(path, _BAG, _SEQUENCE, *(() if deep else _EVENTS)):
        yield path
        return
    seen.add(path.resolve())
    events = [name for name in _EVENTS if _has(path, name)]
    for child in sorted(path.iterdir()):
        if child.is_dir() and deep:
            yield from _inside(child, deep, seen) if child.resolve() not in seen else ()
        elif events and (child.name in events or child.suffix.lower() == ".txt"):
            yield from [child] if child.name == events[0] else []
        elif _may_be_one(child) or (deep and child.suffix.lower() == ".txt"):
            yield child


def _may_be_one(path: Path) -> bool:
    """Whether a path in a folder is a recording, by its name, and of arrays by what they hold.

    Text may be anything, hidden files are not meant, and Prophesee's boxes are no events.
    """
    if path.name.startswith(".") or path.stem.endswith("_bbox"):
        return False
    if path.is_dir():
        return _has(path, _SEQUENCE, *_EVENTS) or _is_bag(path)
    ending = path.suffix.lower()
    if ending in _ARRAYS and path.is_file():
        from evlayerseg_ros.recordings import arrays, hdf_sources

        try:
            if ending in (".npy", ".npz"):
                return arrays.may_hold_events(path)
            with needs("h5py").File(path) as file:
                return bool(hdf_sources.sources_in(file))
        except Exception:  # reading it tells what is wrong
            return True
    return bag_kind(path) != "" or (ending in _READERS and ending not in _ANYTHING)


def _reader_of_npz(path: Path) -> tuple[str, bool]:
    from evlayerseg_ros.recordings.evimo2 import is_evimo

    if is_evimo(path):
        return "evimo2:EvimoRecording", False
    names = [name.removesuffix(".npy") for name in names_in(path)]
    named = columns.by_names(names, split=True)
    from evlayerseg_ros.recordings.arrays import has_longer_table

    plain = not names or (
        named is not None
        and "n" not in named
        and ("p" in named or not has_longer_table(path, named["x"]))
    )
    return ("npz:NpzRecording", False) if plain else ("arrays:ArrayRecording", True)
