"""What is told of samples that say nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from sensor_msgs.msg import Imu

from evlayerseg_ros.node import imu


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("nan", "The samples on /imu are no numbers."),
        ("none", "The samples on /imu say that they hold no rates"),
        ("", "No sample came on /imu yet."),
    ],
)
def test_samples_that_say_nothing(fault, told):
    """REP 145: a covariance of -1 says that there is no estimate."""
    topic = SimpleNamespace(topic_name="/imu")
    node = SimpleNamespace(create_subscription=lambda *how: topic)
    heard = imu.ImuInput(node, None)
    message = Imu()
    message.header.stamp.sec = 5
    if fault == "nan":
        message.angular_velocity.x = float("nan")
    elif fault == "none":
        message.angular_velocity_covariance[0] = -1.0
    if fault:
        heard._hear(message)
    heard._heard = -imu.QUIET  # nothing of use for long
    assert heard._why(False)[1].startswith(told)
    heard._useless_at = -imu.QUIET
    assert heard._why(False)[1] == "No sample came on /imu yet."
    assert not heard._gyro.span
