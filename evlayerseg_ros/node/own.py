"""A node in a context of its own, beside whatever else this process does with ROS."""

from __future__ import annotations

from typing import TypeVar

import rclpy
from rclpy.signals import SignalHandlerOptions

Self = TypeVar("Self", bound="OwnNode")


class OwnNode:
    """Has a `node`, and a context that ends with it and leaves signals alone; a context manager.

    Args:
        name: of the node.
    """

    def __init__(self, name: str) -> None:
        self._context = rclpy.Context()
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
