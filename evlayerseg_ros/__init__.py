"""Motion segmentation with event cameras: what moves on its own, and how.

The rooms, each of which imports only from those before it (test/test_house.py holds them to it):
events, motion, segmentation, pipeline, outputs, recordings, replay, network, simulation, paper,
training, evaluation, bench, node, commands.
"""

__version__ = "0.1.0"

from evlayerseg_ros import surroundings as _surroundings

_surroundings.prepare()
