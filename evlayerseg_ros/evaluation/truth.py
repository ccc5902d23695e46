"""Ground truth: masks at their times; in simulated sequences also labels of events, and motion."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import datasets
from evlayerseg_ros.evaluation.datasets import Truth
from evlayerseg_ros.recordings.archives import names_in
from evlayerseg_ros.recordings.evimo2 import is_evimo, is_evimo2
from evlayerseg_ros.recordings.units import to_ns, unit_of_masks

_SECONDS = re.compile(r"_(\d+(?:\.\d+)?)\.png$", re.IGNORECASE)
_FOREGROUND = 128
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

    Times in another unit are recognised, which is noted.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    try:
        with np.load(path) as archive:
            data = {
                key: archive[key]
                for key in ("mask_t", "masks", "label", "affine_t", "affine")
                if key in archive
            }
    except Exception as error:  # of many kinds
        raise InputError(f"Cannot read masks from {path}: it is not a sound npz file.") from error
    if "mask_t" not in data or "masks" not in data:
        raise InputError(f"{path} has no masks: expected mask_t (ns) and masks (uint8 [M,H,W]).")
    t, masks = data["mask_t"], data["masks"]
    if masks.ndim != 3 or t.shape != masks.shape[:1] or not len(t):
        raise InputError(
            f"{path}: masks must be [M,H,W] with one mask_t each, got {masks.shape} and {t.shape}."
        )
    label, affine_t, affine = (data.get(key) for key in ("label", "affine_t", "affine"))
    if affine is not None and not _fits(label, affine_t, affine):
        raise InputError(
            f"{path}: affine must be [K,L,2,3] with K affine_t and a motion for every label."
        )
    unit = unit_of_masks(t)
    note = "" if unit == "ns" else f"{path}: mask_t is taken as {unit}."
    t, affine_t = to_ns(t, unit), None if affine_t is None else to_ns(affine_t, unit)
    order = np.argsort(t, kind="stable")
    return Truth(t[order], lambda i: masks[order[i]], label, affine_t, affine, note=note)


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
    """The authors' layout: a PNG for each mask, its time in seconds at the end of its name."""
    times = {path: _seconds(path) for path in folder.iterdir()}
    files = sorted((t, path) for path, t in times.items() if t is not None)
    if not files:
        raise InputError(f"No masks in {folder}: expected PNG files named ..._SECONDS.png.")
    truth = datasets.pictures([t for t, _ in files], [path for _, path in files])
    return replace(truth, mask=lambda i: (truth.mask(i) > _FOREGROUND).astype(np.uint8))


def _seconds(path: Path) -> int | None:
    """Time in ns from a mask's name, None for another file; exact, as it is never a float."""
    match = _SECONDS.search(path.name)
    if match is None:
        return None
    whole, _, fraction = match[1].partition(".")
    return int(whole) * 1_000_000_000 + int(f"{fraction:0<9}"[:9])
