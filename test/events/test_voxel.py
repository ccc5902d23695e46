"""Voxel grids against closed forms and a plain numpy formula."""

import cv2
import numpy as np
import pytest

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid


def window(x, y, t, p, width=640, height=480, start=0, end=1000) -> Window:
    return Window(Events.from_arrays(x, y, t, p, width, height), start, end, end)


def test_an_event_is_shared_between_the_two_nearest_bins() -> None:
    grid = voxel_grid(window([3], [7], [375], [1]), VoxelSpec(bins=5, split=False))
    # t* = 4 x 0.375 = 1.5: half to bin 1, half to bin 2.
    assert grid.shape == (5, 480, 640)
    np.testing.assert_allclose(grid[:, 7, 3], [0, 0.5, 0.5, 0, 0], atol=1e-6)
    assert grid.sum() == 1


def test_first_and_last_event_go_whole_into_first_and_last_bin() -> None:
    grid = voxel_grid(window([0, 1], [0, 0], [0, 1000], [1, 0]), VoxelSpec(bins=5, split=False))
    assert grid[:, 0, 0].tolist() == [1, 0, 0, 0, 0]
    assert grid[:, 0, 1].tolist() == [0, 0, 0, 0, -1]


def test_split_keeps_polarities_apart() -> None:
    grid = voxel_grid(window([2, 2], [2, 2], [250, 250], [0, 1]), VoxelSpec(bins=5, split=True))
    np.testing.assert_allclose(grid[:, 2, 2], [0, 1, 0, 0, 0, 0, 1, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("size", "shape", "cell"),
    [
        ((640, 480), (10, 240, 320), 2),
        ((1280, 720), (10, 192, 320), 4),
        ((346, 260), (10, 272, 352), 1),
        ((240, 180), (10, 192, 240), 1),
        ((320, 320), (10, 320, 320), 1),
    ],
)
def test_cells_and_padding_of_sensors(size, shape, cell) -> None:
    spec = VoxelSpec(bins=5, split=True, width=320, multiple=16)
    assert spec.cell(size[0]) == cell
    assert spec.shape(*size) == shape


@pytest.mark.parametrize("split", [False, True])
def test_agrees_with_the_formula_on_random_events(split: bool) -> None:
    rng = np.random.default_rng(1)
    n, bins, cell = 5000, 5, 4
    t = np.sort(rng.integers(0, 1001, n))
    t[0], t[-1] = 0, 1000
    x, y, p = rng.integers(0, 1280, n), rng.integers(0, 720, n), rng.integers(0, 2, n)
    spec = VoxelSpec(bins=bins, split=split, width=320, multiple=16)
    got = voxel_grid(window(x, y, t, p, 1280, 720), spec)
    want = np.zeros(spec.shape(1280, 720))
    at = t / 1000 * (bins - 1)
    for b in range(bins):
        weight = np.maximum(0, 1 - np.abs(at - b))
        channel = np.where(p == 1, b, bins + b) if split else np.full(n, b)
        np.add.at(want, (channel, y // cell, x // cell), weight if split else weight * (2 * p - 1))
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert got.sum() == pytest.approx(n if split else (2 * p - 1).sum(), rel=1e-5)


def test_buffer_is_reused_and_wrong_buffers_are_refused() -> None:
    spec = VoxelSpec(bins=5, split=False)
    out = np.full((5, 480, 640), 7, np.float32)
    assert voxel_grid(window([1], [1], [0], [1]), spec, out) is out
    assert out.sum() == 1
    with pytest.raises(ValueError, match="float32"):
        voxel_grid(window([1], [1], [0], [1]), spec, out.astype(np.float64))


def test_window_without_duration_fills_the_first_bin() -> None:
    grid = voxel_grid(window([1], [1], [5], [1], start=5, end=5), VoxelSpec(bins=5, split=False))
    assert grid[0].sum() == grid.sum() == 1


def test_events_are_carried_along_each_layers_motion_to_the_windows_end() -> None:
    spec = VoxelSpec(bins=2, split=False, layers=2)
    # A point at rest, and one that moves right at 8 px/ms from x = 100 in a window of 1 ms.
    x, y, t = [50, 100, 50, 108], [60, 80, 60, 80], [0, 0, 1_000_000, 1_000_000]
    events = window(x, y, t, [1] * 4, end=1_000_000)
    motions = np.zeros((2, 2, 3))
    motions[1, 0, 2] = 8000
    grid = voxel_grid(events, spec, None, motions)
    assert grid.shape == (4, 480, 640)
    assert np.argwhere(grid).tolist() == [
        [0, 60, 50], [0, 80, 100], [1, 60, 50], [1, 80, 108],
        [2, 60, 58], [2, 80, 108], [3, 60, 50], [3, 80, 108],
    ]  # fmt: skip


def test_carried_events_that_leave_the_sensor_are_left_out() -> None:
    spec = VoxelSpec(bins=2, split=False, layers=1)
    motions = np.array([[[0, 0, 1e6], [0, 0, 0.0]]])
    grid = voxel_grid(window([639, 0], [0, 0], [0, 1000], [1, 1]), spec, None, motions)
    assert np.argwhere(grid).tolist() == [[1, 0, 0]]
    assert voxel_grid(window([0], [0], [0], [1]), spec, None, motions * np.nan).sum() == 0
    with pytest.raises(ValueError, match="motions"):
        voxel_grid(window([0], [0], [0], [1]), spec, None, np.zeros((2, 2, 3)))


SMALL = VoxelSpec(bins=2, split=True, width=320, multiple=16, layers=2, extras=4)


def test_the_grid_of_a_small_sensor_is_enlarged() -> None:
    """A cell is 0.4 px of a sensor 128 px wide: as OpenCV enlarges the grid of its pixels."""
    assert SMALL.cell(128) == pytest.approx(0.4)
    assert SMALL.shape(128, 96) == (12, 240, 320)
    rng = np.random.default_rng(0)
    x, y, p = rng.integers(0, 128, 900), rng.integers(0, 96, 900), rng.integers(0, 2, 900)
    events = window(x, y, np.sort(rng.integers(0, 1001, 900)), p, 128, 96)
    got = voxel_grid(events, SMALL)
    pixels = voxel_grid(events, VoxelSpec(bins=2, split=True))
    for channel, plane in enumerate(pixels):
        want = cv2.resize(plane, (320, 240), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(got[channel], want, atol=1e-5)
    np.testing.assert_array_equal(got[:4], got[4:8])  # both layers are at rest
    assert not got[8:].any()
    # Each pixel weighs as much in every cell that it covers: 2.5 x 2.5 cells.
    assert got[:4].sum() == pytest.approx(900 * 2.5**2, rel=0.02)


@pytest.mark.parametrize(
    ("width", "cell"), [(640, 2), (1280, 4), (346, 1), (304, 304 / 320), (240, 0.75), (280, 0.875)]
)
def test_only_grids_below_nine_tenths_of_a_pixel_are_enlarged(width: int, cell: float) -> None:
    assert SMALL.cell(width) == pytest.approx(cell if cell < 0.9 else max(1, round(cell)))
    assert VoxelSpec(bins=2, split=True, width=320).cell(width) >= 1


def test_the_last_grid_takes_each_event_along_the_motion_of_its_owner() -> None:
    spec = VoxelSpec(bins=2, split=True, layers=2)
    rng = np.random.default_rng(3)
    x, y, p = rng.integers(0, 640, 3000), rng.integers(0, 480, 3000), rng.integers(0, 2, 3000)
    t = np.sort(rng.integers(0, 33_000_001, 3000))
    events = window(x, y, t, p, end=33_000_000)
    motions = np.zeros((3, 2, 3))
    motions[:, :, 2] = [(100, 0), (-300, 200), (50, -400)]
    owners = rng.integers(1, 3, 3000).astype(np.uint8)
    got = voxel_grid(events, spec, None, motions, owners)
    np.testing.assert_array_equal(got[:4], voxel_grid(events, spec, None, motions[:2])[:4])
    want = np.zeros_like(got[4:])
    for owner in (1, 2):
        mine = owners == owner
        part = window(x[mine], y[mine], t[mine], p[mine], end=33_000_000)
        want += voxel_grid(part, spec, None, motions[[0, owner]])[4:]
    np.testing.assert_allclose(got[4:], want, atol=1e-4)
