"""Why ROS does not start, as one sentence."""

from __future__ import annotations

import os
import re
from itertools import pairwise

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.surroundings import first_line, sentence_of


def check_ros() -> None:
    """Refuses settings of ROS over which its libraries would end the process in their own words.

    Raises:
        InputError: the domain is no number that DDS has, or the middleware is not installed.
    """
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
        told, _, name = reason.rpartition(": ")  # rclpy ends it in the parameter's name
        return f"{(told if name in told.split() else reason).rstrip('.')}."
    if text.startswith("Trying to set parameter"):  # to a value of another type
        return f"{text.rsplit(': ', 1)[0]}."
    if "logging" in low:
        return "ROS can write no log: set ROS_LOG_DIR to a folder that can be written."
    if "--params-file" in after and ("params" in low or "parameter" in low or "yaml" in low):
        return (
            f"The parameters in {after['--params-file']} cannot be read: expected a YAML file as "
            "config/segment.yaml."
        )
    no_name = f"ROS takes no name such as one in {rules!r}: expected words between single /."
    if "//" in rules or any(re.match(r"__(ns|node|name):=.*[^\w/]", arg) for arg in args):
        return no_name
    if empty := next((arg for arg in args if arg.endswith(":=")), ""):
        return f"{empty} gives no value: expected NAME:=VALUE."
    if any(word in low for word in (":=", "pars", "override", "remap", "unknown", "argument", "[")):
        return (
            f"The ROS arguments {rules!r} are not understood: expected --ros-args with "
            "-p NAME:=VALUE and -r FROM:=TO."
        )
    return no_name if "name" in low or "topic" in low else f"ROS cannot start: {first_line(error)}."
