"""The commands, a file a group. They import what they need only when they run."""
