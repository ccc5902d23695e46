"""The lifecycle's services, whatever they are asked for."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from lifecycle_msgs.srv import ChangeState
from ros import Client, running


def test_a_change_that_the_state_does_not_allow_is_refused(client: Client, log):
    """By its number, too: 1 configures, 3 activates, 4 deactivates."""
    with running(log):
        client.ready("mask")  # active
        done = []
        for number in (3, 1, 99, 4, 4, 3):
            request = ChangeState.Request()
            request.transition.id = number
            name = "/evlayerseg/change_state"
            done.append(client.call(ChangeState, name, request, again=False).success)
        assert done == [False, False, False, True, False, True]
        assert client.state() == "active"
