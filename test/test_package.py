"""What is written twice agrees: parameters, package files, entry points, launch arguments."""

from __future__ import annotations

import ast
import importlib
import json
import xml.etree.ElementTree as ElementTree

import click
import numpy as np
import pytest
import yaml
from called import refused
from root import ROOT

from evlayerseg_ros.commands.evaluate import evaluate
from evlayerseg_ros.commands.options import PIPELINE_OPTIONS, pipeline_config
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation.run import Job
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.node import parameter_table
from evlayerseg_ros.outputs import outputs
from evlayerseg_ros.pipeline import PipelineConfig
from evlayerseg_ros.segmentation.segmentation import Segmentation

PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
SETUP = (ROOT / "setup.py").read_text()
LAUNCH_ARGUMENTS = (
    "camera",
    "events_topic",
    "params_file",
    "model",
    "provider",
    "threads",
    "rviz",
    "frame_id",
    "bag",
    "bag_topic",
    "use_sim_time",
    "log_level",
)


def test_the_config_file_and_the_page_of_parameters_are_those_of_the_table():
    """After a change: python -m evlayerseg_ros.node.parameter_table --yaml, --markdown."""
    assert (ROOT / "config/segment.yaml").read_text() == parameter_table.yaml()
    assert parameter_table.markdown() in (ROOT / "docs/parameters.md").read_text()


def test_the_config_file_reads_as_the_declared_defaults():
    def flat(tree: dict, prefix: str = "") -> dict:
        found = {}
        for name, value in tree.items():
            inner = flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
            found |= inner if inner is not None else {prefix + name: value}
        return found

    tree = yaml.safe_load((ROOT / "config/segment.yaml").read_text())
    written = flat(tree["/**"]["ros__parameters"])
    declared = {spec.name: spec.default for spec in parameter_table.PARAMETERS}
    assert written == declared
    assert {n: type(v) for n, v in written.items()} == {n: type(v) for n, v in declared.items()}


def test_node_replay_evaluate_and_bench_have_one_set_of_defaults(monkeypatch, tmp_path):
    """The node's: what is not said in a command is as in PipelineConfig()."""
    given = {}
    recording = tmp_path / "some.npz"
    columns = {name: np.arange(2, dtype=np.int64) for name in "xytp"}
    np.savez(recording, **columns, size=[64, 48])

    def pipeline(config, *rest, **more):
        given["replay"] = config
        raise InputError("seen")

    def scored(jobs, *rest):
        given["evaluate"] = jobs[0].config
        raise InputError("seen")

    def settings(config, *rest):
        given["bench"] = config
        raise InputError("seen")

    monkeypatch.setattr("evlayerseg_ros.pipeline.Pipeline", pipeline)
    monkeypatch.setattr("evlayerseg_ros.evaluation.run.run", scored)
    monkeypatch.setattr("evlayerseg_ros.bench.settings.Settings", settings)
    for command in (["replay", recording], ["evaluate", recording], ["bench"]):
        refused(*command)
    assert given == dict.fromkeys(("replay", "evaluate", "bench"), PipelineConfig())
    assert Job("name", recording).config == PipelineConfig()


def test_the_help_of_options_names_the_real_defaults():
    helps = {o.name: o.help for o in evaluate.params if isinstance(o, click.Option)}
    window = WindowConfig()
    for name, default in (
        ("window_ms", window.duration_ms),
        ("stride_ms", window.stride_ms),
        ("max_age_ms", window.max_age_ms),
    ):
        assert helps[name].endswith(f"[default: {default:g}]"), name


def test_options_change_what_they_name():
    def config(*arguments: str) -> PipelineConfig:
        said = evaluate.make_context("evaluate", ["some.npz", *arguments]).params
        return pipeline_config(**{name: said[name] for name in PIPELINE_OPTIONS})

    still = config("--camera-motion", "still", "--refine", "--no-track", "--size", "320x240")
    assert (still.segmenter.camera_motion, still.segmenter.refine) == ("still", True)
    assert not still.segmenter.track
    assert (still.width, still.height) == (320, 240)
    assert config("--window-events", "20000").window == WindowConfig(mode="count", events=20000)
    assert config("--window-ms", "10").window == WindowConfig(duration_ms=10.0)
    assert config() == PipelineConfig()
    with pytest.raises(click.BadParameter, match="WIDTHxHEIGHT"):
        config("--size", "320")


def test_the_nodes_parameters_say_the_same_defaults():
    parameters = pytest.importorskip("evlayerseg_ros.node.parameters", reason="no ROS 2 here")

    class Undeclared:
        def has_parameter(self, name: str) -> bool:
            return False

    assert parameters.pipeline_config(Undeclared()) == PipelineConfig()


def test_package_and_setup_tell_the_same_name_version_and_licence():
    version = PACKAGE.findtext("version")
    assert PACKAGE.findtext("name") == "evlayerseg_ros"
    assert f'version="{version}"' in SETUP
    assert PACKAGE.findtext("license") == "Apache-2.0"
    assert 'license="Apache-2.0"' in SETUP
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]
    assert PACKAGE.findtext("export/build_type") == "ament_python"


