"""The node on a camera's events, active by itself; `bag:=FILE` plays a recording into it."""

import os

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

PACKAGE = "evlayerseg_ros"
SHARE = FindPackageShare(PACKAGE)

ARGUMENTS = {
    "camera": ("event_camera", "Namespace of the camera and of the node."),
    "events_topic": (
        ["/", LaunchConfiguration("camera"), "/events"],
        "Topic of the camera's events.",
    ),
    "params_file": (
        PathJoinSubstitution([SHARE, "config", "segment.yaml"]),
        "Parameters of the node.",
    ),
    "model": ("", "A model's name or an ONNX file; empty: as params_file says."),
    "provider": ("", "auto, cpu, openvino, cuda or tensorrt; empty: as params_file says."),
    "rviz": ("false", "Open rviz on the outputs."),
    "bag": ("", "A recording to play into the node."),
    "use_sim_time": ("false", "Take the time from /clock."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}


def start(context: LaunchContext) -> list[Action]:
    """The processes that the arguments ask for."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    # Large messages: see config/fastdds.xml. A profile of the user's own stays.
    profile = os.path.join(SHARE.perform(context), "config", "fastdds.xml")
    environment = {"FASTRTPS_DEFAULT_PROFILES_FILE": profile}
    environment = {name: os.environ.get(name, path) for name, path in environment.items()}
    overrides = {name: given[name] for name in ("model", "provider") if given[name]}
    overrides["use_sim_time"] = given["use_sim_time"].lower() == "true"
    actions: list[Action] = [
        Node(
            package=PACKAGE,
            executable="segment",
            name="evlayerseg",
            namespace=given["camera"],
            parameters=[given["params_file"], overrides],
            remappings=[("~/events", given["events_topic"])],
            ros_arguments=["--log-level", given["log_level"]],
            additional_env=environment,
            output="screen",
        )
    ]
    if given["bag"]:
        actions.append(
            ExecuteProcess(
                cmd=[
                    ExecutableInPackage("play", PACKAGE),
                    given["bag"],
                    "--to",
                    given["events_topic"],
                ],
                name="play",
                additional_env=environment,
                output="screen",
            )
        )
    if given["rviz"].lower() == "true":
        drawn = ("mask_overlay", "flow_color", "mask", "sharpened_events", "layers")
        home = f"/{given['camera'].strip('/')}/evlayerseg"
        actions.append(
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", os.path.join(SHARE.perform(context), "rviz", "segment.rviz")],
                remappings=[(f"/event_camera/evlayerseg/{x}", f"{home}/{x}") for x in drawn],
            )
        )
    return actions


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` reads."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
