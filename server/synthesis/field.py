"""The nearest-neighbour field: for each target pixel, the bank pixel it copies.

All targets move at once (no pixel loop): propagation from neighbours at jumps
8, 4, 2, 1 and random search around the present source. Barnes et al. 2009.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

EXACT_PAIRS = 100_000_000
"""Up to so many pairs of target and source are compared one by one (about a second)."""
DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass
class Bank:
    """Pixels that may be copied. `image` (C, h, w): their values. `ok` (h, w): which may be
    sources, as centres of patches. `features` (h, w, d): of the patch around each."""

    image: np.ndarray
    ok: np.ndarray
    features: np.ndarray

    def __post_init__(self) -> None:
        self.flat = self.features.reshape(-1, self.features.shape[-1])
        self.rows, self.cols = np.nonzero(self.ok)

    def nearest_ok(self, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sources moved to the nearest valid one."""
        height, width = self.ok.shape
        rows = np.clip(rows, 0, height - 1)
        cols = np.clip(cols, 0, width - 1)
        bad = ~self.ok[rows, cols]
        if bad.any():
            near = ndimage.distance_transform_edt(
                ~self.ok, return_distances=False, return_indices=True
            )
            rows[bad], cols[bad] = near[0][rows[bad], cols[bad]], near[1][rows[bad], cols[bad]]
        return rows, cols


class Targets:
    """The target pixels of one level, in raster order, with look-up of neighbours."""

    def __init__(self, where: np.ndarray) -> None:
        self.rows, self.cols = np.nonzero(where)
        self.shape = where.shape
        self.slot = np.full(where.shape, -1, np.int32)
        self.slot[self.rows, self.cols] = np.arange(len(self.rows), dtype=np.int32)

    def __len__(self) -> int:
        return len(self.rows)

    def neighbour(self, down: int, right: int) -> np.ndarray:
        """Slot of the target that many pixels away, -1 where there is none."""
        rows = self.rows + down
        cols = self.cols + right
        inside = (rows >= 0) & (rows < self.shape[0]) & (cols >= 0) & (cols < self.shape[1])
        found = np.full(len(rows), -1, np.int32)
        found[inside] = self.slot[rows[inside], cols[inside]]
        return found


@dataclass
class Search:
    """How a field searches. `occurrence`: weight against sources that are copied often already; 0:
    none. `reach`: the widest random jump in pixels of the level; 0: the bank's size."""

    occurrence: float = 0.0
    reach: int = 0


