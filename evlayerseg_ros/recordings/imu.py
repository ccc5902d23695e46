"""A gyro's samples and the camera's matrix of a recording: of the bag, or said beside it."""

from __future__ import annotations

import contextlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.motion.gyro import Gyro, Lens
from evlayerseg_ros.pipeline import PipelineConfig, TurnOf
from evlayerseg_ros.recordings import columns
from evlayerseg_ros.recordings.beginnings import bag_kind
from evlayerseg_ros.recordings.readers import Recording
from evlayerseg_ros.recordings.storage import StorageFile, files_of, messages_in
from evlayerseg_ros.recordings.text import is_comment, numbers_in
from evlayerseg_ros.recordings.units import to_ns, unit_by_steps

IMU, INFO = "sensor_msgs/msg/Imu", "sensor_msgs/msg/CameraInfo"
_LINES = "lines `t x y z`, t in s as the events have it, turn rates in rad/s"
_STEP = 0.005  # seconds from one sample to the next, on the average
_GRAVITY = 9.81  # m/s^2
_FASTEST = 40.0  # rad/s, 2300 deg/s: what no gyro of a camera tells
# Names of turn rates' columns: `gyroX`, `w_RS_S_x`, `wx`, `angular_velocity.x`, `gx`.
_RATE = re.compile(r"gyr|\bw_|\bw[xyz]\b|\bang|omega|\bg_?[xyz]\b|rotation", re.I)
_DEGREES = re.compile(r"deg(rees?)?(\s*/\s*|\s+|\s*per\s*)s|°\s*/\s*s|\bdps\b", re.I)
_FIELDS = re.compile(r"[^\s(\[]+(?:\s*[(\[][^)\]]*[)\]])?")  # between spaces, units included
_REMEDIES = {
    IMU: f"--imu FILE gives a gyro's samples, {_LINES}",
    INFO: "--camera-matrix FX,FY,CX,CY gives the camera's, px",
}


def turn_of(recording: Recording, config: PipelineConfig) -> TurnOf | None:
    """What the gyro of a recording says of its windows; None where it is not asked for.

    Args:
        recording: a bag may hold Imu and CameraInfo itself, beside the events' topic.
        config: says where else samples and matrix are.

    Raises:
        InputError: there are no samples or no matrix, several, or what is there cannot be read.
    """
    if config.segmenter.camera_motion != "imu":
        return None
    path = recording.path
    lens = Lens(*config.camera_matrix) if config.camera_matrix else _lens(recording)
    said = Path(config.imu)
    if config.imu and (said.is_file() or not _is_bag(path)):
        return Gyro(lens, *read_samples(said)).turn
    topic = config.imu or _topic(recording, IMU, "imu")
    rows = list(_messages(path, topic, IMU, _sample))
    rates = np.array([rate for _, rate in rows]).reshape(-1, 3)
    sound = _finite(rates, f"{path}, {topic}")
    if not sound.any():
        raise InputError(f"{path} has no samples on {topic} ({IMU}): {_REMEDIES[IMU]}.")
    t = np.array([stamp for stamp, _ in rows], np.int64)
    return Gyro(lens, *_sorted(t[sound], rates[sound])).turn


