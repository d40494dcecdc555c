"""Further bands for new colours, from the window's own pixels: where does it look like this, and what is in the others there?"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

MOST_PIXELS = 60_000
NEIGHBOURS = 8
UNCHANGED = 2e-3


def carried(before: np.ndarray, others: np.ndarray, after: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Values (B, H, W) of the other bands that go with new colours.

    `before`, `after` (3, H, W): the colours; `others` (B, H, W): the further bands, as they were; `drawn` (H, W): where
    colours may have changed. A pixel takes the mean of those whose own colour, mean colour and roughness around them are
    most like its own, nearer ones counting more; one whose colours stayed keeps its values.
    """
    shown, wanted = _features(before), _features(after)
    changed = drawn & (np.abs(after - before).max(axis=0) > UNCHANGED)
    if not changed.any():
        return others
    flat = shown.reshape(len(shown), -1).T
    picked = np.linspace(0, len(flat) - 1, min(len(flat), MOST_PIXELS)).astype(int)
    far, near = cKDTree(flat[picked]).query(wanted[:, changed].T, k=min(NEIGHBOURS, len(picked)), workers=1)
    far, near = np.atleast_2d(far.T).T, np.atleast_2d(near.T).T
    weights = 1 / (far + 1e-3)
    weights /= weights.sum(axis=1, keepdims=True)
    values = others.reshape(len(others), -1)[:, picked]
    out = others.copy()
    out[:, changed] = np.einsum("bnk,nk->bn", values[:, near], weights)
    return out


def _features(colours: np.ndarray) -> np.ndarray:
    """(7, H, W): the pixel's colour, the mean around it, how rough it is."""
    mean = np.stack([ndimage.uniform_filter(band, 3, mode="nearest") for band in colours])
    light = colours.mean(axis=0)
    spread = ndimage.uniform_filter(light**2, 5, mode="nearest") - ndimage.uniform_filter(light, 5, mode="nearest") ** 2
    return np.concatenate([colours, mean, 2 * np.sqrt(np.maximum(spread, 0))[None]]).astype(np.float32)
