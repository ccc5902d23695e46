"""The node's parameters in one table, from which its declaration, its file and its page come.

python -m evlayerseg_ros.node.parameter_table --yaml       prints config/segment.yaml
python -m evlayerseg_ros.node.parameter_table --markdown   prints the table of docs/parameters.md
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from evlayerseg_ros.events.window import BOUNDS, MODES, WindowConfig
from evlayerseg_ros.outputs.outputs import OUTPUTS
from evlayerseg_ros.pipeline import MAX_WAIT_MS
from evlayerseg_ros.segmentation.config import (
    CAMERA_MOTIONS,
    PROVIDER_CHOICES,
    TEXTS,
    SegmenterConfig,
)


@dataclass(frozen=True)
class Spec:
    """One parameter.

    Attributes:
        name: as ROS names it.
        default: its value, whose type is the parameter's type.
        description: one sentence, with the unit.
        between: lowest and highest number.
        choices: the words allowed.
        fixed: read-only; it is set when the node starts.
    """

    name: str
    default: bool | int | float | str
    description: str
    between: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    fixed: bool = False

    def allowed(self) -> str:
        """Its range or choices in a sentence, "" if there are none."""
        if self.choices:
            return f"One of: {', '.join(self.choices)}."
        return f"{self.between[0]:g} to {self.between[1]:g}." if self.between else ""

    def written(self) -> str:
        """Its default as YAML spells it."""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)


_WINDOW, _SEGMENTER = WindowConfig(), SegmenterConfig()
RELIABILITY = ("best_effort", "reliable")

PARAMETERS: tuple[Spec, ...] = (
    Spec("autostart", True, "Go to active without being asked.", fixed=True),
    Spec("model", _SEGMENTER.model, TEXTS["model"], fixed=True),
    Spec("provider", _SEGMENTER.provider, TEXTS["provider"], choices=PROVIDER_CHOICES, fixed=True),
    Spec(
        "precision",
        _SEGMENTER.precision,
        "Arithmetic of TensorRT; the other providers take the model as it is.",
        choices=("fp32", "fp16"),
        fixed=True,
    ),
    Spec("threads", _SEGMENTER.threads, TEXTS["threads"], between=(0, 256), fixed=True),
    Spec("refine", _SEGMENTER.refine, TEXTS["refine"]),
    Spec("track", _SEGMENTER.track, TEXTS["track"]),
    Spec(
        "camera.motion",
        _SEGMENTER.camera_motion,
        "How the camera's own motion is known: auto reads it from the events, still says that it "
        "rests, so that all that is not noise moves by itself, imu takes its turn from ~/imu and "
        "~/events_camera_info and the rest from the events.",
        choices=CAMERA_MOTIONS,
        fixed=True,
    ),
    Spec(
        "on_inference_error",
        "fallback",
        "What to do when the network fails on a window: fallback goes on on the CPU, "
        "error stops the node, which becomes unconfigured.",
        choices=("fallback", "error"),
    ),
    Spec(
        "window.mode",
        _WINDOW.mode,
        "What ends a window: a time or a count of events.",
        choices=MODES,
    ),
    Spec(
        "window.duration_ms",
        _WINDOW.duration_ms,
        "Length of a window in mode time, ms.",
        between=BOUNDS["duration_ms"],
    ),
    Spec(
        "window.events",
        _WINDOW.events,
        "Events of a window in mode count.",
        between=BOUNDS["events"],
    ),
    Spec(
        "window.stride_ms",
        _WINDOW.stride_ms,
        "Time from one window to the next, ms; 0 is back to back.",
        between=BOUNDS["stride_ms"],
    ),
    Spec(
        "window.max_age_ms",
        _WINDOW.max_age_ms,
        "A window comes out after this time at the latest, however quiet the scene, ms.",
        between=BOUNDS["max_age_ms"],
    ),
    Spec(
        "max_backlog_windows",
        3,
        "Windows that may wait for the network; beyond it the oldest is dropped and counted.",
        between=(1, 10_000),
    ),
    Spec(
        "max_wait_ms",
        MAX_WAIT_MS,
        "Packets and windows that wait longer while newer ones do are dropped and counted, ms.",
        between=(1.0, 60_000.0),
    ),
    *(
        Spec(
            f"sensor.{side}",
            0,
            f"{what} of the sensor, px; 0 takes them from the packets.",
            between=(0, 65_535),
            fixed=True,
        )
        for side, what in (("width", "Columns"), ("height", "Rows"))
    ),
    Spec(
        "event_type",
        "event_camera_msgs/EventPacket",
        "Type of the messages on ~/events.",
        choices=(
            "event_camera_msgs/EventPacket",
            "dvs_msgs/EventArray",
            "prophesee_event_msgs/EventArray",
            "dv_ros_msgs/EventArray",
            "dv_ros2_msgs/EventArray",
            "event_array_msgs/EventArray",
        ),
        fixed=True,
    ),
    Spec(
        "qos.events_reliability",
        "best_effort",
        "Of the subscription to ~/events; best_effort hears every publisher.",
        choices=RELIABILITY,
        fixed=True,
    ),
    Spec(
        "qos.events_depth",
        100,
        "Packets that the middleware keeps for ~/events.",
        between=(1, 10_000),
        fixed=True,
    ),
    Spec(
        "qos.output_reliability",
        "reliable",
        "Of the outputs; reliable is heard by every subscriber.",
        choices=RELIABILITY,
        fixed=True,
    ),
    Spec(
        "qos.output_depth",
        5,
        "Messages of each output that the middleware keeps.",
        between=(1, 10_000),
        fixed=True,
    ),
    *(
        Spec(f"publish.{name}", True, f"Publish ~/{name} while somebody subscribes to it.")
        for name in OUTPUTS
    ),
    Spec(
        "publish.rate_hz",
        0.0,
        "Rate of ~/mask and ~/detections, each the newest one carried along its motions to now, "
        "Hz; 0 is once a window, at its end.",
        between=(0.0, 1000.0),
    ),
)
BY_NAME = {spec.name: spec for spec in PARAMETERS}


def markdown() -> str:
    """The table of docs/parameters.md."""
    lines = ["| parameter | default | what |", "|---|---|---|"]
    for spec in PARAMETERS:
        what = " ".join(filter(None, (spec.description, spec.allowed(), _FIXED * spec.fixed)))
        lines.append(f"| `{spec.name}` | `{spec.written()}` | {what} |")
    return "\n".join(lines)


def yaml() -> str:
    """The text of config/segment.yaml."""
    lines = [_HEAD]
    before: list[str] = []
    for spec in PARAMETERS:
        *groups, name = spec.name.split(".")
        for depth, group in enumerate(groups):
            if before[: depth + 1] != groups[: depth + 1]:
                lines.append(f"{_indent(depth)}{group}:")
        before = groups
        indent = _indent(len(groups))
        lines.append(" ".join(filter(None, (f"{indent}# {spec.description}", spec.allowed()))))
        lines.append(f"{indent}{name}: {spec.written()}")
    return "\n".join(lines) + "\n"


_FIXED = "Read-only."
_HEAD = """\
# Parameters of the node, with their defaults; written by python -m
# evlayerseg_ros.node.parameter_table --yaml. Settings that belong to the weights travel in the
# model file. `ros2 param describe` says the same of a running node.
/**:
  ros__parameters:"""


def _indent(depth: int) -> str:
    return "  " * (2 + depth)


def main() -> None:
    """Prints what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--yaml", action="store_true")
    which.add_argument("--markdown", action="store_true")
    print((yaml() if parser.parse_args().yaml else markdown() + "\n"), end="")


if __name__ == "__main__":
    main()
