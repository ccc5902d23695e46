"""What the diagnostics say first, and of which time."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus

from evlayerseg_ros.events.stats import StreamStats
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.node.diagnostics import Facts, Monitor
from evlayerseg_ros.node.graph import twin, why_silent
from evlayerseg_ros.node.messages import other_size
from evlayerseg_ros.node.worker import Counters


def verdict(input_fault="", **grown):
    return Monitor()._verdict(Facts("active", input_fault=input_fault), defaultdict(int, grown))


def test_counts_are_told_in_whole_sentences():
    for count, sentence in ((1, "The camera began anew."), (2, "The camera began anew 2 times.")):
        assert verdict(restarts=count)[1] == sentence


def test_a_cause_is_told_before_what_follows_from_it():
    """Sizes that alternate close a window with each packet."""
    assert verdict(restarts=149, windows_dropped=143)[1] == "The camera began anew 149 times."
    assert "disagreed once" in verdict(time_jumps=1, windows_dropped=3)[1]


def test_clocks_of_different_paces_are_told_as_long_as_they_are():
    level, told = verdict(other_pace=1200, windows_dropped=3)
    assert level == DiagnosticStatus.WARN and "run at different paces: a recording is" in told


def test_a_fault_of_the_graph_hides_no_other():
    level, told = verdict("There are 2 publishers.", lost_packets=3)
    assert level == DiagnosticStatus.WARN
    assert told == "There are 2 publishers. 3 packets were lost on the way."


def test_that_nobody_hears_what_is_on():
    level, told = verdict(windows_idle=3)
    assert level == DiagnosticStatus.OK and "Nobody subscribes to an output that is on" in told


def test_another_stream_counts_from_0():
    """As after a window parameter was changed, which the decode thread may see late."""
    old, new = StreamStats(packets=500, events=9000), StreamStats(packets=90, events=1000)
    worker = SimpleNamespace(counters=Counters(), backlog=0, queued_bytes=0)
    monitor, shown = Monitor(), []
    for stats in (old, new, new):
        worker.stream = SimpleNamespace(stats=stats)
        shown.append(monitor._rates(worker)[0]["packets/s in"])
        new.packets += 10
    assert shown[:2] == ["0.0", "0.0"] and float(shown[2]) > 0


@pytest.mark.parametrize(("now", "clocks", "told"), [(0, 0, True), (0, 1, False), (5, 0, False)])
def test_simulated_time_that_nobody_tells(now, clocks, told):
    """Packets come, but what time it is nobody knows."""
    qos = SimpleNamespace(reliability=None)
    heard = SimpleNamespace(topic_name="/events", msg_type=StreamStats, qos_profile=qos)
    clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=now))
    node = SimpleNamespace(
        get_clock=lambda: clock,
        count_publishers=lambda topic: clocks,
        get_publishers_info_by_topic=lambda topic: [],
    )
    assert why_silent(node, heard, silent=False).startswith("use_sim_time is true") == told


def test_another_node_of_the_same_name_is_told():
    names = [("evlayerseg", "/robot"), ("evlayerseg", "/")]
    node = SimpleNamespace(
        get_name=lambda: "evlayerseg",
        get_namespace=lambda: "/robot",
        get_fully_qualified_name=lambda: "/robot/evlayerseg",
        get_node_names_and_namespaces=lambda: names,
    )
    assert twin(node) == ""
    names.append(("evlayerseg", "/robot"))
    assert twin(node).startswith("Another node is called /robot/evlayerseg, too, and publishes")


@pytest.mark.parametrize(
    ("size", "told"),
    [((0, 0), ""), ((128, 96), ""), ((1280, 720), "1280x720 px"), ((1280, 0), "1280x96 px")],
)
def test_packets_of_another_size_than_the_parameters_are_told(size, told):
    packet = Packet("evt3", 128, 96, 0, np.zeros(0, np.uint8), 1)
    said = other_size(packet, size)
    assert (told in said and "its packets say 128x96" in said) if told else said == ""
