"""The label-free objective against closed forms, finite differences and the compiled warp."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is an extra")

from evlayerseg_ros.events.warp import carry as compiled_carry
from evlayerseg_ros.training.deblur import Weights, carry, deblur_loss, gain

SIZE = (32, 48)


def moving_points(velocity, places, times=9):
    """events [1, N, 4] of points that move that many cells over the window, ending at `places`."""
    rows = []
    for x, y in places:
        for t in np.linspace(0, 1, times):
            rows.append([x - (1 - t) * velocity[0], y - (1 - t) * velocity[1], t, 1])
    return torch.tensor([sorted(rows, key=lambda r: r[2])], dtype=torch.float64)


def translation(*velocities):
    """affine [1, L, 2, 3]."""
    out = torch.zeros(1, len(velocities), 2, 3, dtype=torch.float64)
    out[0, :, :, 2] = torch.tensor(velocities, dtype=torch.float64)
    return out


def test_true_motion_gains_as_many_times_as_events_meet() -> None:
    events = moving_points((16.0, 0.0), [(30, 10), (30, 20)], times=9)  # 2 cells apart
    x, y = carry(translation((16.0, 0.0)), events)
    # 9 events meet in one pixel: 9^2 instead of 9 x 1^2.
    got = gain(x, y, torch.ones_like(x), events, SIZE, (1,))
    assert float(got) == pytest.approx(math.log(9), abs=1e-9)
    x, y = carry(translation((0.0, 0.0)), events)
    assert float(gain(x, y, torch.ones_like(x), events, SIZE, (1, 2))) == pytest.approx(0, abs=1e-9)


def test_events_are_carried_as_at_run_time() -> None:
    rng = np.random.default_rng(0)
    affine = np.array([[0.02, -0.05, 3], [0.04, 0.03, -2]])  # cells over the window
    events = torch.tensor(rng.uniform((0, 0, 0, 0), (48, 32, 1, 1), (1, 20, 4)))
    x, y = carry(torch.tensor(affine)[None, None], events)
    for i, (ex, ey, t, _) in enumerate(events[0].numpy()):
        want = compiled_carry(*affine.ravel(), ex, ey, 1 - t)
        np.testing.assert_allclose((x[0, 0, i], y[0, 0, i]), want, atol=0.02)


def output(split: int, affine):
    """Masks that say layer 1 from column 2 x `split` on, these motions, and a still motion head."""
    masks = torch.full((1, 2, 16, 24), 6.0, dtype=torch.float64)
    masks[:, 0, :, split:] = masks[:, 1, :, :split] = -6
    return masks, affine, torch.zeros(1, 3, 8, 12, dtype=torch.float64)


def test_right_masks_and_motions_are_the_best() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.uniform((4, 8), (18, 28), (40, 2)), rng.uniform((28, 4), (44, 24), (40, 2))
    events = torch.cat((moving_points((2, -4), left), moving_points((-6, 3), right)), 1)
    events = events[:, events[0, :, 2].argsort(stable=True)]
    known = torch.zeros(1, 2, 2, 3, dtype=torch.float64)

    def loss(split, *motions) -> float:
        return float(deblur_loss(output(split, translation(*motions)), known, events)["total"])

    best = loss(12, (2.0, -4.0), (-6.0, 3.0))
    assert best < loss(12, (-6.0, 3.0), (2.0, -4.0)) - 0.3  # layers exchanged
    assert best < loss(12, (0.0, 0.0), (-6.0, 3.0)) - 0.1
    assert best < loss(24, (2.0, -4.0), (-6.0, 3.0)) - 0.1  # one layer takes all
    assert best < loss(6, (2.0, -4.0), (-6.0, 3.0)) - 0.1


def test_what_is_known_counts_like_what_is_found() -> None:
    events = moving_points((5, 1), [(20, 10), (30, 20), (12, 25)])
    motion, nothing = translation((5.0, 1.0), (0.0, 0.0)), translation((0.0, 0.0), (0.0, 0.0))
    found = deblur_loss(output(24, motion), nothing, events)
    told = deblur_loss(output(24, nothing), motion, events)
    torch.testing.assert_close(found["layers"], told["layers"])
    assert told["flow"] < found["flow"]  # the motion head's own displacement starts from it


@pytest.mark.parametrize("weights", [Weights(), Weights(scales=(1,), hard=True)])
def test_gradients_are_those_of_finite_differences(weights: Weights) -> None:
    generator = torch.Generator().manual_seed(0)
    kind = {"dtype": torch.float64, "generator": generator}
    events = torch.rand(1, 12, 4, **kind) * torch.tensor([8.0, 4, 1, 1]) + 2
    events[..., 2] = torch.rand(1, 12, **kind)
    masks = torch.randn(1, 2, 4, 6, **kind)
    affine = torch.randn(1, 2, 2, 3, **kind) * torch.tensor([0.01, 0.01, 2])
    motion = torch.randn(1, 3, 2, 3, **kind)
    inputs = [v.requires_grad_() for v in (masks, affine, motion)]

    def total(*values):
        return deblur_loss(values, torch.zeros_like(affine), events, weights)["total"]

    assert torch.autograd.gradcheck(total, inputs, eps=1e-7, atol=1e-4)
