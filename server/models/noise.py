"""Gaussian noise that is fixed to the raster instead of the window.

Windows and tiles that overlap draw the same noise for the same pixel, so that
what is sampled from it agrees where they meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CELL = 64
"""Noise is drawn in squares of so many pixels, each with a generator of its own."""


@dataclass(frozen=True)
class AnchoredNoise:
    """Standard normal noise by seed and place. `seed`: the same gives the same noise for a pixel of
    the raster, in whatever window. `origin`: the window's first (row, column) in the raster."""

    seed: int
    origin: tuple[int, int] = (0, 0)

    def normal(self, shape: tuple[int, ...], level: int = 0) -> np.ndarray:
        """Noise (C, H, W) float32 of the window at pyramid level `level` (each level halves the
        pixels)."""
        bands, height, width = shape
        top, left = (place >> level for place in self.origin)
        first_row = top // CELL
        first_col = left // CELL
        rows = (top + height - 1) // CELL - first_row + 1
        cols = (left + width - 1) // CELL - first_col + 1
        whole = np.empty((bands, rows * CELL, cols * CELL), np.float32)
        for row in range(rows):
            for col in range(cols):
                # Counted from far above 0, since a generator's key cannot be negative.
                key = (self.seed, level, first_row + row + 2**31, first_col + col + 2**31)
                cell = np.random.default_rng(key).standard_normal((bands, CELL, CELL), np.float32)
                whole[:, row * CELL : (row + 1) * CELL, col * CELL : (col + 1) * CELL] = cell
        top = top - first_row * CELL
        left = left - first_col * CELL
        return whole[:, top : top + height, left : left + width]