class Field:
    """Sources of all targets and their patch distances.

    `apart`: a source must be at least so many pixels from its target (0: anywhere), so that a
    variation does not copy every pixel onto itself.
    """

    def __init__(
        self, targets: Targets, bank: Bank, rows: np.ndarray, cols: np.ndarray, apart: int = 0
    ) -> None:
        self.targets = targets
        self.bank = bank
        self.apart = apart
        self.rows, self.cols = bank.nearest_ok(rows.copy(), cols.copy())
        self.features = np.zeros((len(targets), bank.flat.shape[1]), np.float32)
        self.cost = np.full(len(targets), np.inf, np.float32)

    def look(self, features: np.ndarray) -> None:
        """Take the targets' features (H, W, d) from the present image and re-measure."""
        self.features = features[self.targets.rows, self.targets.cols]
        self.cost = self._distance(np.arange(len(self.targets)), self.rows, self.cols)

    def _distance(self, slots: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        difference = self.features[slots] - self.bank.flat[rows * self.bank.ok.shape[1] + cols]
        return np.einsum("nd,nd->n", difference, difference)

    def exact(self, occurrence: float = 0.0, chunk: int = 1024) -> None:
        """The true nearest neighbour of every target, by brute force; `occurrence` as in Search."""
        rows = self.bank.rows
        cols = self.bank.cols
        known = self.bank.flat[rows * self.bank.ok.shape[1] + cols]
        norms = np.einsum("nd,nd->n", known, known)
        penalty = self._penalty(occurrence)
        if penalty is not None:
            norms = norms + penalty[rows, cols]
        for start in range(0, len(self.targets), chunk):
            part = slice(start, start + chunk)
            distance = norms - 2 * self.features[part] @ known.T
            if self.apart:
                near = np.abs(rows - self.targets.rows[part, None]) < self.apart
                near &= np.abs(cols - self.targets.cols[part, None]) < self.apart
                distance[near] = np.inf
            best = np.argmin(distance, axis=1)
            self.rows[part] = rows[best]
            self.cols[part] = cols[best]
        self.cost = self._distance(np.arange(len(self.targets)), self.rows, self.cols)

    def settle(self, rng: np.random.Generator) -> None:
        """Nearest neighbours from any start: exact where that is cheap, else by repeated search
        passes."""
        if len(self.targets) * len(self.bank.rows) <= EXACT_PAIRS:
            self.exact()
            return
        for _ in range(8):
            self.sweep(Search(), rng)

    def sweep(self, how: Search, rng: np.random.Generator) -> None:
        """One search pass: propagation, then random search."""
        penalty = self._penalty(how.occurrence)
        extra = penalty[self.rows, self.cols] if penalty is not None else 0.0
        total = self.cost + extra
        for jump in (8, 4, 2, 1):
            for down, right in DIRECTIONS:
                slots = self.targets.neighbour(jump * down, jump * right)
                has = np.nonzero(slots >= 0)[0]
                rows = self.rows[slots[has]] - jump * down
                cols = self.cols[slots[has]] - jump * right
                total = self._accept(has, rows, cols, total, penalty)
        radius = how.reach or max(self.bank.ok.shape)
        everyone = np.arange(len(self.targets))
        while radius >= 1:
            rows = self.rows + rng.integers(-radius, radius + 1, len(everyone))
            cols = self.cols + rng.integers(-radius, radius + 1, len(everyone))
            total = self._accept(everyone, rows, cols, total, penalty)
            radius //= 2

    def _accept(
        self,
        slots: np.ndarray,
        rows: np.ndarray,
        cols: np.ndarray,
        total: np.ndarray,
        penalty: np.ndarray | None,
    ) -> np.ndarray:
        height, width = self.bank.ok.shape
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        slots = slots[inside]
        rows = rows[inside]
        cols = cols[inside]
        valid = self.bank.ok[rows, cols]
        if self.apart:
            near = np.abs(rows - self.targets.rows[slots]) < self.apart
            valid &= ~(near & (np.abs(cols - self.targets.cols[slots]) < self.apart))
        slots = slots[valid]
        rows = rows[valid]
        cols = cols[valid]
        cost = self._distance(slots, rows, cols)
        offer = cost if penalty is None else cost + penalty[rows, cols]
        better = offer < total[slots]
        slots = slots[better]
        self.rows[slots] = rows[better]
        self.cols[slots] = cols[better]
        self.cost[slots] = cost[better]
        total[slots] = offer[better]
        return total

    def _penalty(self, weight: float) -> np.ndarray | None:
        """Cost of copying what is already copied often, per bank pixel."""
        if not weight:
            return None
        height, width = self.bank.ok.shape
        count = np.bincount(self.rows * width + self.cols, minlength=height * width).reshape(
            height, width
        )
        around = ndimage.uniform_filter(count.astype(np.float32), 5, mode="constant") * 25
        fair = max(len(self.targets) / max(len(self.bank.rows), 1), 0.25) * 25
        median = float(np.median(self.cost)) or 1e-6
        return (weight * median * np.clip(around / fair - 1, 0, 8)).astype(np.float32)

    def vote(self, image: np.ndarray, hole: np.ndarray, radius: int) -> np.ndarray:
        """Average what the overlapping copies say; pixels outside `hole` keep their values."""
        bands = image.shape[0]
        scale = 2 * max(float(np.median(self.cost)), 1e-9)
        trust = np.exp(-np.minimum(self.cost / scale, 50)) + 1e-4
        spread = 2 * max(0.5 * radius, 0.4) ** 2
        total = np.zeros((len(self.targets), bands), np.float32)
        weights = np.zeros(len(self.targets), np.float32)
        source = self.bank.image.reshape(bands, -1).T
        height, width = self.bank.ok.shape
        for down in range(-radius, radius + 1):
            for right in range(-radius, radius + 1):
                slots = self.targets.neighbour(-down, -right)
                has = np.nonzero(slots >= 0)[0]
                rows = self.rows[slots[has]] + down
                cols = self.cols[slots[has]] + right
                inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
                has = has[inside]
                rows = rows[inside]
                cols = cols[inside]
                near = np.exp(-(down * down + right * right) / spread)
                weight = (trust[slots[has]] * near).astype(np.float32)
                total[has] += weight[:, None] * source[rows * width + cols]
                weights[has] += weight
        return self._laid(image, hole, total / np.maximum(weights, 1e-12)[:, None])

    def copied(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """The hard copy: each pixel of `hole` is exactly its source."""
        return self._laid(image, hole, self.bank.image[:, self.rows, self.cols].T)

    def _laid(self, image: np.ndarray, hole: np.ndarray, values: np.ndarray) -> np.ndarray:
        rows = self.targets.rows
        cols = self.targets.cols
        inside = hole[rows, cols]
        out = image.copy()
        out[:, rows[inside], cols[inside]] = values[inside].T
        return out

    def upsampled(self, targets: Targets, bank: Bank) -> Field:
        """The same offsets at twice the size."""
        slots = self.targets.slot[
            np.minimum(targets.rows // 2, self.targets.shape[0] - 1),
            np.minimum(targets.cols // 2, self.targets.shape[1] - 1),
        ]
        lost = slots < 0
        if lost.any():
            near = ndimage.distance_transform_edt(
                self.targets.slot < 0, return_distances=False, return_indices=True
            )
            rows = np.minimum(targets.rows // 2, self.targets.shape[0] - 1)
            cols = np.minimum(targets.cols // 2, self.targets.shape[1] - 1)
            slots = self.targets.slot[near[0][rows, cols], near[1][rows, cols]]
        rows = 2 * (self.rows[slots] - self.targets.rows[slots]) + targets.rows
        cols = 2 * (self.cols[slots] - self.targets.cols[slots]) + targets.cols
        return Field(targets, bank, rows, cols, 2 * self.apart)
