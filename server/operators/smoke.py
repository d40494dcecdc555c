"""Smoke that drifts from a fire, and the flames below it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..scene.evidence import shifted
from ..scene.rules import smoothstep
from .ground import Ground, hashed

SMOKE = {"red": 0.7, "green": 0.71, "blue": 0.73, "pan": 0.71, "nir": 0.6, "swir1": 0.3}
THROUGH = {"nir": 0.45, "swir1": 0.9, "swir2": 0.97}
"""Brightness of smoke, and how much of longer waves goes through it: its drops are small."""
FLAME = {"red": 1.0, "green": 0.62, "blue": 0.2, "pan": 0.8, "nir": 1.0, "swir1": 1.0, "swir2": 1.0}
DRIFT_M = 160.0
STEPS = 18
SPOT_M = 42.0
FLAME_M = 0.9
"""How far smoke is seen, in so many puffs; how far apart it rises; and the size of a flame."""
FLAMES_TO_M = 2.0
"""At a coarser GSD no flame is seen."""


def with_smoke(
    ground: Ground, image: np.ndarray, burned: np.ndarray, much: float, seed: int
) -> np.ndarray:
    """An image (C, H, W) in which what `burned` (H, W; 0 ... 1) still smokes, `much` of it (0 ...
    1): plumes along one wind, thick and narrow where they rise, wide and thin where they end."""
    spots = _spots(ground, burned, much, seed)
    if not spots.any():
        return image
    out = image.copy()
    thick = _plumes(ground, spots, seed)
    opacity = np.clip(much * 1.25, 0, 0.96) * thick * (ground.depth() > 0)
    opacity = opacity * np.clip(ground.rim(12.0, 0.6, seed + 71), 0, 1)
    for band, role in enumerate(ground.roles):
        shown = opacity * (1 - THROUGH.get(role, 0.0))
        out[band] += (SMOKE.get(role, 0.65) * (0.75 + 0.45 * thick) - out[band]) * shown
    if ground.gsd_m <= FLAMES_TO_M:
        glow = smoothstep((spots - 0.35) / 0.4)
        for band, role in enumerate(ground.roles):
            out[band] += (FLAME.get(role, 0.8) - out[band]) * 0.9 * glow * (1 - 0.7 * opacity)
    return np.asarray(out, np.float32)


def _spots(ground: Ground, burned: np.ndarray, much: float, seed: int) -> np.ndarray:
    """Where it smokes most (H, W), 0 ... 1: hot spots of what burned, more of them the more smoke
    there is to be."""
    rows, cols = (
        start + np.arange(side)
        for start, side in zip(ground.origin, ground.mask.shape, strict=True)
    )
    chance = 2.2 * much * (ground.gsd_m / SPOT_M) ** 2
    clumped = smoothstep((ground.noise(60.0, seed + 73, 2) - 0.3) / 0.4)
    draw = hashed(rows, cols, seed + 72)
    points = (draw < chance * clumped) & (burned > 0.4)
    if not points.any() and (burned > 0.4).any():
        # However small the place, something of it smokes.
        points = (draw == draw[burned > 0.4].min()) & (burned > 0.4)
    wide = max(FLAME_M / max(ground.gsd_m, 0.05), 0.5)
    blobs = ndimage.gaussian_filter(points.astype(np.float32), wide) * (2 * np.pi * wide**2)
    ragged = 0.5 + ground.noise(max(1.5, 2 * ground.gsd_m), seed + 76, 2)
    return np.asarray(np.clip(blobs * ragged, 0, 1) * (burned > 0.3), np.float32)


def _plumes(ground: Ground, spots: np.ndarray, seed: int) -> np.ndarray:
    """How thick smoke is (H, W), 0 ... 1."""
    wind = (seed * 137.508 + 60.0) % 360.0
    step = max(1, round(2.0 / max(ground.gsd_m, 0.05)))
    small = spots[::step, ::step]
    metre = 1 / (ground.gsd_m * step)
    reach = DRIFT_M * metre
    total = np.zeros(small.shape, np.float32)
    for number in range(STEPS):
        far = reach * (number / STEPS) ** 1.4
        sway = 12.0 * np.sin(1.7 * number / STEPS * np.pi)
        moved = shifted(small, wind + sway, far)
        wide = (1.5 + 0.16 * far / metre) * metre
        puff = ndimage.gaussian_filter(moved, max(wide, 0.6))
        # A puff spreads as it drifts, and is fed from below meanwhile.
        total += puff * (wide / metre / 1.5) ** 1.3 * (1 - number / STEPS)
    inside = total[ground.mask[::step, ::step]]
    total = total / max(float(np.percentile(inside, 99.5)) if inside.size else 0.0, 1e-6)
    large = ndimage.zoom(
        total, [a / b for a, b in zip(spots.shape, small.shape, strict=True)], order=1
    )
    billows = 0.55 + 0.9 * (
        0.6 * ground.noise(14.0, seed + 74, 4) + 0.4 * ground.noise(4.5, seed + 75, 3)
    )
    return np.asarray(smoothstep(1.15 * large * billows), np.float32)