def read_samples(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a text file: times int64 [N], ns, and turn rates float64 [N, 3], rad/s.

    Lines are `t x y z`, t in s, rates in rad/s, or in deg/s where a comment (`#`) says `deg/s`; or
    `t ax ay az x y z` with accelerations, which are not used; or in the order that a line of names
    says. Commas do, too. What is recognised by the numbers is told: times in ms, us or ns, rates in
    deg/s or before accelerations. So are lines that are no samples, which are left out.

    Raises:
        InputError: no such file, or it holds something else.
    """
    try:
        lines = path.read_text("utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"Cannot read a gyro's samples from {path}: {error.strerror}.") from error
    comments = [line for line in lines if is_comment(line.encode())]
    table = [line for line in lines if line.strip() and not is_comment(line.encode())]
    read = [numbers for line in table if (numbers := numbers_in(line.encode()))]
    if not read:
        what = "something else than numbers" if table else "no samples"
        raise InputError(f"{path} holds {what}: expected {_LINES}.")
    width = Counter(map(len, read)).most_common(1)[0][0]
    heads = [*comments, table[0]]
    named, unit = _named(heads, width)
    if not named and width not in (4, 7):
        raise InputError(f"{path} has {width} columns: expected {_LINES}, or a line of names.")
    rows = np.array([row for row in read if len(row) == width])
    names = numbers_in(table[0].encode()) is None
    if bad := len(table) - len(rows) - names:
        _tell(path, f"{bad} of {len(table)} lines are no samples and are left out")
    if not named:
        named = _unnamed(rows, path)
    rows = rows[_finite(rows[:, [0, *named]], path)]
    if not len(rows):
        raise InputError(f"{path} holds values that are not finite: expected {_LINES}.")
    unit = unit or unit_by_steps(rows[:, 0], _STEP, "s", "s")
    if unit != "s":
        _tell(path, f"its times are taken as {unit}")
    rates, said = rows[:, named], any(_DEGREES.search(head) for head in heads)
    if not said and np.quantile(np.abs(rates), 0.99) > _FASTEST:
        said = True
        _tell(path, "its turn rates are taken as deg/s")
    return _sorted(to_ns(rows[:, 0], unit), np.deg2rad(rates) if said else rates)


def _named(heads: list[str], width: int) -> tuple[list[int], str]:
    """Which columns a line of so many names calls turn rates, and the unit of its times."""
    for head in heads:
        fields = _FIELDS.findall(head.lstrip("#% "))
        if re.search("[,;\t]", head):
            fields = re.split("[,;\t]", head.strip("#%,; \t"))
        rates = [k for k, field in enumerate(fields) if _RATE.search(field)]
        if len(fields) == width and len(rates) == 3:
            return rates, columns.unit_in(fields[0])
    return [], ""


def _unnamed(rows: np.ndarray, path: Path) -> list[int]:
    """The columns of turn rates where no names say them: the last ones, unless these weigh."""
    if rows.shape[1] == 7:
        first, last = (np.median(np.linalg.norm(rows[:, k : k + 3], axis=1)) for k in (1, 4))
        if abs(last - _GRAVITY) < 1 < abs(first - _GRAVITY):
            _tell(path, "its last columns are taken as accelerations, since they hold gravity")
            return [1, 2, 3]
    return [-3, -2, -1]


def _tell(source: object, what: str) -> None:
    print(f"evlayerseg: {source}: {what}.", file=sys.stderr)


def _finite(samples: np.ndarray, source: object) -> np.ndarray:
    """Which samples [N, values] hold numbers only, bool [N]; how many do not is told."""
    sound: np.ndarray = np.isfinite(samples).all(1)
    if bad := np.count_nonzero(~sound):
        _tell(source, f"{bad} of {len(sound)} samples are not finite and are left out")
    return sound


def _sorted(t: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same by rising times, none twice."""
    times, first = np.unique(t, return_index=True)
    return times, rates[first]


def _is_bag(path: Path) -> bool:
    return bag_kind(path) != "" or path.is_dir()


def _lens(recording: Recording) -> Lens:
    path, topic = recording.path, _topic(recording, INFO, "camera_info")
    info = next(_messages(path, topic, INFO, lambda message: message), None)
    if info is None:
        raise InputError(f"{path} has no message on {topic} ({INFO}): {_REMEDIES[INFO]}.")
    k = info.k if hasattr(info, "k") else info.K  # in ROS 1
    size, sensor = (info.width, info.height), (recording.width, recording.height)
    if size not in (sensor, (0, 0)):
        raise InputError(
            f"{path}, {topic}: the matrix is of {size[0]}x{size[1]} px, the events are of "
            f"{sensor[0]}x{sensor[1]}: {_REMEDIES[INFO]}."
        )
    try:
        return Lens.of_matrix(k)
    except InputError as error:
        raise InputError(f"{path}, {topic}: {error}") from error


def _topic(recording: Recording, kind: str, name: str) -> str:
    """The topic of that type beside the events, or the only one."""
    path, found = recording.path, dict[str, None]()
    for file in files_of(path)[0] if _is_bag(path) else []:
        with contextlib.closing(StorageFile(file)) as storage:
            found |= {topic: None for topic, msgtype in sorted(storage.counts) if msgtype == kind}
    beside = f"{recording.topic.rsplit('/', 1)[0]}/{name}"
    if beside in found:
        return beside
    if len(found) == 1:
        return next(iter(found))
    if found and kind == IMU:
        raise InputError(f"{path} has several {kind}, --imu says which: {', '.join(found)}.")
    why = f"has several topics with {kind} ({', '.join(found)})" if found else f"has no {kind}"
    raise InputError(f"{path} {why}: {_REMEDIES[kind]}.")


def _messages(path: Path, topic: str, kind: str, make: Callable[[Any], Any]) -> Iterator[Any]:
    """What is made of each message of a type on a topic."""

    def wanted(name: str, its_kind: str) -> bool:
        return name in (topic, f"/{topic}") and its_kind == kind

    return (made for _, made in messages_in(path, wanted, lambda message, _: make(message)))


def _sample(message: Any) -> tuple[int, tuple[float, float, float]]:
    stamp, rate = message.header.stamp, message.angular_velocity
    return int(stamp.sec) * 10**9 + int(stamp.nanosec), (rate.x, rate.y, rate.z)
