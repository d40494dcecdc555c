"""Which squares are taken of a source, and how one becomes a sample of 512 pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from PIL import Image
from rasterio.enums import Resampling

from ..raster import bands
from ..raster.bands import Layer
from ..raster.grid import Box
from ..raster.raster import Block, read_window

SIDE = 512
MOST_READ_PX = 4096
"""Of a square's side; larger ones are thinned to it while they are read."""


@dataclass(frozen=True)
class Cut:
    """A square of a source. `box`: its window, in pixels of the source. `nested`: whether it is one
    of the crops around the middle that show one place in several ground sizes."""

    box: Box
    nested: bool = False

    @property
    def scale(self) -> float:
        """What the ground size of a pixel is multiplied by."""
        return self.box.width / SIDE


def tiles(width: int, height: int) -> list[Cut]:
    """Algorithm 1: all squares of 512 that do not overlap, or, where a side is shorter, the largest
    square in the middle."""
    if min(width, height) >= SIDE:
        return [
            Cut(Box(col, row, SIDE, SIDE))
            for row in range(0, height - SIDE + 1, SIDE)
            for col in range(0, width - SIDE + 1, SIDE)
        ]
    least = min(width, height)
    return [Cut(Box((width - least) // 2, (height - least) // 2, least, least))]


def nested(width: int, height: int) -> list[Cut]:
    """Squares around the middle, each half as wide as the one before, down to 512: one place in
    several ground sizes."""
    found = []
    side = SIDE
    while side <= min(width, height):
        found.append(Cut(Box((width - side) // 2, (height - side) // 2, side, side), True))
        side *= 2
    return found[::-1] if len(found) > 1 else []


def block_of(layer: Layer, box: Box) -> Block:
    """The pixels of a square."""
    if box.width <= MOST_READ_PX:
        return read_window(layer.dataset, box)
    return bands.thinned(layer, box, (MOST_READ_PX, MOST_READ_PX), Resampling.average)


def squared(pixels: np.ndarray) -> np.ndarray:
    """A square of any side as 512 x 512, by bicubic interpolation."""
    if len(pixels) == SIDE:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def placed(layer: Layer, cut: Cut, gsd_m: float) -> dict[str, Any]:
    """Where a sample lies, and its ground size: L / 512 of the source's."""
    crs = layer.profile.crs
    box = cut.box
    return {
        "gsd_m": gsd_m * cut.scale or None,
        "window": [box.col, box.row, box.width, box.height],
        "nested": cut.nested,
        "crs": crs.to_string() if crs else None,
        "transform": list(layer.profile.transform_of(box) @ Affine.scale(cut.scale))[:6]
        if crs
        else None,
    }
