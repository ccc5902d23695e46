"""tools/ablate.py RECORDING.npz..: what each stage after the network brings, where truth is known.

Every line leaves one stage out, or adds one, with the same weights and the node's windows.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from evlayerseg_ros.evaluation.run import Job, run
from evlayerseg_ros.pipeline import PipelineConfig
from evlayerseg_ros.segmentation.config import PostprocessConfig, SegmenterConfig

COLUMNS = ("iou", "dr", "event_iou", "false_alarms", "flow_error_background", "flow_error_object")


def variants(model: str) -> dict[str, SegmenterConfig]:
    """What is compared, by name."""
    whole = SegmenterConfig(model=model)
    found = {"the node's default": whole, "with a second look": replace(whole, refine=True)}
    found["each window alone"] = replace(whole, track=False)
    for stage in fields(PostprocessConfig):
        if isinstance(stage.default, bool):
            rest = replace(whole.postprocess, **{stage.name: not stage.default})
            found[f"without {stage.name}" if stage.default else f"with {stage.name}"] = replace(
                whole, postprocess=rest
            )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    print("| |", " | ".join(COLUMNS), "|")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name, segmenter in tqdm(variants(options.model).items(), disable=None):
        config = PipelineConfig(segmenter=segmenter)
        jobs = [Job(path.stem, path, config=config) for path in options.recordings]
        scored = run(jobs, options.jobs)
        if faults := [s.fault for s in scored if s.fault]:
            parser.error(faults[0])
        means = [s.mean() for s in scored]
        values = np.array([[mean[column] for column in COLUMNS] for mean in means])
        shown = [*np.nanmean(values[:, :4], 0), *np.nanmedian(values[:, 4:], 0)]
        print(f"| {name} |", " | ".join(f"{value:.3f}" for value in shown), "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
