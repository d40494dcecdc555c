"""Where water ends on ground whose heights nobody knows: at kerbs, walls, banks and the edges of
fields, which are edges in the picture, and not where a polygon was drawn."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..scene.rules import smoothstep
from .ground import Ground, hashed

STRAY = 0.3
"""How far the seed of a piece may lie from its place in the lattice, in cells."""
CALM_PX = 2
"""Around it the calmest pixel is taken."""
STRONGEST = 99.0
"""Percentile of the differences from which on an edge is as strong as can be."""
STEPS = 60_000
"""Strengths of an edge that are told apart."""
SMOOTH_M = 1.0
WELL_UNDER = 0.4
"""How low ground is that no shore comes to, 0 to 1."""
EDGE_PX, PLAIN = 7, 0.3
"""How near an edge counts, and from which strength on."""
HELD = 0.85
"""Share of what a piece has in common; the rest of it goes by the place."""
SMALLEST_PX, LARGEST_PX = 6.0, 60.0


def along_edges(ground: Ground, hollow: np.ndarray, size_px: float, seed: int) -> np.ndarray:
    """How low the ground lies (H, W; 0 to 1: the shore to the middle of a hollow), much alike
    within pieces of about `size_px` pixels that end at edges of the picture."""
    steps = differences(ground)
    names = pieces(ground, steps, float(np.clip(size_px, SMALLEST_PX, LARGEST_PX)), seed)
    count = np.bincount(names.ravel())
    each = np.bincount(names.ravel(), hollow.ravel()) / np.maximum(count, 1)
    blur = max(0.8, SMOOTH_M / max(ground.gsd_m, 0.05))
    whole = ndimage.gaussian_filter(each[names], blur)
    # Where nothing ends in the picture, an outline of a piece is one of chance.
    edge = ndimage.maximum_filter(ndimage.gaussian_filter(steps, 1.0), EDGE_PX)
    held = HELD * np.clip(edge / PLAIN - 0.5, 0, 1)
    held = ndimage.gaussian_filter(held, EDGE_PX / 2)
    # Well under water the ground is as it was: only where the shore may lie does it end elsewhere.
    held *= 1 - smoothstep((hollow - WELL_UNDER) / WELL_UNDER)
    return np.asarray(hollow + held * (whole - hollow), np.float32)


def differences(ground: Ground) -> np.ndarray:
    """How strong an edge of the picture is (H, W): 0 to 1, the strongest."""
    steps = np.zeros(ground.mask.shape, np.float32)
    for band in range(len(ground.roles)):
        values = ground.image[band]
        spread = max(float(values.std()), 1e-6)
        steps += ndimage.gaussian_gradient_magnitude(values, 1.2) / spread
    most = max(float(np.percentile(steps, STRONGEST)), 1e-6)
    return np.asarray(np.clip(steps / most, 0, 1), np.float32)


def pieces(ground: Ground, steps: np.ndarray, size_px: float, seed: int) -> np.ndarray:
    """Numbers (H, W) of pieces of ground that end at `steps` (H, W), 0 to 1: a watershed from the
    calmest pixel near each point of a lattice (waterpixels: Machairas et al., IEEE TIP 24, 2015).
    The lattice lies on the raster, whatever window of it is seen."""
    height, width = steps.shape
    top, left = ground.origin
    cell_rows = np.arange(int(top // size_px), int((top + height) // size_px) + 1)
    cell_cols = np.arange(int(left // size_px), int((left + width) // size_px) + 1)
    stray = [STRAY * (2 * hashed(cell_rows, cell_cols, seed + one) - 1) for one in (0, 1)]
    rows = (cell_rows[:, None] + 0.5 + stray[0]) * size_px - top
    cols = (cell_cols + 0.5 + stray[1]) * size_px - left
    down, across = np.mgrid[-CALM_PX : CALM_PX + 1, -CALM_PX : CALM_PX + 1].reshape(2, -1, 1)
    near_rows = np.clip(rows.ravel().astype(np.int64) + down, 0, height - 1)
    near_cols = np.clip(cols.ravel().astype(np.int64) + across, 0, width - 1)
    calmest = steps[near_rows, near_cols].argmin(axis=0)
    each = np.arange(calmest.size)
    seeds = np.zeros(steps.shape, np.int32)
    seeds[near_rows[calmest, each], near_cols[calmest, each]] = each + 1
    return np.asarray(ndimage.watershed_ift((steps * STEPS).astype(np.uint16), seeds))
