"""The executable `segment`."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from evlayerseg_ros.node.start import check_arguments, check_ros, why_no_start
from evlayerseg_ros.surroundings import (
    keep_freed_memory,
    quiet_if_it_fails,
)

if TYPE_CHECKING:
    from rclpy.executors import Executor

    from evlayerseg_ros.node.segment_node import SegmentNode


HELP = """usage: segment [--ros-args ...]

The node: event packets in, motion layers out. It goes to active by itself.

  ros2 launch evlayerseg_ros segment.launch.py -s     what the launch file takes
  segment --ros-args -r '~/events:=/event_camera/events' -p provider:=cpu
  segment --ros-args --params-file mine.yaml          as config/segment.yaml

Topics and parameters: docs/topics.md, docs/parameters.md, or `ros2 param describe` of the node."""


def main(args: list[str] | None = None) -> None:
    """Runs the node until SIGINT or SIGTERM, then shuts it down and exits with 0.

    Args:
        args: ROS arguments after the program's name; None takes this process's.
    """
    said = sys.argv[1:] if args is None else args
    if {"-h", "--help"} & set(said):
        print(HELP)
        return
    keep_freed_memory()
    # Own handlers: the lifecycle's last transition needs a context that still works.
    stopping = False
    node: SegmentNode | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        if node is None or node.configuring:
            # Nothing runs yet that wants an orderly end, and imports or a model may take seconds.
            leave()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)

    try:
        check_ros()
        # Imports take a second, and a signal in that time deserves an answer too.
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        from evlayerseg_ros.node.segment_node import SegmentNode
        from evlayerseg_ros.node.standalone_node import prepare_dds

        prepare_dds()
        with quiet_if_it_fails():
            rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
            check_arguments(said)
            node = SegmentNode()
    except Exception as error:  # rclpy raises many kinds
        refuse(why_no_start(error, ["segment", *said]))  # a half-made node may not go down in peace
    refuse_wrong_names(node)
    spin(node, lambda: stopping)
    node.finish()
    node.destroy_node()
    context = rclpy.get_default_context()
    rclpy.shutdown()
    # DDS says farewell when nothing refers to its context any more.
    node = None
    context.destroy()
    gc.collect()
    leave()


def refuse_wrong_names(node: SegmentNode) -> None:
    """Ends this process with status 2 if a parameter was given whose name is misspelt."""
    from evlayerseg_ros.node import overrides, parameters

    errors, cautions = overrides.wrong_names(overrides.given(node), parameters.BY_NAME)
    for caution in cautions:
        node.get_logger().warning(caution)
    if errors:
        refuse(" ".join(errors))


def refuse(sentence: str) -> NoReturn:
    """Says why the node does not start, and ends this process with status 2."""
    with contextlib.suppress(OSError):  # a disk is full
        print(f"segment: {sentence}", file=sys.stderr, flush=True)
    os._exit(2)


def leave() -> NoReturn:
    """Ends this process with status 0, at once.

    To take down Python with the libraries that compile and run networks costs more processor time
    than the whole shut-down before it, and nobody waits for what it does.
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def spin(node: SegmentNode, stopping: Callable[[], bool]) -> None:
    """Runs the node's callbacks until it is stopping."""
    executor = make_executor()
    executor.add_node(node)
    while not stopping():
        executor.spin_once(timeout_sec=0.1)
    executor.remove_node(node)
    executor.shutdown()


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
