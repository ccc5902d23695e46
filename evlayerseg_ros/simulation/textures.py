"""What simulated layers look like: photographs, cut-outs, procedural textures. No torch."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.surroundings import stderr_dropped

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}
MARGIN = 6  # px of transparency around an object, so that its edge can be blurred
DARKEST = 1e-3  # added to intensities in 0..1 before the logarithm, as ESIM does


def image_files(folders: list[Path]) -> list[Path]:
    """Every image below the folders, in a fixed order.

    Raises:
        InputError: a folder is missing or holds no image.
    """
    files: list[Path] = []
    for folder in folders:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not found:
            raise InputError(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))}).")
        files += found
    return files


@lru_cache(maxsize=256)
def _load(path: Path, longest: int) -> np.ndarray:
    """uint8 [h, w, 2]: brightness and alpha, no side longer than `longest`."""
    with stderr_dropped():
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"{path} cannot be read as an image.")
    if image.dtype == np.uint16:
        image = (image / 257).astype(np.uint8)
    if image.ndim == 2:
        image = image[..., None]
    opaque = np.full(image.shape[:2], 255, np.uint8)
    alpha = image[..., -1] if image.shape[2] in (2, 4) else opaque
    grey = image[..., 0] if image.shape[2] < 3 else cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY)
    both = np.dstack([grey, alpha])
    shrink = longest / max(both.shape[:2])
    if shrink < 1:
        both = cv2.resize(both, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(both)


class TextureBank:
    """A source of random textures; without any files all of them are procedural.

    Args:
        photos: image files for backgrounds and for the faces of shapes.
        cutouts: image files with an alpha channel for objects.
        procedural: share of surfaces that are procedural although there are photos.
    """

    def __init__(
        self,
        photos: list[Path] | None = None,
        cutouts: list[Path] | None = None,
        procedural: float = 0.35,
    ) -> None:
        self.photos = photos or []
        self.cutouts = cutouts or []
        self.procedural = procedural if self.photos else 1.0

    def surface(self, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        """uint8 [h, w]: a random opaque texture of (width, height) px."""
        if rng.random() >= self.procedural:
            image = _crop(rng, _load(self.photos[rng.integers(len(self.photos))], 2000), size)
        else:
            kind = rng.choice(["leaves", "leaves", "clouds", "stripes", "cells"])
            image = PROCEDURAL[kind](rng, size)
        return _grade(rng, image)

    def background(
        self, rng: np.random.Generator, size: tuple[int, int], median: int, blur: float
    ) -> np.ndarray:
        """float32 [h, w]: log intensity of a background of (width, height) px, smoothed."""
        return log_intensity(smooth(self.surface(rng, size), median, blur))

    def object(
        self, rng: np.random.Generator, side: int, median: int, blur: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """An object about `side` px large: log intensity and alpha, float32 [h, w] each."""
        if self.cutouts and rng.random() < 0.5:
            both = _load(self.cutouts[rng.integers(len(self.cutouts))], 512)
            scale = side / max(both.shape[:2])
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            both = cv2.resize(both, None, fx=scale, fy=scale, interpolation=way)
            if rng.random() < 0.5:
                both = both[:, ::-1]
            image = _grade(rng, both[..., 0].copy())
            alpha = both[..., 1].astype(np.float32) / np.float32(255)
        else:
            alpha = shape(rng, side)
            image = self.surface(rng, (side, side))
        image = np.pad(image, MARGIN, mode="edge")
        alpha = np.pad(alpha, MARGIN)
        return (
            log_intensity(smooth(image, median, blur)),
            cv2.GaussianBlur(alpha, (0, 0), max(0.5, blur * 0.7)),
        )


def smooth(image: np.ndarray, median: int, blur: float) -> np.ndarray:
    """Median filter (odd; below 3 none), then a Gaussian of sigma `blur` px; to float32."""
    if median >= 3:
        image = cv2.medianBlur(image, median)
    image = image.astype(np.float32)
    return cv2.GaussianBlur(image, (0, 0), blur) if blur > 0 else image


def log_intensity(image: np.ndarray) -> np.ndarray:
    """float32 natural logarithm of a brightness image of 0..255."""
    return np.log(DARKEST + image.astype(np.float32) / 255).astype(np.float32)


def _crop(rng: np.random.Generator, both: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A random part of a photograph at a random zoom, turned and flipped, of (width, height) px."""
    w, h = size
    grey = both[..., 0]
    if rng.random() < 0.5:
        grey = grey[:, ::-1]
    fit = max(w / grey.shape[1], h / grey.shape[0])
    zoom = max(fit * rng.uniform(0.45, 1.0), 0.1) * (1.3 if rng.random() < 0.3 else 1.0)
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), rng.uniform(-180, 180), zoom)
    at = rng.random(2) * [grey.shape[1], grey.shape[0]]
    matrix[:, 2] = np.array([w / 2, h / 2]) - matrix[:, :2] @ at
    return cv2.warpAffine(
        np.ascontiguousarray(grey), matrix, (w, h), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip


def _grade(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Random contrast, brightness, gamma and now and then a negative; uint8."""
    grey = image.astype(np.float32) / 255
    if rng.random() < 0.6:
        low, high = np.percentile(grey[::8, ::8], (1, 99))
        grey = (grey - low) / max(high - low, 0.2)
    if rng.random() < 0.25:
        grey = 1 - grey
    grey = np.clip(grey, 0, 1) ** np.exp(rng.normal(0.15, 0.4))
    if rng.random() < 0.35:
        low = rng.uniform(0, 0.25)
        grey = low + grey * rng.uniform(0.3, 1 - low)
    return (np.clip(grey, 0, 1) * 255).astype(np.uint8)


def _dead_leaves(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Discs, polygons and bars of every size on top of each other, as natural images are made."""
    w, h = size
    image = np.full((h, w), int(rng.integers(256)), np.uint8)
    smallest = rng.uniform(6, 20)
    count = int(rng.uniform(0.3, 1.0) * 1.5 * w * h / smallest**2 / 8)
    radii = np.sort(smallest * (1 - rng.random(min(count, 4000)) * 0.985) ** -0.75)[::-1]
    for radius in np.minimum(radii, max(w, h) / 3):
        centre = (int(rng.integers(w)), int(rng.integers(h)))
        value = (int(rng.integers(256)),)
        kind = rng.integers(3)
        if kind == 0:
            cv2.circle(image, centre, int(radius), value, -1)
        elif kind == 1:
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
            points = np.stack([np.cos(angles), np.sin(angles)], 1) * radius + centre
            cv2.fillPoly(image, [points.astype(np.int32)], value)
        else:
            axes = (int(radius * 1.6) + 1, int(radius * rng.uniform(0.15, 0.7)) + 1)
            cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, value, -1)
    return image


def _clouds(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Noise of several octaves."""
    w, h = size
    image = np.zeros((h, w), np.float32)
    fall = rng.uniform(0.45, 0.9)
    for octave in range(2, 8):
        cells = (max(2, int(2**octave * h / max(w, h))), max(2, int(2**octave * w / max(w, h))))
        noise = rng.standard_normal(cells).astype(np.float32)
        image += fall**octave * cv2.resize(noise, (w, h), interpolation=cv2.INTER_CUBIC)
    image = (image - image.mean()) / image.std()
    return np.clip(128 + image * rng.uniform(30, 80), 0, 255).astype(np.uint8)


def _stripes(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Stripes or a chequered board, bent a little."""
    w, h = size
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    angle, period = rng.uniform(0, np.pi), rng.uniform(15, 90)
    bend = rng.uniform(0, 20) * np.sin(y / rng.uniform(40, 200))
    a = np.cos(angle) * x + np.sin(angle) * y + bend
    wave = np.sign(np.sin(a * 2 * np.pi / period))
    if rng.random() < 0.6:
        b = -np.sin(angle) * x + np.cos(angle) * y
        wave = wave * np.sign(np.sin(b * 2 * np.pi / (period * rng.uniform(0.5, 2))))
    patches = cv2.resize(rng.uniform(20, 110, (4, 4)).astype(np.float32), (w, h))
    return np.clip(128 + wave * patches, 0, 255).astype(np.uint8)


def _cells(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Nearest-seed cells, each with a brightness of its own."""
    w, h = size
    count = int(rng.uniform(40, 500))
    seeds = np.zeros((h, w), np.uint8)
    seeds[rng.integers(0, h, count), rng.integers(0, w, count)] = 1
    _, index = cv2.distanceTransformWithLabels(
        1 - seeds, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = rng.integers(0, 256, index.max() + 1)
    return values[index].astype(np.uint8)


PROCEDURAL = {"leaves": _dead_leaves, "clouds": _clouds, "stripes": _stripes, "cells": _cells}


def shape(rng: np.random.Generator, side: int) -> np.ndarray:
    """float32 [side, side]: a random silhouette (blob, ellipse, polygon or star), 1 inside."""
    alpha = np.zeros((side, side), np.float32)
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    kind = rng.integers(4)
    if kind == 0:  # a blob: a circle with a few random harmonics
        radius = np.ones_like(angles)
        for k in range(1, 6):
            radius += rng.normal(0, 0.25 / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
        radius = np.clip(radius, 0.2, None)
    elif kind == 1:
        ratio = rng.uniform(0.35, 1)
        radius = ratio / np.hypot(ratio * np.cos(angles), np.sin(angles))
    elif kind == 2:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        radius = rng.uniform(0.6, 1, len(angles))
    else:
        angles = np.linspace(0, 2 * np.pi, 2 * rng.integers(4, 9), endpoint=False)
        radius = np.where(np.arange(len(angles)) % 2, rng.uniform(0.4, 0.9), 1.0)
    turned = angles + rng.uniform(0, 2 * np.pi)
    points = np.stack([np.cos(turned), np.sin(turned)], 1) * (radius / radius.max())[:, None]
    points = (points * 0.49 + 0.5) * side
    cv2.fillPoly(alpha, [points.astype(np.int32)], (1.0,))
    return alpha
