"""Misspelt parameters are told, others' parameters are not taken for a fault."""

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here")

from evlayerseg_ros.node.overrides import wrong_names
from evlayerseg_ros.node.parameters import BY_NAME


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("window.duration", "window.duration_ms"),
        ("duration_ms", "window.duration_ms"),
        ("windows.duration_ms", "window.duration_ms"),
        ("modell", "model"),
        ("publish.masks", "publish.mask"),
        ("qos.depth", "qos."),
    ],
)
def test_a_misspelt_name_is_an_error_that_says_what_was_meant(name, meant):
    (error,), cautions = wrong_names([name], BY_NAME)
    assert name in error and meant in error and not cautions


def test_a_name_of_another_node_is_only_mentioned():
    errors, (caution,) = wrong_names(["bias_file"], BY_NAME)
    assert not errors and "bias_file" in caution


def test_names_of_ours_and_of_ros_are_fine():
    given = [*BY_NAME, "use_sim_time", "qos_overrides./clock.subscription.depth"]
    assert wrong_names(given, BY_NAME) == ([], [])
