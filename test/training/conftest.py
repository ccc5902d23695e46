"""What several tests of this room look at."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def sample():
    """The first 30,000 events of a scene of one object, with its truth."""
    pytest.importorskip("torch", reason="training is an extra")
    from evlayerseg_ros.network.layernet import LayerNet
    from evlayerseg_ros.simulation.planar_scenes import random_scene
    from evlayerseg_ros.simulation.simulator import simulate
    from evlayerseg_ros.simulation.textures import TextureBank
    from evlayerseg_ros.training.samples import cut_window, true_sample

    rng = np.random.default_rng(3)
    scene = random_scene(rng, TextureBank(), "paper", duration=0.1)
    events, _ = simulate(scene, rng)
    window = cut_window(events, 0, 30_000)
    return true_sample(scene, events, window, LayerNet().voxel.cell(640))
