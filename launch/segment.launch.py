"""The node on a camera's events, active by itself; `bag:=FILE` plays a recording into it.

It can be included many times, under PushRosNamespace and in groups: its topics are relative to the
namespace that it is included in, with `camera` below it. See two_cameras.launch.py.
"""

import os
from importlib.util import find_spec

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

PACKAGE = "evlayerseg_ros"
SHARE = FindPackageShare(PACKAGE)

ARGUMENTS = {
    "camera": ("event_camera", "Namespace of the camera and of the node."),
    "events_topic": (
        "",
        "Topic of the events; empty: `events` in the camera's namespace.",
    ),
    "params_file": (
        PathJoinSubstitution([SHARE, "config", "segment.yaml"]),
        "Parameters of the node.",
    ),
    "model": ("", "A model's name or an ONNX file; empty: as params_file says."),
    "provider": ("", "auto, cpu, openvino, cuda or tensorrt; empty: as params_file says."),
    "threads": ("", "CPU threads of the network; empty: as params_file says."),
    "rviz": ("false", "Open rviz on the outputs."),
    "frame_id": ("", "Of the camera, for rviz; empty: the camera's name."),
    "bag": ("", "A recording to play into the node; the launch ends with it."),
    "bag_topic": ("", "Which topic of the recording, where it holds several."),
    "use_sim_time": ("", "Take the time from /clock; empty: as params_file or the group says."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}

# Seconds for the node to compile, as it does once after an installation.
PATIENCE = 600
# Seconds from the end of a recording to the end of the launch: for the last windows.
REST = 2.0
# Pictures that rviz shows.
DRAWN = ("mask_overlay", "flow_color", "mask", "sharpened_events", "layers")
# Recordings that play, in all includes of a launch: kept in the launch's globals.
PLAYING = "evlayerseg_playing"


def start(context: LaunchContext) -> list[Action]:
    """The processes that the arguments ask for."""
    given = {name: LaunchConfiguration(name).perform(context).strip() for name in ARGUMENTS}
    check_parameters(given["params_file"])
    check_model(given["model"])
    home = namespace(context, given["camera"])
    topic = absolute(given["events_topic"] or "events", home)
    node = segment(given, home, topic)
    actions: list[Action] = [node, on_exit(node, ended)]
    if given["bag"]:
        choice = ["--topic", given["bag_topic"]] if given["bag_topic"] else []
        player = ExecuteProcess(
            cmd=[
                ExecutableInPackage("play", PACKAGE),
                os.path.expanduser(given["bag"]),
                "--to",
                topic,
                "--wait",
                str(PATIENCE),
                *choice,
            ],
            name="play",
            output="screen",
        )
        playing = context.get_locals_as_dict().get(PLAYING) or []
        playing.append(player)
        context.extend_globals({PLAYING: playing})
        actions += [player, on_exit(player, last_one(player, playing))]
    if truth(given["rviz"], "rviz"):
        actions += rviz(context, home, given["frame_id"] or home.rsplit("/", 1)[-1])
    return actions


def segment(given: dict[str, str], home: str, topic: str) -> Node:
    """The node itself."""
    overrides = {name: given[name] for name in ("model", "provider") if given[name]}
    if given["threads"]:
        overrides["threads"] = number(given["threads"], "threads")
    if given["use_sim_time"]:
        overrides["use_sim_time"] = truth(given["use_sim_time"], "use_sim_time")
    beside = topic.rsplit("/", 1)[0]
    return Node(
        package=PACKAGE,
        executable="segment",
        name="evlayerseg",
        namespace=home,
        parameters=[given["params_file"], overrides] if overrides else [given["params_file"]],
        remappings=[
            ("~/events", topic),
            ("~/events_camera_info", f"{beside}/camera_info"),
            ("~/imu", f"{beside}/imu"),
        ],
        ros_arguments=["--log-level", given["log_level"]],
        output="screen",
    )


def rviz(context: LaunchContext, home: str, frame_id: str) -> list[Action]:
    """Rviz on the node's outputs, or a warning where there is none."""
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        get_logger(PACKAGE).warning("rviz:=true, but rviz2 is not installed: going on without it.")
        return []
    config = os.path.join(SHARE.perform(context), "rviz", "segment.rviz")
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=home,
            arguments=["-d", config, "-f", frame_id],
            remappings=[
                (f"/event_camera/evlayerseg/{name}", f"{home}/evlayerseg/{name}") for name in DRAWN
            ],
        )
    ]


def on_exit(process: ExecuteProcess, act) -> RegisterEventHandler:
    """Has `act(event, context)` say what to do when a process ends."""
    return RegisterEventHandler(OnProcessExit(target_action=process, on_exit=act))


def ended(event: ProcessExited, context: LaunchContext) -> None:
    """The node has ended; with status 2 it was told something wrong, and said what."""
    if event.returncode == 2:  # an error, unlike Shutdown, gives `ros2 launch` the status 1
        raise RuntimeError("evlayerseg cannot run as it was told to.")


def last_one(player: ExecuteProcess, playing: list[ExecuteProcess]):
    """What to do when a recording ends: if it was the last one, the launch ends, too."""

    def act(event: ProcessExited, context: LaunchContext) -> list[Action]:
        playing.remove(player)
        if event.returncode and not context.is_shutdown:
            raise RuntimeError("The recording cannot be played.")
        end = EmitEvent(event=Shutdown(reason="the recording has ended"))
        return [] if playing else [TimerAction(period=REST, actions=[end])]

    return act


def namespace(context: LaunchContext, camera: str) -> str:
    """The absolute namespace of a camera: below those that groups pushed, if it is relative."""
    pushed = context.launch_configurations.get("ros_namespace", "")
    home = absolute(camera, pushed)
    return home.rstrip("/")


def absolute(name: str, home: str) -> str:
    """A name relative to a namespace, as ROS resolves it."""
    return name if name.startswith("/") else f"/{home.strip('/')}/{name}".replace("//", "/")


def check_parameters(path: str) -> None:
    """Refuses a file that is not there or holds no parameters; names the node checks itself."""
    if not os.path.isfile(path):
        raise RuntimeError(f"params_file {path} does not exist.")
    try:
        with open(path) as file:
            tree = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RuntimeError(f"params_file {path} cannot be read as YAML: {reason}") from error
    sections = tree.values() if isinstance(tree, dict) else []
    if not any("ros__parameters" in str(section) for section in sections):
        raise RuntimeError(f"params_file {path} holds no `ros__parameters:` under a node's name.")


def check_model(model: str) -> None:
    """Refuses a model that is not there: the node would wait to be configured by hand."""
    spec = find_spec(PACKAGE)
    if model in ("", "default") or os.path.isfile(model) or spec is None or not spec.origin:
        return
    if not os.path.isfile(os.path.join(os.path.dirname(spec.origin), "weights", f"{model}.onnx")):
        raise RuntimeError(f"model {model} does not exist: expected an ONNX file or a known name.")


def truth(text: str, name: str) -> bool:
    """An argument that is true or false."""
    words = {"true": True, "1": True, "false": False, "0": False, "": False}
    if text.lower() not in words:
        raise RuntimeError(f"{name} is {text!r}: expected true or false.")
    return words[text.lower()]


def number(text: str, name: str) -> int:
    """An argument that is a whole number."""
    if not text.isdigit():
        raise RuntimeError(f"{name} is {text!r}: expected a whole number.")
    return int(text)


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` reads."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
