"""What tests share. ROS talks on a domain of this run's own, on this machine only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Before anything imports rclpy; child processes inherit it.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_LOG_DIR"] = tempfile.mkdtemp(prefix="evlayerseg_test_log_")
os.environ["OMP_NUM_THREADS"] = "2"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings; its tests are skipped where it is missing."""
    folder = Path(os.environ.get("EVLAYERSEG_RECORDINGS", ROOT.parent / "shared/recordings"))
    if not folder.is_dir():
        pytest.skip(f"real recordings are not at {folder}: set EVLAYERSEG_RECORDINGS")
    return folder