def test_package_depends_on_each_ros_package_that_the_node_imports():
    depends = {d.text for tag in ("depend", "exec_depend") for d in PACKAGE.findall(tag)}
    imported = set()
    for path in [*(ROOT / "evlayerseg_ros/node").glob("*.py"), *(ROOT / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
    ros = {name for name in imported if name.endswith(("_msgs", "_srvs", "_interfaces"))}
    ros |= imported & {"rclpy", "launch", "launch_ros"}
    assert ros - {"dvs_msgs"} <= depends


def test_what_the_tests_import_is_a_test_dependency():
    """Of colcon (package.xml) and of pip (the extra `test`)."""
    extra = ast.literal_eval(SETUP.split('"test": ')[1].split("]")[0] + "]")
    keys = {d.text for d in PACKAGE.findall("test_depend")}
    assert {"hypothesis", "pytest", "pytest-timeout"} == set(extra)
    assert {f"python3-{name}" for name in extra} == keys


def test_what_comes_from_pip_has_no_rosdep_key():
    """They would install into Ubuntu's Python, which refuses it from 24.04 on."""
    assert not [d.text for d in PACKAGE.findall("exec_depend") if str(d.text).endswith("-pip")]


def test_every_recipe_installs_the_same_packages():
    import re

    found = {
        re.search(r"^ +(av click .*)$", (ROOT / name).read_text(), re.MULTILINE)[1]
        for name in ("README.md", "docs/install.md", "Dockerfile")
    }
    assert len(found) == 1


def test_entry_points_exist():
    pytest.importorskip("rclpy", reason="no ROS 2 here")
    from importlib.metadata import distribution

    scripts = distribution("evlayerseg_ros").entry_points.select(group="console_scripts")
    assert {"evlayerseg", "segment", "play", "replay", "evaluate", "train"} <= scripts.names
    for script in scripts:
        module, function = script.value.split(":")
        assert callable(getattr(importlib.import_module(module), function)), script.value


def test_the_ament_prefix_has_what_ros2_run_and_launch_look_for():
    index = pytest.importorskip("ament_index_python.packages", reason="no ROS 2 here")
    try:
        prefix = index.get_package_prefix("evlayerseg_ros")
    except index.PackageNotFoundError:
        pytest.skip("the package is not installed: run `make venv`")
    from pathlib import Path

    for name in ("segment", "play"):
        assert (Path(prefix) / "lib/evlayerseg_ros" / name).exists()
    share = Path(index.get_package_share_directory("evlayerseg_ros"))
    for name in ("package.xml", "launch/segment.launch.py", "config/segment.yaml"):
        assert (share / name).exists()
    assert (share / "rviz/segment.rviz").exists()


# Of rviz_default_plugins' displays: what they show, and their properties beside the topic's.
RVIZ_DISPLAYS = {
    "rviz_default_plugins/Image": (outputs.Image, {"Normalize Range"}),
    "rviz_default_plugins/PointCloud2": (
        outputs.Points,
        {
            "Style",
            "Size (Pixels)",
            "Color Transformer",
            "Channel Name",
            "Autocompute Intensity Bounds",
            "Position Transformer",
            "Selectable",
        },
    ),
}
QOS = {"Depth", "Durability Policy", "Filter size", "History Policy", "Reliability Policy", "Value"}
HOME = "/event_camera/evlayerseg/"


@pytest.fixture
def published() -> dict[str, outputs.Output]:
    """An example of what each topic carries, by the topic's name."""
    events = Events.from_arrays(*np.array([[1, 2], [3, 4], [0, 5_000_000], [0, 1]]), 64, 48)
    window = Window(events, 0, 5_000_000, 5_000_000)
    segmentation = Segmentation(window, np.ones((48, 64), np.uint8), np.zeros((2, 2, 3)))
    return {HOME + name: make(window, segmentation) for name, make in outputs.OUTPUTS.items()}


def test_rviz_shows_what_the_node_publishes(published):
    manager = yaml.safe_load((ROOT / "rviz/segment.rviz").read_text())["Visualization Manager"]
    shown = {}
    for display in manager["Displays"]:
        kind, properties = RVIZ_DISPLAYS[display["Class"]]
        topic = display["Topic"]
        assert set(display) - properties == {"Class", "Name", "Enabled", "Value", "Topic"}
        assert set(topic) <= QOS
        # These hear every publisher.
        assert (topic["Reliability Policy"], topic["Durability Policy"]) == (
            "Best Effort", "Volatile",
        )  # fmt: skip
        shown[topic["Value"]] = found = published[topic["Value"]]
        assert isinstance(found, kind)
        if isinstance(found, outputs.Image):
            assert found.encoding in ("mono8", "rgb8")
        else:
            assert display["Channel Name"] in found.data.dtype.names
            assert {"x", "y", "z"} <= set(found.data.dtype.names)
    assert {HOME + name for name in ("mask_overlay", "flow_color", "layers")} <= set(shown)
    launch = (ROOT / "launch/segment.launch.py").read_text()
    assert all(f'"{topic.removeprefix(HOME)}"' in launch for topic in shown)  # remapped there


def test_foxglove_shows_what_the_node_publishes(published):
    layout = json.loads((ROOT / "config/foxglove.json").read_text())
    panels = layout["configById"]
    for name, panel in panels.items():
        kind = name.split("!")[0]
        if kind == "Image":
            found = published[panel["imageMode"]["imageTopic"]]
            assert isinstance(found, outputs.Image) and found.encoding in ("mono8", "rgb8")
        else:
            assert kind == "RawMessages" and panel["topicPath"] in published

    def leaves(node) -> list[str]:
        """The panels of a tree of rows and columns."""
        if isinstance(node, str):
            return [node]
        assert set(node) - {"splitPercentage"} == {"direction", "first", "second"}
        assert node["direction"] in ("row", "column")
        return leaves(node["first"]) + leaves(node["second"])

    assert sorted(leaves(layout["layout"])) == sorted(panels)


def test_the_launch_file_declares_its_arguments():
    pytest.importorskip("launch_ros", reason="the launch system is not installed")
    from launch.actions import DeclareLaunchArgument
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(
        str(ROOT / "launch/segment.launch.py")
    )
    declared = [a.name for a in description.entities if isinstance(a, DeclareLaunchArgument)]
    assert declared == list(LAUNCH_ARGUMENTS)
