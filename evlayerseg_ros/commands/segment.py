"""The command that runs the node."""

from __future__ import annotations

import click

from evlayerseg_ros.node.start import need_ros


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument("ros_args", nargs=-1, type=click.UNPROCESSED, metavar="[--ros-args ...]")
def segment(ros_args: tuple[str, ...]) -> None:
    """Run the node; it takes ROS arguments.

    It goes to active by itself unless parameter autostart is false; see `segment --ros-args -h`,
    docs/topics.md and docs/parameters.md.
    """
    need_ros()
    from evlayerseg_ros.node.segment import main

    main(list(ros_args))
