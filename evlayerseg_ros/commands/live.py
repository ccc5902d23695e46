"""The commands that need ROS: the node, and playing a recording to it."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument("ros_args", nargs=-1, type=click.UNPROCESSED, metavar="[--ros-args ...]")
def segment(ros_args: tuple[str, ...]) -> None:
    """Run the node; it takes ROS arguments.

    It waits to be configured and activated, which `ros2 launch evlayerseg_ros segment.launch.py`
    does by itself.
    """
    from evlayerseg_ros.node.segment import main

    main(["segment", *ros_args])
