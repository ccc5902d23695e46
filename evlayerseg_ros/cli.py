"""The command line: `evlayerseg NAME`, and one console script a command for `ros2 run`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from evlayerseg_ros import __version__, interrupts
from evlayerseg_ros.surroundings import lose_stdout, sentence_of

try:
    with interrupts.none_in_imports():
        import click

        from evlayerseg_ros.commands.bench import bench
        from evlayerseg_ros.commands.demo import demo
        from evlayerseg_ros.commands.evaluate import evaluate
        from evlayerseg_ros.commands.export import export
        from evlayerseg_ros.commands.play import play
        from evlayerseg_ros.commands.replay import replay
        from evlayerseg_ros.commands.segment import segment
        from evlayerseg_ros.commands.simulate import simulate
        from evlayerseg_ros.commands.train import train
        from evlayerseg_ros.commands.view import view
except KeyboardInterrupt:
    interrupts.end()
except Exception as error:  # a module is missing, or damaged
    if (said := sentence_of(error)) is None:
        raise
    print(f"evlayerseg: {said}", file=sys.stderr)
    sys.exit(2)


@contextmanager
def _told() -> Iterator[None]:
    """Tells bad input in one line and exits with status 2; Ctrl-C with 130."""
    try:
        with interrupts.none_in_imports():
            yield
            sys.stdout.flush()
            return
    except (Exception, KeyboardInterrupt) as error:
        if interrupts.is_interrupt(error):
            interrupts.end()
        if (sentence := sentence_of(error)) is None:
            raise
    lose_stdout()
    click.echo(f"evlayerseg: {sentence}", err=True)
    raise click.exceptions.Exit(2)


class _Group(click.Group):
    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _told():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _told():
            return super().invoke(ctx)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evlayerseg", message="%(prog)s %(version)s")
def main() -> None:
    """Motion segmentation of event cameras: which pixels move on their own, and how."""


for _command in (segment, demo, view, play, replay, evaluate, simulate, train, export, bench):
    main.add_command(_command)


def run_command(name: str) -> None:
    """Runs one command with this process's arguments, as `ros2 run evlayerseg_ros NAME` does."""
    main(args=[name, *sys.argv[1:]], prog_name="evlayerseg")


# Console scripts, one a command.
demo_main = partial(run_command, "demo")
view_main = partial(run_command, "view")
play_main = partial(run_command, "play")
replay_main = partial(run_command, "replay")
evaluate_main = partial(run_command, "evaluate")
simulate_main = partial(run_command, "simulate")
train_main = partial(run_command, "train")
export_main = partial(run_command, "export")
bench_main = partial(run_command, "bench")


if __name__ == "__main__":
    main()
