"""A hole filled by few dominant shifts and a graph cut: whole pieces of the ground, uncut where
rows, bays and lines go on (He and Sun 2012)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from . import graph_cut, pyramid, shifts
from .field import Bank, Field, Targets
from .pyramid import Level

COARSE_HOLE = 1500
"""Most pixels of the hole at the size at which the pieces are laid out."""
SEAM_PX = 3
"""How far from where it was a seam may move at each next size."""
FEWEST = 4
"""Shifts below which there is no choice."""
MORE = 40
"""Shifts tried for pixels that no dominant one serves."""


def laid_out(level: Level, known: np.ndarray, rng: np.random.Generator) -> Field | None:
    """The sources of all pixels of the hole of `level`; None where the ground does not offer
    enough. `known` (H, W): true ground, also what must not be copied."""
    offsets = shifts.dominant(level, rng)
    if len(offsets) < FEWEST:
        return None
    levels, sound = _sizes(level, known)
    factor = 2 ** (len(levels) - 1)
    offsets = _served(levels[-1], offsets, factor, rng)
    seen = graph_cut.offered(levels[-1], sound[-1], _at(offsets, factor))
    labels = graph_cut.start(seen)
    if (labels < 0).any():
        return None
    labels = graph_cut.expanded(seen, labels, np.ones(len(labels), bool))
    layout = _spread(levels[-1].hole, labels)
    used = np.unique(layout)
    offsets = offsets[used]
    layout = np.searchsorted(used, layout)
    for number in range(len(levels) - 2, -1, -1):
        shown = _at(offsets, 2**number)
        finer = _refined(
            levels[number], sound[number], shown, np.kron(layout, np.ones((2, 2), int))
        )
        if finer is None:
            return None
        layout = finer
    rows, cols = np.nonzero(level.hole)
    sources = offsets[layout[rows, cols]]
    bank = Bank(level.image, level.usable, np.zeros((*level.hole.shape, 1), np.float32))
    return Field(Targets(level.hole), bank, rows + sources[:, 0], cols + sources[:, 1])


def _at(offsets: np.ndarray, factor: int) -> np.ndarray:
    return np.rint(offsets / factor).astype(np.int64)


def _sizes(level: Level, known: np.ndarray) -> tuple[list[Level], list[np.ndarray]]:
    """The window and its true ground from full size to that at which the pieces are laid out."""
    count = 1
    while (
        level.hole.sum() / 4 ** (count - 1) > COARSE_HOLE and min(level.hole.shape) // 2**count > 12
    ):
        count += 1
    fine = pyramid.padded(level, 2 ** (count - 1))
    extra = [(0, a - b) for a, b in zip(fine.hole.shape, known.shape, strict=True)]
    sound = np.pad(known, extra)
    truths = [sound]
    for _ in range(count - 1):
        truths.append(pyramid.area_share(truths[-1]) > 0.99)
    return pyramid.build(fine, count), truths


def _spread(hole: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Labels of the hole's pixels, and everywhere else that of the nearest."""
    layout = np.zeros(hole.shape, np.int64)
    layout[hole] = labels
    near = ndimage.distance_transform_edt(~hole, return_distances=False, return_indices=True)
    return layout[near[0], near[1]]


def _refined(
    level: Level, known: np.ndarray, shown: np.ndarray, layout: np.ndarray
) -> np.ndarray | None:
    """A layout (H, W) from half the size with its seams moved to where they show least here, and
    sources that are no true ground changed for some that are; None where there are none."""
    rows, cols = np.nonzero(level.hole)
    labels = layout[rows, cols]
    inside, at = graph_cut.clipped(
        level.hole.shape, rows + shown[labels, 0], cols + shown[labels, 1]
    )
    lost = np.zeros_like(level.hole)
    lost[rows, cols] = ~(inside & level.usable[at])
    seam = ndimage.maximum_filter(layout, 3) != ndimage.minimum_filter(layout, 3)
    seam |= level.hole & ~ndimage.binary_erosion(level.hole)
    free = (ndimage.binary_dilation(seam, iterations=SEAM_PX) | lost) & level.hole
    seen = graph_cut.offered(level, known, shown, ndimage.binary_dilation(free))
    labels = layout[seen.rows, seen.cols]
    usable = seen.usable[labels, np.arange(len(labels))]
    labels = np.where(usable, labels, graph_cut.start(seen))
    if (labels < 0).any():
        return None
    moving = free[seen.rows, seen.cols]
    layout = layout.copy()
    layout[seen.rows, seen.cols] = graph_cut.expanded(seen, labels, moving, 1)
    return layout


def _served(small: Level, offsets: np.ndarray, factor: int, rng: np.random.Generator) -> np.ndarray:
    """The offsets (n, 2), and more for pixels of the hole that none of them serves."""
    rows, cols = np.nonzero(small.hole)
    height, width = small.hole.shape

    def serves(offset: np.ndarray) -> np.ndarray:
        down, across = np.rint(offset / factor).astype(np.int64)
        has = (rows + down >= 0) & (rows + down < height)
        has &= (cols + across >= 0) & (cols + across < width)
        has[has] = small.usable[rows[has] + down, cols[has] + across]
        return has

    missing = ~np.any([serves(one) for one in offsets], axis=0)
    at = np.nonzero(small.usable)
    if not len(at[0]):
        return offsets
    for _ in range(MORE):
        if not missing.any():
            break
        alone = rng.choice(np.nonzero(missing)[0])
        tried = rng.integers(0, len(at[0]), 16)
        options = [
            factor * np.array([at[0][i] - rows[alone], at[1][i] - cols[alone]]) for i in tried
        ]
        served = [serves(one) for one in options]
        best = int(np.argmax([(one & missing).sum() for one in served]))
        offsets = np.vstack([offsets, options[best]])
        missing &= ~served[best]
    return offsets
