"""Events and packets; packets to events (codecs), windows, voxel grids. numpy and numba only."""

from evlayerseg_ros.events.types import Events, Packet, Window

__all__ = ["Events", "Packet", "Window"]
