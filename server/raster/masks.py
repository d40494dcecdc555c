"""Polygons on the pixel grid: reprojected, clipped, rasterised, grouped into windows.

Everything happens in pixel coordinates (column, row of the raster), so rotated,
sheared and south-up grids need no special case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from ..ground import memory
from ..ground.errors import CannotEdit, OutsideRaster
from .grid import Box
from .raster import OnPart

MAX_REGION_VALUES = 200_000_000
"""Pixels times bands of a window that is edited in one piece: with its copies about 5 GB."""


@dataclass(frozen=True)
class Region:
    """A window to edit. `box`: where it lies, in pixels of the raster. `mask`: (H, W) bool, the
    pixels to edit: the polygons, widened, without what is protected or outside the limit. `shapes`:
    the polygons that touch it, in pixels of the raster."""

    box: Box
    mask: np.ndarray
    shapes: tuple[BaseGeometry, ...] = ()

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


def _box_around(shape: BaseGeometry, limit: Box) -> Box:
    xmin, ymin, xmax, ymax = shape.bounds
    low = -1e9
    high = 1e9
    col = int(np.floor(max(xmin, low)))
    row = int(np.floor(max(ymin, low)))
    return Box(
        col, row, int(np.ceil(min(xmax, high))) - col, int(np.ceil(min(ymax, high))) - row
    ).clipped(limit)


def draw_mask(shapes: Sequence[BaseGeometry], box: Box) -> np.ndarray:
    """Pixels of `box` whose centre is inside a shape; a shape that holds no centre takes what it
    touches."""
    mask = np.zeros((box.height, box.width), bool)
    origin = Affine.translation(box.col, box.row)
    if not shapes or not mask.size:
        return mask
    rasterize([(s, 1) for s in shapes], out=(whole := mask.astype(np.uint8)), transform=origin)
    mask = whole > 0
    for shape in shapes:
        if shape.area > 4 and shape.area > shape.length / 2:
            continue  # thick enough to hold a pixel's centre
        around = _box_around(shape, box)
        rows, cols = around.relative_to(box).slices
        if around.width and around.height and not mask[rows, cols].any():
            touched = np.zeros((around.height, around.width), np.uint8)
            rasterize(
                [(shape, 1)],
                out=touched,
                all_touched=True,
                transform=Affine.translation(around.col, around.row),
            )
            mask[rows, cols] |= touched > 0
    return mask


def merged_boxes(boxes: Sequence[Box]) -> list[Box]:
    """Join boxes that overlap until none does."""
    left = [shapely.box(b.col, b.row, b.col + b.width, b.row + b.height) for b in boxes]
    while True:
        parts = shapely.get_parts(shapely.union_all(left))
        hulls = [shapely.box(*part.bounds) for part in parts]
        if len(hulls) == len(left) and all(
            shapely.equals(a, shapely.box(*a.bounds)) for a in parts
        ):
            break
        left = hulls
    out = [
        Box(int(x0), int(y0), int(x1 - x0), int(y1 - y0))
        for x0, y0, x1, y1 in (h.bounds for h in left)
    ]
    return sorted(out, key=lambda b: (b.row, b.col))


@dataclass(frozen=True)
class Placing:
    """Where edits may lie, and in which pieces.

    `raster`: all its pixels. `limit`: those that may change. `grow_px`: polygons are widened by
    that. `context_px`: ground that the editor sees around them. `bands`: of the raster. `bytes_of`:
    memory that editing so many pixels in one piece takes. `bytes_kept`: that a pixel of what was
    edited takes until all is written.
    """

    raster: Box
    limit: Box
    grow_px: int = 0
    context_px: int = 0
    bands: int = 1
    bytes_of: Callable[[int], int] = lambda pixels: 0
    bytes_kept: int = 0

    def windows(self, shapes: Sequence[BaseGeometry]) -> list[Box]:
        """The windows in which shapes are edited, those that overlap joined; raises OutsideRaster
        where they hold nothing, and CannotEdit where one is too large for this machine."""
        limit = self.limit
        boxes = [
            b.grown(self.grow_px, limit)
            for b in (_box_around(s, limit) for s in shapes)
            if b.width and b.height
        ]
        if not boxes:
            raise OutsideRaster(
                "The polygons do not touch the raster or the chosen extent." + _where(shapes, limit)
            )
        merged = merged_boxes([b.grown(self.context_px, self.raster) for b in boxes])
        kept = self.bytes_kept * sum(box.width * box.height for box in merged)
        for box in merged:
            pixels = box.width * box.height
            what = (
                f"One polygon covers {box.width:,} x {box.height:,} pixels of {self.bands} bands "
                "with its surroundings, and"
            )
            if pixels * self.bands > MAX_REGION_VALUES:
                raise CannotEdit(
                    f"{what} at most {MAX_REGION_VALUES // self.bands // 1_000_000} million "
                    "pixels are edited in one piece. Divide it."
                )
            memory.check(self.bytes_of(pixels) + kept, f"{what} this editor")
        return merged


def _where(shapes: Sequence[BaseGeometry], limit: Box) -> str:
    """Where polygons lie that touch nothing."""
    xmin, ymin, xmax, ymax = shapely.total_bounds(list(shapes)) if shapes else (np.nan,) * 4
    if not np.isfinite([xmin, ymin, xmax, ymax]).all():
        return ""
    return (
        f" They lie at columns {xmin:,.0f} to {xmax:,.0f} and rows {ymin:,.0f} to {ymax:,.0f}; it "
        f"has columns {limit.col:,} to {limit.col + limit.width:,} and rows {limit.row:,} to "
        f"{limit.row + limit.height:,}. Is their CRS right?"
    )


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
    limit = placing.limit
    reach = placing.grow_px
    found = []
    inside = shapely.STRtree(shapes)
    spared = shapely.STRtree(protect)
    merged = placing.windows(shapes)
    for number, box in enumerate(merged):
        on_part(number, len(merged))
        frame = shapely.box(box.col, box.row, box.col + box.width, box.row + box.height)
        here = [shapes[i] for i in inside.query(frame)]
        kept = [protect[i] for i in spared.query(frame)]
        allowed = np.zeros((box.height, box.width), bool)
        allowed[limit.clipped(box).relative_to(box).slices] = True
        mask = grown(draw_mask(here, box), reach) & allowed & ~draw_mask(kept, box)
        if mask.any():
            found.append(Region(box, mask, tuple(here)))
    if not found:
        raise OutsideRaster("The polygons hold no pixel: they are outside, or wholly protected.")
    return found
