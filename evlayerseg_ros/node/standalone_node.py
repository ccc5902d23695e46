"""A node in a context of its own, beside whatever else this process does with ROS."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.node.start import why_no_start
from evlayerseg_ros.surroundings import quiet_if_it_fails

Self = TypeVar("Self", bound="StandaloneNode")


# Where Fast DDS looks for settings: up to Jazzy, and from Kilted on.
PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
KILTED = 9  # major version of rmw_fastrtps_shared_cpp


def prepare_dds() -> bool:
    """Makes room for large messages in Fast DDS: see fastdds.xml.

    To be called before a process's first node: pictures of 1 MB and packets of events are lost
    otherwise. A user's own settings of Fast DDS are kept.

    Returns:
        Whether there are settings; not so where ROS does not know this package.

    Raises:
        InputError: a user's settings are not there, or no XML: Fast DDS would go on without any.
    """
    if own := [name for name in PROFILES if os.environ.get(name)]:
        try:
            if "fastrtps" in os.environ.get("RMW_IMPLEMENTATION", "fastrtps"):
                ElementTree.parse(os.environ[own[0]])
        except (OSError, ValueError, LookupError, ElementTree.ParseError) as error:
            raise InputError(
                f"{own[0]} names {os.environ[own[0]]}, which is no XML file that can be read."
            ) from error
        return True
    try:
        profile = Path(get_package_share_directory("evlayerseg_ros")) / "config/fastdds.xml"
    except PackageNotFoundError:
        return False
    if profile.is_file():
        os.environ.update(dict.fromkeys(profile_names(), str(profile)))
    return profile.is_file()


def profile_names() -> tuple[str, ...]:
    """The names under which to tell Fast DDS its settings.

    Since Kilted it reads a file that both name twice, and complains of that at each start.
    """
    try:
        share = Path(get_package_share_directory("rmw_fastrtps_shared_cpp"))
        manifest = (share / "package.xml").read_text("utf-8", "replace")
        version = re.search(r"<version>(\d+)", manifest)
    except (PackageNotFoundError, OSError):
        return PROFILES
    return PROFILES[1:] if version and int(version[1]) >= KILTED else PROFILES


class StandaloneNode:
    """Has a `node`, and a context that ends with it and leaves signals alone; a context manager.

    Args:
        name: of the node.

    Raises:
        InputError: ROS cannot start, with the reason.
    """

    def __init__(self, name: str) -> None:
        prepare_dds()
        self._context = rclpy.Context()
        try:
            with quiet_if_it_fails():
                rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
                self.node = rclpy.create_node(name, context=self._context)
        except Exception as error:  # rclpy raises many kinds
            rclpy.try_shutdown(context=self._context)
            raise InputError(why_no_start(error, [])) from error
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def hear_diagnostics(
        self, name: str, hear: Callable[[DiagnosticStatus, dict[str, str]], None]
    ) -> None:
        """Calls `hear` with each status that the node `name` tells, and its values by key."""

        def pick(message: DiagnosticArray) -> None:
            for status in message.status:
                if status.name.startswith(f"{name}:"):
                    hear(status, {entry.key: entry.value for entry in status.values})

        self.node.create_subscription(DiagnosticArray, "/diagnostics", pick, 100)

    def spin(self, seconds: float) -> None:
        """Hears what comes for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def close(self) -> None:
        """Ends the node."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
