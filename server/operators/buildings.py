"""Buildings as wholes, and what becomes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from .ground import Ground, hashed

NEARLY_INSIDE = 0.6
BEYOND_M = 1.2
"""Share of a building that has to lie in the polygons, and how far it may reach out of them: eaves
beside a line drawn by hand."""
PARTLY_INSIDE = 0.3
PARTLY_M2 = 60.0
RAGGED_M = (1.0, 4.5)
"""Share and area of a building from which on the part inside may fall, when the edge cuts through
it; and how far inside of the edge the line lies along which it breaks."""
LEAST_M2 = 14.0
ONE_BUILDING_M2 = 3000.0
"""A polygon up to this, in which no roof is found, is taken for the outline of one."""
MOST_OTHER = 0.6
SURELY = 0.85
"""Share of ground that is none (grown, water; paved or bare for certain) from which on it is none.
"""
WITHIN = 0.85
"""Share of a polygon that a roof reaching out of it must cover, so that it is a part of that."""
FEW = 40
NECK_M = 3.0
"""What hangs together by less is two buildings."""
INTACT, BROKEN, DESTROYED, SWEPT = range(4)
"""What became of a building; swept: only its floor is left."""


@dataclass(frozen=True)
class Buildings:
    """`parts` (H, W): number of the building at each pixel, 0: none. `fates` (N + 1,): what became
    of each, by its number. `outlined`: how many of them are polygons in which no roof was
    recognised, taken for outlines. `portions`: of how many only a part lies in the polygons. `cut`:
    how many others stay because the polygons' edge cuts through them. `recognised`: the highest
    number of those that are roofs of the ground; None: all are."""

    parts: np.ndarray
    fates: np.ndarray
    outlined: int = 0
    portions: int = 0
    cut: int = 0
    recognised: int | None = None

    def roofs(self, share: np.ndarray) -> np.ndarray:
        """How much of each pixel is roof (H, W), by its `share`; all of an outlined building is."""
        if self.recognised is None:
            return share
        return np.where(self.parts > self.recognised, 1, share)

    def are(self, *fates: int) -> np.ndarray:
        """Where buildings have one of these fates (H, W, bool)."""
        return np.isin(self.fates, fates)[self.parts] & (self.parts > 0)

    def count(self, *fates: int) -> int:
        """How many have."""
        return int(np.isin(self.fates[1:], fates).sum())


@dataclass(frozen=True)
class Force:
    """`severity` 0 ... 1: how many are hit, and how hard. `sweeps`: of the worst hit nothing is
    left but the floor. `alone`: no building outside of the window is hit too, so that of few
    inside it just the share falls that was asked for."""

    severity: float
    sweeps: bool = False
    alone: bool = True


def buildings(ground: Ground, force: Force, seed: int) -> Buildings:
    """The buildings that lie in the polygons, and what becomes of each as a whole: the neighbours
    of one that is destroyed fare worse than others."""
    roofs = ground.cover.pieces("roof", LEAST_M2, ground.gsd_m) > 0.5
    parts, count = apart(roofs, ground.gsd_m)
    kept, portions = _taken(parts, count, ground, seed)
    cut = parts * ground.mask * (kept == 0)
    outlines, within = _outlines(ground, kept, cut)
    outlined = int(outlines.max())
    recognised = int(kept.max())
    kept = np.where(outlines > 0, outlines + recognised, kept)
    left = np.setdiff1d(cut[outlines == 0], parts[kept > 0])
    fates = _fates(ground, kept, force, seed)
    cut_off = int((left > 0).sum())
    return Buildings(kept, fates, outlined - within, portions + within, cut_off, recognised)


def _taken(parts: np.ndarray, count: int, ground: Ground, seed: int) -> tuple[np.ndarray, int]:
    """The buildings that lie in the polygons (H, W), numbered anew: as wholes, but for eaves, or
    the part inside, up to a ragged line; and of how many it is a part."""
    if not count:
        return parts, 0
    numbers = np.arange(1, count + 1)
    share = np.asarray(ndimage.mean(ground.mask, parts, numbers))
    far = ndimage.distance_transform_edt(~ground.mask)
    beyond = np.asarray(ndimage.maximum(far, parts, numbers)) * ground.gsd_m
    whole = (share >= NEARLY_INSIDE) & (beyond <= max(BEYOND_M, 1.5 * ground.gsd_m))
    within = share * np.bincount(parts.ravel(), minlength=count + 1)[1:] * ground.gsd_m**2
    partly = ~whole & (share >= PARTLY_INSIDE) & (within >= PARTLY_M2)
    whole, partly = (np.concatenate([[False], one]) for one in (whole, partly))
    least, most = RAGGED_M
    line = (least + (most - least) * ground.noise(5.0, seed + 8, 3)) / ground.gsd_m
    inner = partly[parts] & (ground.depth() > line)
    found = _numbered(parts * (whole[parts] | inner))
    return found, int(np.unique(parts[inner]).size)


def _fates(ground: Ground, parts: np.ndarray, force: Force, seed: int) -> np.ndarray:
    """What becomes of each building, by its number (N + 1,)."""
    count = int(parts.max())
    fates = np.zeros(count + 1, int)
    if not count:
        return fates
    middles = np.array(ndimage.center_of_mass(parts > 0, parts, np.arange(1, count + 1)))
    rows, cols = middles.astype(int).T
    chance = draws(rows + ground.origin[0], cols + ground.origin[1], seed + 5)
    near = ground.noise(70.0, seed + 6, 2)[rows, cols]
    luck = _even(chance, np.clip(1.6 * (near - 0.5) + 0.5, 0, 1))
    if count <= FEW and force.alone:
        # Ranks, so that of few houses about the share falls that was asked for.
        luck = 0.5 * luck + 0.5 * (np.argsort(np.argsort(luck)) + 0.5) / count
    destroyed = np.clip(1.3 * force.severity - 0.3, 0, 1)
    hit = np.clip(1.7 * force.severity, 0, 1)
    if count == 1 and force.alone:
        luck = np.zeros(1) if force.severity >= 0.45 else np.full(1, destroyed)
    fates[1:] = np.where(luck < destroyed, DESTROYED, np.where(luck < hit, BROKEN, INTACT))
    if force.sweeps:
        swept = 0.35 * np.clip((force.severity - 0.75) / 0.25, 0, 1)
        fates[1:][luck < swept] = SWEPT
    return fates


def draws(rows: np.ndarray, cols: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each of some places (N,), by their row and column in the raster."""
    found = [
        hashed(np.array([row]), np.array([col]), seed)[0, 0]
        for row, col in zip(rows, cols, strict=True)
    ]
    return np.asarray(found, np.float32)


