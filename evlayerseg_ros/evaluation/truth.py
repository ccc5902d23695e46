"""Ground truth: masks at their times; in simulated sequences also labels of events, and motion."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import datasets
from evlayerseg_ros.evaluation.datasets import Truth
from evlayerseg_ros.recordings.archives import names_in
from evlayerseg_ros.recordings.evimo2 import is_evimo, is_evimo2
from evlayerseg_ros.recordings.units import to_ns, unit_of_masks

_SECONDS = re.compile(r"_(\d+(?:\.\d+)?)\.png$", re.IGNORECASE)
_FEW = 3  # so few masks may all have whole seconds
_BAGS = (".mcap", ".db3", ".bag")


def load_truth(masks: Path | None, recording: Path, topic: str | None = None) -> Truth | None:
    """The ground truth of a recording; None if none is named and the recording carries none.

    Args:
        masks: an npz, a folder of PNGs named ..._SECONDS.png, a folder of PNGs with DSEC's
            timestamps (see datasets), a bag with label images, or a folder that holds one of these
            under the recording's name; None: those in the recording's own npz, EVIMO file or
            EVIMO2 folder.
        recording: path of the recording.
        topic: of a bag's label images, where there are several.

    Raises:
        InputError: there are no masks there, or they cannot be read.
    """
    if masks is None:
        return _read(recording, recording, topic) if _has_own(recording) else None
    if not masks.exists():
        raise InputError(f"No masks at {masks}: there is no such file or folder.")
    if masks.is_dir():
        # A recording may be SEQUENCE/events/left/events.h5.
        above = [folder.name for folder in recording.absolute().parents[:4]]
        names = recording.name, recording.stem, recording.name.split(".")[0], *above
        for name in filter(None, names):
            for found in (masks / f"{name}{suffix}" for suffix in ("", ".npz", *_BAGS)):
                if found.exists():
                    return _read(found, recording, topic)
    return _read(masks, recording, topic)


def _has_own(recording: Path) -> bool:
    """Whether a recording carries masks itself."""
    if is_evimo2(recording) or is_evimo(recording):
        return True
    return bool({"masks.npy", "mask_t.npy"} & names_in(recording))


def _read(path: Path, recording: Path, topic: str | None) -> Truth:
    """The truth at a path, by what is there."""
    if is_evimo2(path):
        return datasets.evimo2(path)
    if is_evimo(path):
        return datasets.evimo(path)
    if path.suffix in _BAGS or (path / "metadata.yaml").exists():
        return datasets.label_images(path, topic)
    if not path.is_dir():
        return _from_npz(path)
    if datasets.is_dsec(path):
        return datasets.dsec(path, recording)
    return _from_folder(path)


def _from_npz(path: Path) -> Truth:
    """Keys: mask_t int64 [M] ns, masks uint8 [M, H, W]; optional label, affine_t and affine.

    Times in another unit are recognised, which is noted. If events lie beside their labels, these
    are left out where the events are not in order, which is noted, too.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    data = _arrays(path)
    if "mask_t" not in data or "masks" not in data:
        raise InputError(f"{path} has no masks: expected mask_t (ns) and masks (uint8 [M,H,W]).")
    t, masks = data["mask_t"], data["masks"]
    if masks.ndim != 3 or t.shape != masks.shape[:1] or not len(t):
        raise InputError(
            f"{path}: masks must be [M,H,W] with one mask_t each, got {masks.shape} and {t.shape}."
        )
    if t.dtype.kind not in "iuf":
        raise InputError(f"{path}: mask_t must be numbers, got {t.dtype}.")
    masks = _labels(path, "masks", masks)
    label, affine_t, affine = (data.get(key) for key in ("label", "affine_t", "affine"))
    if label is not None:
        label = _labels(path, "label", label)
        if label.ndim != 1 or label.size != data.get("t", label).size:
            raise InputError(f"{path}: label must be [N], one for each event, got {label.shape}.")
    if affine is not None and not _fits(label, affine_t, affine):
        raise InputError(
            f"{path}: affine must be [K,L,2,3] with K affine_t and a motion for every label."
        )
    unit = unit_of_masks(t)
    note = "" if unit == "ns" else f"{path}: mask_t is taken as {unit}."
    if label is not None and "t" in data and not _rising(data["t"].ravel()):
        label = None
        left = f"{path}: its labels of events are left out, as its events are not in order of time."
        note = f"{note} {left}".strip()
    t, affine_t = to_ns(t, unit), None if affine_t is None else to_ns(affine_t, unit)
    order = np.argsort(t, kind="stable")
    return Truth(t[order], lambda i: masks[order[i]], label, affine_t, affine, note=note)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of the truth in an npz, and the events' times t where there are labels."""
    try:
        with np.load(path) as archive:
            names = ("mask_t", "masks", "label", "affine_t", "affine")
            found = {name: archive[name] for name in names if name in archive}
            if "label" in archive and "t" in archive:
                with suppress(Exception):  # damaged events are read as far as they are sound
                    found["t"] = archive["t"]
            return found
    except Exception as error:  # of many kinds
        raise InputError(f"Cannot read masks from {path}: it is not a sound npz file.") from error


def _rising(t: np.ndarray) -> bool:
    """Whether times [N] are numbers that never go back."""
    return bool(np.all(t[1:] >= t[:-1]))


def _labels(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """An array of labels as uint8."""
    sound = values.dtype.kind in "biuf"
    if sound and values.dtype not in (bool, np.uint8) and values.size:
        whole = np.all(values == np.rint(values))
        sound = bool(whole and values.min() >= 0 and values.max() <= 255)
    if not sound:
        raise InputError(f"{path}: {name} must be whole numbers from 0 to 255, 0 the background.")
    return values.astype(np.uint8, copy=False)


def _fits(label: np.ndarray | None, affine_t: np.ndarray | None, affine: np.ndarray) -> bool:
    """Whether each set of motions has a time, and every label a motion."""
    return (
        affine_t is not None
        and affine.ndim == 4
        and affine.shape[2:] == (2, 3)
        and len(affine_t) == len(affine) > 0
        and (label is None or label.max(initial=0) < affine.shape[1])
    )


def _from_folder(folder: Path) -> Truth:
    """The authors' layout: a PNG for each mask, its time in seconds at the end of its name.

    Black and white with shades, or labels; see datasets.pictures.
    """
    times = {path: _seconds(path) for path in folder.iterdir()}
    files = sorted((t, path) for path, t in times.items() if t is not None)
    if not files:
        raise InputError(f"No masks in {folder}: expected PNG files named ..._SECONDS.png.")
    if len(files) > _FEW and not any("." in path.stem.rpartition("_")[2] for _, path in files):
        raise InputError(
            f"The masks in {folder} may be named by frames or microseconds, as "
            f"{files[-1][1].name}: name them by seconds with a fraction (mask_0.050.png), or as "
            "DSEC's (000001.png) with a timestamps.txt (us)."
        )
    return datasets.pictures([t for t, _ in files], [path for _, path in files], shades=True)


def _seconds(path: Path) -> int | None:
    """Time in ns from a mask's name, None for another file; exact, as it is never a float."""
    match = _SECONDS.search(path.name)
    if match is None:
        return None
    whole, _, fraction = match[1].partition(".")
    return int(whole) * 1_000_000_000 + int(f"{fraction:0<9}"[:9])
