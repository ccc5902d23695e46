"""The samples that training is fed: their shapes, their flips, what the network is told."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is an extra")

from evlayerseg_ros.motion.evidence import EVIDENCE_EVENTS, SPAN, Evidence
from evlayerseg_ros.network.affine import affine_field, pixel_grid
from evlayerseg_ros.network.layernet import LayerNet
from evlayerseg_ros.segmentation.network_input import Prior
from evlayerseg_ros.simulation.depth_scenes import MOST_LAYERS
from evlayerseg_ros.simulation.planar_scenes import KINDS, random_scene
from evlayerseg_ros.simulation.simulator import simulate
from evlayerseg_ros.simulation.textures import TextureBank
from evlayerseg_ros.training.priors import Told, random_told
from evlayerseg_ros.training.samples import clip_samples, to_tensors

SPEC = LayerNet().voxel


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_scene_makes_samples_of_one_shape(kind: str) -> None:
    rng = np.random.default_rng(5)
    samples = []
    while not samples:
        scene = random_scene(rng, TextureBank(), kind, duration=0.1)
        samples = clip_samples(scene, simulate(scene, rng)[0], rng, SPEC, 1)
    tensors = to_tensors(samples[0], SPEC, rng)
    assert tensors["voxel"].shape == (SPEC.channels, 240, 320)
    for name in ("layers", "moving", "seen"):
        assert tensors[name].shape == (240, 320)
    assert tensors["displacement"].shape == (MOST_LAYERS, 2, 3)
    objects = len(scene.layers) - 1
    assert objects == {"none": 0, "many": objects, "parts": objects, "near": objects}.get(kind, 1)
    if kind in ("static", "parts"):
        assert tensors["displacement"][0].abs().max() < 1e-6


def told_of(sample, *motions, **more) -> Told:
    """What says that each layer moves along one of some motions, px over the window."""
    planes = np.arange(2 * 60 * 80, dtype=np.float32).reshape(2, 60, 80)
    some = np.array(motions) / sample.window.duration
    evidence = Evidence(some, np.ones((30, 40), np.uint8), planes, np.ones(len(motions)), 2)
    of_layer = np.repeat(np.array(motions)[:1], MOST_LAYERS, 0)
    of_layer[1 : len(motions)] = motions[1:]
    return Told(Prior(evidence, **more), of_layer)


def test_flips_move_what_is_told_labels_and_motion_together(sample) -> None:
    mask = np.zeros((240, 320), np.float32)
    mask[20:90, 30:200] = 1
    told = told_of(sample, *sample.displacement[:2] * 0.9, mask=mask)
    plain = to_tensors(sample, SPEC, None, told)
    x, y = pixel_grid(240, 320, 1, plain["displacement"])
    seen = set()
    for seed in range(16):
        flipped = to_tensors(sample, SPEC, np.random.default_rng(seed), told)
        for axes in ((), (1,), (2,), (1, 2)):  # rows, columns of [C, H, W]
            for order in ([0, 1, 2, 3], [1, 0, 3, 2]):  # of ON and OFF in the two grids
                grids = plain["voxel"][:20].reshape(4, 5, 240, 320)[order].flatten(0, 1)
                channels = torch.cat((grids, plain["voxel"][20:]))
                if not torch.equal(flipped["voxel"], channels.flip(axes)):
                    continue
                seen.add(axes)
                for name in ("layers", "moving", "seen"):
                    assert torch.equal(flipped[name], plain[name].flip([a - 1 for a in axes]))
                field = affine_field(plain["displacement"], x, y).flip([a + 1 for a in axes])
                sign = torch.tensor([-1.0 if 2 in axes else 1, -1.0 if 1 in axes else 1])
                want = field * sign[:, None, None]
                got = affine_field(flipped["displacement"], x, y)
                torch.testing.assert_close(got, want, atol=1e-3, rtol=1e-4)
    assert len(seen) == 4


def test_what_the_network_is_told_is_taken_off_what_it_must_find(sample) -> None:
    off = sample.displacement[1] + np.array([[0, 0, 3], [0, 0, -5]])
    left = to_tensors(sample, SPEC, None, told_of(sample, sample.displacement[0], off))
    nothing = torch.zeros(2, 3)
    torch.testing.assert_close(left["displacement"][0], nothing, atol=1e-6, rtol=0)
    want = torch.tensor([[0, 0, -3.0], [0, 0, 5]]) / SPEC.cell(640)
    torch.testing.assert_close(left["displacement"][1], want, atol=1e-5, rtol=0)


def test_true_motion_makes_each_layer_sharp_in_its_own_grid(sample) -> None:
    def sharpness(grid: torch.Tensor) -> float:  # of the image of warped events
        return float((grid.sum(0) ** 2).sum())

    data = to_tensors(sample, SPEC, None, told_of(sample, *sample.displacement[:2]))
    background, thing = data["voxel"][:20].split(10)
    inside = data["layers"] == 1
    assert sharpness(thing * inside) > 1.05 * sharpness(background * inside)
    assert sharpness(background * ~inside) > 1.05 * sharpness(thing * ~inside)


def test_a_sample_remembers_133_ms_and_not_what_follows(sample) -> None:
    past, end = sample.past, sample.window.end
    assert len(past) <= EVIDENCE_EVENTS and past.t[-1] <= end
    assert past.t[0] >= end - SPAN
    assert (np.diff(past.t) >= 0).all()


def test_what_is_told_is_often_right_and_sometimes_nothing(sample) -> None:
    rng = np.random.default_rng(0)
    draws = [random_told(sample, SPEC, rng) for _ in range(60)]
    some = [told for told in draws if told is not None]
    assert 40 < len(some) < 60
    middle = np.array([320.0, 240, 1])
    way = [(told.of_layer[:2] - sample.displacement[:2]) @ middle for told in some]
    off = np.linalg.norm(way, axis=2)
    assert np.median(off[:, 0]) < 2  # px, of the background
    assert (off[:, 1] < 4).mean() > 0.3 and (off[:, 1] > 4).mean() > 0.1
    assert 0.3 < np.mean([told.prior.mask is not None for told in some]) < 0.95
    for told in some:
        ground = told.prior.evidence.motions[0] * sample.window.duration
        np.testing.assert_allclose(told.of_layer[0], ground, atol=1e-6)
    assert random_told(sample, replace(SPEC, layers=0, extras=0), rng) is None
