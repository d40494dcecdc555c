"""What operators share: noise anchored to the raster, depth inside a mask, what the ground is."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..scene.parse import Parse, by_rules
from ..scene.rules import smoothstep

VISIBLE = ("red", "green", "blue", "pan")
FLAT = 1e-4
"""Range of a band within which its scale cannot be told."""
DARKEST = 0.2
"""Percentile that is taken for the darkest."""


@dataclass(frozen=True)
class Ground:
    """A scene as operators see it. `image` (C, H, W): about [0, 1]. `mask` (H, W): what is to
    change. `roles`: of the bands; empty where unknown. `gsd_m`: ground size of a pixel in metres.
    `origin`: (row, column) of the first pixel in the raster, to which noise is anchored. `parse`:
    what was understood of it; None: rules of colour have to do. `aspect`: a pixel's height by its
    width. `even` (C, H, W): the image on a scale that is the same for all bands; None: `image` is,
    or it is not known."""

    image: np.ndarray
    mask: np.ndarray
    roles: tuple[str, ...]
    gsd_m: float
    origin: tuple[int, int] = (0, 0)
    parse: Parse | None = None
    aspect: float = 1.0
    even: np.ndarray | None = None

    @functools.cached_property
    def cover(self) -> Parse:
        """What the ground is."""
        return by_rules(self) if self.parse is None else self.parse

    @functools.cached_property
    def darkest(self) -> np.ndarray:
        """How bright the darkest of each band is (C,)."""
        flat = self.image.reshape(len(self.image), -1)
        return np.asarray(np.percentile(flat, DARKEST, axis=1), np.float32)

    @functools.cached_property
    def dark(self) -> float:
        """Share of the picture that is shadow or water."""
        return float((self.cover.share("shadow", "water") > 0.5).mean())

    def band(self, role: str) -> np.ndarray | None:
        """The band with that role."""
        return self.image[self.roles.index(role)] if role in self.roles else None

    @property
    def luminance(self) -> np.ndarray:
        """Mean of the visible bands; of all bands where none is known as visible."""
        seen = [i for i, role in enumerate(self.roles) if role in VISIBLE]
        return self.image[seen or slice(None)].mean(axis=0)

    @property
    def optical(self) -> bool:
        """Whether this is a picture in reflected light, not radar."""
        return not {"vv", "vh"} & set(self.roles)

    def band_is_colour(self, number: int) -> bool:
        """Whether a band, counted from 0, shows what eyes see."""
        return not self.roles or self.roles[number] in VISIBLE

    def in_band(self, band: int, tone: np.ndarray | float) -> np.ndarray | float:
        """A tone, which is so bright among the visible bands, as it is in a band that is stretched
        by itself: as much light is the same number of the file, so that indices of bands come out
        right."""
        if self.even is None or self.band_is_colour(band):
            return tone
        seen = [self._scale(i) for i in range(len(self.roles)) if self.band_is_colour(i)]
        mine = self._scale(band)
        known = [one for one in seen if one is not None]
        if mine is None or not known:
            return tone
        slope, start = np.mean(known, axis=0)
        return np.asarray((tone - start) / slope * mine[0] + mine[1], np.float32)

    def _scale(self, band: int) -> tuple[float, float] | None:
        """(slope, start) of the line by which a band of `even` becomes that of the image; None
        where the band is flat."""
        assert self.even is not None
        low, high = np.percentile(self.even[band], (2, 98))
        known = (self.even[band] >= low) & (self.even[band] <= high)
        if not high - low > FLAT:
            return None
        slope, start = np.polyfit(self.even[band][known], self.image[band][known], 1)
        return (float(slope), float(start)) if slope > 0 else None

    def noise(self, size_m: float, seed: int, octaves: int = 4) -> np.ndarray:
        """Fractal noise (H, W) in [0, 1] with blobs of about `size_m` metres."""
        return fractal(
            self.mask.shape, self.origin, max(size_m / max(self.gsd_m, 1e-9), 2.0), seed, octaves
        )

    def depth(self, wander_px: float = 0.0, seed: int = 0) -> np.ndarray:
        """Distance in pixels to the mask's edge inside it, less a random 0 ... `wander_px`; large
        where all is mask."""
        if self.mask.all():
            return np.full(self.mask.shape, 1e6, np.float32)
        depth = ndimage.distance_transform_edt(self.mask).astype(np.float32)
        if wander_px > 0:
            depth = depth - wander_px * fractal(
                self.mask.shape, self.origin, max(3 * wander_px, 6.0), seed, 3
            )
        return depth

    def deepest(self) -> np.ndarray:
        """How deep each pixel's own polygon is in its middle, in pixels (H, W); 0 beside them, so
        that what lies around a polygon does not change what is done in it."""
        parts, count = ndimage.label(self.mask)
        return np.asarray(ndimage.maximum(self.depth(), parts, np.arange(count + 1)))[parts]

    def wandering(self, reach_px: np.ndarray, seed: int) -> np.ndarray:
        """As `depth`, less a random 0 ... `reach_px` (H, W)."""
        most = float(reach_px[self.mask].max()) if self.mask.any() else 0.0
        if most <= 0:
            return self.depth()
        cell = max(3 * most, 6.0)
        return self.depth() - reach_px * fractal(self.mask.shape, self.origin, cell, seed, 3)

    def rim(self, width_m: float, wander: float, seed: int) -> np.ndarray:
        """0 at the mask's edge rising to 1 within some metres (H, W), at most within half the depth
        of the polygon there; the border wanders by a share of that width. Thin masks are not eaten
        up."""
        if self.mask.all():
            return np.ones(self.mask.shape, np.float32)
        widest = min(max(width_m / max(self.gsd_m, 0.05), 2.0), 60.0)
        width = np.minimum(widest, np.maximum(0.5 * self.deepest(), 1.0))
        plain = self.depth()
        # However it wanders, no pixel that was asked for is left out altogether.
        uneven = np.maximum(self.wandering(wander * width, seed), 0.25 * plain) if wander else plain
        return np.asarray(smoothstep(uneven / width) * self.mask, np.float32)


def fractal(
    shape: tuple[int, int], origin: tuple[int, int], cell_px: float, seed: int, octaves: int
) -> np.ndarray:
    """Value noise summed over octaves, a function of absolute pixel coordinates; in [0, 1], mean
    about 0.5."""
    total = np.zeros(shape, np.float32)
    weight = 1.0
    norm = 0.0
    for octave in range(octaves):
        cell = cell_px / 2**octave
        if cell < 1.5 and octave:
            break
        total += weight * _value_noise(shape, origin, cell, seed + 7919 * octave)
        norm += weight
        weight *= 0.5
    spread = np.sqrt(max(octaves, 1)) ** 0.5
    return np.clip((total / norm - 0.5) * 1.4 * spread + 0.5, 0, 1)


def _value_noise(
    shape: tuple[int, int], origin: tuple[int, int], cell: float, seed: int
) -> np.ndarray:
    rows = (origin[0] + np.arange(shape[0]) + 0.5) / cell
    cols = (origin[1] + np.arange(shape[1]) + 0.5) / cell
    row = np.floor(rows).astype(np.int64)
    col = np.floor(cols).astype(np.int64)
    down = smoothstep(rows - row)[:, None]
    right = smoothstep(cols - col)
    lattice = hashed(np.arange(row[0], row[-1] + 2), np.arange(col[0], col[-1] + 2), seed)
    at_row = row - row[0]
    at_col = col - col[0]
    top = lattice[at_row][:, at_col] * (1 - right) + lattice[at_row][:, at_col + 1] * right
    bottom = (
        lattice[at_row + 1][:, at_col] * (1 - right) + lattice[at_row + 1][:, at_col + 1] * right
    )
    return top * (1 - down) + bottom * down


def lattice_noise(down: np.ndarray, right: np.ndarray, seed: int) -> np.ndarray:
    """Value noise (H, W) in [-0.5, 0.5] at any points of a lattice whose cells are 1 wide: what
    turns and stretches them turns and stretches its blobs."""
    row = np.floor(down).astype(np.int64)
    col = np.floor(right).astype(np.int64)
    first = int(row.min()), int(col.min())
    lattice = hashed(
        np.arange(first[0], int(row.max()) + 2), np.arange(first[1], int(col.max()) + 2), seed
    )
    lower = smoothstep(down - row)
    across = smoothstep(right - col)
    row, col = row - first[0], col - first[1]
    top = lattice[row, col] * (1 - across) + lattice[row, col + 1] * across
    bottom = lattice[row + 1, col] * (1 - across) + lattice[row + 1, col + 1] * across
    return np.asarray(top * (1 - lower) + bottom * lower - 0.5, np.float32)


def hashed(rows: np.ndarray, cols: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each lattice point: an integer mix (after Wellons' lowbias32)."""
    mixed = (
        (rows[:, None] * 73856093)
        ^ (cols * 19349663)
        ^ ((seed * 83492791 + 0x9E3779B9) & 0xFFFFFFFF)
    )
    mixed = (mixed & 0xFFFFFFFF).astype(np.uint64)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed = ((mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return ((mixed ^ (mixed >> np.uint64(16))) / 2.0**32).astype(np.float32)


def shading(ground: Ground, size_px: int = 15) -> np.ndarray:
    """Luminance over its local mean, about 1: light and shade without the local tone."""
    luminance = ground.luminance
    mean = ndimage.uniform_filter(luminance, size_px, mode="nearest")
    return np.clip(luminance / np.maximum(mean, 0.02), 0.3, 2.0).astype(np.float32)
