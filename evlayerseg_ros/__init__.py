"""Motion segmentation with event cameras: what moves on its own, and how.

The rooms, each of which imports only from those before it:
events -> model -> inference -> recordings -> node, training, evaluation -> cli.
"""

__version__ = "0.1.0"
