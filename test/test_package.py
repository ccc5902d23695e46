"""What is written twice agrees: parameters, package files, entry points, launch arguments."""

from __future__ import annotations

import ast
import importlib
import xml.etree.ElementTree as ElementTree

import pytest
import yaml
from conftest import ROOT

PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
SETUP = (ROOT / "setup.py").read_text()
LAUNCH_ARGUMENTS = (
    "camera",
    "events_topic",
    "params_file",
    "model",
    "provider",
    "rviz",
    "bag",
    "use_sim_time",
    "log_level",
)


def _flat(tree: dict, prefix: str = "") -> dict:
    flat = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def test_the_config_file_has_each_parameter_with_its_default():
    parameters = pytest.importorskip("evlayerseg_ros.node.parameters", reason="no ROS 2 here")
    tree = yaml.safe_load((ROOT / "config/segment.yaml").read_text())
    written = _flat(tree["/**"]["ros__parameters"])
    declared = {spec.name: spec.default for spec in parameters.PARAMETERS}
    assert written == declared
    assert {n: type(v) for n, v in written.items()} == {n: type(v) for n, v in declared.items()}


def test_the_config_file_explains_each_parameter_as_the_node_does():
    parameters = pytest.importorskip("evlayerseg_ros.node.parameters", reason="no ROS 2 here")
    text = (ROOT / "config/segment.yaml").read_text()
    for spec in parameters.PARAMETERS:
        assert spec.description in text


def test_the_readme_has_the_table_of_parameters():
    parameters = pytest.importorskip("evlayerseg_ros.node.parameters", reason="no ROS 2 here")
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README yet")
    assert parameters.markdown() in readme.read_text()


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


def test_rviz_shows_topics_that_exist():
    outputs = importlib.import_module("evlayerseg_ros.inference.outputs")
    text = (ROOT / "rviz/segment.rviz").read_text()
    yaml.safe_load(text)
    shown = [w for w in text.split() if w.startswith("/event_camera/evlayerseg/")]
    assert shown
    assert {w.rsplit("/", 1)[1] for w in shown} <= set(outputs.OUTPUTS)


def test_the_launch_file_declares_its_arguments():
    pytest.importorskip("launch_ros", reason="the launch system is not installed")
    from launch.actions import DeclareLaunchArgument
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(
        str(ROOT / "launch/segment.launch.py")
    )
    declared = [a.name for a in description.entities if isinstance(a, DeclareLaunchArgument)]
    assert declared == list(LAUNCH_ARGUMENTS)
