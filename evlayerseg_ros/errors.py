"""InputError, which bad input raises, and its kinds."""

from __future__ import annotations

import importlib
from typing import Any

# Where a module's package has another name.
_PACKAGES = {
    "backports": "backports.zstd",
    "cv2": "opencv-python-headless",
    "rerun": "rerun-sdk",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}


class InputError(ValueError):
    """Bad input from outside: a file, a message, a parameter or a model.

    Its text is one sentence for a person: what is wrong, where, and what was expected.
    Commands print it and exit with status 2; the node reports it in diagnostics and keeps running.

    Attributes:
        topics: of a rosbag2 that is refused as a recording, all that it has.
    """

    topics: tuple[str, ...] = ()


class InferenceError(InputError):
    """A model that was loaded, or what runs it, failed on a window: out of memory, device lost."""


class MissingPackage(InputError):
    """What is asked for needs a Python package that is not installed."""

    @classmethod
    def of(cls, module: str) -> MissingPackage:
        """The sentence about a module that cannot be imported, with its remedy."""
        top = module.split(".")[0]
        if top.endswith("_msgs"):
            ros = f"ros-$ROS_DISTRO-{top.replace('_', '-')}"
            return cls(
                f"This needs ROS' package {top}, which is not there: source ROS 2 and your "
                f"workspace, or sudo apt install {ros}."
            )
        package = _PACKAGES.get(top, top)
        return cls(f"This needs {package}, which is not installed: pip install {package}.")


def needs(module: str) -> Any:
    """Imports a module that only some inputs need.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage.of(error.name or module) from error
