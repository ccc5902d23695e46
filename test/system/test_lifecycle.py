"""The lifecycle's services, whatever they are asked for."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from lifecycle_msgs.srv import ChangeState
from ros import Client

from evlayerseg_ros.node.lifecycle import GuardedLifecycle


class Idle(GuardedLifecycle):
    """Does nothing."""

    def _configure(self):
        pass

    _activate = _stop = _configure

    def _release(self, state):
        self._state = state


def test_a_change_that_the_state_does_not_allow_is_refused(client: Client):
    """By its number, too: 1 configures, 3 activates, 4 deactivates."""
    node = Idle("idle", context=client.context)
    client.executor.add_node(node)
    done = []
    for number in (3, 1, 1, 3, 99, 4):
        request = ChangeState.Request()
        request.transition.id = number
        answer = client.call(ChangeState, "/idle/change_state", request, again=False)
        done.append(answer.success)
    assert done == [False, True, False, True, False, True]
    client.executor.remove_node(node)
    node.destroy_node()
