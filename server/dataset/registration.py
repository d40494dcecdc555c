"""How far two dates of one ground lie apart, and the second moved onto the first."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine

from ..ground.errors import BadRequest
from ..raster.grid import Box, Grid, onto
from .pairs import View

REGISTERED_PX = 2048
"""Side of the middle that a shift is looked for in."""
LARGEST_SHIFT_PX = 10.0
LEAST_SHARED = 0.05
"""Share of the middle that both must show for a shift to be looked for."""
FRACTION = 20
"""Parts of a pixel to which a shift is told."""
GAIN = 1e-3
"""By which the correlation must grow for a shift to be believed."""


@dataclass(frozen=True)
class Shift:
    """How far two dates lie apart. `down`, `across`: by how many pixels of the earlier raster's
    grid the later one's ground lies too far down and to the right. `before`, `after`: how alike the
    two are before and after moving it back, the correlation of their steepness (-1 to 1); None: not
    measured, since they share too little ground."""

    down: float = 0.0
    across: float = 0.0
    before: float | None = None
    after: float | None = None


def moved_back(
    dataset: rasterio.DatasetReader, grid: Grid, shift: Shift
) -> contextlib.AbstractContextManager:
    """A raster on a grid, its ground moved back by a shift."""
    moved = (
        grid.transform @ Affine.translation(shift.across, shift.down)
        if shift.down or shift.across
        else grid.transform
    )
    return onto(dataset, Grid(grid.crs, moved, grid.shape))


def registered(
    old: View, second: rasterio.DatasetReader, view: Callable[[rasterio.DatasetReader], View]
) -> Shift:
    """How far the later raster's ground lies off in the middle of the earlier one; `view`: how the
    later one is looked at."""
    try:
        from skimage.registration import phase_cross_correlation
    except ImportError as error:
        raise BadRequest(
            "To register two dates scikit-image is needed (pip install 'landbrush[evaluate]'); or "
            "pass --no-register."
        ) from error
    grid = Grid.of(old.layer.dataset)
    height, width = grid.shape
    box = Box(
        max(0, (width - REGISTERED_PX) // 2),
        max(0, (height - REGISTERED_PX) // 2),
        min(width, REGISTERED_PX),
        min(height, REGISTERED_PX),
    )

    def steep(shift: Shift) -> tuple[np.ndarray, np.ndarray]:
        with moved_back(second, grid, shift) as brought:
            return _steepness(*view(brought).picture(box))

    (first, valid) = _steepness(*old.picture(box))
    (other, also) = steep(Shift())
    both = valid & also
    if both.mean() < LEAST_SHARED:
        return Shift()
    found = phase_cross_correlation(first * both, other * both, upsample_factor=FRACTION)[0]
    down, across = (-float(value) for value in found)
    start = _alike(first, other, both)
    if not (down or across) or max(abs(down), abs(across)) > LARGEST_SHIFT_PX:
        return Shift(before=start, after=start)
    moved, then = steep(Shift(down, across))
    end = _alike(first, moved, valid & then)
    return (
        Shift(down, across, start, end) if end > start + GAIN else Shift(before=start, after=start)
    )


def _steepness(picture: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the brightness (H, W), which two seasons share more of than of colours; 0 beside what is
    not valid."""
    grey = picture.astype(np.float32).mean(axis=2)
    down, across = np.gradient(grey)
    whole = valid.copy()
    whole[1:] &= valid[:-1]
    whole[:-1] &= valid[1:]
    whole[:, 1:] &= valid[:, :-1]
    whole[:, :-1] &= valid[:, 1:]
    return np.hypot(down, across) * whole, whole


def _alike(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> float:
    one = first[where] - first[where].mean()
    other = second[where] - second[where].mean()
    return float((one * other).sum() / max(float(np.sqrt((one**2).sum() * (other**2).sum())), 1e-9))
