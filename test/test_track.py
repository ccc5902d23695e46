"""What a Segmenter takes over from the window before."""

from dataclasses import replace

import numpy as np
import pytest

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.inference.merge import merge
from evlayerseg_ros.inference.outline import snap
from evlayerseg_ros.inference.segmentation import Segmentation
from evlayerseg_ros.inference.segmenter import Segmenter
from evlayerseg_ros.inference.split import split

W, H = 320, 240
LENGTH = 30_000_000  # ns


def window(index: int, size: tuple[int, int] = (W, H), another: bool = False) -> Window:
    """Dots that drift to the right, and a box of dots that drifts down, faster.

    With another box of dots that drifts up, if asked for.
    """
    width, height = size
    rng = np.random.default_rng(5)
    dots = rng.uniform((0, 0), size, (500, 2))
    box = rng.uniform((120, 80), (190, 150), (120, 2))
    t = np.sort(rng.uniform(0, LENGTH, 40))
    x = np.concatenate([dots[:, :1] + 4 * t / LENGTH, box[:, :1] + 0 * t])
    y = np.concatenate([dots[:, 1:] + 0 * t, box[:, 1:] + 15 * t / LENGTH])
    if another:
        box = rng.uniform((240, 90), (300, 150), (90, 2))
        x = np.concatenate([x, box[:, :1] + 0 * t])
        y = np.concatenate([y, box[:, 1:] - 15 * t / LENGTH])
    t = np.broadcast_to(t, x.shape)
    order = np.argsort(t, axis=None, kind="stable")
    x, y, t = (values.ravel()[order].astype(np.int64) for values in (x, y, t))
    inside = (x < width) & (y < height)
    start = index * LENGTH
    x, y, t = x[inside], y[inside], t[inside] + start
    events = Events.from_arrays(x, y, t, np.arange(len(t)) % 2, width, height)
    return Window(events, start, start + LENGTH, start + LENGTH)


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
    found = [segmenter(window(index, another=True)) for index in range(3)]
    down, up = zip(*((one.labels[125, 155], one.labels[105, 270]) for one in found), strict=True)
    assert len({*down}) == len({*up}) == 1
    assert {*down, *up} == {1, 2}
    for label, place, way in ((down[0], (155, 125, 1), 15), (up[0], (270, 105, 1), -15)):
        motion = found[-1].affine[label] @ place * LENGTH * 1e-9
        assert motion == pytest.approx((0, way), abs=1.5)
