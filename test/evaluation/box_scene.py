"""A hand-made sequence whose overlap is known from arithmetic: a box that moves to the right."""

from functools import partial

import numpy as np

from evlayerseg_ros.evaluation.evaluate import evaluate_sequence
from evlayerseg_ros.evaluation.scores import SequenceScores
from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.events.types import Events, Packet, Window
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.pipeline import PipelineConfig
from evlayerseg_ros.segmentation.segmentation import Segmentation

WIDTH, HEIGHT, SIDE = 40, 30, 10
SPEED = 100.0  # px/s, of the box to the right
MASK_TIMES = np.array([0, 20, 40, 60, 80], np.int64) * 1_000_000


def box(t: float, shift: int = 0) -> np.ndarray:
    """Where the box is at t ns: bool [H, W]."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    left = 5 + round(SPEED * t * 1e-9) + shift
    mask[10 : 10 + SIDE, left : left + SIDE] = True
    return mask


def every_pixel() -> Events:
    """Every pixel fires at 0, 10, .. 90 ms, when the box has moved by whole pixels."""
    y, x = np.divmod(np.tile(np.arange(WIDTH * HEIGHT), 10), WIDTH)
    t = np.repeat(np.arange(10) * 10_000_000, WIDTH * HEIGHT)
    return Events.from_arrays(x, y, t, np.arange(len(x)) % 2, WIDTH, HEIGHT)


def truth_of(events: Events) -> Truth:
    """The box in masks, labels of events and motion."""
    labels = np.array([box(t)[y, x] for x, y, t in zip(events.x, events.y, events.t, strict=True)])
    affine = np.zeros((2, 2, 2, 3))
    affine[:, 1, 0, 2] = SPEED
    return Truth(
        MASK_TIMES,
        lambda i: box(MASK_TIMES[i]),
        labels.astype(np.uint8),
        np.array([0, 100_000_000]),
        affine,
    )


def box_found(window: Window, shift: int = 0, too_fast: float = 0.0) -> Segmentation:
    """A segmentation that finds the box, but `shift` columns off and `too_fast` px/s off."""
    affine = np.zeros((2, 2, 3))
    affine[1, 0, 2] = SPEED + too_fast
    return Segmentation(window, box(window.end, shift).astype(np.uint8), affine)


def cut(events: Events, size: int = 1777) -> list[Packet]:
    """Packets of so many events; by default none has all of one time, which would be told."""
    return [Packet.of_events(events[i : i + size]) for i in range(0, len(events), size)]


def of_events(count: int) -> PipelineConfig:
    """Windows of so many events, back to back."""
    return PipelineConfig(WindowConfig(mode="count", events=count))


def scores(
    events: Events, truth: Truth, shift: int = 3, count: int = 2400, **wrong
) -> SequenceScores:
    find = partial(box_found, shift=shift, **wrong)
    return evaluate_sequence("box", cut(events), truth, of_events(count), find)
