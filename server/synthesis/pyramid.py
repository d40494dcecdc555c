"""Ratio-0.5 pyramids of images and masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .resampling import BICUBIC, resized


@dataclass(frozen=True)
class Level:
    """One scale. `image` (C, H, W): its pixels, native or scaled. `hole` (H, W): what is to be
    filled. `usable` (H, W): pixels to copy from."""

    image: np.ndarray
    hole: np.ndarray
    usable: np.ndarray


def halved(image: np.ndarray) -> np.ndarray:
    """Half the size, bicubic with antialiasing. Sides must be even."""
    return resized(image, (image.shape[1] // 2, image.shape[2] // 2), BICUBIC)


def doubled(image: np.ndarray) -> np.ndarray:
    """Twice the size, bicubic."""
    return resized(image, (image.shape[1] * 2, image.shape[2] * 2), BICUBIC)


def area_share(mask: np.ndarray) -> np.ndarray:
    """Share of each 2 x 2 block that is set."""
    height, width = mask.shape
    return mask.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


def padded(level: Level, multiple: int) -> Level:
    """Enlarged at the bottom and right to a multiple; the new pixels are neither hole nor
    usable."""
    height, width = level.hole.shape
    extra = ((0, -height % multiple), (0, -width % multiple))
    if extra == ((0, 0), (0, 0)):
        return level
    image = np.pad(level.image, ((0, 0), *extra), mode="edge")
    return Level(image, np.pad(level.hole, extra), np.pad(level.usable, extra))


def count_levels(side: int, coarsest: int, most: int) -> int:
    """How many levels keep the shorter side at `coarsest` pixels or more."""
    levels = 1
    while levels < most and side // 2**levels >= coarsest:
        levels += 1
    return levels


def with_ground(levels: list[Level], least: int = 7) -> int:
    """How many of the levels, from the finest, still have a whole patch of that side to copy from
    (at least one)."""
    whole = [
        bool(
            (ndimage.minimum_filter(one.usable.astype(np.uint8), least, mode="constant") > 0).any()
        )
        for one in levels
    ]
    return next((max(1, number) for number, found in enumerate(whole) if not found), len(levels))


def build(level: Level, levels: int) -> list[Level]:
    """Levels from fine to coarse; the first is `level` itself, whose sides fit."""
    out = [level]
    for _ in range(levels - 1):
        fine = out[-1]
        out.append(
            Level(halved(fine.image), area_share(fine.hole) > 0.01, area_share(fine.usable) > 0.99)
        )
    return out
