"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evlayerseg_ros.segmentation.config import (
    CAMERA_MOTIONS,
    PROVIDER_CHOICES,
    TEXTS,
    SegmenterConfig,
)
from evlayerseg_ros.surroundings import keep_freed_memory

if TYPE_CHECKING:
    from evlayerseg_ros.pipeline import PipelineConfig

Command = Callable[..., Any]

PATH = click.Path(path_type=Path)


class Size(click.ParamType):
    """WIDTHxHEIGHT in px."""

    name = "WIDTHxHEIGHT"

    def __init__(self, least: int = 1, most: int = 4096) -> None:
        self.least, self.most = least, most

    def convert(self, value: Any, param: Any, context: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        sides = value.lower().split("x")
        if len(sides) == 2 and all(side.isdecimal() for side in sides):
            width, height = map(int, sides)
            if self.least <= min(width, height) and max(width, height) <= self.most:
                return width, height
        self.fail("expected WIDTHxHEIGHT in px, such as 640x480.", param, context)


class Number(click.FloatRange):
    """A number within bounds, which nan and inf are not."""

    def __init__(self, min: float = 0, max: float = 1e9, min_open: bool = False) -> None:
        super().__init__(min, max, min_open)

    def convert(self, value: Any, param: Any, context: Any) -> float:
        number = float(super().convert(value, param, context))
        if number != number:
            self.fail(f"{value} is no number.", param, context)
        return number


class Listed(click.ParamType):
    """Values of one type, separated by commas: a tuple."""

    name = "list"

    def __init__(self, each: click.ParamType, count: int = 0) -> None:
        self.each, self.count = each, count

    def convert(self, value: Any, param: Any, context: Any) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        words = value.split(",")
        if self.count and len(words) != self.count:
            self.fail(f"expected {self.count} values separated by commas.", param, context)
        return tuple(self.each.convert(word.strip(), param, context) for word in words)


size = click.option(
    "--size",
    type=Size(),
    help="Of the sensor, px, whatever the recording says; else what it says or implies.",
)
topic = click.option("--topic", help="Topic of the events, where a recording holds several.")
start = click.option("--start", type=Number(), default=0.0, help="Seconds to leave out first.")
duration = click.option("--duration", type=Number(min_open=True), help="Seconds to take; else all.")
_SEGMENTER = SegmenterConfig()


def _help(text: str, default: object) -> str:
    return f"{text}  [default: {default}]"


def _setting(name: str, flags: str, **options: Any) -> Callable[[Command], Command]:
    """The option for a field of SegmenterConfig."""
    default = getattr(_SEGMENTER, name)
    if isinstance(default, bool):
        default = name if default else f"no-{name}"
    return click.option(flags, default=None, help=_help(TEXTS[name], default), **options)


# What is not said stays None: the defaults are those of PipelineConfig, which are the node's. A
# test compares those of windows, whose room needs numpy, which --help does not wait for.
MODEL = (
    _setting("model", "--model"),
    _setting("provider", "--provider", type=click.Choice(PROVIDER_CHOICES)),
    _setting("threads", "--threads", type=click.IntRange(0, 256)),
    _setting("refine", "--refine/--no-refine"),
)
ANSWER = (
    _setting("track", "--track/--no-track"),
    click.option(
        "--camera-motion",
        type=click.Choice(CAMERA_MOTIONS),
        help=_help(
            "How the camera's own motion is known: fitted to the events, it rests, or its turn "
            "comes from a gyro.",
            _SEGMENTER.camera_motion,
        ),
    ),
    click.option(
        "--imu",
        metavar="FILE|TOPIC",
        help="With --camera-motion imu: a text file with a gyro's samples, lines `t x y z` in s "
        "and rad/s, or an Imu topic of the bag; else the bag's own.",
    ),
    click.option(
        "--camera-matrix",
        type=Listed(Number(-1e9), 4),
        metavar="FX,FY,CX,CY",
        help="With --camera-motion imu: px; else from the bag's CameraInfo.",
    ),
)
STRIDE = click.option(
    "--stride-ms",
    type=Number(),
    help=_help("Time from window to window; 0: each begins where the last one ended.", 0),
)
WINDOW = (
    click.option(
        "--window-events", type=click.IntRange(min=1), help="Windows of a number of events."
    ),
    click.option(
        "--window-ms",
        type=Number(min_open=True),
        help=_help("Windows of a time.", 33),
    ),
    STRIDE,
    click.option(
        "--max-age-ms",
        type=Number(min_open=True),
        help=_help(
            "A window of a number of events closes after this time at the latest; a scene without "
            "events for so long is quiet.",
            100,
        ),
    ),
    size,
)


def with_config(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Give a command these options of MODEL, ANSWER and WINDOW, as one argument `config`.

    Without any said, `config` is PipelineConfig(), in every command.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def call(*args: Any, **said: Any) -> Any:
            keep_freed_memory()  # as the node does
            mine = {name: said.pop(name) for name in PIPELINE_OPTIONS if name in said}
            return command(*args, config=pipeline_config(**mine), **said)

        decorated: Command = call
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


all_of_pipeline = with_config(*MODEL, *ANSWER, *WINDOW)

PIPELINE_OPTIONS = (
    "model", "provider", "threads", "refine", "track", "camera_motion",
    "imu", "camera_matrix", "window_events", "window_ms", "stride_ms", "max_age_ms", "size",
)  # fmt: skip


def pipeline_config(
    window_events: int | None = None,
    window_ms: float | None = None,
    stride_ms: float | None = None,
    max_age_ms: float | None = None,
    size: tuple[int, int] | None = None,
    imu: str | None = None,
    camera_matrix: tuple[float, float, float, float] | None = None,
    **segmenter: Any,
) -> PipelineConfig:
    """The pipeline that options ask for; what is None stays as in the node.

    Args:
        window_events, window_ms, stride_ms, max_age_ms: see WindowConfig.
        size: of the sensor, px.
        imu, camera_matrix: see PipelineConfig.
        segmenter: fields of SegmenterConfig.

    Raises:
        click.UsageError: a window of a number of events and of a time at once, or a gyro that is
            not asked for.
        InputError: a window that makes no sense.
    """
    from evlayerseg_ros.events.window import WindowConfig
    from evlayerseg_ros.pipeline import PipelineConfig

    if window_events and window_ms:
        raise click.UsageError("Give --window-events or --window-ms, not both.")
    if (imu or camera_matrix) and segmenter.get("camera_motion") != "imu":
        raise click.UsageError("--imu and --camera-matrix are for --camera-motion imu.")
    window = {
        "mode": "count" if window_events else None,
        "events": window_events,
        "duration_ms": window_ms,
        "stride_ms": stride_ms,
        "max_age_ms": max_age_ms,
    }
    width, height = size or (0, 0)
    return replace(
        PipelineConfig(),
        window=replace(WindowConfig(), **_said(window)).validate(),
        segmenter=replace(_SEGMENTER, **_said(segmenter)),
        width=width,
        height=height,
        imu=imu or "",
        camera_matrix=camera_matrix,
    )


def _said(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
