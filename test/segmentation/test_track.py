"""What a Segmenter takes over from the window before."""

from dataclasses import replace

import numpy as np
import pytest
from drifting import LENGTH, drifting

from evlayerseg_ros.events import Window
from evlayerseg_ros.segmentation.merge import merge
from evlayerseg_ros.segmentation.outline import snap
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.segmentation.split import split

W, H = 320, 240


def window(index: int, size: tuple[int, int] = (W, H)) -> Window:
    """Dots that drift to the right, and a box of dots that drifts down, faster."""
    rng = np.random.default_rng(5)
    dots = rng.uniform((0, 0), size, (500, 2))
    box = rng.uniform((120, 80), (190, 150), (120, 2))
    return drifting(index, size, rng, (dots, (4, 0)), (box, (0, 15)))


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.load(provider="cpu", threads=1)


def assert_same(one: Segmentation, other: Segmentation) -> None:
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.affine, other.affine)


def test_a_window_begins_with_the_motions_of_the_one_before(segmenter: Segmenter) -> None:
    segmenter.track = True
    segmenter.forget()
    first, second = segmenter(window(0)), segmenter(window(1))
    assert first.labels.any()
    assert_same(second, snap(split(merge(segmenter._look(window(1), first.affine)))))


@pytest.mark.parametrize("after", ["a gap", "a jump back", "another sensor", "forgetting"])
def test_what_does_not_follow_begins_anew(segmenter: Segmenter, after: str) -> None:
    segmenter.track = False
    segmenter.forget()
    size = (W, H - 10) if after == "another sensor" else (W, H)
    at = {"a gap": 20, "a jump back": 4}.get(after, 6)
    alone = segmenter(window(at, size))
    segmenter.track = True
    segmenter(window(5))
    if after == "forgetting":
        segmenter.forget()
    assert_same(segmenter(window(at, size)), alone)


def test_a_layer_that_was_not_seen_is_looked_for_in_the_background(segmenter: Segmenter) -> None:
    segmenter.track = True
    segmenter.forget()
    found = segmenter(window(0))
    segmenter._before = replace(found, labels=np.zeros_like(found.labels))
    known = segmenter._expected(window(1))
    assert known is not None
    np.testing.assert_array_equal(known, found.affine[[0, 0]])


@pytest.mark.parametrize("wild", [np.nan, np.inf, 1e9])
def test_wild_motions_are_not_taken_over(segmenter: Segmenter, wild: float) -> None:
    segmenter.track = True
    found = segmenter(window(0))
    segmenter._before = replace(found, affine=np.full((2, 2, 3), wild))
    assert segmenter._expected(window(1)) is None


def test_two_objects_have_numbers_that_stay_and_motions_of_their_own(segmenter: Segmenter) -> None:
    segmenter.track = True
    segmenter.forget()
    rng = np.random.default_rng(5)
    dots = rng.uniform((-50, 0), (640, 480), (1500, 2)), (8, 0)
    down = rng.uniform((100, 60), (230, 190), (350, 2)), (0, 10)
    up = rng.uniform((420, 280), (550, 410), (350, 2)), (0, -10)
    numbers = set()
    for index in range(4):
        moved = [(at + index * np.array(way), way) for at, way in (dots, down, up)]
        found = segmenter(drifting(index, (640, 480), rng, *moved))
        places = [(int(at[:, 0].mean()), int(at[:, 1].mean() + way[1])) for at, way in moved[1:]]
        labels = [int(found.labels[y, x]) for x, y in places]
        numbers.add(tuple(labels))
        for label, (x, y), (_, way) in zip(labels, places, moved[1:], strict=True):
            motion = found.affine[label] @ (x, y, 1) * LENGTH * 1e-9
            assert motion == pytest.approx(way, abs=1.5)
    assert numbers <= {(1, 2), (2, 1)}
    assert len(numbers) == 1
