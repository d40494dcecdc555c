"""Which shift each pixel of a hole is copied by: alpha-expansion with minimum cuts.

Boykov, Veksler and Zabih, Fast Approximate Energy Minimization via Graph Cuts, 2001, on the energy
of He and Sun, 2012: nothing but seams costs, between pixels of two shifts and at the rim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from .pyramid import Level

UNKNOWN = 2.0
"""Difference, in units of [-1, 1], that counts where a source is not known: the whole range."""
CHANGE = 0.02
"""Cost of any change of shift, so that pieces stay large where seams cost nothing."""
RIM = 2
"""Pixels around the hole by which a piece at its rim is judged."""
WHOLE = 4096
"""Costs are integers in these steps."""
SWEEPS = 3


@dataclass(frozen=True)
class Offered:
    """What the shifts show. `rows`, `cols` (n,): the hole's pixels. `values` (L, n, C): what each
    shift would copy to each of them. `known` (L, n): whether that is known ground. `usable` (L, n):
    whether it may be copied. `rim` (L, n): what a pixel costs against the known ground beside it.
    `pairs` (m, 2): pixels of the hole that touch."""

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    known: np.ndarray
    usable: np.ndarray
    rim: np.ndarray
    pairs: np.ndarray

    def seam(self, pairs: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        """Cost of each pair (k, 2) of pixels under two shifts (k,)."""
        total = np.where(ours == theirs, 0, CHANGE).astype(np.float32)
        for side in (0, 1):
            at = pairs[:, side]
            known = self.known[ours, at] & self.known[theirs, at]
            apart = np.abs(self.values[ours, at] - self.values[theirs, at]).mean(axis=1)
            total += np.where(known, apart, np.where(ours == theirs, 0, UNKNOWN))
        return total


def offered(
    level: Level, known: np.ndarray, shifts: np.ndarray, where: np.ndarray | None = None
) -> Offered:
    """What each of the shifts (L, 2) shows in the hole of `level`; `known` (H, W): true ground;
    `where` (H, W): the part of the hole that is looked at, None: all."""
    hole = level.hole if where is None else level.hole & where
    rows, cols = np.nonzero(hole)
    beside = _known_beside(level.hole, known)[rows, cols]
    at_rim = np.nonzero(beside)[0]
    rim = np.zeros((len(shifts), len(rows)), np.float32)
    values = np.zeros((len(shifts), len(rows), len(level.image)), np.float32)
    seen = np.zeros((len(shifts), len(rows)), bool)
    usable = np.zeros_like(seen)
    pixels = np.moveaxis(level.image, 0, 2)
    edge = _Edge.of(pixels, known, rows[at_rim], cols[at_rim])
    for number, (down, across) in enumerate(shifts):
        inside, at = clipped(hole.shape, rows + down, cols + across)
        values[number] = pixels[at]
        seen[number] = inside & known[at]
        usable[number] = inside & level.usable[at]
        if len(at_rim):
            rim[number, at_rim] = 2 * beside[at_rim] * edge.apart(int(down), int(across))
    number_of = np.full(hole.shape, -1, np.int64)
    number_of[rows, cols] = np.arange(len(rows))
    pairs = []
    for first, second in (
        (number_of[:, :-1], number_of[:, 1:]),
        (number_of[:-1], number_of[1:]),
    ):
        both = (first >= 0) & (second >= 0)
        pairs.append(np.stack([first[both], second[both]], axis=1))
    return Offered(rows, cols, values, seen, usable, rim, np.concatenate(pairs))


def clipped(
    shape: tuple[int, int], rows: np.ndarray, cols: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Which places lie in the picture, and the places, moved into it."""
    height, width = shape
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    # Half the time of np.clip, which looks up the limits of whole numbers at each call.
    at = (
        np.minimum(np.maximum(rows, 0), height - 1),
        np.minimum(np.maximum(cols, 0), width - 1),
    )
    return inside, at


