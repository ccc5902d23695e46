"""The teacher without labels on scenes of known motion, and what training takes from it."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is an extra")

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.network.export import export
from evlayerseg_ros.segmentation.network_input import EXTRAS
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.simulation.depth_scenes import MOST_LAYERS
from evlayerseg_ros.simulation.planar_scenes import random_scene
from evlayerseg_ros.simulation.simulator import Scene, simulate
from evlayerseg_ros.simulation.textures import TextureBank
from evlayerseg_ros.training.learner import make_network
from evlayerseg_ros.training.losses import true_motion
from evlayerseg_ros.training.rehearsal import run_of
from evlayerseg_ros.training.samples import cut_window, taught_sample, to_tensors, true_sample
from evlayerseg_ros.training.self_training import RunTeacher
from evlayerseg_ros.training.train import PRESETS

W, H = 640, 480
SPEC = VoxelSpec(bins=5, split=True, width=320, multiple=16, layers=2, extras=EXTRAS)
LENGTH = 30_000_000  # ns
WINDOWS = 8
BOX = (200, 150, 440, 330)  # left, top, right, bottom in the middle of the run


NARROW = VoxelSpec(bins=5, split=True, width=160, multiple=16, layers=2, extras=EXTRAS)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> RunTeacher:
    """With a network that has learnt nothing, and so says nothing."""
    path: Path = tmp_path_factory.mktemp("teacher") / "silent.onnx"
    export(make_network(PRESETS["default"]), path, "silent", "none", {})
    return RunTeacher(path)


def run(box_moves: tuple[float, float], background_moves: tuple[float, float]) -> list[Window]:
    """Dots all over and a box of dots in front of them; moves in px over a window."""
    rng = np.random.default_rng(5)
    low, high = np.array(BOX[:2]), np.array(BOX[2:])
    back = rng.uniform((-W, -H), (2 * W, 2 * H), (9 * 1200, 2))
    box = rng.uniform(low, high, (340, 2))
    times = rng.random((40 * WINDOWS, 1, 1)) * WINDOWS - WINDOWS / 2
    behind = back + times * background_moves
    inside = ((behind > low + times * box_moves) & (behind < high + times * box_moves)).all(2)
    behind[inside] = -1
    at = np.concatenate((behind, box + times * box_moves), axis=1)
    t = np.broadcast_to((times[..., 0] + WINDOWS / 2) * LENGTH, at.shape[:2]).ravel()
    x, y = np.round(at.reshape(-1, 2)).astype(int).T
    order = np.argsort(t, kind="stable")
    order = order[((x >= 0) & (x < W) & (y >= 0) & (y < H))[order]]
    x, y, t = x[order], y[order], t[order].astype(np.int64)
    windows = []
    for k in range(WINDOWS):
        first, last = np.searchsorted(t, (k * LENGTH, (k + 1) * LENGTH))
        part, p = slice(first, last), np.arange(last - first) % 2
        events = Events.from_arrays(x[part], y[part], t[part], p, W, H)
        windows.append(Window(events, k * LENGTH, (k + 1) * LENGTH, (k + 1) * LENGTH))
    return windows


@pytest.mark.parametrize("moves", [(24.0, 0.0), (-8.0, 20.0), (0.0, -30.0)])
@pytest.mark.parametrize("camera", [(-4.0, 3.0), (0.0, 0.0)])
def test_events_alone_find_a_box_and_both_motions(teacher, moves, camera) -> None:
    k = WINDOWS // 2
    taught = teacher(run(moves, camera))[k]
    left, top = np.array(BOX[:2]) + np.array(moves)  # at the window's end
    right, bottom = np.array(BOX[2:]) + np.array(moves)
    truth = np.zeros((H, W), bool)
    truth[int(top) : int(bottom), int(left) : int(right)] = True
    labels = taught.found.labels > 0
    assert (labels & truth).sum() / (labels | truth).sum() > 0.8
    assert (taught.sure & truth).sum() > 0.8 * truth.sum()
    centre = [(left + right) / 2, (top + bottom) / 2, 1]
    label = np.bincount(taught.found.labels[labels]).argmax()
    motion = taught.found.affine[[0, label]] @ centre * LENGTH * 1e-9
    np.testing.assert_allclose(motion[0], camera, atol=0.25)
    if camera == (0.0, 0.0):  # known to rest
        assert not taught.found.affine[0].any()
    np.testing.assert_allclose(motion[1], moves, atol=1.0)  # a large object may deform


def test_a_camera_that_turns_before_a_scene_at_rest_moves_nothing(teacher) -> None:
    for taught in teacher(run((-4.0, 3.0), (-4.0, 3.0))):
        assert not taught.found.labels.any()


def test_on_simulated_scenes_it_is_right_where_it_is_sure(teacher) -> None:
    right = wrong = missed = 0
    for seed in range(3):
        rng = np.random.default_rng([7, seed])
        scene = random_scene(rng, TextureBank(), "paper", duration=0.25)
        events, _ = simulate(scene, rng)
        for taught in teacher(list(run_of(scene, events, rng))):
            part = taught.found.window.events
            sure = taught.sure[part.y, part.x]
            moves = scene.labels(taught.found.window.end * 1e-9)[part.y, part.x] > 0
            says = taught.found.labels[part.y, part.x] > 0
            right += int((says & moves & sure).sum())
            wrong += int((says & ~moves & sure).sum())
            missed += int((~says & moves & sure).sum())
    assert right > 1000 and right > wrong and right > missed


def test_too_few_events_teach_nothing(teacher) -> None:
    few = [
        Window(w.events[np.arange(10)], w.start, w.end, w.end) for w in run((24.0, 0.0), (0.0, 0.0))
    ]
    assert teacher.samples(few, SPEC, np.random.default_rng(0)) == []
    assert teacher.samples([], SPEC, np.random.default_rng(0)) == []


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


def test_label_free_samples_never_see_the_simulator_s_truth(teacher, monkeypatch) -> None:
    def forbidden(*args: object) -> None:
        raise AssertionError("the truth was read")

    # displacement() also tells simulate() how often to sample.
    for truth in ("labels", "layers_at", "velocity"):
        monkeypatch.setattr(Scene, truth, forbidden)
    rng = np.random.default_rng(1)
    samples = []
    while not samples:
        scene = random_scene(rng, TextureBank(), "paper")
        events, _ = simulate(scene, rng)
        samples = teacher.samples(list(run_of(scene, events, rng)), SPEC, rng)
    assert samples[0].layers.shape == (240, 320)
    assert samples[-1].prior is not None  # what its network was told at run time
    windows = list(run_of(scene, events, rng))
    for sample in teacher.samples(windows, NARROW, rng):
        assert sample.prior is None  # it is of other cells


def test_a_teacher_may_find_as_many_objects_as_there_are_labels() -> None:
    scene = run((24.0, 0.0), (-4.0, 3.0))[0]
    labels = (np.arange(W) * MOST_LAYERS // W * np.ones((H, 1))).astype(np.uint8)
    affine = np.zeros((MOST_LAYERS, 2, 3))
    affine[:, 0, 2] = np.arange(MOST_LAYERS) / (LENGTH * 1e-9)  # px over the window
    found = Segmentation(scene, labels, affine)
    data = to_tensors(taught_sample(scene.events, scene, found, 2), SPEC, None)
    assert data["layers"].max() == MOST_LAYERS - 1
    assert not data["single"]
    motion = true_motion(data["layers"][None], data["displacement"][None], 4)
    assert motion[0, 0].max() == pytest.approx((MOST_LAYERS - 1) / 2)  # cells
