"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from evlayerseg_ros.events.window import WindowConfig
    from evlayerseg_ros.segmentation.segmenter import Segmenter

Command = Callable[..., Any]

PATH = click.Path(path_type=Path)


def model_options(command: Command) -> Command:
    """--model, --provider and --threads: what `load_segmenter` takes."""
    for option in (
        click.option(
            "--threads", type=click.IntRange(min=0), default=0, help="CPU threads; 0 chooses."
        ),
        click.option(
            "--provider",
            type=click.Choice(["auto", "cpu", "openvino", "cuda", "tensorrt"]),
            default="auto",
            show_default=True,
            help="What runs the network.",
        ),
        click.option(
            "--model",
            default="default",
            show_default=True,
            help="A model that comes with the package, by name, or an ONNX file.",
        ),
    ):
        command = option(command)
    return command


def refine_option(default: bool) -> Callable[[Command], Command]:
    """--refine, on or off if not said."""
    return click.option(
        "--refine/--no-refine",
        default=default,
        show_default=True,
        help="Run the network again on events deblurred by its first answer: better, and twice "
        "the time. The node's default is off.",
    )


def track_option(command: Command) -> Command:
    """--track, on if not said."""
    return click.option(
        "--track/--no-track",
        default=True,
        show_default=True,
        help="Begin with the motions found in the window before, as the node does.",
    )(command)


def load_segmenter(model: str, provider: str, threads: int, refine: bool, track: bool) -> Segmenter:
    """The Segmenter that `model_options` ask for."""
    from evlayerseg_ros.segmentation.segmenter import Segmenter

    return Segmenter.load(model, provider=provider, threads=threads, refine=refine, track=track)


def window_options(command: Command) -> Command:
    """--window-events, --window-ms, --stride-ms, --max-age-ms: what `window_config` takes."""
    for option in (
        click.option(
            "--max-age-ms",
            type=click.FloatRange(min=0, min_open=True),
            help="A window of a number of events closes after this time at the latest.",
        ),
        click.option(
            "--stride-ms",
            type=click.FloatRange(min=0),
            help="Time from window to window; 0: each begins where the last one ended.",
        ),
        click.option(
            "--window-ms",
            type=click.FloatRange(min=0, min_open=True),
            help="Windows of a fixed time.",
        ),
        click.option(
            "--window-events", type=click.IntRange(min=1), help="Windows of a number of events."
        ),
    ):
        command = option(command)
    return command


def window_config(
    window_events: int | None,
    window_ms: float | None,
    stride_ms: float | None,
    max_age_ms: float | None,
) -> WindowConfig:
    """The windows that `window_options` ask for; what is not said stays as in the node."""
    from evlayerseg_ros.events.window import WindowConfig

    one_length(window_events, window_ms)
    said: dict[str, Any] = {
        "mode": "count" if window_events else "time" if window_ms else None,
        "events": window_events,
        "duration_ms": window_ms,
        "stride_ms": stride_ms,
        "max_age_ms": max_age_ms,
    }
    config = WindowConfig(**{name: value for name, value in said.items() if value is not None})
    return config.validate()


def one_length(window_events: int | None, window_ms: float | None) -> None:
    """Refuses a window of a number of events and of a time at once."""
    if window_events and window_ms:
        raise click.UsageError("Give --window-events or --window-ms, not both.")
