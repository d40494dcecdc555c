"""Dominant shifts: the few offsets at which the ground around a hole repeats itself.

He and Sun, Statistics of Patch Offsets for Image Completion, ECCV 2012: the most frequent offsets
between like patches of the known ground (rows of bays, furrows, tracks, roofs) say how it goes on
inside the hole.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from . import pyramid
from .features import PatchBasis, centres
from .pyramid import Level

MOST = 48
"""Shifts that are offered to the graph cut (60 in the paper; more change little and cost as much
each)."""
PATCH = 7
FEWEST_CENTRES = 100
BANK = 6000
"""Most pixels of known ground at the size at which like patches are looked for."""
QUERIES = 2500
BLOCK = 256
NEAREST = 1 / 30
"""Share of the window's longer side below which an offset only says that ground is smooth."""
SPREAD = 1.4
"""Standard deviation of the histogram's smoothing, in pixels of that size."""
APART = 2
"""Distance between two shifts' peaks."""
CHECKED = 1500
"""Pixels by which a shift is made exact."""


def dominant(level: Level, rng: np.random.Generator) -> np.ndarray:
    """Offsets (n, 2) of a source from its target in rows and columns of `level`, most frequent
    first, at most 48; empty where too little ground is known."""
    small, factor = _small(level)
    ok, patch = centres(small.usable, PATCH, FEWEST_CENTRES)
    if ok.sum() < 8:
        return np.zeros((0, 2), np.int64)
    basis = PatchBasis.fit(small.image, ok, patch, rng)
    rows, cols = np.nonzero(ok)
    if len(rows) > 4 * BANK:  # long and thin ground, which is not made smaller
        some = np.sort(rng.permutation(len(rows))[:BANK])
        rows, cols = rows[some], cols[some]
    found = _likest(basis.project(small.image)[rows, cols], rows, cols, max(ok.shape), rng)
    if not len(found):
        return np.zeros((0, 2), np.int64)
    peaks = _peaks(found, ok.shape)
    return _exact(level, peaks * factor, factor, rng) if factor > 1 else peaks


def _small(level: Level) -> tuple[Level, int]:
    """The window at a size at which its known ground has at most `BANK` pixels."""
    factor = 1
    while level.usable.sum() / factor**2 > BANK and min(level.hole.shape) // (2 * factor) >= 24:
        factor *= 2
    count = factor.bit_length()
    return pyramid.build(pyramid.padded(level, factor), count)[-1], factor


def _likest(
    features: np.ndarray, rows: np.ndarray, cols: np.ndarray, side: int, rng: np.random.Generator
) -> np.ndarray:
    """Offsets (n, 2) of the likest patch that is not near, for a sample of patches."""
    nearest = max(3.0, side * NEAREST)
    chosen = rng.permutation(len(rows))[:QUERIES]
    norms = np.einsum("nd,nd->n", features, features)
    offsets = []
    for start in range(0, len(chosen), BLOCK):
        part = chosen[start : start + BLOCK]
        distance = norms - 2 * features[part] @ features.T
        down = rows - rows[part][:, None]
        across = cols - cols[part][:, None]
        distance[down * down + across * across < nearest**2] = np.inf
        best = distance.argmin(axis=1)
        has = np.isfinite(distance[np.arange(len(part)), best])
        at = np.arange(len(part))[has]
        offsets.append(np.stack([down[at, best[has]], across[at, best[has]]], axis=1))
    return np.concatenate(offsets)


def _peaks(offsets: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The highest peaks of the offsets' histogram; an offset and its opposite say the same."""
    height, width = shape
    histogram = np.zeros((2 * height + 1, 2 * width + 1), np.float32)
    for sign in (1, -1):
        np.add.at(histogram, (sign * offsets[:, 0] + height, sign * offsets[:, 1] + width), 1)
    smooth = ndimage.gaussian_filter(histogram, SPREAD, mode="constant")
    top = (smooth == ndimage.maximum_filter(smooth, 2 * APART + 1)) & (smooth > 0)
    rows, cols = np.nonzero(top)
    order = np.argsort(-smooth[rows, cols], kind="stable")[:MOST]
    return np.stack([rows[order] - height, cols[order] - width], axis=1).astype(np.int64)


def _exact(level: Level, offsets: np.ndarray, factor: int, rng: np.random.Generator) -> np.ndarray:
    """Each offset moved by less than `factor` to where most of the known ground agrees: by half as
    much each time. Their order stays; of two that become the same the first does."""
    rows, cols = np.nonzero(level.usable)
    chosen = rng.permutation(len(rows))[:CHECKED]
    rows = rows[chosen]
    cols = cols[chosen]
    own = level.image[:, rows, cols]
    out: dict[tuple[int, int], None] = {}
    for down, across in offsets:
        best = (int(down), int(across))
        least = _disagreement(level, own, rows + best[0], cols + best[1])
        step = factor // 2
        while step >= 1:
            around = [
                (best[0] + a * step, best[1] + b * step)
                for a in (-1, 0, 1)
                for b in (-1, 0, 1)
                if a or b
            ]
            costs = [_disagreement(level, own, rows + a, cols + b) for a, b in around]
            if min(costs) < least:
                least = min(costs)
                best = around[costs.index(least)]
            step //= 2
        out[best] = None
    return np.array(list(out), np.int64)


def _disagreement(level: Level, own: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> float:
    """Lower quartile of the difference between pixels and what lies an offset away: an offset that
    matters fits some of the ground well, not all of it somewhat."""
    height, width = level.hole.shape
    has = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    has[has] = level.usable[rows[has], cols[has]]
    if has.sum() < 30:
        return np.inf
    there = np.abs(level.image[:, rows[has], cols[has]] - own[:, has]).mean(axis=0)
    return float(np.quantile(there, 0.25))
