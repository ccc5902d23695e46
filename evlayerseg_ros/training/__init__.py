"""Training: the loop, its scenes, losses and teachers."""
