"""A recording through the node's pipeline: offline, into a live node, as a video."""
