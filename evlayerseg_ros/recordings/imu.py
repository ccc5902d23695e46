"""The gyro's samples and the camera matrix of a recording: from the bag, or given beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.motion.gyro import Gyro, Lens
from evlayerseg_ros.outputs.messages import nanoseconds
from evlayerseg_ros.pipeline import PipelineConfig, TurnOf
from evlayerseg_ros.recordings.beginnings import bag_kind
from evlayerseg_ros.recordings.gyro_text import LINES, by_time, finite, read_samples
from evlayerseg_ros.recordings.parts import files_of
from evlayerseg_ros.recordings.readers import Recording
from evlayerseg_ros.recordings.storage import StorageFile, messages_in

IMU, INFO = "sensor_msgs/msg/Imu", "sensor_msgs/msg/CameraInfo"
_REMEDIES = {
    IMU: f"--imu FILE gives a gyro's samples, {LINES}",
    INFO: "--camera-matrix FX,FY,CX,CY gives the camera's, px",
}


def turn_of(recording: Recording, config: PipelineConfig) -> TurnOf | None:
    """What a recording's gyro says of the camera's turn in a window; None if it is not asked for.

    Args:
        recording: a bag may hold Imu and CameraInfo, beside the events' topic.
        config: may name other sources of samples and matrix.

    Raises:
        InputError: there are no samples or no matrix, several, or they cannot be read.
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
    sound = finite(rates, f"{path}, {topic}")
    if not sound.any():
        raise InputError(f"{path} has no samples on {topic} ({IMU}): {_REMEDIES[IMU]}.")
    t = np.array([stamp for stamp, _ in rows], np.int64)
    return Gyro(lens, *by_time(t[sound], rates[sound])).turn


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
    """The topic of that type and name beside the events', or the only one of that type."""
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
    """What `make` makes of each message of a type on a topic."""

    def wanted(name: str, its_kind: str) -> bool:
        return name in (topic, f"/{topic}") and its_kind == kind

    return (made for _, made in messages_in(path, wanted, lambda message, _: make(message)))


def _sample(message: Any) -> tuple[int, tuple[float, float, float]]:
    rate = message.angular_velocity
    return nanoseconds(message.header.stamp), (rate.x, rate.y, rate.z)
