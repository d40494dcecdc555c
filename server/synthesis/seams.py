"""Seam-aware hard assignment: each pixel takes its own or a neighbour's offset, where seams show
least."""

from __future__ import annotations

import numpy as np

from .field import DIRECTIONS, Field

SEAM_WEIGHT = 0.3
SEAM_COST = 0.15
PASSES = 6


def assign(field: Field, image: np.ndarray, hole: np.ndarray, rim: bool = True) -> None:
    """Change the field's offsets inside `hole` in place.

    Minimises patch distance / its median + 4 * 0.3 * sum over the four
    neighbours of 2 (|a| + |b|) + 0.15, where a and b are what the neighbour's
    source shows here and what this source shows there. A known neighbour counts
    through b alone when `rim` is on. Candidates: the four neighbours' offsets.
    """
    targets = field.targets
    bank = field.bank
    inside = hole[targets.rows, targets.cols]
    neighbours = [targets.neighbour(down, right) for down, right in DIRECTIONS]
    pixels = bank.image.reshape(bank.image.shape[0], -1).T
    known = image.reshape(image.shape[0], -1).T
    median = max(float(np.median(field.cost)), 1e-9)
    scene = _Seams(field, neighbours, pixels, inside, known if rim else None)
    for turn in range(PASSES):
        slots = np.nonzero(inside & ((targets.rows + targets.cols) % 2 == turn % 2))[0]
        best = field.cost[slots] / median + 4 * SEAM_WEIGHT * scene.cost(
            slots, field.rows[slots], field.cols[slots]
        )
        for (down, right), slots_beside in zip(DIRECTIONS, neighbours, strict=True):
            beside = slots_beside[slots]
            has = np.nonzero(beside >= 0)[0]
            rows = field.rows[beside[has]] - down
            cols = field.cols[beside[has]] - right
            height, width = bank.ok.shape
            fits = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
            has = has[fits]
            rows = rows[fits]
            cols = cols[fits]
            other = (rows != field.rows[slots[has]]) | (cols != field.cols[slots[has]])
            other &= bank.ok[rows, cols]
            has = has[other]
            rows = rows[other]
            cols = cols[other]
            moved = slots[has]
            patch = field._distance(moved, rows, cols)
            cost = patch / median + 4 * SEAM_WEIGHT * scene.cost(moved, rows, cols)
            better = cost < best[has]
            best[has[better]] = cost[better]
            moved = moved[better]
            field.rows[moved] = rows[better]
            field.cols[moved] = cols[better]
            field.cost[moved] = patch[better]


class _Seams:
    """The seam term of a set of targets under proposed sources."""

    def __init__(
        self,
        field: Field,
        neighbours: list,
        pixels: np.ndarray,
        inside: np.ndarray,
        known: np.ndarray | None,
    ) -> None:
        self.field = field
        self.neighbours = neighbours
        self.pixels = pixels
        self.inside = inside
        self.known = known

    def _at(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        height, width = self.field.bank.ok.shape
        rows = np.minimum(np.maximum(rows, 0), height - 1)
        cols = np.minimum(np.maximum(cols, 0), width - 1)
        return self.pixels[rows * width + cols]

    def cost(self, slots: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        field = self.field
        targets = self.field.targets
        own = self._at(rows, cols)
        total = np.zeros(len(slots), np.float32)
        for (down, right), all_beside in zip(DIRECTIONS, self.neighbours, strict=True):
            beside = all_beside[slots]
            filled = beside >= 0
            filled[filled] = self.inside[beside[filled]]
            mine = np.nonzero(filled)[0]
            other_rows = field.rows[beside[mine]]
            other_cols = field.cols[beside[mine]]
            differs = (other_rows - down != rows[mine]) | (other_cols - right != cols[mine])
            mine = mine[differs]
            other_rows = other_rows[differs]
            other_cols = other_cols[differs]
            here = np.abs(self._at(other_rows - down, other_cols - right) - own[mine]).mean(axis=1)
            there = np.abs(
                self._at(rows[mine] + down, cols[mine] + right) - self._at(other_rows, other_cols)
            )
            total[mine] += 2 * (here + there.mean(axis=1)) + SEAM_COST
            if self.known is not None:
                edge = np.nonzero(~filled)[0]
                at_rows = targets.rows[slots[edge]] + down
                at_cols = targets.cols[slots[edge]] + right
                height, width = targets.shape
                fits = (at_rows >= 0) & (at_rows < height) & (at_cols >= 0) & (at_cols < width)
                edge = edge[fits]
                at = (at_rows * width + at_cols)[fits]
                there = np.abs(
                    self._at(rows[edge] + down, cols[edge] + right) - self.known[at]
                ).mean(axis=1)
                total[edge] += 4 * there
        return total
