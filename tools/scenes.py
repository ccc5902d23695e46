"""Twenty random worlds as training draws them, as a picture for the docs.

Events of 33 ms: grey what the camera moves, coloured what moves by itself, on its mask in pale.

.venv/bin/python tools/scenes.py docs/scenes.webp [PHOTOS CUTOUTS]
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from evlayerseg_ros.simulation.depth_scenes import random_world
from evlayerseg_ros.simulation.simulator import simulate
from evlayerseg_ros.simulation.textures import TextureBank, image_files

COLOURS = np.array([(120, 120, 120), (0, 0, 230), (0, 150, 0), (230, 0, 0), (200, 0, 200)])  # BGR
TILE = 280, 210  # px
BEGIN, END = 0.15, 0.183  # s


def picture(rng: np.random.Generator, bank: TextureBank) -> np.ndarray:
    """uint8 [h, w, 3] BGR of one scene."""
    scene = random_world(rng, bank)
    events, labels = simulate(scene, rng)
    moving = np.asarray(scene.label_of)[scene.layers_at(END, 1)] > 0
    image = np.where(moving[..., None], (200, 228, 255), 255).astype(np.uint8)
    first, last = np.searchsorted(events.t, (int(BEGIN * 1e9), int(END * 1e9)))
    part, label = events[first:last], labels[first:last]
    image[part.y, part.x] = COLOURS[np.minimum(np.where(label == 255, 0, label), 4)]
    return cv2.resize(image, TILE, interpolation=cv2.INTER_AREA)


def main(out: Path, folders: list[Path]) -> None:
    bank = TextureBank(*(image_files([folder]) for folder in folders))
    tiles = [picture(np.random.default_rng(seed), bank) for seed in range(20)]
    rows = [np.hstack(tiles[k : k + 5]) for k in range(0, 20, 5)]
    cv2.imwrite(str(out), np.vstack(rows), [cv2.IMWRITE_WEBP_QUALITY, 60])


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:4]])
