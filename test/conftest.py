"""What tests share. ROS talks on a domain of this run's own, on this machine only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from root import ROOT
from streams import noise, save

# Before anything imports rclpy; child processes inherit it. Workers side by side have one each.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
RUN = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
os.environ["ROS_DOMAIN_ID"] = str(1 + RUN % 25 * 4 + WORKER % 4)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_LOG_DIR"] = tempfile.mkdtemp(prefix="evlayerseg_test_log_")
os.environ["OMP_NUM_THREADS"] = "2"


# Files that take long as a whole; single tests say so themselves.
SLOW = (
    "test_training.py",
    "test_recordings.py",
    "test_teacher.py",
    "test_fuzz.py",
    "test_warm_up.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files go first. Files that use ros.py, which run nodes over DDS, are marked."""
    items.sort(key=lambda item: item.path.name not in SLOW)
    for item in items:
        if item.path.name in SLOW:
            item.add_marker("slow")
        if "\nfrom ros import" in item.path.read_text():
            item.add_marker("ros")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings; its tests are skipped where it is missing."""
    folder = Path(os.environ.get("EVLAYERSEG_RECORDINGS", ROOT.parent / "shared/recordings"))
    if not folder.is_dir():
        pytest.skip(f"real recordings are not at {folder}: set EVLAYERSEG_RECORDINGS")
    return folder


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    """A short recording, dots.npz: events all over 64x48 px for 0.2 s."""
    return save(tmp_path / "dots.npz", noise(8000, (64, 48), 200_000_000))


@pytest.fixture
def client() -> Iterator[Any]:
    """A ROS node beside the one under test."""
    from ros import Client

    client = Client()
    yield client
    client.close()
