"""Why ROS does not start, as one sentence."""

from __future__ import annotations

import os
import re
from itertools import pairwise

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.surroundings import first_line, sentence_of

# Switches of ROS's log, 0 or 1; of any other value it complains with each line.
SWITCHES = (
    "RCUTILS_LOGGING_USE_STDOUT",
    "RCUTILS_LOGGING_BUFFERED_STREAM",
    "RCUTILS_COLORIZED_OUTPUT",
)
_WORDS = r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*"


def check_ros() -> None:
    """Refuses settings of ROS that its libraries would only complain of in their own words.

    Raises:
        InputError: the domain is no number that DDS has, the middleware is not installed, or a
            switch of the log is neither 0 nor 1.
    """
    for name in SWITCHES:
        if os.environ.get(name, "") not in ("", "0", "1"):
            raise InputError(f"{name} is {os.environ[name]!r}: expected 0 or 1.")
    domain = os.environ.get("ROS_DOMAIN_ID", "")
    if domain and not (re.fullmatch("[0-9]+", domain) and int(domain) <= 232):
        raise InputError(f"ROS_DOMAIN_ID is {domain!r}: expected a whole number from 0 to 232.")
    try:
        from ament_index_python import get_resources

        there = set(get_resources("rmw_typesupport")) - {"rmw_implementation"}
    except Exception:  # whoever starts ROS says that it is not there
        return
    asked = os.environ.get("RMW_IMPLEMENTATION", "")
    if asked and there and asked not in there:
        raise InputError(
            f"RMW_IMPLEMENTATION is {asked!r}, which is not installed: there is "
            f"{', '.join(sorted(there))}."
        )


def need_ros() -> None:
    """Refuses to go on where there is no ROS 2, or where what it is told makes no sense.

    Raises:
        InputError: it says what is missing or wrong.
    """
    check_ros()
    try:
        import event_camera_msgs.msg  # noqa: F401
        import rclpy  # noqa: F401
    except ImportError as error:
        if not error.name:
            raise InputError(
                f"This command needs ROS 2, which cannot be loaded: {error}."
            ) from error
        raise InputError(
            f"This command needs ROS 2, but there is no {error.name}: source ROS 2 and the "
            "workspace that has event_camera_msgs, or use the environment that `make venv` makes."
        ) from error


def check_arguments(args: list[str]) -> None:
    """Refuses arguments before --ros-args, which ROS leaves to the program; ours takes none.

    Raises:
        InputError: there are some.
    """
    from rclpy.utilities import remove_ros_args

    if left := " ".join(remove_ros_args(args)):
        raise InputError(
            f"{left!r} is not understood: expected arguments of ROS, after --ros-args."
        )


def why_no_start(error: BaseException, args: list[str]) -> str:
    """Why ROS could not start the node, as one sentence.

    Args:
        error: what rclpy raised.
        args: the arguments that it was given.
    """
    if sentence := sentence_of(error):
        return sentence
    text = str(error)
    low = text.lower()
    after = dict(pairwise(args))
    rules = " ".join([arg for arg in args if ":=" in arg] or args[1:])
    if found := re.search(r"resolve peer (\S+)", text):
        return (
            f"ROS_STATIC_PEERS names {found[1]}, whose address cannot be found here: expected "
            "machines that are on, or addresses, separated by ;."
        )
    secured = os.environ.get("ROS_SECURITY_ENABLE") == "true"
    if secured and ("security" in low or "error not set" in low):
        keys = os.environ.get("ROS_SECURITY_KEYSTORE") or "not set"
        return (
            f"ROS_SECURITY_ENABLE is true, but ROS_SECURITY_KEYSTORE ({keys}) holds no keys for "
            "this node: `ros2 security create_keystore` and `create_enclave` make them, or set "
            "ROS_SECURITY_ENABLE to false."
        )
    if "Reason: " in text:  # a parameter that the node refuses, in its own words
        reason = text.split("Reason: ")[1]
        told, _, name = reason.rstrip(".").rpartition(": ")  # rclpy ends it in the parameter's name
        named = {name, name.split(".")[-1]} & set(told.split())
        return f"{(told if named else reason).rstrip('.')}."
    if text.startswith("Trying to set parameter"):  # to a value of another type
        return f"{text.rsplit(': ', 1)[0]}."
    if "--log-config-file" in after and "log" in low:
        return f"The settings of the log in {after['--log-config-file']} cannot be read."
    if "logging" in low:
        return "ROS can write no log: set ROS_LOG_DIR to a folder that can be written."
    if "--params-file" in after and ("params" in low or "parameter" in low or "yaml" in low):
        return (
            f"The parameters in {after['--params-file']} cannot be read: expected a YAML file as "
            "config/segment.yaml."
        )
    if empty := next((arg for arg in args if arg.endswith(":=")), ""):
        return f"{empty} gives no value: expected NAME:=VALUE."
    if wrong := next((rule for rule in _remapped(args) if not _has_names(rule)), ""):
        return (
            f"ROS takes no name such as one in {wrong!r}: expected words of letters, digits and _, "
            "none of which begins with a digit, between single /; a namespace begins with /."
        )
    if any(word in low for word in (":=", "pars", "override", "remap", "unknown", "argument", "[")):
        return (
            f"The ROS arguments {rules!r} are not understood: expected --ros-args with "
            "-p NAME:=VALUE and -r FROM:=TO."
        )
    return f"ROS cannot start: {first_line(error)}."


def _remapped(args: list[str]) -> list[str]:
    """The rules FROM:=TO for names among the arguments."""
    return [rule for flag, rule in pairwise(args) if flag in ("-r", "--remap") and ":=" in rule]


def _has_names(rule: str) -> bool:
    """Whether a rule's new name is one that ROS takes."""
    source, _, target = rule.rpartition(":=")
    of_node, of_namespace = source.endswith(("__node", "__name")), source.endswith("__ns")
    expected = (
        r"[A-Za-z_]\w*" if of_node else rf"/({_WORDS})?" if of_namespace else rf"(~?/)?{_WORDS}"
    )
    return bool(re.fullmatch(expected, target))
