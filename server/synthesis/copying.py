"""COPY: a source polygon's content at target places, blended by the robust Poisson equation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from . import poisson
from .field import Bank, Field, Targets
from .pyramid import Level
from .scaling import Scaling


def placements(
    window: Level, usable: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For every part of the window's hole the pixels (H, W) that a source lies on, middle on
    middle, and the source's rows and columns (H, W) there."""
    middle = np.array(ndimage.center_of_mass(usable))
    parts, count = ndimage.label(window.hole, np.ones((3, 3)))
    rows, cols = np.indices(window.hole.shape)
    for part in range(1, count + 1):
        here = parts == part
        down, right = np.rint(middle - np.array(ndimage.center_of_mass(here))).astype(int)
        from_rows = rows + down
        from_cols = cols + right
        hole = here & (from_rows >= 0) & (from_rows < usable.shape[0])
        hole &= (from_cols >= 0) & (from_cols < usable.shape[1])
        hole[hole] = usable[from_rows[hole], from_cols[hole]]
        if hole.any():
            yield hole, from_rows, from_cols


def copy(
    window: Level, source: np.ndarray, usable: np.ndarray, turn: int = 0, fidelity: float = 0.08
) -> tuple[np.ndarray, np.ndarray]:
    """Lay `source` (C, h, w), where `usable`, on every part of the window's hole, middle on middle.

    `turn` rotates the source by that many quarter turns against the clock. What
    does not fit into a part of the hole is cut off; what of the hole the source
    does not reach stays as it is. Returns the image, and where the source lies (H, W).
    """
    image = window.image
    valid = window.usable
    source = np.rot90(source, turn, (1, 2))
    usable = np.rot90(usable, turn)
    scaling = Scaling.of(image, valid)
    scaled = scaling.scaled(image)
    pasted = scaling.scaled(np.where(usable, source, 0))
    out = image.copy()
    laid = np.zeros_like(window.hole)
    for hole, from_rows, from_cols in placements(window, usable):
        bank = Bank(
            np.ascontiguousarray(pasted),
            np.ascontiguousarray(usable),
            np.zeros((*usable.shape, 1), np.float32),
        )
        targets = Targets(hole)
        field = Field(targets, bank, from_rows[hole], from_cols[hole])
        result = poisson.blended(field, scaled, hole, poisson.Lean(fidelity), valid & ~hole)
        out[:, hole] = scaling.restored(result)[:, hole]
        laid |= hole
    return out, laid
