"""Robust screened Poisson: absorb a tone difference at the rim, but not a real edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from .field import Field

EDGE = 0.5
"""Mismatch (in [-1, 1] units) at which a rim pixel counts half."""


@dataclass(frozen=True)
class Lean:
    """How far a fill leans on its copies and its rim. `fidelity`: weight of the copied values
    against their gradients. `edge`: mismatch at the rim, in units of [-1, 1], at which a pixel of
    it counts half."""

    fidelity: float
    edge: float = EDGE


def blended(
    field: Field, image: np.ndarray, hole: np.ndarray, lean: Lean, known: np.ndarray | None
) -> np.ndarray:
    """Solve for the pixels of `hole` (C, H, W); the rest of `image` is returned as it is.

    Minimises, per band, sum over inner edges |x_q - x_p - g_pq|^2
    + fidelity |x - copy|^2 + sum over rim edges w |x_p - (I_q - g)|^2, with
    g the gradients that the sources show and w = 1 / (1 + (mismatch / edge)^4).
    `known` (H, W) are the pixels the rim may lean on; None: no rim terms.
    """
    targets = field.targets
    index = np.full(hole.shape, -1, np.int64)
    inside = hole[targets.rows, targets.cols]
    index[targets.rows[inside], targets.cols[inside]] = np.arange(inside.sum())
    rows = targets.rows[inside]
    cols = targets.cols[inside]
    sources = _Sources(field, inside)
    copy = sources.copied()
    diagonal = np.full(len(rows), lean.fidelity)
    right = lean.fidelity * copy
    pairs = []
    for down, across in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        at_rows = rows + down
        at_cols = cols + across
        fits, beside = _neighbours(index, at_rows, at_cols)
        if (down, across) in ((0, 1), (1, 0)):
            p = np.nonzero(beside >= 0)[0]
            q = beside[p]
            gradient = 0.5 * (
                (sources.shown(p, down, across) - copy[p])
                + (copy[q] - sources.shown(q, -down, -across))
            )
            np.add.at(diagonal, p, 1.0)
            np.add.at(diagonal, q, 1.0)
            np.add.at(right, q, gradient)
            np.subtract.at(right, p, gradient)
            pairs.append((p, q))
        if known is not None:
            p = np.nonzero(fits & (beside < 0))[0]
            p = p[known[at_rows[p], at_cols[p]]]
            outside = image[:, at_rows[p], at_cols[p]].T.astype(np.float64)
            wanted = outside - (sources.shown(p, down, across) - copy[p])
            weight = _rim_weight(wanted - copy[p], lean.edge)
            np.add.at(diagonal, p, weight)
            np.add.at(right, p, weight[:, None] * wanted)
    out = image.copy()
    out[:, rows, cols] = _solved(pairs, diagonal, right, copy).T
    return out


class _Sources:
    """The pixels of the bank that the hole's pixels are copied from."""

    def __init__(self, field: Field, inside: np.ndarray) -> None:
        bank = field.bank
        self._rows = field.rows[inside]
        self._cols = field.cols[inside]
        self._height = bank.ok.shape[0]
        self._width = bank.ok.shape[1]
        self._pixels = bank.image.reshape(bank.image.shape[0], -1).T

    def copied(self) -> np.ndarray:
        return self._pixels[self._rows * self._width + self._cols].astype(np.float64)

    def shown(self, slots: np.ndarray, down: int, across: int) -> np.ndarray:
        """What lies that far beside the sources of those pixels, in the bank."""
        at_rows = np.clip(self._rows[slots] + down, 0, self._height - 1)
        at_cols = np.clip(self._cols[slots] + across, 0, self._width - 1)
        return self._pixels[at_rows * self._width + at_cols].astype(np.float64)


def _neighbours(
    index: np.ndarray, at_rows: np.ndarray, at_cols: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which places lie in the picture, and the number of the unknown at each; -1: none."""
    height, width = index.shape
    fits = (at_rows >= 0) & (at_rows < height) & (at_cols >= 0) & (at_cols < width)
    beside = np.full(len(at_rows), -1)
    beside[fits] = index[at_rows[fits], at_cols[fits]]
    return fits, beside


def _rim_weight(differences: np.ndarray, edge: float) -> np.ndarray:
    mismatch = np.abs(differences).max(axis=1)
    return 1 / (1 + (mismatch / edge) ** 4)


Pairs = list[tuple[np.ndarray, np.ndarray]]


def _solved(pairs: Pairs, diagonal: np.ndarray, right: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Unknowns (n, C) of the system with that diagonal, -1 for every pair of neighbours, and right
    sides (n, C)."""
    from scipy.sparse.linalg import cg  # slow to import, and not every edit solves

    count = len(diagonal)
    p = np.concatenate([pair[0] for pair in pairs])
    q = np.concatenate([pair[1] for pair in pairs])
    off = scipy.sparse.coo_matrix((np.full(len(p), -1.0), (p, q)), shape=(count, count))
    matrix = (off + off.T + scipy.sparse.diags(diagonal)).tocsr()
    scale = scipy.sparse.diags(1 / diagonal)
    columns = [
        cg(matrix, right[:, band], x0=start[:, band], rtol=1e-4, maxiter=400, M=scale)[0]
        for band in range(right.shape[1])
    ]
    return np.stack(columns, axis=1)
