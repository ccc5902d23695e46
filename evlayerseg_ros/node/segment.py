"""The executable `segment`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rclpy.executors import Executor

    from evlayerseg_ros.node.segment_node import SegmentNode


def keep_freed_memory() -> None:
    """Make glibc keep what images and voxel grids free, instead of returning it to the system.

    Otherwise each large message is faulted in page by page anew: ten times the cost of filling it.
    """
    trim_threshold, mmap_threshold = -1, -3  # names of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library
    mallopt(trim_threshold, 256 << 20)
    mallopt(mmap_threshold, 32 << 20)  # the largest that glibc takes


def main(args: list[str] | None = None) -> None:
    """Runs the node until SIGINT or SIGTERM, then shuts it down and exits with 0.

    Args:
        args: ROS arguments after the program's name; None takes this process's.
    """
    keep_freed_memory()
    # Own handlers: the lifecycle's last transition needs a context that still works.
    stopping = False
    node: SegmentNode | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        if node is None or node.configuring:
            # Nothing runs yet that wants an orderly end, and imports or a model may take seconds.
            os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)

    # Imports take a second, and a signal in that time deserves an answer too.
    import rclpy
    from rclpy.exceptions import ParameterException
    from rclpy.signals import SignalHandlerOptions

    from evlayerseg_ros.node.segment_node import SegmentNode

    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = SegmentNode()
    except ParameterException as error:
        print(f"segment: {error}", file=sys.stderr)
        rclpy.shutdown()
        sys.exit(2)
    executor = make_executor()
    executor.add_node(node)
    while not stopping:
        executor.spin_once(timeout_sec=0.1)
    node.finish()
    executor.remove_node(node)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()


def make_executor() -> Executor:
    """rclpy's fastest executor: the one that waits for events, where this ROS has it."""
    from rclpy.executors import SingleThreadedExecutor

    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


if __name__ == "__main__":
    main()
