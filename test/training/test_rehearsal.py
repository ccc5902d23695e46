"""Runs of windows through the network itself, as training draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is an extra")

from evlayerseg_ros.segmentation.model_file import find_model
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.simulation.presets import PRESETS
from evlayerseg_ros.simulation.simulator import simulate
from evlayerseg_ros.training.priors import told_in_run
from evlayerseg_ros.training.rehearsal import Rehearsal
from evlayerseg_ros.training.samples import to_tensors

pytestmark = pytest.mark.slow


def test_a_run_tells_what_the_network_told_itself(tmp_path: Path) -> None:
    _, scene = next(PRESETS["demo"](seed=0))
    events, _ = simulate(scene, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    weights = tmp_path / "newest.onnx"
    rehearsal = Rehearsal(weights)
    spec = Segmenter.load("layernet", "cpu").info.voxel
    assert rehearsal(scene, events, rng, spec, 8) == []  # no weights yet
    weights.write_bytes(find_model("layernet").read_bytes())
    samples = rehearsal(scene, events, rng, spec, 8)
    assert len(samples) == 8
    ends = [sample.window.end for sample in samples]
    assert ends == sorted(set(ends))
    masks = [s.prior.mask for s in samples if s.prior and s.prior.mask is not None]
    assert any(mask.any() for mask in masks)  # its own answer of the window before
    for sample in samples:
        told = told_in_run(sample, spec)
        background = told.of_layer[0] - sample.displacement[0]
        assert np.abs(background @ (320, 240, 1)).max() < 8  # px: it knows the camera's motion
        data = to_tensors(sample, spec, None, told)
        assert data["voxel"].shape == spec.shape(640, 480)
        assert data["moving"].any()
