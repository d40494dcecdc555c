"""Land cover by simple rules of brightness and spectral indices."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy import ndimage


class Picture(Protocol):
    """What the rules look at: bands by role, about [0, 1]."""

    @property
    def image(self) -> np.ndarray:
        """All bands (C, H, W)."""

    @property
    def roles(self) -> tuple[str, ...]:
        """What the bands are."""

    @property
    def gsd_m(self) -> float:
        """Ground size of a pixel in metres."""

    @property
    def aspect(self) -> float:
        """A pixel's height by its width on the ground."""

    @property
    def luminance(self) -> np.ndarray:
        """Mean of the visible bands (H, W)."""

    def band(self, role: str) -> np.ndarray | None:
        """The band (H, W) with that role, where there is one."""


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return (x * x * (3 - 2 * x)).astype(np.float32)


def index(picture: Picture, plus: str, minus: str) -> np.ndarray | None:
    """(plus - minus) / (plus + minus) of two roles, where both are there."""
    a = picture.band(plus)
    b = picture.band(minus)
    if a is None or b is None:
        return None
    total = a + b
    return np.where(
        np.abs(total) > 1e-3, (a - b) / np.where(np.abs(total) > 1e-3, total, 1), 0
    ).astype(np.float32)


def water(picture: Picture) -> np.ndarray:
    """Share of open water (H, W): NDWI where there is NIR; else dark, smooth, bluish and not green,
    which misses much."""
    ndwi = index(picture, "green", "nir")
    luminance = picture.luminance
    if ndwi is not None:
        # Bands of bytes are often stretched each by itself, which lifts bare fields to 0.1 (NAIP of
        # 2010: 97 % below 0.11).
        found = smoothstep((ndwi - 0.07) / 0.11)
        near = picture.band("nir")
        if near is not None:
            # Black ponds reflect too little of anything for an index to tell.
            found = np.maximum(
                found, smoothstep((0.1 - near) / 0.04) * smoothstep((0.22 - luminance) / 0.08)
            )
        return found
    red = picture.band("red")
    blue = picture.band("blue")
    if red is None or blue is None:
        return np.zeros(luminance.shape, np.float32)
    mean = ndimage.uniform_filter(luminance, 5, mode="nearest")
    rough = np.sqrt(
        np.maximum(ndimage.uniform_filter(luminance**2, 5, mode="nearest") - mean**2, 0)
    )
    dark = smoothstep((0.38 - mean) / 0.1)
    calm = smoothstep((0.03 - rough) / 0.02)
    bluish = smoothstep((blue - 0.92 * red) / 0.06)
    green = picture.band("green")
    if green is None:
        return dark * calm * bluish
    # Colour does not tell a green lake from a dense crop; there are more crops.
    excess = (2 * green - red - blue) / np.maximum(red + green + blue, 0.05)
    return dark * calm * bluish * smoothstep((0.16 - excess) / 0.08)


def vegetation(picture: Picture) -> np.ndarray:
    """Share of green vegetation (H, W): NDVI where there is NIR, else excess green over
    brightness."""
    ndvi = index(picture, "nir", "red")
    if ndvi is not None:
        return smoothstep((ndvi - 0.1) / 0.35)
    red = picture.band("red")
    green = picture.band("green")
    blue = picture.band("blue")
    if red is None or green is None or blue is None:
        return np.full(picture.luminance.shape, 0.5, np.float32)
    excess = (2 * green - red - blue) / np.maximum(red + green + blue, 0.05)
    return smoothstep((excess + 0.01) / 0.12)


def sealed(picture: Picture) -> np.ndarray:
    """Share of roofs, roads and bare bright ground (H, W): grey or bright, and not green."""
    red = picture.band("red")
    green = picture.band("green")
    blue = picture.band("blue")
    if red is None or green is None or blue is None:
        return np.zeros(picture.luminance.shape, np.float32)
    top = np.maximum(np.maximum(red, green), blue)
    low = np.minimum(np.minimum(red, green), blue)
    grey = smoothstep((0.12 - (top - low) / np.maximum(top, 0.05)) / 0.06)
    bright = smoothstep((picture.luminance - 0.62) / 0.15)
    return np.maximum(grey * smoothstep((picture.luminance - 0.3) / 0.12), bright) * (
        1 - vegetation(picture)
    )
