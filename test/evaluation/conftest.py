"""The box that moves, for every test of this room."""

from __future__ import annotations

import pytest
from box_scene import every_pixel, truth_of

from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.events.types import Events


@pytest.fixture
def events() -> Events:
    return every_pixel()


@pytest.fixture
def truth(events) -> Truth:
    return truth_of(events)
