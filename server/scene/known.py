"""The user's own layers as evidence: footprints, roads, trees, water."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

FARTHEST_M = 5.0
"""How far a layer may lie beside what it means."""
LEAST_GAIN = 0.03
"""How much better it must fit elsewhere before it is moved."""


def fitted(where: np.ndarray, share: np.ndarray, gsd_m: float) -> np.ndarray:
    """A layer's shapes (H, W, bool) as a share (H, W) with soft edges, each moved to where `share`
    (H, W), what the picture shows of its class, fits best within FARTHEST_M.

    First all together, then each shape by itself by as much again as a pixel or two; shapes that
    fit nowhere better stay.
    """
    reach = max(1, round(FARTHEST_M / gsd_m))
    contrast = share - ndimage.uniform_filter(share, 2 * reach + 1, mode="nearest")
    down, right = _best_shift(where, contrast, reach)
    moved = ndimage.shift(where.astype(np.uint8), (down, right), order=0, mode="nearest") > 0
    out = np.zeros(where.shape, bool)
    parts, _ = ndimage.label(moved)
    small = max(1, round(1.5 / gsd_m))
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        around = tuple(
            slice(max(0, one.start - small), min(side, one.stop + small))
            for one, side in zip(box, where.shape, strict=True)
        )
        shape = parts[around] == number
        shift = _best_shift(shape, contrast[around], small)
        out[around] |= ndimage.shift(shape.astype(np.uint8), shift, order=0) > 0
    return np.asarray(ndimage.gaussian_filter(out.astype(np.float32), 0.5), np.float32)


def _best_shift(where: np.ndarray, contrast: np.ndarray, reach: int) -> tuple[int, int]:
    """Rows and columns by which `where` meets `contrast` best; none where it gains little."""
    shape = [side + reach for side in where.shape]
    spectra = [np.fft.rfft2(one, shape) for one in (where.astype(np.float32), contrast)]
    match = np.fft.irfft2(spectra[1] * np.conj(spectra[0]), shape) / max(int(where.sum()), 1)
    steps = np.arange(-reach, reach + 1)
    scores = match[np.ix_(steps % shape[0], steps % shape[1])]
    # Of what fits alike, the nearest.
    scores = scores - 0.01 * np.hypot(*np.meshgrid(steps, steps)) / reach
    best = np.unravel_index(int(scores.argmax()), scores.shape)
    if scores[best] < scores[reach, reach] + LEAST_GAIN:
        return 0, 0
    return int(steps[best[0]]), int(steps[best[1]])
