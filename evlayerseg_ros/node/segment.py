"""The executable `segment`."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from evlayerseg_ros.node.segment_node import SegmentNode


def make_executor() -> Executor:
    """rclpy's fastest executor: the one that waits for events, where this ROS has it."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def main(args: list[str] | None = None) -> None:
    """Runs the node until SIGINT or SIGTERM, then shuts it down and exits with 0."""
    # Own handlers: the lifecycle's last transition needs a context that still works.
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
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


if __name__ == "__main__":
    main()
