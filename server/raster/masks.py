"""Polygons on the pixel grid: rasterised, widened, less what is protected (`polygons` brings them
into pixels, `placing` into windows).

Everything happens in pixel coordinates (column, row of the raster), so rotated,
sheared and south-up grids need no special case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from ..ground.errors import OutsideRaster
from .grid import Box
from .placing import Placing, box_around
from .raster import OnPart

SLIVER_PX = 8.0
"""Outline of the shortest shape that may fall to pieces."""


SMALL_PX = 4.0
"""Area of a shape that may hold no centre of a pixel."""


@dataclass(frozen=True)
class Region:
    """A window to edit. `box`: where it lies, in pixels of the raster. `mask`: (H, W) bool, the
    pixels to edit: the polygons, widened, without what is protected or outside the limit. `shapes`:
    the polygons that touch it, in pixels of the raster. `divided`: other windows may overlap it, so
    that it is laid over the raster by its mask alone."""

    box: Box
    mask: np.ndarray
    shapes: tuple[BaseGeometry, ...] = ()
    divided: bool = False

    def numbered(self) -> np.ndarray:
        """The polygon (from 1) that each pixel (H, W) of the window lies in, 0 outside, whatever of
        it is protected."""
        origin = Affine.translation(self.box.col, self.box.row)
        found = np.zeros(self.mask.shape, np.int32)
        if self.shapes:
            rasterize(
                [(shape, number) for number, shape in enumerate(self.shapes, 1)],
                out=found,
                transform=origin,
            )
        return found


def draw_mask(shapes: Sequence[BaseGeometry], box: Box) -> np.ndarray:
    """Pixels of `box` whose centre is inside a shape. A shape that holds no centre takes all that
    it touches, and so does one that is less than a pixel wide, which would fall to pieces."""
    mask = np.zeros((box.height, box.width), bool)
    origin = Affine.translation(box.col, box.row)
    if not shapes or not mask.size:
        return mask
    rasterize([(s, 1) for s in shapes], out=(whole := mask.astype(np.uint8)), transform=origin)
    mask = whole > 0
    for shape in shapes:
        sliver = is_sliver(shape)
        if shape.area > SMALL_PX and not sliver:
            continue  # it holds a pixel's centre
        around = box_around(shape, box)
        if not (around.width and around.height):
            continue
        rows, cols = around.relative_to(box).slices
        if sliver or not _burned(shape, around, False).any():
            mask[rows, cols] |= _burned(shape, around, True)
    return mask


def is_sliver(shape: BaseGeometry) -> bool:
    """Whether a shape, in pixels, is long and less than one wide in the mean."""
    return bool(shape.length > SLIVER_PX and 2 * shape.area < shape.length)


def _burned(shape: BaseGeometry, around: Box, touched: bool) -> np.ndarray:
    """Pixels (H, W) whose centres a shape holds, or all that it touches."""
    found = np.zeros((around.height, around.width), np.uint8)
    at = Affine.translation(around.col, around.row)
    rasterize([(shape, 1)], out=found, all_touched=touched, transform=at)
    return found > 0


def grown(mask: np.ndarray, by_px: int) -> np.ndarray:
    """The mask (H, W) and everything within `by_px` pixels of it."""
    return ndimage.distance_transform_edt(~mask) <= by_px if by_px and mask.any() else mask


def regions(
    shapes: Sequence[BaseGeometry],
    protect: Sequence[BaseGeometry],
    placing: Placing,
    on_part: OnPart = lambda part, parts: None,
) -> list[Region]:
    """Windows to edit, each with its mask; polygons whose surroundings overlap share one.

    The windows reach `context_px` around the polygons and may leave the limit;
    the masks do not.
    """
    reach = placing.grow_px
    found = []
    inside = shapely.STRtree(shapes)
    spared = shapely.STRtree(protect)
    pieces = placing.windows(shapes)
    for number, piece in enumerate(pieces):
        on_part(number, len(pieces))
        box = piece.box
        frame = shapely.box(box.col, box.row, box.col + box.width, box.row + box.height)
        members = inside.query(frame) if piece.members is None else piece.members
        here = [shapes[i] for i in members]
        kept = [protect[i] for i in spared.query(frame)]
        allowed = np.zeros((box.height, box.width), bool)
        for limit in placing.limits:
            allowed[limit.clipped(box).relative_to(box).slices] = True
        mask = grown(draw_mask(here, box), reach) & allowed & ~draw_mask(kept, box)
        if mask.any():
            found.append(Region(box, mask, tuple(here), piece.members is not None))
    if not found:
        raise OutsideRaster("The polygons hold no pixel: they are outside, or wholly protected.")
    return found
