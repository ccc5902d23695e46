"""The affine convention: where a point of a layer is when the window ends."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from evlayerseg_ros.motion.warp import warp_point

MOTION = np.array([[2.0, -3, 100], [3, 2, -50]])  # px/s at px


def test_it_undoes_the_way_that_the_convention_says() -> None:
    rng = np.random.default_rng(2)
    end = rng.uniform((200, 150), (400, 300), (100, 2))
    tau = rng.uniform(0, 0.05, 100)
    begin = end - tau[:, None] * (end @ MOTION[:, :2].T + MOTION[:, 2])
    back = [warp_point(*MOTION.ravel(), x, y, age) for (x, y), age in zip(begin, tau, strict=True)]
    np.testing.assert_allclose(back, end, atol=1e-9)


def test_a_shift_is_speed_times_time() -> None:
    assert warp_point(0, 0, 300.0, 0, 0, -40.0, 10.0, 20.0, 0.1) == pytest.approx((40, 16))
    assert warp_point(*MOTION.ravel(), 10.0, 20.0, 0.0) == pytest.approx((10, 20))


def test_it_is_the_true_flow_to_first_order_in_time() -> None:
    """Against the differential equation x' = u(x), solved by scipy and in closed form."""
    x = np.array([250.0, 200.0])
    affine = np.vstack((MOTION, np.zeros(3)))
    for tau, tolerance in ((0.001, 0.002), (0.01, 0.2)):
        solved = solve_ivp(lambda _, z: affine[:2] @ (*z, 1), (0, tau), x, rtol=1e-10).y[:, -1]
        np.testing.assert_allclose(solved, (expm(affine * tau) @ (*x, 1))[:2], atol=1e-5)
        np.testing.assert_allclose(warp_point(*MOTION.ravel(), *x, tau), solved, atol=tolerance)


def test_a_layer_that_collapses_to_a_line_is_survived() -> None:
    assert np.isfinite(warp_point(10.0, 0, 0, 0, 10.0, 0, 5.0, 5.0, 0.1)).all()