def _known_beside(hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How many of the four neighbours of each pixel of the hole are true ground."""
    around = np.pad(known.astype(np.int64), 1)
    count = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
    return np.where(hole, count, 0)


@dataclass(frozen=True)
class _Edge:
    """What lies around n pixels at a hole's edge. `pixels` (H, W, C), `known` (H, W): of the whole
    picture. `rows`, `cols` (m, n): the m places around each, within the picture. `has` (m, n):
    whether true ground is there. `own` (m, n, C): its values."""

    pixels: np.ndarray
    known: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    has: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, known: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> _Edge:
        """The places within RIM pixels of each of the pixels (n,), with what lies there."""
        down, across = np.mgrid[-RIM : RIM + 1, -RIM : RIM + 1].reshape(2, -1, 1)
        inside, at = clipped(known.shape, rows + down, cols + across)
        has = inside & known[at]
        return cls(pixels, known, at[0].astype(np.int32), at[1].astype(np.int32), has, pixels[at])

    def apart(self, down: int, across: int) -> np.ndarray:
        """How much a shift differs from the true ground around each of the pixels (n,)."""
        total = np.zeros(self.has.shape[1], np.float32)
        # One place around each after the other: what is made for all at once grows with the edge.
        for rows, cols, has, own in zip(self.rows, self.cols, self.has, self.own, strict=True):
            there, source = clipped(self.known.shape, rows + down, cols + across)
            apart = np.abs(self.pixels[source] - own).mean(axis=1)
            total += has * np.where(there & self.known[source], apart, np.float32(UNKNOWN))
        return total / np.maximum(self.has.sum(axis=0, dtype=np.float32), 1)


def start(seen: Offered) -> np.ndarray:
    """For each pixel the first shift that may be copied to it, -1 where none may."""
    any_may = seen.usable.any(axis=0)
    return np.where(any_may, seen.usable.argmax(axis=0), -1)


def expanded(
    seen: Offered, labels: np.ndarray, free: np.ndarray, sweeps: int = SWEEPS
) -> np.ndarray:
    """The shift of each pixel (n,) after every shift was offered to all in turn, until nothing
    changes; only `free` pixels (n,) move."""
    labels = labels.copy()
    for _ in range(sweeps):
        before = labels.copy()
        for alpha in range(len(seen.values)):
            moving = free & seen.usable[alpha] & (labels != alpha)
            if moving.any():
                _offer(seen, labels, alpha, moving)
        if (labels == before).all():
            break
    return labels


def _offer(seen: Offered, labels: np.ndarray, alpha: int, moving: np.ndarray) -> None:
    """Give `alpha` to those of the `moving` pixels for which the whole costs least; in place."""
    count = int(moving.sum())
    slot = np.full(len(labels), -1, np.int64)
    slot[moving] = np.arange(count)
    touching = seen.pairs[moving[seen.pairs].any(axis=1)]
    first, second = touching.T
    here = np.full(len(touching), alpha)
    keep = seen.seam(touching, labels[first], labels[second])
    right = seen.seam(touching, labels[first], here)
    left = seen.seam(touching, here, labels[second])
    gain = np.zeros(count, np.float64)
    own = np.nonzero(moving)[0]
    gain += seen.rim[alpha, own] - seen.rim[labels[own], own]
    both = moving[touching].all(axis=1)
    only = moving[first] & ~both
    np.add.at(gain, slot[first[only]], (left - keep)[only])
    only = moving[second] & ~both
    np.add.at(gain, slot[second[only]], (right - keep)[only])
    p = slot[first[both]]
    q = slot[second[both]]
    np.add.at(gain, p, (left - keep)[both])
    np.add.at(gain, q, -left[both])
    joined = np.maximum((right + left - keep)[both], 0)
    taken = cut(gain, p, q, joined)
    labels[own[taken]] = alpha


def cut(gain: np.ndarray, p: np.ndarray, q: np.ndarray, joined: np.ndarray) -> np.ndarray:
    """Which nodes (n,) change, so that the sum of `gain` over them and of `joined` over the pairs
    with q changed and p not is least."""
    count = len(gain)
    source = count
    sink = count + 1
    costs = np.rint(gain * WHOLE).astype(np.int64)
    keeps = np.nonzero(costs > 0)[0]
    goes = np.nonzero(costs < 0)[0]
    rows = np.concatenate([p, np.full(len(keeps), source), goes])
    cols = np.concatenate([q, keeps, np.full(len(goes), sink)])
    room = np.concatenate([np.rint(joined * WHOLE).astype(np.int64), costs[keeps], -costs[goes]])
    csgraph = scipy.sparse.csgraph
    graph = scipy.sparse.csr_matrix(
        (room.astype(np.int32), (rows, cols)), shape=(count + 2, count + 2)
    )
    left = graph - csgraph.maximum_flow(graph, source, sink).flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = csgraph.breadth_first_order(left, source, return_predecessors=False)
    taken = np.ones(count + 2, bool)
    taken[reached] = False
    return taken[:count]
