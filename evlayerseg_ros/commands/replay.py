"""The command that segments a recording offline."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evlayerseg_ros.commands import options
from evlayerseg_ros.commands.files import force_option, refuse_to_replace
from evlayerseg_ros.surroundings import told_if_slow

if TYPE_CHECKING:
    from evlayerseg_ros.events.window import WindowConfig
    from evlayerseg_ros.pipeline import PipelineConfig


@click.command()
@click.argument("recording", type=options.PATH)
@click.option(
    "-o",
    "--output",
    type=options.PATH,
    help="Bag to write: OUT.mcap (one file) or a new folder.",
)
@click.option("--video", type=options.PATH, help="Video to write, .mp4.")
@click.option(
    "--outputs",
    default="mask,layers,mask_overlay",
    show_default=True,
    help="What the bag holds, topics of the node separated by commas; 'all' for all.",
)
@options.topic
@options.start
@options.duration
@force_option
@options.all_of_pipeline
def replay(
    recording: Path,
    output: Path | None,
    video: Path | None,
    outputs: str,
    topic: str | None,
    start: float,
    duration: float | None,
    force: bool,
    config: PipelineConfig,
) -> None:
    """Segment RECORDING offline as the node does: deterministic, as fast as it goes.

    RECORDING is a rosbag2 or ROS 1 bag, Prophesee RAW or DAT, AEDAT4, ES, HDF5, npz or text.
    Without -o and --video it only measures.
    """
    from tqdm import tqdm

    from evlayerseg_ros.outputs.outputs import OUTPUTS
    from evlayerseg_ros.pipeline import Pipeline
    from evlayerseg_ros.recordings.imu import turn_of
    from evlayerseg_ros.recordings.readers import open_recording
    from evlayerseg_ros.replay.replay import part_of
    from evlayerseg_ros.replay.replay import replay as run
    from evlayerseg_ros.segmentation.segmenter import Segmenter

    refuse_to_replace(force, output, video, inputs=[recording])
    said = OUTPUTS if outputs == "all" else map(str.strip, outputs.split(","))
    names = list(dict.fromkeys(said))
    with open_recording(recording, topic, config.size) as opened:
        opened.tell()
        turn = turn_of(opened, config)
        segmenter = Segmenter.from_config(config.segmenter)
        whole = not start and duration is None
        total = opened.total if whole else None
        # disable=None: no bar where stderr is no terminal.
        with (
            tqdm(opened, recording.name, total, unit="packet", disable=None) as bar,
            ExitStack() as first_window,
        ):
            first_window.enter_context(told_if_slow(partial(tqdm.write, file=sys.stderr)))

            def progress(events: int, seconds: float) -> None:
                first_window.close()
                bar.set_postfix_str(f"{events * 1e-6 / seconds:.2f} Mev/s", refresh=False)

            summary = run(
                part_of(bar, start, duration),
                Pipeline(config, segmenter, turn_of=turn),
                bag=output,
                video=video,
                topics=names,
                fps=_frames_a_second(config.window),
                progress=progress,
            )
    click.echo(f"{recording}: {summary}; model {segmenter.info.name} on {segmenter.provider}")
    for path in (output, video):
        if path is not None and summary.windows:
            click.echo(f"wrote {path}")
    if summary.interrupted:
        click.echo("evlayerseg: interrupted; what was written is whole.", err=True)
        click.get_current_context().exit(130)


def _frames_a_second(config: WindowConfig) -> float:
    """Of a video at the recording's own pace, at most 60; 30 where windows vary in time."""
    if config.mode == "count":
        return 30.0
    return min(60.0, 1e3 / (config.stride_ms or config.duration_ms))
