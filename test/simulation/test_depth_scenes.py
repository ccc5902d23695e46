"""Worlds with depth: parallax in closed form, what is a label of its own and what is not."""

import numpy as np
import pytest

from evlayerseg_ros.simulation import depth_scenes
from evlayerseg_ros.simulation.depth_scenes import (
    KNOTS,
    MOST_LAYERS,
    SENSORS,
    Camera,
    random_camera,
    random_world,
)
from evlayerseg_ros.simulation.simulator import Layer, Motion, Scene, Sensor, simulate
from evlayerseg_ros.simulation.textures import TextureBank

NONE = np.zeros(KNOTS)
S = np.linspace(0, 1, KNOTS)
STEADY = Camera(np.outer(S, (20, -10)), np.outer(S, (40, 30)), 1 + 0.1 * S, NONE)
SIZE = 320, 240


def layer(motion: Motion, label: int | None = None, alpha: bool = True) -> Layer:
    face = np.zeros((41, 41), np.float32)
    return Layer(face, np.ones_like(face) if alpha else None, motion, label)


@pytest.mark.parametrize("nearness", [0.3, 1.0, 4.0])
def test_a_slide_moves_things_in_proportion_to_their_nearness(nearness: float) -> None:
    slides = Camera(np.zeros((KNOTS, 2)), STEADY.slide, NONE + 1, NONE)
    back = layer(slides.place(np.zeros(2), 1.0), 0, alpha=False)
    thing = layer(slides.place(np.array((10.0, 5)), nearness), 0)
    scene = Scene([back, thing], 0.1, Sensor(*SIZE))
    for start, end in ((0.0, 0.1), (0.02, 0.05)):
        share = (end - start) / 0.1
        moves = [scene.displacement(k, start, end) for k in (0, 1)]
        np.testing.assert_allclose(moves[0], [[0, 0, 40 * share], [0, 0, 30 * share]], atol=1e-9)
        np.testing.assert_allclose(moves[1], moves[0] * nearness, atol=1e-9)


def test_a_turn_moves_everything_alike_and_a_zoom_grows_what_is_near() -> None:
    turns = Camera(STEADY.turn, np.zeros((KNOTS, 2)), NONE + 1, NONE)
    for nearness in (0.3, 4.0):
        motion = turns.place(np.array((10.0, 5)), nearness)
        np.testing.assert_allclose(motion.shift, STEADY.turn + np.array((10, 5)))
        np.testing.assert_allclose(motion.scale, 1)
    zooms = Camera(np.zeros((KNOTS, 2)), np.zeros((KNOTS, 2)), STEADY.zoom, NONE)
    near = zooms.place(np.array((10.0, 5)), 3.0)
    np.testing.assert_allclose(near.scale, 1 + 0.3 * S)
    np.testing.assert_allclose(near.shift, np.outer(1 + 0.3 * S, (10, 5)))


def test_a_roll_turns_places_about_the_image_s_middle() -> None:
    rolls = Camera(np.zeros((KNOTS, 2)), np.zeros((KNOTS, 2)), NONE + 1, np.pi / 2 * S)
    motion = rolls.place(np.array((10.0, 5)), 2.0)
    np.testing.assert_allclose(motion.shift[-1], (-5, 10), atol=1e-12)
    np.testing.assert_allclose(motion.rotation, np.pi / 2 * S)


def test_a_pose_is_linear_between_its_knots() -> None:
    shift = np.array([(0.0, 0), (10, 0), (10, 20)])
    one = layer(Motion(shift, np.zeros(3), np.ones(3)))
    scene = Scene([one], 1.0, Sensor(*SIZE))
    middle = [(scene.to_image(0, t) @ (20, 20, 1))[:2] for t in (0, 0.25, 0.5, 0.75, 1)]
    way = np.array(middle) - (159.5, 119.5)
    np.testing.assert_allclose(way, [(0, 0), (5, 0), (10, 0), (10, 10), (10, 20)], atol=1e-9)
    np.testing.assert_allclose(scene.velocity(0, 0.2) @ (0, 0, 1), (20, 0), atol=1e-6)
    np.testing.assert_allclose(scene.velocity(0, 0.8) @ (0, 0, 1), (0, 40), atol=1e-6)


