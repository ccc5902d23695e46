"""What to measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from evlayerseg_ros.pipeline import PipelineConfig


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        config: of the pipeline, the node's by default. Provider "auto" measures each there is;
            `refine` is for the node, the network alone is measured both ways.
        paper: ONNX file of another network to compare with, or None.
        recordings: whose packets to decode; synthetic ones if there are none.
        rates: million events per second.
        sizes: of sensors, px.
        seconds: for each figure.
    """

    config: PipelineConfig = field(default_factory=PipelineConfig)
    paper: Path | None = None
    recordings: tuple[Path, ...] = ()
    rates: tuple[float, ...] = (1.0, 5.0, 20.0, 50.0)
    sizes: tuple[tuple[int, int], ...] = ((346, 260), (640, 480), (1280, 720))
    seconds: float = 2.0


def size_name(size: tuple[int, int]) -> str:
    """WIDTHxHEIGHT."""
    return f"{size[0]}x{size[1]}"
