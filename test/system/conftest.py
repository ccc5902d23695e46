"""What tests of nodes share."""

from __future__ import annotations

import pytest


@pytest.fixture
def log(tmp_path):
    return tmp_path / "node.log"