def test_labels_are_those_of_objects_and_layers_their_places() -> None:
    def at(x, y):
        return Motion(np.array([(x, y)] * 2, float), np.zeros(2), np.ones(2))

    layers = [
        layer(at(0, 0), 0, alpha=False), layer(at(-80, 0), 0), layer(at(0, 0), 2),
        layer(at(30, 0), 2), layer(at(90, 0), 1),
    ]  # fmt: skip
    scene = Scene(layers, 0.1, Sensor(*SIZE))
    assert scene.label_of.tolist() == [0, 0, 2, 2, 1]
    row = scene.layers_at(0.05)[120]
    assert [row[x] for x in (5, 80, 150, 190, 250)] == [0, 1, 2, 3, 4]
    row = scene.labels(0.05)[120]
    assert [row[x] for x in (5, 80, 150, 190, 250)] == [0, 0, 2, 2, 1]
    assert scene.labels(0.05, 2.5).shape == (96, 128)
    assert Scene([layer(at(0, 0))] * 3, 0.1).label_of.tolist() == [0, 1, 2]


def test_events_have_the_labels_of_objects() -> None:
    rng = np.random.default_rng(0)
    busy = rng.normal(0, 1, (41, 41)).astype(np.float32)

    def goes(x, dx, label):
        motion = Motion(np.array([(x, 0), (x + dx, 0)], float), np.zeros(2), np.ones(2))
        return Layer(busy, np.ones_like(busy), motion, label)

    still = Motion(np.zeros((2, 2)), np.zeros(2), np.ones(2))
    back = Layer(np.zeros((300, 400), np.float32), None, still, 0)
    scene = Scene([back, goes(-80, 10, 0), goes(0, 10, 7), goes(80, 10, 7)], 0.1, Sensor(*SIZE))
    events, labels = simulate(scene, rng)
    left = events.x < 120
    assert left.any() and not labels[left].any()
    assert (~left).any() and (labels[~left] == 7).all()


def test_a_puppet_is_one_object_whose_parts_move_apart() -> None:
    rng = np.random.default_rng(1)
    camera = random_camera(rng, np.array(SIZE), 0.3, True)
    parts = depth_scenes._puppet(rng, TextureBank(), np.array(SIZE), camera, 3, 0.3)
    assert len(parts) == 6 and {part.label for part in parts} == {3}
    angles = np.array([part.motion.rotation - part.motion.rotation[0] for part in parts])
    assert np.ptp(angles, axis=0).max() > 0.02
    assert all(part.motion.shift.shape == (KNOTS, 2) for part in parts)


def test_random_worlds_are_sound() -> None:
    rng = np.random.default_rng(0)
    bank = TextureBank()
    movers, static = [], 0
    for _ in range(25):
        scene = random_world(rng, bank)
        labels = scene.label_of
        assert scene.size in SENSORS and 1 <= len(scene.layers) <= MOST_LAYERS
        assert labels[0] == 0 and labels.max() <= 4
        movers.append(len(np.unique(labels[labels > 0])))
        static += any(labels[1:] == 0)
        assert scene.labels(0.15, 4).max() <= 4
        for one in range(len(scene.layers)):
            assert np.isfinite(scene.displacement(one, 0, scene.duration)).all()
    assert 0 in movers and max(movers) > 1 and 3 < static < 23


def test_what_rests_before_a_camera_at_rest_does_not_move() -> None:
    camera = Camera(np.zeros((KNOTS, 2)), np.zeros((KNOTS, 2)), NONE + 1, NONE)
    thing = depth_scenes._thing(np.random.default_rng(0), TextureBank(), np.array(SIZE), camera)
    assert thing.label == 0
    assert np.ptp(thing.motion.shift, axis=0).max() == 0
    a, b = (random_world(np.random.default_rng(4), TextureBank()) for _ in range(2))
    np.testing.assert_array_equal(a.layers[0].log_intensity, b.layers[0].log_intensity)
