"""Crowns of trees that are set out: cut out of the layer where it shows single ones, else drawn."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .cast_shadow import Light
from .ground import Ground
from .light import aired, exposure
from .things import Thing

CROWN_M = 5.5
TALL = 1.15
"""Width of a crown, and its height by that."""
CROWNS_M = (2.5, 11.0)
LEAST_SOLID = 0.86
MOST_CROWNS = 12
LEAST_PX = 3.0
"""Width in pixels below which a thing is no more than a speck."""
FEWEST_GREEN = 60
LEAF = {"red": 0.20, "green": 0.27, "blue": 0.15, "nir": 0.52, "swir1": 0.22, "swir2": 0.12}
"""Reflectance of leaves about as bright as aerial pictures show it."""


def crowns_of(ground: Ground) -> list[Thing]:
    """Single crowns that the layer shows around the mask, cut out."""
    trees = ndimage.binary_opening(ground.cover.sure("tree") > 0.5) & ~ground.mask
    parts, count = ndimage.label(trees)
    found = []
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        here = parts[box] == number
        height, width = here.shape
        across = max(height, width) * ground.gsd_m
        solid = here.sum() / max(np.pi / 4 * height * width, 1)
        near_edge = box[0].start == 0 or box[1].start == 0
        near_edge |= box[0].stop == parts.shape[0] or box[1].stop == parts.shape[1]
        if not CROWNS_M[0] <= across <= CROWNS_M[1] or min(here.shape) < LEAST_PX or near_edge:
            continue
        if solid < LEAST_SOLID or max(height, width) > 1.6 * min(height, width):
            continue
        wide = tuple(slice(max(one.start - 2, 0), one.stop + 2) for one in box)
        alpha = ndimage.gaussian_filter((parts[wide] == number).astype(np.float32), 0.6)
        found.append((solid, Thing(ground.image[(slice(None), *wide)], alpha)))
    found.sort(key=lambda one: -one[0])
    return [thing for _, thing in found[:MOST_CROWNS]] if count else []


def crown_of(ground: Ground, light: Light, grow: float, rng: np.random.Generator) -> Thing:
    """A crown drawn as a dome of leaves in the scene's light and its own green."""
    radius = max(0.5 * CROWN_M * grow / ground.gsd_m, LEAST_PX / 2)
    side = int(np.ceil(radius)) + 2
    rows, cols = np.mgrid[-side : side + 1, -side : side + 1].astype(np.float32)
    angle = np.arctan2(rows, cols)
    waves = [rng.uniform(0.02, 0.07) * np.sin(k * angle + rng.uniform(0, 6.3)) for k in (3, 5, 7)]
    far = np.hypot(rows, cols) / (radius * (1 + np.sum(waves, axis=0)))
    alpha = np.clip((1 - far) * radius + 0.5, 0, 1)
    dome = np.sqrt(np.clip(1 - far**2, 0, 1))
    to_sun = np.deg2rad(light.azimuth)
    lean = (cols * np.sin(to_sun) - rows * np.cos(to_sun)) / radius
    leaves = ndimage.gaussian_filter(
        rng.standard_normal(far.shape), max(0.35 / ground.gsd_m, 0.5), mode="wrap"
    )
    leaves /= max(float(leaves.std()), 1e-6)
    shading = np.clip(0.62 + 0.38 * dome + 0.36 * lean + 0.16 * leaves, 0.25, 1.7)
    tone = _leaf(ground)
    return Thing((tone[:, None, None] * shading).astype(np.float32), alpha.astype(np.float32))


def _leaf(ground: Ground) -> np.ndarray:
    """Colour (C,) of leaves in the light of the scene: of its trees, else of its meadows, else as
    leaves are."""
    for kind, dim in (("tree", 1.1), ("low", 0.75)):
        there = (ground.cover.share(kind) > 0.6) & ~ground.mask
        if there.sum() >= FEWEST_GREEN:
            return dim * np.median(ground.image[:, there], axis=1)
    bright = exposure(ground)
    return np.array(
        [
            aired(ground, band, LEAF.get(role, 0.25) * bright)
            for band, role in enumerate(ground.roles)
        ]
    )
