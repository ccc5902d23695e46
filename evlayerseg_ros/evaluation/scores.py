"""The scores of a window and of a sequence, and what each measure means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from evlayerseg_ros.evaluation.by_events import Objects, of_ids
from evlayerseg_ros.events.types import Window

MEASURES = {
    "iou": "intersection over union of what moves, of the pixels that saw an event, at the ground "
    "truth's time",
    "dr": "detection rate, the share of windows with IoU of 0.5 or more and no more wrong than "
    "right pixels",
    "precision": "share of the pixels called moving that move",
    "recall": "share of the moving pixels that are found",
    "object_pixel_iou": "mean over the objects where there are several",
    "event_iou": "intersection over union of what moves, of events",
    "event_dr": "share of windows with an event IoU of 0.5 or more",
    "event_accuracy": "share of the events on the right side",
    "object_iou": "of events, mean over the objects, each with its best label",
    "false_alarms": "share of the pixels that saw an event which are called moving, where nothing "
    "moves",
    "event_false_alarms": "the same of events",
    "flow_error": "px/s, mean over events",
    "flow_error_background": "px over the window, of the background's motion",
    "flow_error_object": "px over the window, of what moves",
    "fwl": "sharpness of the image along the motions found, divided by that without: above 1 is "
    "sharper",
    "rsat": "timestamp loss along the motions found, divided by that without: below 1 is sharper",
}
"""The measures of every sequence, and what each means; NaN where the ground truth does not tell."""

FACTS = ("object_share", "object_shift")
"""About the scene, not the method: which share of the pixels that saw an event moves, and how far
what moves goes against the background, px over the window."""

MEANINGS = MEASURES | {
    "id_switches": "how often an object gets another label",
    "id_kept": "share of its windows in which an object has its most frequent label",
    "stream_iou": "of the newest mask that was out at the ground truth's time, as it was",
    "stream_dr": "detection rate of the same",
    "carried_iou": "of that mask carried along its motions to the ground truth's time",
    "carried_dr": "detection rate of the same",
    "same_iou": "of each window's own mask at the times where one was out",
    "same_dr": "detection rate of the same",
    "paper_iou": "by the metric of EV-LayerSegNet's authors",
    "paper_dr": "the same for the detection rate",
}
"""MEASURES, those of a whole sequence, and those that some protocols add."""

NO_MASKS = " has no masks (--masks): only its sharpness is measured."
"""The warning about a recording without ground truth, behind its name."""

_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Score:
    """The score of one window, and what it takes to draw it.

    Attributes:
        t: ns, sensor time of its last mask, or of its end if it has none.
        measures: by name, FACTS among them; means over the masks that fall into it.
        window: what was segmented.
        predicted: uint8 [H, W], labels found, warped to t.
        truth: uint8 [H, W], the mask's labels; None where there is no mask.
        seconds: from events to segmentation.
        standing: how good it is, to find the best and the worst: its IoU; the share without false
            alarms where nothing moves; its sharpness without truth; else NaN.
        objects: the true objects judged in it, with the labels found for them.
    """

    t: int
    measures: dict[str, float]
    window: Window
    predicted: np.ndarray
    truth: np.ndarray | None
    seconds: float = 0.0
    standing: float = _NAN
    objects: Objects = field(default_factory=dict)


@dataclass(eq=False)
class SequenceScores:
    """The measures of one sequence, [windows] each, and its best and worst windows.

    Attributes:
        name: of the sequence.
        model: name of what was scored.
        provider: what ran it.
        skipped: masks without a window.
        fault: why it could not be read or segmented, "" if it could.
        stream: counts of its packets and their faults, by the names of StreamStats.
        stream_faults: the faults in words, "" if there were none.
        warning: a sentence on what could not be scored, "" if all could.
        times: of the masks, ns.
        seconds: that each window took from events to segmentation.
        measures: by name, NaN where unknown.
        standings: Score.standing of each window.
        objects: Score.objects of each window.
        best, worst: the windows of the highest and the lowest standing; None if none is known.
    """

    name: str
    model: str = ""
    provider: str = ""
    skipped: int = 0
    fault: str = ""
    stream: dict[str, int] = field(default_factory=dict)
    stream_faults: str = ""
    warning: str = ""
    times: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    measures: dict[str, list[float]] = field(default_factory=dict)
    standings: list[float] = field(default_factory=list)
    objects: list[Objects] = field(default_factory=list)
    best: Score | None = None
    worst: Score | None = None

    def add(self, score: Score) -> None:
        """Counts a window."""
        for name in dict.fromkeys((*MEASURES, *FACTS, *self.measures, *score.measures)):
            values = self.measures.setdefault(name, [_NAN] * len(self.times))
            values.append(score.measures.get(name, _NAN))
        self.times.append(score.t)
        self.seconds.append(score.seconds)
        self.standings.append(score.standing)
        self.objects.append(score.objects)
        if np.isnan(score.standing):
            return
        if self.best is None or score.standing > self.best.standing:
            self.best = score
        if self.worst is None or score.standing < self.worst.standing:
            self.worst = score

    def mean(self) -> dict[str, float]:
        """Each measure's mean over the windows where it is known, else NaN; and those of of_ids."""
        names = dict.fromkeys((*MEASURES, *FACTS, *self.measures))
        means = {name: nan_mean(self.measures.get(name, ())) for name in names}
        return means | of_ids(self.objects)


def nan_mean(values: Iterable[float]) -> float:
    """The mean of what is not NaN; NaN if nothing is."""
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else _NAN