def _outlines(ground: Ground, parts: np.ndarray, cut: np.ndarray) -> tuple[np.ndarray, int]:
    """Polygons (H, W), numbered, that may be outlines of buildings, although none is recognised in
    them: small ones, on ground that neither grows nor is water, nor is paved or bare for certain;
    and how many of them lie within one that is recognised."""
    whole, count = ndimage.label(ground.mask)
    numbers = np.arange(count + 1)
    pixels = np.bincount(whole.ravel(), minlength=count + 1)
    cover = ground.cover
    flat = cover.share("paved", "bare")
    none = cover.share("tree", "low", "water") + np.where(flat > SURELY, flat, 0)
    other = np.bincount(whole.ravel(), none.ravel(), minlength=count + 1)
    fits = pixels * ground.gsd_m**2 * ground.aspect <= ONE_BUILDING_M2
    fits &= (other < MOST_OTHER * pixels) & (ndimage.maximum(parts, whole, numbers) == 0)
    in_roof = np.bincount(whole.ravel(), (cut > 0).ravel(), minlength=count + 1) / pixels.clip(1)
    fits &= (in_roof == 0) | (in_roof > WITHIN)
    fits[0] = False
    found = _numbered(whole * fits[whole])
    return found, int((fits & (in_roof > WITHIN)).sum())


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


def apart(roofs: np.ndarray, gsd_m: float) -> tuple[np.ndarray, int]:
    """Roofs (H, W) numbered, and how many: those that hang together by a neck are two, and each
    wing belongs to the core that it hangs together with."""
    cores = ndimage.binary_erosion(roofs, iterations=max(1, round(NECK_M / 2 / gsd_m)))
    parts, count = ndimage.label(cores)
    whole, most = ndimage.label(roofs)
    # Those that have no core are one each.
    alone = np.ones(most + 1, bool)
    alone[whole[cores]] = False
    alone[0] = False
    number = np.cumsum(alone) + count
    parts = np.where(alone[whole], number[whole], parts)
    count += int(alone.sum())
    # Cores grow within their roofs alone, all at the same pace (image foresting transform).
    seeds = np.where(roofs, parts, -1).astype(np.int32)
    grown = ndimage.watershed_ift(np.where(roofs, 0, 255).astype(np.uint8), seeds)
    return np.where(roofs, grown, 0), count


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
