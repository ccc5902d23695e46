"""What tests of nodes share."""

from __future__ import annotations

import pytest
from fuzzing import count_inputs


@pytest.fixture
def log(tmp_path):
    return tmp_path / "node.log"


@pytest.fixture(scope="module", autouse=True)
def counted():
    """Tells `make fuzz` how many inputs there were."""
    yield
    count_inputs()
