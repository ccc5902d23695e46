"""Scenes, an event camera that looks at them, random scenes and named sets."""
