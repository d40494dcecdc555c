"""A first field for a fill: the target covered by a few large shifts of the exemplar.

Works on a grid of 4 pixels. Each round draws shifts at random and keeps the one
that covers most of what is open, disagrees least with what is placed, and lays
the exemplar's calm parts on the target's rim, so that fewer objects are cut.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

STEP = 4
DRAWS = 150
ROUNDS = 400
CALM_RIM = 0.4


def cover(
    exemplar: np.ndarray, admitted: np.ndarray, rim: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Source rows and columns (H, W) for every target pixel; `rim` (H, W) marks the target's
    outline.

    `exemplar` (C, h, w) is what is copied, `admitted` (h, w) the sources that
    may be used.
    """
    small = _means(exemplar)
    steps = _steps(small)
    busy = steps / max(float(steps.mean()), 1e-6)
    allowed = admitted[STEP // 2 :: STEP, STEP // 2 :: STEP]
    allowed = allowed[: small.shape[1], : small.shape[2]]
    if not allowed.any():  # of a thin exemplar: cells that hold a source at all
        allowed = _cells(admitted, small.shape[1:])
    height = -(-rim.shape[0] // STEP)
    width = -(-rim.shape[1] // STEP)
    edge = ndimage.maximum_filter(rim, STEP)[STEP // 2 :: STEP, STEP // 2 :: STEP]
    edge = np.pad(edge, ((0, height - edge.shape[0]), (0, width - edge.shape[1])))
    place = _Placing(small, busy, allowed, edge, (height, width))
    for turn in range(ROUNDS):
        if not place.open.any():
            break
        place.round(rng, first=turn == 0)
    down, right = place.shifts()
    rows, cols = np.mgrid[: rim.shape[0], : rim.shape[1]]
    big_down = np.kron(down, np.ones((STEP, STEP), int))[: rim.shape[0], : rim.shape[1]]
    big_right = np.kron(right, np.ones((STEP, STEP), int))[: rim.shape[0], : rim.shape[1]]
    return rows + STEP * big_down, cols + STEP * big_right


def _cells(admitted: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cells (h, w) that hold a source; those at the edge count with the last whole ones."""
    rows, cols = np.nonzero(admitted)
    found = np.zeros(shape, bool)
    found[np.minimum(rows // STEP, shape[0] - 1), np.minimum(cols // STEP, shape[1] - 1)] = True
    return found


def _means(image: np.ndarray) -> np.ndarray:
    bands, height, width = image.shape
    height = max(height // STEP, 1) * STEP
    width = max(width // STEP, 1) * STEP
    return (
        image[:, :height, :width]
        .reshape(bands, height // STEP, STEP, width // STEP, STEP)
        .mean(axis=(2, 4))
    )


def _steps(small: np.ndarray) -> np.ndarray:
    """Gradient strength (h, w), summed over bands."""
    total = np.zeros(small.shape[1:], np.float32)
    for axis in (1, 2):
        if small.shape[axis] > 1:
            total += np.abs(np.gradient(small, axis=axis)).sum(axis=0)
    return total


class _Placing:
    def __init__(
        self,
        small: np.ndarray,
        busy: np.ndarray,
        allowed: np.ndarray,
        edge: np.ndarray,
        shape: tuple[int, int],
    ) -> None:
        self.small = small
        self.busy = busy
        self.allowed = allowed
        self.edge = edge
        self.open = np.ones(shape, bool)
        self.down = np.zeros(shape, int)
        self.right = np.zeros(shape, int)
        self.placed = np.zeros((small.shape[0], *shape), np.float32)
        self.sources = np.argwhere(allowed)

    def round(self, rng: np.random.Generator, first: bool) -> None:
        rows, cols = np.mgrid[: self.open.shape[0], : self.open.shape[1]]
        anchors = np.argwhere(self.open)
        anchor = anchors[rng.integers(0, len(anchors), DRAWS)]
        source = self.sources[rng.integers(0, len(self.sources), DRAWS)]
        best = None
        best_score = -np.inf
        jitter = rng.random(DRAWS)
        for down, right, chance in zip(*(source - anchor).T, jitter, strict=True):
            at_rows = rows + down
            at_cols = cols + right
            fits = (at_rows >= 0) & (at_rows < self.allowed.shape[0])
            fits &= (at_cols >= 0) & (at_cols < self.allowed.shape[1])
            fits[fits] = self.allowed[at_rows[fits], at_cols[fits]]
            score = (fits & self.open).sum() / self.open.sum()
            both = fits & ~self.open
            if both.any():
                there = self.small[:, at_rows[both], at_cols[both]]
                score -= 2 * np.abs(self.placed[:, both] - there).mean()
            score += 0.05 * chance if first else 0
            cut = fits & self.edge
            if cut.any():
                score -= (
                    CALM_RIM
                    * self.busy[at_rows[cut], at_cols[cut]].mean()
                    * (cut.sum() / self.edge.sum())
                )
            if score > best_score:
                best = (down, right, fits)
                best_score = score
        down, right, fits = best  # type: ignore[misc]
        new = fits & self.open
        self.down[new] = down
        self.right[new] = right
        self.placed[:, new] = self.small[:, rows[new] + down, cols[new] + right]
        self.open &= ~new

    def shifts(self) -> tuple[np.ndarray, np.ndarray]:
        """What stayed open takes the shift of its nearest covered neighbour."""
        if self.open.any() and not self.open.all():
            near = ndimage.distance_transform_edt(
                self.open, return_distances=False, return_indices=True
            )
            return self.down[tuple(near)], self.right[tuple(near)]
        return self.down, self.right
