"""Rectangles of pixels, and grids of pixels on the ground."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..ground.errors import BadRequest
from .doors import opened as opened

ALIGNED_PX = 1e-3
"""Part of a pixel by which two grids may lie apart and still be one."""
COPY_SIDE = 2048
"""Side of the squares in which unchanged pixels are copied and compared, at most."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels. `col`, `row`: of its first pixel, from 0 at the raster's upper left;
    negative ones lie outside. `width`, `height`: in pixels."""

    col: int
    row: int
    width: int
    height: int

    @property
    def window(self) -> Window:
        """The same rectangle for rasterio."""
        return Window(self.col, self.row, self.width, self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices into an array of the whole raster."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    def grown(self, by: int, within: Box) -> Box:
        """Larger by `by` pixels on every side, clipped."""
        return Box(self.col - by, self.row - by, self.width + 2 * by, self.height + 2 * by).clipped(
            within
        )

    def clipped(self, within: Box) -> Box:
        """The part inside `within`; width or height 0 where there is none."""
        col = max(self.col, within.col)
        row = max(self.row, within.row)
        right = min(self.col + self.width, within.col + within.width)
        bottom = min(self.row + self.height, within.row + within.height)
        return Box(col, row, max(0, right - col), max(0, bottom - row))

    def relative_to(self, origin: Box) -> Box:
        """The same pixels, counted from the corner of `origin`."""
        return Box(self.col - origin.col, self.row - origin.row, self.width, self.height)

    def squares(self, side: int = COPY_SIDE) -> Iterator[Box]:
        """Cut into squares of at most `side` pixels, counted from this box's own corner.

        So they fall on whole blocks of a file that holds this box.
        """
        for row in range(self.row, self.row + self.height, side):
            for col in range(self.col, self.col + self.width, side):
                yield Box(col, row, side, side).clipped(self)


def around_all(boxes: Sequence[Box]) -> Box:
    """The smallest rectangle that holds all of one or more."""
    left = min(box.col for box in boxes)
    top = min(box.row for box in boxes)
    right = max(box.col + box.width for box in boxes)
    bottom = max(box.row + box.height for box in boxes)
    return Box(left, top, right - left, bottom - top)


@dataclass(frozen=True)
class Grid:
    """Where pixels lie. `crs`: None where there is none. `transform`: from (column, row) to CRS
    coordinates. `shape`: height and width in pixels."""

    crs: CRS | None
    transform: Affine
    shape: tuple[int, int]

    @classmethod
    def of(cls, dataset: rasterio.DatasetReader) -> Grid:
        """That of an open raster."""
        return cls(dataset.crs, dataset.transform, dataset.shape)

    def meets(self, other: Grid) -> bool:
        """Whether the pixels of both lie on one another, as those of a window do on its
        raster's."""
        ours = self.transform
        theirs = other.transform
        if self.crs != other.crs or abs(ours.determinant) < 1e-300:
            return False
        # In pixels of this grid: where the other's corner lies, and how far its last pixel has run
        # off by then.
        between = ~ours @ theirs
        far = max(*self.shape, *other.shape)
        turned = max(abs(between.a - 1), abs(between.e - 1), abs(between.b), abs(between.d)) * far
        return bool(
            max(abs(between.c - round(between.c)), abs(between.f - round(between.f)), turned)
            < ALIGNED_PX
        )


@contextlib.contextmanager
def onto(
    dataset: rasterio.DatasetReader, grid: Grid, resampling: Resampling = Resampling.bilinear
) -> Iterator[DatasetReader]:
    """A raster as it lies on another grid: itself where that is its own, else resampled while it is
    read, invalid where it does not reach. Raises BadRequest where one of the two has no CRS."""
    if Grid.of(dataset) == grid:
        yield dataset
        return
    if dataset.crs is None or grid.crs is None:
        raise BadRequest(
            f"{Path(dataset.name).name} lies on another grid, and not both have a CRS; assign the "
            "one that is missing."
        )
    height, width = grid.shape
    resampling = Resampling.nearest if grid.meets(Grid.of(dataset)) else resampling
    with WarpedVRT(
        dataset,
        crs=grid.crs,
        transform=grid.transform,
        width=width,
        height=height,
        resampling=resampling,
        add_alpha=ColorInterp.alpha not in dataset.colorinterp,
    ) as warped:
        yield warped
