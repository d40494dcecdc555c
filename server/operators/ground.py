"""What operators share: noise anchored to the raster, depth inside a mask, simple land-cover
cues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

VISIBLE = ("red", "green", "blue", "pan")


@dataclass(frozen=True)
class Ground:
    """A scene as operators see it. `image` (C, H, W): about [0, 1]. `mask` (H, W): what is to
    change. `roles`: of the bands; empty where unknown. `gsd_m`: ground size of a pixel in metres.
    `origin`: (row, column) of the first pixel in the raster, to which noise is anchored."""

    image: np.ndarray
    mask: np.ndarray
    roles: tuple[str, ...]
    gsd_m: float
    origin: tuple[int, int] = (0, 0)

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

    def ramp(self, share: float, least_px: float, seed: int) -> np.ndarray:
        """0 at the mask's edge rising to 1 inside, over `share` of its greatest depth, with an
        uneven border."""
        plain = self.depth()
        deepest = float(plain[self.mask].max()) if self.mask.any() else 1.0
        if deepest >= 1e6:
            return np.ones(self.mask.shape, np.float32)
        width = min(max(share * deepest, least_px), max(deepest, 1.0))
        uneven = self.depth(0.8 * width, seed)
        return smoothstep(uneven / width) * self.mask


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return (x * x * (3 - 2 * x)).astype(np.float32)


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


def index(ground: Ground, plus: str, minus: str) -> np.ndarray | None:
    """(plus - minus) / (plus + minus) of two roles, where both are there."""
    a = ground.band(plus)
    b = ground.band(minus)
    if a is None or b is None:
        return None
    total = a + b
    return np.where(
        np.abs(total) > 1e-3, (a - b) / np.where(np.abs(total) > 1e-3, total, 1), 0
    ).astype(np.float32)


def water(ground: Ground) -> np.ndarray:
    """Share of open water (H, W): NDWI where there is NIR; else dark, smooth, bluish and not green,
    which misses much."""
    ndwi = index(ground, "green", "nir")
    luminance = ground.luminance
    if ndwi is not None:
        # Bands of bytes are often stretched each by itself, which lifts bare fields to 0.1 (NAIP of
        # 2010: 97 % below 0.11).
        found = smoothstep((ndwi - 0.07) / 0.11)
        near = ground.band("nir")
        if near is not None:
            # Black ponds reflect too little of anything for an index to tell.
            found = np.maximum(
                found, smoothstep((0.1 - near) / 0.04) * smoothstep((0.22 - luminance) / 0.08)
            )
        return found
    red = ground.band("red")
    blue = ground.band("blue")
    if red is None or blue is None:
        return np.zeros(luminance.shape, np.float32)
    mean = ndimage.uniform_filter(luminance, 5, mode="nearest")
    rough = np.sqrt(
        np.maximum(ndimage.uniform_filter(luminance**2, 5, mode="nearest") - mean**2, 0)
    )
    dark = smoothstep((0.38 - mean) / 0.1)
    calm = smoothstep((0.03 - rough) / 0.02)
    bluish = smoothstep((blue - 0.92 * red) / 0.06)
    green = ground.band("green")
    if green is None:
        return dark * calm * bluish
    # Colour does not tell a green lake from a dense crop; there are more crops.
    excess = (2 * green - red - blue) / np.maximum(red + green + blue, 0.05)
    return dark * calm * bluish * smoothstep((0.16 - excess) / 0.08)


def vegetation(ground: Ground) -> np.ndarray:
    """Share of green vegetation (H, W): NDVI where there is NIR, else excess green over
    brightness."""
    ndvi = index(ground, "nir", "red")
    if ndvi is not None:
        return smoothstep((ndvi - 0.1) / 0.35)
    red = ground.band("red")
    green = ground.band("green")
    blue = ground.band("blue")
    if red is None or green is None or blue is None:
        return np.full(ground.mask.shape, 0.5, np.float32)
    excess = (2 * green - red - blue) / np.maximum(red + green + blue, 0.05)
    return smoothstep((excess + 0.01) / 0.12)


def sealed(ground: Ground) -> np.ndarray:
    """Share of roofs, roads and bare bright ground (H, W): grey or bright, and not green."""
    red = ground.band("red")
    green = ground.band("green")
    blue = ground.band("blue")
    if red is None or green is None or blue is None:
        return np.zeros(ground.mask.shape, np.float32)
    top = np.maximum(np.maximum(red, green), blue)
    low = np.minimum(np.minimum(red, green), blue)
    grey = smoothstep((0.12 - (top - low) / np.maximum(top, 0.05)) / 0.06)
    bright = smoothstep((ground.luminance - 0.62) / 0.15)
    return np.maximum(grey * smoothstep((ground.luminance - 0.3) / 0.12), bright) * (
        1 - vegetation(ground)
    )
