"""What the ROS graph says: why nothing comes in on a topic, and of a node of the same name."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.outputs.messages import TYPES

EVENT_PACKET = TYPES[Packet]


def why_silent(node: Node, subscription: Any, silent: bool) -> str:
    """A sentence on what keeps messages, or the time, away; "" if all is well.

    Args:
        node: that asks.
        subscription: that should hear something.
        silent: whether nothing came lately. A publisher that cannot be heard is named anyway.
    """
    topic = subscription.topic_name
    wanted = _type_name(subscription.msg_type)
    reliable = subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    publishers = node.get_publishers_info_by_topic(topic)
    for publisher in publishers:
        who = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
        if publisher.topic_type != wanted:
            return (
                f"{who} publishes {publisher.topic_type} on {topic}, but {wanted} is expected: "
                "see parameter event_type."
            )
        if reliable and publisher.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT:
            return (
                f"{who} publishes {topic} as best effort, which a reliable subscription does not "
                "hear: set qos.events_reliability to best_effort."
            )
    if len(publishers) > 1:
        return (
            f"{topic} has {len(publishers)} publishers: expected one camera, since packets of two "
            "would be mixed up."
        )
    if not silent:
        return _why_timeless(node)
    if publishers:
        return f"Nothing comes from the {len(publishers)} publisher(s) of {topic}."
    elsewhere = [
        name
        for name, types in node.get_topic_names_and_types()
        if wanted in types
        and name != topic
        and not name.endswith("/moving_events")
        and node.count_publishers(name)
    ]
    if elsewhere:
        return f"Nobody publishes {topic}: remap ~/events to {' or '.join(elsewhere)}."
    return f"Nobody publishes {topic}."


def twin(node: Node) -> str:
    """A sentence if another node has the same name, and so the same topics; "" else."""
    me = node.get_name(), node.get_namespace()
    if node.get_node_names_and_namespaces().count(me) < 2:
        return ""
    return (
        f"Another node is called {node.get_fully_qualified_name()}, too, and publishes on the same "
        "topics: end one of them, or start it with -r __node:=NAME."
    )


def _why_timeless(node: Node) -> str:
    """A sentence if simulated time never began, since nobody tells it; "" else."""
    if node.get_clock().now().nanoseconds or node.count_publishers("/clock"):
        return ""
    return "use_sim_time is true, but nobody publishes /clock: the time is not known."


def subscribed_topics(node: Node) -> list[str]:
    """Topics of EventPackets which somebody subscribes to."""
    return [
        name
        for name, types in node.get_topic_names_and_types()
        if EVENT_PACKET in types and node.count_subscribers(name)
    ]


def _type_name(message_type: Any) -> str:
    package, middle = message_type.__module__.split(".")[:2]
    return f"{package}/{middle}/{message_type.__name__}"
