"""A node in a context of its own, beside whatever else this process does with ROS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.signals import SignalHandlerOptions

from evlayerseg_ros.surroundings import quiet_if_it_fails

Self = TypeVar("Self", bound="OwnNode")


# Where Fast DDS looks for settings: up to Jazzy, and from Kilted on.
PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def make_room() -> None:
    """Makes room for large messages in Fast DDS, unless the user has settings: see fastdds.xml.

    To be called before a process's first node: pictures of 1 MB and packets of events are lost
    otherwise.
    """
    if any(os.environ.get(name) for name in PROFILES):
        return
    try:
        profile = Path(get_package_share_directory("evlayerseg_ros")) / "config/fastdds.xml"
    except PackageNotFoundError:
        return
    if profile.is_file():
        os.environ.update(dict.fromkeys(PROFILES, str(profile)))


class OwnNode:
    """Has a `node`, and a context that ends with it and leaves signals alone; a context manager.

    Args:
        name: of the node.
    """

    def __init__(self, name: str) -> None:
        make_room()
        self._context = rclpy.Context()
        with quiet_if_it_fails():
            rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node(name, context=self._context)

    def close(self) -> None:
        """Ends the node."""
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
