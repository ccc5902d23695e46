"""tools/ablate.py RECORDING.npz..: what each step after the network brings, where truth is known.

Every line adds a step, with the same weights and windows. The last is told what no robot knows:
what more could be had from better motions alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from evlayerseg_ros.evaluation.evaluate import evaluate_sequence
from evlayerseg_ros.evaluation.truth import load_truth
from evlayerseg_ros.evaluation.windows import Length, events_of
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.segmentation import segmenter as rooms
from evlayerseg_ros.segmentation.merge import merge
from evlayerseg_ros.segmentation.outline import snap
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter

COLUMNS = ("iou", "dr", "event_iou", "flow_error_background", "flow_error_object")


def steps(segmenter: Segmenter, truth: Callable[[Window], np.ndarray]) -> dict[str, Callable]:
    """What is compared: a function from a window to its segmentation, by name."""
    sharpen, look = rooms.sharpen, segmenter._look

    def network(window: Window) -> Segmentation:
        rooms.sharpen = lambda found: found.affine
        try:
            return look(window, None)
        finally:
            rooms.sharpen = sharpen

    def whole(track: bool, refine: bool) -> Callable[[Window], Segmentation]:
        def step(window: Window) -> Segmentation:
            segmenter.track, segmenter.refine = track, refine
            return segmenter(window)

        return step

    return {
        "network": network,
        "+ motions sharpened": lambda window: look(window, None),
        "+ merged, outline (`--no-track --no-refine`)": whole(False, False),
        "+ second look (`--no-track --refine`)": whole(False, True),
        "tracked (`--track --no-refine`)": whole(True, False),
        "tracked, second look (`--track --refine`)": whole(True, True),
        "told the true motions, outline": lambda window: snap(merge(look(window, truth(window)))),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--window-events", type=int, default=50_000)
    options = parser.parse_args()
    segmenter = Segmenter.load(options.model)
    means: dict[str, list[list[float]]] = {}
    for path in tqdm(options.recordings, unit="sequence", disable=None):
        truth = load_truth(None, path)
        if truth is None or truth.affine is None:
            parser.error(
                f"{path} has no masks and motions inside, as `evlayerseg simulate` writes."
            )

        def true(window: Window, truth=truth) -> np.ndarray:
            return truth.affine_at(np.array([window.end]))[0][: segmenter.info.layers]

        for name, step in steps(segmenter, true).items():
            segmenter.forget()
            with open_recording(path) as opened:
                length = Length(options.window_events)
                scores = evaluate_sequence(path.stem, events_of(opened), truth, step, length)
            mean = scores.mean()
            means.setdefault(name, []).append([mean[column] for column in COLUMNS])
    print("| |", " | ".join(COLUMNS), "|")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name, rows in means.items():
        values = np.array(rows)
        shown = [*np.nanmean(values[:, :3], 0), *np.nanmedian(values[:, 3:], 0)]
        print(f"| {name} |", " | ".join(f"{value:.3f}" for value in shown), "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
