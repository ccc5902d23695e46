"""What an event is; packets to events (codecs), windows, voxel grids. numpy and numba only."""

from evlayerseg_ros.events.types import Events, Window

__all__ = ["Events", "Window"]
