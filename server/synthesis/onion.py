"""A first guess for a hole at the coarsest level: filled layer by layer from its rim.

Distances use known or already filled pixels only; among the candidates within
10 % of the best one is drawn at random, which is where seeds differ. After
Criminisi et al., Region filling by exemplar-based inpainting, 2004.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

PATCH = 9
WITHIN = 1.10
NEARNESS = 0.02


def peel(
    image: np.ndarray,
    hole: np.ndarray,
    usable: np.ndarray,
    valid: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fill `hole` of `image` (C, H, W); returns the image and source rows and columns (H, W).

    `usable` are patch centres that may be copied, `valid` the pixels that show
    something real.
    """
    half = PATCH // 2
    bands, height, width = image.shape
    filled = np.pad(np.where(hole, 0, image), ((0, 0), (half, half), (half, half)), mode="reflect")
    trusted = np.pad((valid & ~hole).astype(np.float32), half)
    at_rows, at_cols = np.nonzero(usable)
    cut = np.lib.stride_tricks.sliding_window_view(filled, (PATCH, PATCH), axis=(1, 2))
    bank = cut[:, at_rows, at_cols].transpose(1, 0, 2, 3).reshape(len(at_rows), bands, -1).copy()
    offsets = np.arange(PATCH) - half
    near = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * (0.8 * half + 0.3) ** 2)).ravel()
    flat = bank.reshape(len(bank), -1)
    squares = (bank**2).sum(axis=1)
    source_rows, source_cols = np.mgrid[:height, :width]
    left = hole.copy()
    while left.any():
        layer = left & ndimage.binary_dilation(
            ~left & (trusted[half:-half, half:-half] > 0), np.ones((3, 3))
        )
        if not layer.any():
            layer = left
        rows, cols = np.nonzero(layer)
        weight = np.lib.stride_tricks.sliding_window_view(trusted, (PATCH, PATCH))[
            rows, cols
        ].reshape(len(rows), -1)
        weight = weight * near
        patches = np.lib.stride_tricks.sliding_window_view(filled, (PATCH, PATCH), axis=(1, 2))
        mine = patches[:, rows, cols].transpose(1, 0, 2, 3).reshape(len(rows), bands, -1)
        distance = weight @ squares.T - 2 * (mine * weight[:, None]).reshape(len(rows), -1) @ flat.T
        distance += ((mine**2).sum(axis=1) * weight).sum(axis=1)[:, None]
        distance = np.maximum(distance, 0) / np.maximum(weight.sum(axis=1), 1e-6)[:, None]
        apart = (rows[:, None] - at_rows) ** 2 + (cols[:, None] - at_cols) ** 2
        distance += NEARNESS * apart / height**2
        chosen = _draw(distance, rng)
        source_rows[rows, cols] = at_rows[chosen]
        source_cols[rows, cols] = at_cols[chosen]
        centre = bank[chosen, :, (PATCH * PATCH) // 2]
        values = 0.8 * centre + 0.2 * _neighbour_votes(layer, rows, cols, chosen, bank)
        filled[:, rows + half, cols + half] = values.T
        trusted[rows + half, cols + half] = 1
        left[rows, cols] = False
    return filled[:, half:-half, half:-half].astype(np.float32), source_rows, source_cols


def _draw(distance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One candidate a row, at random among those within 10 % of the best."""
    best = distance.min(axis=1, keepdims=True)
    good = distance <= best * WITHIN + 1e-9
    return np.argmax(good * rng.random(distance.shape), axis=1)


def _neighbour_votes(
    layer: np.ndarray, rows: np.ndarray, cols: np.ndarray, chosen: np.ndarray, bank: np.ndarray
) -> np.ndarray:
    """What the patches chosen by the layer's other pixels say about each pixel."""
    slot = np.full(layer.shape, -1)
    slot[rows, cols] = np.arange(len(rows))
    padded = np.pad(slot, 1, constant_values=-1)
    total = bank[chosen, :, (PATCH * PATCH) // 2].copy()
    count = np.ones(len(rows))
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            beside = padded[rows + 1 + down, cols + 1 + right]
            has = np.nonzero((beside >= 0) & bool(down or right))[0]
            place = (PATCH // 2 - down) * PATCH + PATCH // 2 - right
            total[has] += bank[chosen[beside[has]], :, place]
            count[has] += 1
    return total / count[:, None]
