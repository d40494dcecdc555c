"""Buildings as wholes, and what becomes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from .ground import Ground, hashed

LEAST_INSIDE = 0.6
"""Share of a building that has to lie in the polygons: what their edge cuts through stays whole."""
LEAST_M2 = 14.0
ONE_BUILDING_M2 = 3000.0
"""A polygon up to this, in which no roof is found, is taken for the outline of one."""
MOST_OTHER = 0.6
"""Share of trees, grass and water from which on it is none."""
FEW = 40
NECK_M = 3.0
"""What hangs together by less is two buildings."""
INTACT, BROKEN, DESTROYED, SWEPT = range(4)
"""What became of a building; swept: only its floor is left."""


@dataclass(frozen=True)
class Buildings:
    """`parts` (H, W): number of the building at each pixel, 0: none. `fates` (N + 1,): what became
    of each, by its number. `outlined`: no roof was recognised, so the polygons are taken for
    outlines."""

    parts: np.ndarray
    fates: np.ndarray
    outlined: bool = False

    def are(self, *fates: int) -> np.ndarray:
        """Where buildings have one of these fates (H, W, bool)."""
        return np.isin(self.fates, fates)[self.parts] & (self.parts > 0)

    def count(self, *fates: int) -> int:
        """How many have."""
        return int(np.isin(self.fates[1:], fates).sum())


def buildings(ground: Ground, severity: float, sweeps: bool, seed: int) -> Buildings:
    """The buildings that lie in the polygons, and what becomes of each as a whole: the neighbours
    of one that is destroyed fare worse than others. `severity` 0 ... 1; `sweeps`: of the worst hit
    nothing is left but the floor."""
    roofs = ground.cover.pieces("roof", LEAST_M2, ground.gsd_m) > 0.5
    parts, count = _apart(roofs, ground.gsd_m)
    inside = ndimage.mean(ground.mask, parts, np.arange(1, count + 1)) if count else np.zeros(0)
    good = np.concatenate([[False], np.asarray(inside) >= LEAST_INSIDE])
    parts = _numbered(parts * good[parts])
    outlined = not parts.any()
    if outlined:
        parts = _outlines(ground)
    count = int(parts.max())
    fates = np.zeros(count + 1, int)
    if not count:
        return Buildings(parts, fates)
    middles = np.array(ndimage.center_of_mass(parts > 0, parts, np.arange(1, count + 1)))
    rows, cols = middles.astype(int).T
    chance = np.array(
        [hashed(np.array([r + ground.origin[0]]), np.array([c + ground.origin[1]]), seed + 5)[0, 0]
         for r, c in zip(rows, cols, strict=True)]
    )  # fmt: skip
    near = ground.noise(70.0, seed + 6, 2)[rows, cols]
    luck = _even(chance, np.clip(1.6 * (near - 0.5) + 0.5, 0, 1))
    if count <= FEW:
        # Ranks, so that of few houses about the share falls that was asked for.
        luck = 0.5 * luck + 0.5 * (np.argsort(np.argsort(luck)) + 0.5) / count
    destroyed = np.clip(1.3 * severity - 0.3, 0, 1)
    hit = np.clip(1.7 * severity, 0, 1)
    if count == 1:
        luck = np.zeros(1) if severity >= 0.45 else np.full(1, destroyed)
    fates[1:] = np.where(luck < destroyed, DESTROYED, np.where(luck < hit, BROKEN, INTACT))
    if sweeps:
        swept = 0.35 * np.clip((severity - 0.75) / 0.25, 0, 1)
        fates[1:][luck < swept] = SWEPT
    return Buildings(parts, fates, outlined)


def _outlines(ground: Ground) -> np.ndarray:
    """Polygons (H, W), numbered, that may be outlines of buildings: small ones, on ground that
    neither grows nor is water."""
    whole, count = ndimage.label(ground.mask)
    pixels = np.bincount(whole.ravel(), minlength=count + 1)
    grown = ground.cover.share("tree", "low", "water").ravel()
    other = np.bincount(whole.ravel(), grown, minlength=count + 1)
    fits = pixels * ground.gsd_m**2 * ground.aspect <= ONE_BUILDING_M2
    fits &= other < MOST_OTHER * pixels
    fits[0] = False
    return _numbered(whole * fits[whole])


def _even(chance: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Numbers (N,) spread evenly over 0 ... 1, of `chance` and a little less of `near` (N,): the
    distribution function of their sum."""
    a, b = 0.55, 0.45
    both = a * chance + b * near
    return np.asarray(
        np.where(
            both < b,
            both**2 / (2 * a * b),
            np.where(both < a, (both - b / 2) / a, 1 - (1 - both) ** 2 / (2 * a * b)),
        )
    )


def _apart(roofs: np.ndarray, gsd_m: float) -> tuple[np.ndarray, int]:
    """Roofs (H, W) numbered, and how many: those that hang together by a neck are two."""
    cores = ndimage.binary_erosion(roofs, iterations=max(1, round(NECK_M / 2 / gsd_m)))
    parts, count = ndimage.label(cores)
    small, _ = ndimage.label(roofs)
    # Those that have no core are one each.
    alone = np.setdiff1d(np.unique(small), np.unique(small[cores]))
    for number in alone[alone > 0]:
        count += 1
        parts[small == number] = count
    if not count:
        return parts, 0
    near = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    return np.where(roofs, parts[near[0], near[1]], 0), count


def _numbered(parts: np.ndarray) -> np.ndarray:
    """Numbers without gaps (H, W), 0 staying 0."""
    values, found = np.unique(parts, return_inverse=True)
    found = found.reshape(parts.shape)
    return np.asarray(found if values[0] == 0 else found + 1)


def axis_of(part: np.ndarray) -> tuple[float, float]:
    """Direction (x, y) of the long side of a building (H, W, bool)."""
    rows, cols = np.nonzero(part)
    frame = shapely.minimum_rotated_rectangle(shapely.multipoints(np.stack([cols, rows], 1)))
    if frame.geom_type != "Polygon":
        return 1.0, 0.0
    corners = shapely.get_coordinates(frame)
    sides: Sequence[np.ndarray] = [corners[1] - corners[0], corners[2] - corners[1]]
    longer = max(sides, key=lambda side: float(np.hypot(*side)))
    x, y = longer / np.hypot(*longer)
    return float(x), float(y)
