"""Half an hour of one core for each way of training, from random weights: the paper's and ours.

taskset -c 0 python tools/half_hour.py paper runs/paper --photos PHOTOS --cutouts CUTOUTS

What it writes, OUT/checkpoint.pt, `evlayerseg export` turns into a model for `evlayerseg evaluate`.
The table is in docs/ablations.md.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import torch

from evlayerseg_ros.training.train import Settings, train

COMMON = Settings(lanes=1, per_clip=6, precision="bf16", validate=200, windows=16)
# As many steps as half an hour of an Intel Xeon (Sapphire Rapids) takes, simulation included.
REGIMES = {
    "paper": replace(
        COMMON, regime="paper", batch=8, steps=256, rate=1e-4, clip=100.0, average=0.99
    ),
    "label-free": replace(COMMON, regime="label-free", steps=850),
    "labels": replace(COMMON, steps=1900),
}


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("regime", choices=REGIMES)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, action="append", default=[])
    parser.add_argument("--cutouts", type=Path, action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    train(given.out, REGIMES[given.regime], given.photos, given.cutouts)


if __name__ == "__main__":
    main()
