"""Events and packets; packets to events (codecs), windows, voxel grids. numpy, numba, cv2 only."""

from evlayerseg_ros.events.types import Events, Packet, Window
from evlayerseg_ros.surroundings import compile_where_the_cache_fails

compile_where_the_cache_fails()

__all__ = ["Events", "Packet", "Window"]
