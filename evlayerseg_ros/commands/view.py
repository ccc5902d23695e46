"""The command that shows everything in Rerun."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from evlayerseg_ros.commands import options
from evlayerseg_ros.commands.files import force_option, refuse_to_replace
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.interrupts import is_interrupt
from evlayerseg_ros.node.start import need_ros

if TYPE_CHECKING:
    from evlayerseg_ros.outputs.scene import Scene
    from evlayerseg_ros.pipeline import PipelineConfig


PORT = click.IntRange(1, 65535)


def _full_name(context: click.Context, option: click.Parameter, value: str) -> str:
    """A node's name as its diagnostics say it: with one / before it."""
    if not value.strip("/"):
        raise click.BadParameter("expected a name such as /event_camera/evlayerseg.")
    return f"/{value.strip('/')}"


@click.command()
@click.argument("recording", type=options.PATH, required=False)
@click.option("--live", is_flag=True, help="Show a running node instead of a recording.")
@click.option(
    "--node",
    default="/event_camera/evlayerseg",
    show_default=True,
    callback=_full_name,
    help="Full name of the running node.",
)
@click.option("--web", is_flag=True, help="Show it in a browser instead of a window.")
@click.option("--web-port", type=PORT, default=9090, show_default=True, help="Port of the page.")
@click.option("--grpc-port", type=PORT, default=9876, show_default=True, help="Port of its data.")
@click.option("--no-browser", is_flag=True, help="With --web: only print the address.")
@click.option("--save", type=options.PATH, help="Write a file for `rerun FILE`, .rrd, instead.")
@options.topic
@options.start
@options.duration
@force_option
@options.all_of_pipeline
def view(
    recording: Path | None,
    live: bool,
    node: str,
    web: bool,
    web_port: int,
    grpc_port: int,
    no_browser: bool,
    save: Path | None,
    topic: str | None,
    start: float,
    duration: float | None,
    force: bool,
    config: PipelineConfig,
) -> None:
    """Show events, masks, motions and tracks over time in Rerun: of RECORDING or a running node.

    RECORDING is anything that `replay` reads, which is segmented as the node does, or a bag that
    `replay -o` or `ros2 bag record` wrote of the node's outputs.
    """
    if live == (recording is not None):
        raise click.UsageError("Give a RECORDING or --live.")
    if live:
        _refuse_options_of_recordings()
    refuse_to_replace(force, save, inputs=[recording] if recording else [])
    from evlayerseg_ros.outputs.scene import Scene

    scene = Scene("live" if recording is None else recording.name, live)
    open_ = partial(_open, scene, web, web_port, grpc_port, not no_browser, save)
    try:
        if recording is None:
            windows = _live(scene, node, duration, open_)
        else:
            windows = _offline(scene, recording, topic, start, duration, config, open_)
    except (KeyboardInterrupt, SystemError) as error:
        if not (is_interrupt(error) and save and scene.begun):
            raise
        _or_end(scene.close)
        click.echo(f"\nevlayerseg: interrupted; {save} holds what came until then.", err=True)
        click.get_current_context().exit(130)
    click.echo(f"{windows} windows shown")
    if web and recording is not None:
        click.echo("Ctrl-C ends the page.")
        _rest()
    _or_end(scene.close)
    if save:
        click.echo(f"wrote {save}")


def _refuse_options_of_recordings() -> None:
    """A running node has its own parameters, and takes none of ours."""
    context = click.get_current_context()
    for option in context.command.params:
        said = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if said and option.name in ("topic", "start", *options.PIPELINE_OPTIONS):
            raise click.UsageError(f"{option.opts[0]} is for a RECORDING, not for --live.")


def _or_end(write: Callable[[], None]) -> None:
    """Ends the process at once where a scene cannot be written: Rerun would wait for it."""
    from evlayerseg_ros.outputs.scene import SceneStuckError

    try:
        write()
    except SceneStuckError as error:
        click.echo(f"evlayerseg: {error}", err=True)
        sys.stdout.flush()
        os._exit(2)


def _open(
    scene: Scene, web: bool, web_port: int, grpc_port: int, browser: bool, save: Path | None
) -> None:
    """Where the scene is to be seen."""
    if save:
        if not save.resolve().parent.is_dir():
            raise InputError(f"Cannot write {save}: {save.parent} is no folder.")
        _or_end(partial(scene.save, save))
    elif web:
        click.echo(f"open {scene.serve(browser, web_port, grpc_port)}")
    elif not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InputError("There is no display here: use --web, or --save FILE.rrd.")
    else:
        scene.show()


def _offline(
    scene: Scene,
    recording: Path,
    topic: str | None,
    start: float,
    duration: float | None,
    config: PipelineConfig,
    open_: Callable[[], None],
) -> int:
    from tqdm import tqdm

    from evlayerseg_ros.outputs.scene import SHOWN
    from evlayerseg_ros.pipeline import Pipeline
    from evlayerseg_ros.recordings.imu import turn_of
    from evlayerseg_ros.recordings.kinds import recording_at
    from evlayerseg_ros.recordings.published import are_outputs, outputs_in
    from evlayerseg_ros.recordings.readers import Recording, open_recording
    from evlayerseg_ros.replay.replay import part_of
    from evlayerseg_ros.replay.view import view_recording

    found: Recording | InputError
    try:
        found = open_recording(recording, topic, config.size)
    except InputError as error:
        found = error
    if are_outputs(found.topics):
        if isinstance(found, Recording):
            found.close()
        open_()
        shown = outputs_in(recording_at(recording), SHOWN)
        windows = 0
        for stamp, outputs in tqdm(shown, recording.name, unit="window", disable=None):
            scene.log(stamp, outputs)
            windows += 1
        return windows
    if isinstance(found, InputError):
        raise found
    with found as opened:
        opened.tell()
        pipeline = Pipeline(config, turn_of=turn_of(opened, config))
        open_()
        total = opened.total if not start and duration is None else None
        with tqdm(opened, recording.name, total, unit="packet", disable=None) as bar:
            return view_recording(part_of(bar, start, duration), pipeline, scene)


def _live(scene: Scene, node: str, duration: float | None, open_: Callable[[], None]) -> int:
    need_ros()
    from evlayerseg_ros.node.live_view import LiveView

    open_()
    click.echo(f"showing {node}; Ctrl-C ends it")
    with LiveView(node, scene) as hearer:
        with suppress(KeyboardInterrupt):  # that is how it ends
            hearer.run(duration, partial(click.echo, err=True))
        return hearer.windows


def _rest() -> None:
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(1.0)
