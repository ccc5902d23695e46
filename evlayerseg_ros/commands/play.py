"""The command that publishes a recording."""

from __future__ import annotations

from pathlib import Path

import click

from evlayerseg_ros.commands import options
from evlayerseg_ros.node.start import need_ros


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
    """Publish RECORDING as EventPackets at its own pace, for machines without `ros2 bag`.

    Stamps that go forth by more than 60 s, or back by more than 5 s, are told and not waited for.
    """
    try:
        from evlayerseg_ros.replay.play import play as run

        need_ros()
        played = run(recording, rate, to, loop, topic, wait, size, subscribers)
    except KeyboardInterrupt:  # nobody has listened yet, and it may end, as a loop does
        return
    click.echo(f"{recording}: {played}")
