"""COPY: a source polygon's content at target places, blended by the robust Poisson equation."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from . import poisson
from .field import Bank, Field, Targets
from .pyramid import Level
from .scaling import Scaling


def copy(
    window: Level, source: np.ndarray, usable: np.ndarray, turn: int = 0, fidelity: float = 0.08
) -> np.ndarray:
    """Lay `source` (C, h, w), where `usable`, on every part of the window's hole, middle on middle.

    `turn` rotates the source by that many quarter turns against the clock. What
    does not fit into a part of the hole is cut off; what of the hole the source
    does not reach stays as it is.
    """
    image, mask, valid = window.image, window.hole, window.usable
    source, usable = np.rot90(source, turn, (1, 2)), np.rot90(usable, turn)
    scaling = Scaling.of(image, valid)
    scaled, pasted = scaling.scaled(image), scaling.scaled(np.where(usable, source, 0))
    middle = np.array(ndimage.center_of_mass(usable))
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    rows, cols = np.indices(mask.shape)
    out = image.copy()
    for part in range(1, count + 1):
        here = parts == part
        place = np.array(ndimage.center_of_mass(here))
        down, right = np.rint(middle - place).astype(int)
        from_rows, from_cols = rows + down, cols + right
        hole = here & (from_rows >= 0) & (from_rows < usable.shape[0])
        hole &= (from_cols >= 0) & (from_cols < usable.shape[1])
        hole[hole] = usable[from_rows[hole], from_cols[hole]]
        if not hole.any():
            continue
        bank = Bank(np.ascontiguousarray(pasted), np.ascontiguousarray(usable), np.zeros((*usable.shape, 1), np.float32))
        targets = Targets(hole)
        field = Field(targets, bank, from_rows[hole], from_cols[hole])
        result = poisson.blended(field, scaled, hole, fidelity, valid & ~hole)
        out[:, hole] = scaling.restored(result)[:, hole]
    return out
