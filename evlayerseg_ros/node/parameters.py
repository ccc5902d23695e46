"""The node's parameters in one table: declared from it, checked against it, documented by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.node.overrides import take_whole_numbers
from evlayerseg_ros.outputs.outputs import OUTPUTS


@dataclass(frozen=True)
class Spec:
    """One parameter.

    Attributes:
        name: as ROS names it.
        default: its value, whose type is the parameter's type.
        description: one sentence, with the unit.
        between: lowest and highest number.
        choices: the words allowed.
        fixed: read-only; it takes effect where the node starts.
    """

    name: str
    default: bool | int | float | str
    description: str
    between: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    fixed: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows."""
        descriptor = ParameterDescriptor(
            description=self.description,
            read_only=self.fixed,
            additional_constraints=f"One of: {', '.join(self.choices)}." if self.choices else "",
        )
        if self.between and isinstance(self.default, float):
            low, high = map(float, self.between)
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif self.between:
            low_int, high_int = map(int, self.between)
            descriptor.integer_range = [IntegerRange(from_value=low_int, to_value=high_int)]
        return descriptor


_WINDOW = WindowConfig()
RELIABILITY = ("best_effort", "reliable")

PARAMETERS: tuple[Spec, ...] = (
    Spec("autostart", True, "Go to active without being asked.", fixed=True),
    Spec(
        "model",
        "default",
        "A model that comes with the package, by name, or the path of an ONNX file; default is "
        "layernet on a GPU, layernet-int8 on a CPU.",
        fixed=True,
    ),
    Spec(
        "provider",
        "auto",
        "What runs the network; auto takes the fastest that is there.",
        choices=("auto", "cpu", "openvino", "cuda", "tensorrt"),
        fixed=True,
    ),
    Spec(
        "precision",
        "fp32",
        "Arithmetic of TensorRT; the other providers take the model as it is.",
        choices=("fp32", "fp16"),
        fixed=True,
    ),
    Spec(
        "threads",
        0,
        "CPU threads of the network; 0 lets the runtime choose.",
        between=(0, 256),
        fixed=True,
    ),
    Spec(
        "refine",
        False,
        "Run the network again on events deblurred by its first answer: better masks and motions, "
        "about twice the time.",
    ),
    Spec(
        "track",
        True,
        "Begin with the motions found in the window before: about as good as refine, at no cost.",
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
        choices=("time", "count"),
    ),
    Spec(
        "window.duration_ms",
        _WINDOW.duration_ms,
        "Length of a window in mode time, ms.",
        between=(0.1, 10_000.0),
    ),
    Spec(
        "window.events",
        _WINDOW.events,
        "Events of a window in mode count.",
        between=(1, 100_000_000),
    ),
    Spec(
        "window.stride_ms",
        _WINDOW.stride_ms,
        "Time from one window to the next, ms; 0 is back to back.",
        between=(0.0, 10_000.0),
    ),
    Spec(
        "window.max_age_ms",
        _WINDOW.max_age_ms,
        "A window comes out after this time at the latest, however quiet the scene, ms.",
        between=(1.0, 60_000.0),
    ),
    Spec(
        "max_backlog_windows",
        3,
        "Windows that may wait for the network; beyond it the oldest is dropped and counted.",
        between=(1, 10_000),
    ),
    Spec(
        "max_wait_ms",
        40.0,
        "Packets and windows that wait longer while newer ones do are dropped and counted, ms.",
        between=(1.0, 60_000.0),
    ),
    Spec(
        "sensor.width",
        0,
        "Columns of the sensor, px; 0 takes them from the packets.",
        between=(0, 65_535),
        fixed=True,
    ),
    Spec(
        "sensor.height",
        0,
        "Rows of the sensor, px; 0 takes them from the packets.",
        between=(0, 65_535),
        fixed=True,
    ),
    Spec(
        "event_type",
        "event_camera_msgs/EventPacket",
        "Type of the messages on ~/events.",
        choices=("event_camera_msgs/EventPacket", "dvs_msgs/EventArray"),
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
)
BY_NAME = {spec.name: spec for spec in PARAMETERS}


def declare(node: Node) -> None:
    """Declares the table; a wrong override raises rclpy's exception, which names it and why."""
    take_whole_numbers(node, (spec.name for spec in PARAMETERS if isinstance(spec.default, float)))
    node.add_on_set_parameters_callback(lambda parameters: check(node, parameters))
    for spec in PARAMETERS:
        node.declare_parameter(spec.name, spec.default, spec.descriptor())


def check(node: Node, parameters: list[Parameter]) -> SetParametersResult:
    """Whether these values do, and why not. Ranges and types rclpy checks itself."""
    for parameter in parameters:
        spec = BY_NAME.get(parameter.name)
        if spec and spec.choices and parameter.value not in spec.choices:
            return SetParametersResult(
                successful=False,
                reason=f"{spec.name} is {parameter.value!r}: expected {' or '.join(spec.choices)}.",
            )
    if any(p.name.startswith("window.") for p in parameters):
        return _check_window(node, {p.name: p.value for p in parameters})
    return SetParametersResult(successful=True)


def _check_window(node: Node, changed: dict[str, Any]) -> SetParametersResult:
    try:
        window_config(node, changed).validate()
    except InputError as error:
        return SetParametersResult(successful=False, reason=str(error))
    except TypeError:
        pass  # a wrong type: rclpy refuses it and says so
    return SetParametersResult(successful=True)


def value(node: Node, name: str) -> Any:
    """The value of a declared parameter, its default before it is declared."""
    return node.get_parameter(name).value if node.has_parameter(name) else BY_NAME[name].default


def window_config(node: Node, changed: dict[str, Any] | None = None) -> WindowConfig:
    """The window rule that the parameters say, with `changed` before they are set."""
    names = ("mode", "duration_ms", "events", "stride_ms", "max_age_ms")
    values = {name: value(node, f"window.{name}") for name in names}
    values |= {name.removeprefix("window."): v for name, v in (changed or {}).items()}
    return WindowConfig(**{name: values[name] for name in names})


def qos(node: Node, which: str) -> QoSProfile:
    """The QoS of "events" or "output"."""
    reliable = value(node, f"qos.{which}_reliability") == "reliable"
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=value(node, f"qos.{which}_depth"),
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
    )


def markdown() -> str:
    """The table of the README."""
    lines = ["| parameter | default | what |", "|---|---|---|"]
    for spec in PARAMETERS:
        default = str(spec.default).lower() if isinstance(spec.default, bool) else spec.default
        allowed = ""
        if spec.choices:
            allowed = f" One of {', '.join(f'`{c}`' for c in spec.choices)}."
        elif spec.between:
            allowed = f" {spec.between[0]:g} to {spec.between[1]:g}."
        fixed = " Read-only." if spec.fixed else ""
        lines.append(f"| `{spec.name}` | `{default}` | {spec.description}{allowed}{fixed} |")
    return "\n".join(lines)
