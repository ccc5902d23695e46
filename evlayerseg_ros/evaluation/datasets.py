"""Ground truth of public data sets, each in its published format, and of bags."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.outputs.messages import nanoseconds
from evlayerseg_ros.recordings.evimo2 import load_meta, rows_of
from evlayerseg_ros.recordings.storage import messages_in

_DSEC_SIZE = (480, 640)
_WHITE = 128  # grey above this is rather white than black


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a sequence.

    Attributes:
        t: int64 [M], times of the masks in ns, rising, on the clock of the recording's events.
        mask: mask(i) -> uint8 (or bool) [H, W], labels at t[i]: 0 is the background, others move.
        event_labels: uint8 [N], the layer that made each event of the recording, or None.
        affine_t: int64 [K], ns, times of `affine`, or None.
        affine: float64 [K, L, 2, 3], px/s, motion of every layer at those times, or None.
        ros_time: whether `t` is ROS time rather than the sensor's.
        note: a sentence on what was assumed or left out, "" if nothing was.
    """

    t: np.ndarray
    mask: Callable[[int], np.ndarray]
    event_labels: np.ndarray | None = None
    affine_t: np.ndarray | None = None
    affine: np.ndarray | None = None
    ros_time: bool = False
    note: str = ""

    def affine_at(self, t: np.ndarray) -> np.ndarray:
        """Motion of every layer at times t (ns, [N]), linear in between: float64 [N, L, 2, 3]."""
        assert self.affine is not None and self.affine_t is not None
        place = np.interp(t, self.affine_t, np.arange(len(self.affine_t)))
        first = np.minimum(place.astype(np.int64), max(len(self.affine_t) - 2, 0))
        second = np.minimum(first + 1, len(self.affine_t) - 1)
        part = (place - first)[:, None, None, None]
        return (1 - part) * self.affine[first] + part * self.affine[second]


def is_dsec(folder: Path) -> bool:
    """Whether a folder holds numbered pictures, itself or in gt_mask."""
    return (folder / "gt_mask").is_dir() or any(p.stem.isdigit() for p in folder.glob("*.png"))


def dsec(folder: Path, recording: Path) -> Truth:
    """Numbered masks with DSEC's times.

    DSEC (https://dsec.ifi.uzh.ch/data-format): events in SEQUENCE/events/left/events.h5, times in
    us from t_offset; SEQUENCE/images/timestamps.txt has one time in us, t_offset included, for
    each image. DSEC-MOS (https://github.com/ZZY-Zhou/DSEC-MOS): SEQUENCE/gt_mask/000001.png,
    numbered as DSEC's images and seen by the left event camera, 640x480.

    Times are those in timestamps.txt beside the masks or one folder up, else in images/ of a folder
    above the recording. If it has as many lines as there are pictures, they belong together in
    order; else a picture's number is that of its line, from 0. Any value but 0 in a picture moves;
    several values are several objects.

    Args:
        folder: of the pictures, or above gt_mask/.
        recording: path of the events.

    Raises:
        InputError: times are missing or do not fit the pictures.
    """
    folder = folder / "gt_mask" if (folder / "gt_mask").is_dir() else folder
    files = sorted((p for p in folder.glob("*.png") if p.stem.isdigit()), key=lambda p: int(p.stem))
    if not files:
        raise InputError(f"No masks in {folder}: expected PNG files named by number.")
    places = [folder / "timestamps.txt", folder.parent / "timestamps.txt"]
    for above in recording.absolute().parents[:4]:
        places += [above / "images/timestamps.txt", above / f"{above.name}_image_timestamps.txt"]
    source = next((place for place in places if place.is_file()), None)
    if source is None:
        raise InputError(
            f"The masks in {folder} have no times: expected a timestamps.txt (us) there, one "
            f"folder up, or in images/ above {recording}."
        )
    try:
        times = np.loadtxt(source, np.int64, delimiter=",", usecols=0, ndmin=1)
    except ValueError as error:
        raise InputError(f"{source} must hold one time in us a line.") from error
    if len(times) != len(files):
        if int(files[-1].stem) >= len(times):
            raise InputError(
                f"{source} has {len(times)} times, too few for the mask {files[-1].name}."
            )
        times = times[[int(path.stem) for path in files]]
    return pictures((times * 1000).tolist(), files, _DSEC_SIZE)


def pictures(
    times: list[int],
    files: list[Path],
    shape: tuple[int, int] | None = None,
    shades: bool = False,
) -> Truth:
    """Masks, a picture each; those that are no sound pictures are left out, which is noted.

    Black is the background. Grey values up to 255 are labels; where there are higher ones, or
    colours, each of the set is a label of its own.

    Args:
        times: ns, of each, rising.
        files: as many.
        shape: (height, width) in px that they must have, None for any.
        shades: whether grey is a shade of white: if one value of the set is above 128, and none
            above 255, what is above 128 moves.

    Raises:
        InputError: none is a sound picture; from `mask`, one is none any more or of another shape.
    """
    sound, values = [], np.zeros(1, np.int64)
    for k, path in enumerate(files):
        picture = _picture(path)
        if picture is not None:
            sound.append(k)
            values = np.union1d(values, picture)
    bad = sorted(set(range(len(files))) - set(sound))
    if not sound:
        raise InputError(f"Cannot read the mask {files[0]}: it is not a sound picture.")

    def mask(i: int) -> np.ndarray:
        path = files[sound[i]]
        picture = _picture(path)
        if picture is None:
            raise InputError(f"Cannot read the mask {path}: it is not a sound picture.")
        if shape not in (None, picture.shape):
            raise InputError(
                f"The mask {path} is {picture.shape[1]}x{picture.shape[0]}; expected 640x480, "
                "the view of the left event camera."
            )
        if shades and _WHITE < values[-1] <= 255:
            return (picture > _WHITE).astype(np.uint8)
        if values[-1] > 255:
            picture = np.minimum(np.searchsorted(values, picture), 255)
        return picture.astype(np.uint8)

    note = ""
    if bad:
        left = f"{files[bad[0]]} and {len(bad) - 1} more are" if bad[1:] else f"{files[bad[0]]} is"
        note = f"{len(bad)} of {len(files)} masks are no sound pictures: {left} left out."
    return Truth(np.array([times[k] for k in sound], np.int64), mask, note=note)


