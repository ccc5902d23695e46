"""The node's parameters: declared from the table, checked against it, and what they say."""

from __future__ import annotations

from dataclasses import replace
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
from evlayerseg_ros.node.parameter_table import BY_NAME, PARAMETERS, Spec
from evlayerseg_ros.pipeline import PipelineConfig
from evlayerseg_ros.segmentation.config import SegmenterConfig


def descriptor_of(spec: Spec) -> ParameterDescriptor:
    """What `ros2 param describe` shows."""
    descriptor = ParameterDescriptor(
        description=spec.description,
        read_only=spec.fixed,
        additional_constraints=f"One of: {', '.join(spec.choices)}." if spec.choices else "",
    )
    if spec.between and isinstance(spec.default, float):
        low, high = map(float, spec.between)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif spec.between:
        low_int, high_int = map(int, spec.between)
        descriptor.integer_range = [IntegerRange(from_value=low_int, to_value=high_int)]
    return descriptor


def declare(node: Node) -> None:
    """Declares the table; a wrong override raises rclpy's exception, which names it and why."""
    take_whole_numbers(node, (spec.name for spec in PARAMETERS if isinstance(spec.default, float)))
    node.add_on_set_parameters_callback(lambda parameters: check(node, parameters))
    for spec in PARAMETERS:
        node.declare_parameter(spec.name, spec.default, descriptor_of(spec))


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
    """WindowConfig of the parameters; `changed`: values about to be set."""
    names = ("mode", "duration_ms", "events", "stride_ms", "max_age_ms")
    values = {name: value(node, f"window.{name}") for name in names}
    values |= {name.removeprefix("window."): v for name, v in (changed or {}).items()}
    return WindowConfig(**{name: values[name] for name in names})


def pipeline_config(node: Node) -> PipelineConfig:
    """What the parameters say of the pipeline; unchanged, they say PipelineConfig()."""
    names = ("model", "provider", "precision", "threads", "refine", "track")
    segmenter = replace(
        SegmenterConfig(),
        camera_motion=value(node, "camera.motion"),
        **{name: value(node, name) for name in names},
    )
    width, height = value(node, "sensor.width"), value(node, "sensor.height")
    return PipelineConfig(window_config(node), segmenter, width, height)


def qos(node: Node, which: str) -> QoSProfile:
    """The QoS of "events" or "output"."""
    reliable = value(node, f"qos.{which}_reliability") == "reliable"
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=value(node, f"qos.{which}_depth"),
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
    )
