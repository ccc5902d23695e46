"""Two cameras, a node for each: topics below /left and /right, or as `left` and `right` say.

Each include stands in a group, so that what one is told does not reach the other. For more
cameras, or under a robot's name, write the same with PushRosNamespace.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare("evlayerseg_ros")
SIDES = ("left", "right")
# One thread each: two networks that both take all cores hinder each other.
COMMON = {
    "params_file": (PathJoinSubstitution([SHARE, "config", "segment.yaml"]), "Of both nodes."),
    "provider": ("", "What runs the networks; empty: as params_file says."),
    "threads": ("1", "CPU threads of each network."),
    "rviz": ("false", "Open an rviz for each camera."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}


def camera(side: str) -> GroupAction:
    """The node of one camera."""
    told = {name: LaunchConfiguration(name) for name in COMMON}
    told |= {
        "camera": LaunchConfiguration(side),
        "events_topic": LaunchConfiguration(f"{side}_events_topic"),
        "bag": LaunchConfiguration(f"{side}_bag"),
        "bag_topic": LaunchConfiguration(f"{side}_bag_topic"),
    }
    source = PythonLaunchDescriptionSource(
        PathJoinSubstitution([SHARE, "launch", "segment.launch.py"])
    )
    return GroupAction([IncludeLaunchDescription(source, launch_arguments=told.items())])


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` reads."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=about)
        for name, (default, about) in COMMON.items()
    ]
    for side in SIDES:
        arguments += [
            DeclareLaunchArgument(side, default_value=side, description="A camera's namespace."),
            DeclareLaunchArgument(
                f"{side}_events_topic",
                default_value="",
                description="Its topic; empty: `events` in its namespace.",
            ),
            DeclareLaunchArgument(
                f"{side}_bag", default_value="", description="A recording to play into its node."
            ),
            DeclareLaunchArgument(
                f"{side}_bag_topic", default_value="", description="Which topic of the recording."
            ),
        ]
    return LaunchDescription([*arguments, *map(camera, SIDES)])