def _picture(path: Path) -> np.ndarray | None:
    """A picture's values [H, W]: grey as it is, colours from 256 on; None if it is not sound."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim == 2:
        return picture
    blue, green, red = np.moveaxis(picture[..., :3].astype(np.int64), -1, 0)
    colour = 256 + (red << 32) + (green << 16) + blue
    return np.where((red == green) & (green == blue), red, colour)


def evimo2(folder: Path) -> Truth:
    """EVIMO2v2's npz format (docs/evimo/ground-truth-format.md of github.com/better-flow/evimo).

    dataset_mask.npz holds mask_FRAMEID [H, W], object ids times 1000; meta in dataset_info.npz has
    a dictionary for each frame with its id and its time ts in s, on the events' clock. Every object
    counts as moving, as in the data set's category `imo`, even while it stands still.

    Raises:
        InputError: the files are unsound or have no masks.
    """
    path = folder / "dataset_mask.npz"
    fault = f"Cannot read masks from {path}: it is missing or damaged, so copy it again."
    try:
        archive = np.load(path)
        keys = {int(key.rsplit("_", 1)[1]): key for key in archive.files if key.startswith("mask_")}
    except Exception as error:  # of many kinds
        raise InputError(fault) from error

    def mask(i: int) -> np.ndarray:
        try:
            found = (archive[keys[known[i][1]]] // 1000).astype(np.uint8)
        except Exception as error:  # of many kinds
            raise InputError(fault) from error
        if found.ndim != 2:
            raise InputError(f"{path}: masks must be [H,W], got {found.shape}.")
        return found

    known = _frame_times(folder, keys)
    t = np.array([when for when, _ in known], np.int64)
    return Truth(t, mask)


def evimo(path: Path) -> Truth:
    """The npz format of EVIMO and EVIMO2v1 (see evimo2): one npz with mask.npy [F, H, W].

    A frame's id is its mask's index.

    Raises:
        InputError: the file is unsound or has no masks.
    """
    try:
        with rows_of(path, "mask", 3) as frames:
            masks = [
                _packed(np.rint(frames.read(1)[0] / 1000).astype(np.uint8))
                for _ in range(frames.shape[0])
            ]
    except (OSError, IndexError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"Cannot read masks from {path}: {error}.") from error
    known = _frame_times(path, range(len(masks)))
    t = np.array([when for when, _ in known], np.int64)
    return Truth(t, lambda i: _unpacked(masks[known[i][1]]))


def _frame_times(path: Path, numbers: Container[int]) -> list[tuple[int, int]]:
    """(time in ns, number) of each frame in an EVIMO sequence's meta that has a mask, rising."""
    try:
        frames = [
            (round(float(frame["ts"]) * 1e9), int(frame["id"]))
            for frame in load_meta(path)["frames"]
        ]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: the frames in its meta lack id or ts.") from error
    known = sorted(frame for frame in frames if frame[1] in numbers)
    if not known:
        raise InputError(f"{path} has no masks of the frames in its meta.")
    return known


def _packed(mask: np.ndarray) -> bytes:
    """A mask, uint8 [H, W], as PNG, which takes a hundredth of the memory."""
    ok, png = cv2.imencode(".png", mask)
    assert ok
    return png.tobytes()


def _unpacked(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)


def label_images(bag: Path, topic: str | None) -> Truth:
    """Label images of a bag: sensor_msgs/Image, mono8 or 8UC1, at their header stamps (ROS time).

    Args:
        bag: rosbag2 folder, .mcap, .db3 or .bag.
        topic: of the images; None if there is just one such topic.

    Raises:
        InputError: no bag, or no (or no single) topic with label images.
    """

    def wanted(name: str, kind: str) -> bool:
        return kind == "sensor_msgs/msg/Image" and topic in (None, name)

    found: dict[str, list[tuple[int, bytes]]] = {}
    for name, image in messages_in(bag, wanted, _label_image):
        if image is not None:
            found.setdefault(name, []).append(image)
    if len(found) != 1:
        there = f"several, choose: {', '.join(sorted(found))}" if found else "none"
        raise InputError(f"{bag}: expected a topic with label images (Image, mono8), has {there}.")
    (labels,) = found.values()
    labels.sort(key=lambda entry: entry[0])
    t = np.array([stamp for stamp, _ in labels], np.int64)
    return Truth(t, lambda i: _unpacked(labels[i][1]), ros_time=True)


def _label_image(message: Any, _: str) -> tuple[int, bytes] | None:
    """Stamp in ns and packed picture; None if it cannot be a label image."""
    if message.encoding not in ("mono8", "8UC1"):
        return None
    rows = np.asarray(message.data, np.uint8).reshape(message.height, message.step)
    return nanoseconds(message.header.stamp), _packed(rows[:, : message.width])
