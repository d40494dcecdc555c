"""Robust screened Poisson: absorb a tone difference at the rim, but not a real edge."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import cg

from .field import Field

EDGE = 0.5
"""Mismatch (in [-1, 1] units) at which a rim pixel counts half."""


def blended(
    field: Field, image: np.ndarray, hole: np.ndarray, fidelity: float, known: np.ndarray | None
) -> np.ndarray:
    """Solve for the pixels of `hole` (C, H, W); the rest of `image` is returned as it is.

    Minimises, per band, sum over inner edges |x_q - x_p - g_pq|^2
    + fidelity |x - copy|^2 + sum over rim edges w |x_p - (I_q - g)|^2, with
    g the gradients that the sources show and w = 1 / (1 + (mismatch / 0.5)^4).
    `known` (H, W) are the pixels the rim may lean on; None: no rim terms.
    """
    targets = field.targets
    bank = field.bank
    index = np.full(hole.shape, -1, np.int64)
    inside = hole[targets.rows, targets.cols]
    index[targets.rows[inside], targets.cols[inside]] = np.arange(inside.sum())
    rows = targets.rows[inside]
    cols = targets.cols[inside]
    source_rows = field.rows[inside]
    source_cols = field.cols[inside]
    width = bank.ok.shape[1]
    pixels = bank.image.reshape(bank.image.shape[0], -1).T
    copy = pixels[source_rows * width + source_cols].astype(np.float64)
    count = len(rows)
    diagonal = np.full(count, fidelity)
    right = fidelity * copy
    pairs = []

    def shown(slots: np.ndarray, down: int, across: int) -> np.ndarray:
        at_rows = np.clip(source_rows[slots] + down, 0, bank.ok.shape[0] - 1)
        at_cols = np.clip(source_cols[slots] + across, 0, width - 1)
        return pixels[at_rows * width + at_cols].astype(np.float64)

    for down, across in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        at_rows = rows + down
        at_cols = cols + across
        fits = (
            (at_rows >= 0) & (at_rows < hole.shape[0]) & (at_cols >= 0) & (at_cols < hole.shape[1])
        )
        beside = np.full(count, -1)
        beside[fits] = index[at_rows[fits], at_cols[fits]]
        if (down, across) in ((0, 1), (1, 0)):
            p = np.nonzero(beside >= 0)[0]
            q = beside[p]
            gradient = 0.5 * (
                (shown(p, down, across) - copy[p]) + (copy[q] - shown(q, -down, -across))
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
            wanted = outside - (shown(p, down, across) - copy[p])
            mismatch = np.abs(wanted - copy[p]).max(axis=1)
            weight = 1 / (1 + (mismatch / EDGE) ** 4)
            np.add.at(diagonal, p, weight)
            np.add.at(right, p, weight[:, None] * wanted)
    out = image.copy()
    out[:, rows, cols] = _solved(pairs, diagonal, right, copy).T
    return out


Pairs = list[tuple[np.ndarray, np.ndarray]]


def _solved(pairs: Pairs, diagonal: np.ndarray, right: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Unknowns (n, C) of the system with that diagonal, -1 for every pair of neighbours, and right
    sides (n, C)."""
    count = len(diagonal)
    p = np.concatenate([pair[0] for pair in pairs])
    q = np.concatenate([pair[1] for pair in pairs])
    off = sparse.coo_matrix((np.full(len(p), -1.0), (p, q)), shape=(count, count))
    matrix = (off + off.T + sparse.diags(diagonal)).tocsr()
    scale = sparse.diags(1 / diagonal)
    columns = [
        cg(matrix, right[:, band], x0=start[:, band], rtol=1e-4, maxiter=400, M=scale)[0]
        for band in range(right.shape[1])
    ]
    return np.stack(columns, axis=1)
