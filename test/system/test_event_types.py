"""Which message types the node takes events from."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

pytest.importorskip("rclpy")
from event_camera_msgs.msg import EventPacket

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.node.messages import event_type


def test_the_old_name_of_event_packets_and_a_package_that_is_missing(monkeypatch) -> None:
    assert event_type("event_camera_msgs/EventPacket") == (EventPacket, False)
    with pytest.raises(InputError, match="event_array_msgs is not installed: build it"):
        event_type("event_array_msgs/EventArray")
    old = ModuleType("event_array_msgs.msg")
    old.EventArray = EventPacket  # the same fields under another name
    monkeypatch.setitem(sys.modules, "event_array_msgs", ModuleType("event_array_msgs"))
    monkeypatch.setitem(sys.modules, "event_array_msgs.msg", old)
    assert event_type("event_array_msgs/EventArray") == (EventPacket, False)
