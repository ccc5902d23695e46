"""Which message types the node takes events from."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

pytest.importorskip("rclpy")
from event_camera_msgs.msg import EventPacket

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.node.messages import event_type, message_type


def test_the_old_name_of_event_packets_and_a_package_that_is_missing(monkeypatch) -> None:
    assert event_type("event_camera_msgs/EventPacket") == (EventPacket, False)
    with pytest.raises(InputError, match="event_array_msgs is not installed: build it"):
        event_type("event_array_msgs/EventArray")
    old = ModuleType("event_array_msgs.msg")
    old.EventArray = EventPacket  # the same fields under another name
    monkeypatch.setitem(sys.modules, "event_array_msgs", ModuleType("event_array_msgs"))
    monkeypatch.setitem(sys.modules, "event_array_msgs.msg", old)
    assert event_type("event_array_msgs/EventArray") == (EventPacket, False)


@pytest.mark.parametrize(
    ("event", "fits"),
    [
        ({"x": "uint16", "y": "uint16", "ts": "builtin_interfaces/Time", "polarity": "boolean"}, 1),
        ({"ts": "builtin_interfaces/Time", "x": "uint16", "y": "uint16", "polarity": "boolean"}, 0),
        ({"y": "uint16", "x": "uint16", "ts": "builtin_interfaces/Time", "p": "boolean"}, 0),
        ({"x": "uint16", "y": "uint16", "ts": "uint64", "polarity": "boolean"}, 0),
    ],
)
def test_event_arrays_of_another_layout_are_refused_by_their_fields(monkeypatch, event, fits):
    module = ModuleType("some_msgs.msg")
    for name, fields in (
        ("EventArray", {"header": "std_msgs/Header", "events": "sequence<some_msgs/Event>"}),
        ("Event", event),
    ):
        told = staticmethod(lambda fields=fields: fields)
        setattr(module, name, type(name, (), {"get_fields_and_field_types": told}))
    monkeypatch.setitem(sys.modules, "some_msgs", ModuleType("some_msgs"))
    monkeypatch.setitem(sys.modules, "some_msgs.msg", module)
    message_type.cache_clear()
    if fits:
        assert event_type("some_msgs/EventArray") == (module.EventArray, True)
    else:
        with pytest.raises(InputError, match="event_type is some_msgs/EventArray: Its events have"):
            event_type("some_msgs/EventArray")
    message_type.cache_clear()
