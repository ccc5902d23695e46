"""The commands that need ROS: the node, and playing a recording to it."""

from __future__ import annotations

from pathlib import Path

import click

from evlayerseg_ros.commands import options
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.node.start import check_ros


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

    main(["segment", *ros_args])


@click.command()
@click.argument("recording", type=options.PATH)
@click.option(
    "--rate",
    type=options.Number(min_open=True),
    default=1.0,
    show_default=True,
    help="How many times as fast as it was recorded.",
)
@click.option("--loop", is_flag=True, help="Begin again at the end, until interrupted.")
@click.option("--to", metavar="TOPIC", help="Where to publish; else to whoever listens.")
@options.topic
@click.option(
    "--wait",
    type=options.Number(),
    default=10.0,
    show_default=True,
    help="Seconds to wait for subscribers.",
)
@click.option(
    "--subscribers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many to wait for: the node and a recorder, for instance.",
)
@options.size
def play(
    recording: Path,
    rate: float,
    loop: bool,
    to: str | None,
    topic: str | None,
    wait: float,
    subscribers: int,
    size: tuple[int, int] | None,
) -> None:
    """Publish RECORDING as EventPackets at its own pace, for machines without `ros2 bag`."""
    try:
        from evlayerseg_ros.replay.play import play as run

        need_ros()
        played = run(recording, rate, to, loop, topic, wait, size, subscribers)
    except KeyboardInterrupt:  # nobody has listened yet, and it may end, as a loop does
        return
    click.echo(f"{recording}: {played}")


def need_ros() -> None:
    """Says what is missing where there is no ROS 2, or what it is told makes no sense."""
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
