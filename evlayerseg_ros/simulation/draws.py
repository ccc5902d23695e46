"""Random numbers of scenes."""

from __future__ import annotations

import numpy as np


def heading(rng: np.random.Generator) -> np.ndarray:
    """float64 [2]: a direction, of length 1."""
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number uniform in its logarithm: from 1 to 2 as often as from 2 to 4."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
