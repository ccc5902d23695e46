"""The teacher without labels on scenes of known motion, and what training takes from it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is an extra")

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.segmentation.network_input import EXTRAS
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.simulation.scenes import random_scene
from evlayerseg_ros.simulation.simulator import Scene, simulate
from evlayerseg_ros.simulation.textures import TextureBank
from evlayerseg_ros.simulation.world import MOST_LAYERS
from evlayerseg_ros.training.losses import true_motion
from evlayerseg_ros.training.samples import (
    clip_samples,
    cut_window,
    taught_sample,
    to_tensors,
    true_sample,
)
from evlayerseg_ros.training.teacher import Teacher, by_contrast, how_much_sharper

W, H = 640, 480
SPEC = VoxelSpec(bins=5, split=True, width=320, multiple=16, layers=2, extras=EXTRAS)
LENGTH = 30_000_000  # ns
BOX = (240, 180, 400, 300)  # left, top, right, bottom at the window's end


def window(box_moves: tuple[float, float], background_moves: tuple[float, float]) -> Window:
    """Dots all over and a box of dots in front of them; moves in px over the window."""
    rng = np.random.default_rng(5)
    left, top, right, bottom = BOX
    back = rng.uniform((0, 0), (W, H), (1200, 2))
    hidden = (back > (left, top)).all(1) & (back < (right, bottom)).all(1)
    box = rng.uniform((left, top), (right, bottom), (150, 2))
    age = rng.random((40, 1, 1))
    at = np.concatenate((back[~hidden] - age * background_moves, box - age * box_moves), axis=1)
    t = np.broadcast_to((1 - age[..., 0]) * LENGTH, at.shape[:2]).ravel().astype(np.int64)
    x, y = np.round(at.reshape(-1, 2)).astype(int).T
    order = np.argsort(t, kind="stable")
    order = order[((x >= 0) & (x < W) & (y >= 0) & (y < H))[order]]
    p = np.arange(len(order)) % 2
    return Window(Events.from_arrays(x[order], y[order], t[order], p, W, H), 0, LENGTH, LENGTH)


@pytest.mark.parametrize("moves", [(24.0, 0.0), (-8.0, 20.0), (0.0, -40.0)])
@pytest.mark.parametrize("camera", [(-4.0, 3.0), (0.0, 0.0)])
def test_contrast_alone_finds_a_box_and_both_motions(moves, camera) -> None:
    found = by_contrast(window(moves, camera))
    assert found is not None
    truth = np.zeros((H, W), bool)
    truth[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    labels = found.labels > 0
    assert (labels & truth).sum() / (labels | truth).sum() > 0.8
    motion = found.affine @ [W / 2, H / 2, 1] * LENGTH * 1e-9
    np.testing.assert_allclose(motion, [camera, moves], atol=0.75)
    if camera == (0.0, 0.0):  # known to rest
        assert not found.affine[0].any()


def test_it_is_sure_of_what_is_sharp_and_silent_where_it_is_not() -> None:
    rng = np.random.default_rng(0)
    sure = window((24.0, 0.0), (-4.0, 3.0))
    found = by_contrast(sure)
    assert found is not None and how_much_sharper(found) > 1.5
    assert all(Teacher()(sure, rng) is not None for _ in range(3))
    empty = window((-4.0, 3.0), (-4.0, 3.0))
    answers = [Teacher()(empty, rng) for _ in range(12)]
    assert sum(one is not None for one in answers) < 9
    assert not any(one.labels.any() for one in answers if one is not None)


@pytest.mark.parametrize("seed", range(3))
def test_on_simulated_scenes_it_finds_what_moves_or_says_nothing(seed: int) -> None:
    rng = np.random.default_rng([7, seed])
    events, labels = simulate(random_scene(rng, TextureBank(), "paper", duration=0.1), rng)
    some = cut_window(events, 0, 30_000)
    found = Teacher()(some, rng)
    if found is not None and found.labels.any():
        mine, truth = found.event_labels > 0, labels[: len(some.events)] > 0
        assert (mine & truth).sum() > 0.5 * mine.sum()


def test_a_camera_that_turns_before_a_scene_at_rest_moves_nothing() -> None:
    found = by_contrast(window((-4.0, 3.0), (-4.0, 3.0)))
    assert found is not None
    assert not found.labels.any()


def test_too_few_events_teach_nothing() -> None:
    few = window((24.0, 0.0), (0.0, 0.0))
    assert by_contrast(cut_window(few.events, 0, 500)) is None


def test_a_teacher_that_knows_the_truth_teaches_it() -> None:
    rng = np.random.default_rng(3)
    scene = random_scene(rng, TextureBank(), "paper", duration=0.1)
    events, _ = simulate(scene, rng)
    some = cut_window(events, 0, 30_000)
    at = some.end * 1e-9
    velocities = np.stack([scene.velocity(layer, at) for layer in (0, 1)])
    taught = taught_sample(events, some, Segmentation(some, scene.labels(at), velocities), 2)
    true = true_sample(scene, events, some, 2)
    assert (taught.layers == true.layers).mean() > 0.999  # cells are seen at pixels, not between
    corners = np.array([[0, 0, 1], [W, 0, 1], [0, H, 1], [W, H, 1]]).T
    np.testing.assert_allclose(  # velocities change a little within the window
        taught.displacement @ corners, true.displacement @ corners, atol=0.5
    )


def test_label_free_samples_never_see_the_simulator_s_truth(monkeypatch) -> None:
    def forbidden(*args: object) -> None:
        raise AssertionError("the truth was read")

    for truth in (
        "labels",
        "layers_at",
        "velocity",
    ):  # displacement() also tells simulate() how often to sample
        monkeypatch.setattr(Scene, truth, forbidden)
    rng = np.random.default_rng(1)
    samples = []
    while not samples:
        scene = random_scene(rng, TextureBank(), "paper")
        events, _ = simulate(scene, rng)
        samples = clip_samples(scene, events, rng, SPEC, 2, Teacher())
    assert samples[0].layers.shape == (240, 320)


def test_a_model_teaches_too() -> None:
    rng = np.random.default_rng(3)
    events, labels = simulate(random_scene(rng, TextureBank(), "paper", duration=0.1), rng)
    some = cut_window(events, 0, 30_000)
    assert (labels[:30_000] == 1).mean() > 0.1
    found = Teacher("default")(some, rng)
    assert found is not None
    assert found.labels.any()


def test_a_teacher_may_find_as_many_objects_as_there_are_labels() -> None:
    scene = window((24.0, 0.0), (-4.0, 3.0))
    labels = (np.arange(W) * MOST_LAYERS // W * np.ones((H, 1))).astype(np.uint8)
    affine = np.zeros((MOST_LAYERS, 2, 3))
    affine[:, 0, 2] = np.arange(MOST_LAYERS) / (LENGTH * 1e-9)  # px over the window
    found = Segmentation(scene, labels, affine)
    data = to_tensors(taught_sample(scene.events, scene, found, 2), SPEC, None)
    assert data["layers"].max() == MOST_LAYERS - 1
    assert not data["single"]
    motion = true_motion(data["layers"][None], data["displacement"][None], 4)
    assert motion[0, 0].max() == pytest.approx((MOST_LAYERS - 1) / 2)  # cells
