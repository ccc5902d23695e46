"""Named sets of simulated sequences, each the same on every machine for a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import util
from pathlib import Path

import numpy as np
from tqdm import tqdm

from evlayerseg_ros.errors import InputError, MissingPackage
from evlayerseg_ros.simulation.planar_scenes import KINDS, random_scene
from evlayerseg_ros.simulation.simulator import Layer, Motion, Scene, Sensor, simulate
from evlayerseg_ros.simulation.suites import SEQUENCES, SUITES, suite_scenes
from evlayerseg_ros.simulation.textures import TextureBank, image_files

OF_A_KIND = 8  # sequences
MASK_RATE = 40.0  # Hz, ground truth of the paper's sequences
# Photographs of scikit-image's wheel; training never sees those for evaluation.
EVALUATION_PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "motorcycle_left", "camera")
TRAINING_PHOTOS = (
    "brick", "coins", "grass", "gravel", "hubble_deep_field",
    "ihc", "moon", "page", "retina", "text",
)  # fmt: skip


def photographs(names: tuple[str, ...]) -> list[Path]:
    """Files of photographs that scikit-image ships.

    Raises:
        MissingPackage: scikit-image is not installed.
    """
    found = util.find_spec("skimage")
    if found is None or found.origin is None:
        raise MissingPackage.of("skimage")
    files = image_files([Path(found.origin).parent / "data"])
    return [path for path in files if path.stem in names]


def affine25(seed: int) -> Iterator[tuple[str, Scene]]:
    """5 backgrounds x 5 objects by the paper's recipe: 640x480, 1 s, contrast threshold 0.5.

    Backgrounds are photographs, objects are shapes with photographs for faces, median filters of 15
    and 11 px and a Gaussian of 1 px, as in the paper (docs: AffineObjects).
    """
    photos = photographs(EVALUATION_PHOTOS)
    for background in range(5):
        for thing in range(5):
            looks = np.random.default_rng([seed, 1, background])
            motion = np.random.default_rng([seed, 2, background, thing])
            bank = TextureBank([photos[background % len(photos)]], procedural=0.0)
            size = (640, 480)
            texture = bank.background(looks, (960, 768), median=15, blur=1.0)
            back = Layer(texture, None, _paper_background(motion, size))
            faces = TextureBank(photos, procedural=0.0)
            look = np.random.default_rng([seed, 3, thing])
            side = int(look.uniform(110, 220))
            surface, alpha = faces.object(look, side, median=11, blur=1.0)
            scene = Scene([back, Layer(surface, alpha, _paper_object(motion, size))], 1.0, Sensor())
            yield f"background{background}_object{thing}", scene


def _paper_background(rng: np.random.Generator, size: tuple[int, int]) -> Motion:
    return Motion(
        rng.uniform(-0.2, 0.2, (2, 2)) * size,
        np.deg2rad(rng.uniform(-5, 5, 2)),
        rng.uniform(0.9, 1.1, 2),
    )


def _paper_object(rng: np.random.Generator, size: tuple[int, int]) -> Motion:
    """Across the image, 0.5 to 1 of its width a second, in view nearly all the time."""
    heading = rng.uniform(-0.5, 0.5) + np.pi * rng.integers(2)
    step = np.array([np.cos(heading), np.sin(heading)]) * rng.uniform(0.5, 1.0) * size[0]
    middle = rng.uniform(-0.1, 0.1, 2) * size
    return Motion(
        np.stack([middle - step / 2, middle + step / 2]),
        np.deg2rad(rng.uniform(-10, 10, 2)),
        rng.uniform(0.5, 1.2, 2),
    )


def demo(seed: int) -> Iterator[tuple[str, Scene]]:
    """One moving object on a moving background, from procedural textures alone: 2 s at 640x480."""
    rng = np.random.default_rng([seed, 11])
    bank = TextureBank()
    texture = bank.background(rng, (960, 768), median=9, blur=1.2)
    back = Motion(np.array([[70.0, 20], [-70, -20]]), np.deg2rad([2.0, -3]), np.array([1.0, 1.06]))
    surface, alpha = bank.object(rng, 170, median=7, blur=1.0)
    thing = Motion(
        np.array([[-230.0, 60], [230, -60]]), np.deg2rad([-12.0, 14]), np.array([0.9, 1.1])
    )
    sensor = Sensor(threshold=(0.5, 0.5), threshold_sigma=0.05, noise_rate=0.3, settled=True)
    yield "demo", Scene([Layer(texture, None, back), Layer(surface, alpha, thing)], 2.0, sensor)


def _kind(kind: str, seed: int) -> Iterator[tuple[str, Scene]]:
    """Eight scenes of one kind of training scene, with textures that no training saw."""
    bank = TextureBank(photographs(EVALUATION_PHOTOS))
    for index in range(OF_A_KIND):
        rng = np.random.default_rng([seed, 4, list(KINDS).index(kind), index])
        yield f"{kind}{index}", random_scene(rng, bank, kind, duration=0.3)


def _suites(*names: str, seed: int) -> Iterator[tuple[str, Scene]]:
    """Suites, with the photographs that training never sees."""
    for name in names:
        yield from suite_scenes(name, TextureBank(photographs(EVALUATION_PHOTOS)), seed)


PRESETS: dict[str, Callable[..., Iterator[tuple[str, Scene]]]] = {
    "demo": demo,
    "affine25": affine25,
    **{kind: partial(_kind, kind) for kind in KINDS if kind != "paper"},
    "suites": partial(_suites, *SUITES),
    **{name: partial(_suites, name) for name in SUITES},
}
"""The sequences of each preset with their names, for a `seed`."""


def count_of(preset: str) -> int:
    """How many sequences a preset has, without making one."""
    if preset in SUITES:
        return SEQUENCES
    others = {"demo": 1, "affine25": 25, "suites": len(SUITES) * SEQUENCES}
    return others.get(preset, OF_A_KIND)


def write_preset(preset: str, out: Path, seed: int = 0) -> list[Path]:
    """Simulate a preset's sequences into npz files.

    Args:
        preset: one of PRESETS.
        out: folder for NAME.npz, made if need be.
        seed: of textures, motion and noise.

    Returns:
        The files written. See `write_sequence` for what they hold.

    Raises:
        InputError: there is no such preset.
    """
    if preset not in PRESETS:
        raise InputError(f"Preset {preset!r} is none of {', '.join(PRESETS)}.")
    out.mkdir(parents=True, exist_ok=True)
    files = []
    scenes = PRESETS[preset](seed=seed)
    scenes = tqdm(scenes, preset, count_of(preset), unit="sequence", disable=None)
    for index, (name, scene) in enumerate(scenes):
        files.append(out / f"{name}.npz")
        write_sequence(files[-1], scene, np.random.default_rng([seed, 5, index]))
    return files


def write_sequence(path: Path, scene: Scene, rng: np.random.Generator) -> None:
    """Simulate a scene into an npz that every command reads as a recording with its truth.

    Holds x, y (uint16 px), t (int64 ns), p (0 or 1), size (width, height), label (uint8, layer of
    each event), mask_t (int64 ns), masks (uint8 [M, H, W], layer at each pixel), affine_t (int64
    ns) and affine (float64 [M, L, 2, 3], velocity of each layer in px/s at those times).
    """
    events, label = simulate(scene, rng)
    times = np.arange(0, scene.duration, 1 / MASK_RATE)
    masks = np.stack([scene.labels(float(t)) for t in times])
    # Of an object in several parts, the first part's motion.
    layers = np.unique(scene.label_of, return_index=True)[1].tolist()
    affine = np.stack([[scene.velocity(layer, float(t)) for layer in layers] for t in times])
    stamps = np.round(times * 1e9).astype(np.int64)
    np.savez_compressed(
        path,
        x=events.x,
        y=events.y,
        t=events.t,
        p=events.p,
        size=np.array([events.width, events.height]),
        label=label,
        mask_t=stamps,
        masks=masks,
        affine_t=stamps,
        affine=affine,
    )
