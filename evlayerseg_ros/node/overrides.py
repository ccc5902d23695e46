"""Parameters as people write them: names that nobody has, and 20 where 20.0 is expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

# What ROS itself takes and no node declares beforehand.
_OF_ROS = ("qos_overrides.", "use_sim_time", "start_type_description_service")


def given(node: Node) -> dict[str, Parameter]:
    """Parameter overrides by name; may be edited before declaring."""
    overrides: dict[str, Parameter] = getattr(node, "_parameter_overrides", {})
    return overrides


def take_whole_numbers(node: Node, floats: Iterable[str]) -> None:
    """Takes whole numbers for these parameters, which are floating-point numbers.

    To be called before they are declared: ROS refuses an integer for a double.
    """
    floats = set(floats)
    overrides = given(node)
    for name in floats & overrides.keys():
        overrides[name] = _as_float(overrides[name])

    def convert(parameters: list[Any]) -> list[Any]:
        return [_as_float(p) if p.name in floats else p for p in parameters]

    # Humble has no such callback: there `ros2 param set` needs the point.
    if hasattr(node, "add_pre_set_parameters_callback"):
        node.add_pre_set_parameters_callback(convert)


def _as_float(parameter: Parameter) -> Parameter:
    if parameter.type_ != Parameter.Type.INTEGER:
        return parameter
    return Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))


def wrong_names(given: Iterable[str], known: Iterable[str]) -> tuple[list[str], list[str]]:
    """Sentences on parameters that were given and that the node does not have.

    Args:
        given: names in parameter files and on the command line.
        known: names that the node declared.

    Returns:
        Errors: names so close to one of the node's that they are misspelt; and cautions: names
        that may be meant for another node, since files and launch groups serve several.
    """
    known = set(known)
    errors, cautions = [], []
    for name in given:
        if name in known or name.startswith(_OF_ROS):
            continue
        meant = _meant(name, known)
        if meant:
            errors.append(f"There is no parameter {name}: is {meant} meant?")
        else:
            cautions.append(f"There is no parameter {name}: it is ignored.")
    return errors, cautions


def _meant(name: str, known: set[str]) -> str:
    """The parameter that somebody who wrote this name meant, "" if none is close."""
    close = difflib.get_close_matches(name, sorted(known), 1, cutoff=0.75)
    if close:
        return close[0]
    # The right word in the wrong place, or its unit forgotten: duration, window.duration.
    last = name.rsplit(".", 1)[-1]
    ends = sorted(n for n in known if n.rsplit(".", 1)[-1] in (last, f"{last}_ms"))
    if len(last) > 3 and ends:
        return ends[0]
    section = name.split(".", 1)[0]
    inside = sorted(n for n in known if "." in name and n.startswith(f"{section}."))
    return " or ".join(inside)
