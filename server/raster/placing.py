"""The windows in which polygons are edited: those whose surroundings overlap share one, unless it
would be too large."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ..contract.requests import PIXELS_UP
from ..ground import memory
from ..ground.errors import CannotEdit, OutsideRaster
from .grid import Box, around_all

MAX_REGION_VALUES = 200_000_000
"""Pixels times bands of a window that is edited in one piece: with its copies about 5 GB."""


def box_around(shape: BaseGeometry, limit: Box) -> Box:
    """Whole pixels around a shape, inside `limit`."""
    xmin, ymin, xmax, ymax = shape.bounds
    low = -1e9
    high = 1e9
    col = int(np.floor(max(xmin, low)))
    row = int(np.floor(max(ymin, low)))
    return Box(
        col, row, int(np.ceil(min(xmax, high))) - col, int(np.ceil(min(ymax, high))) - row
    ).clipped(limit)


@dataclass(frozen=True)
class Piece:
    """A window that is edited by itself. `box`: where. `members`: which shapes, by number; None:
    all that meet it, since it overlaps no other one."""

    box: Box
    members: tuple[int, ...] | None = None


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

    `raster`: all its pixels. `limits`: those that may change, in one or more boxes. `grow_px`:
    polygons are widened by that. `context_px`: ground that the editor sees around them. `bands`: of
    the raster. `bytes_of`: memory that editing so many pixels in one piece takes. `bytes_kept`:
    that a pixel of what was edited takes until all is written.
    """

    raster: Box
    limits: tuple[Box, ...]
    grow_px: int = 0
    context_px: int = 0
    bands: int = 1
    bytes_of: Callable[[int], int] = lambda pixels: 0
    bytes_kept: int = 0

    @property
    def limit(self) -> Box:
        """The box around all that may change."""
        return around_all(self.limits)

    def windows(self, shapes: Sequence[BaseGeometry]) -> list[Piece]:
        """The windows in which shapes are edited. Those that overlap are joined, and divided again
        among their shapes where the whole is too large for this machine. Raises OutsideRaster where
        shapes hold nothing, and CannotEdit where one of them is too large."""
        limit = self.limit
        around = {
            number: box.grown(self.grow_px, limit).grown(self.context_px, self.raster)
            for number, box in enumerate(box_around(shape, limit) for shape in shapes)
            if box.width and box.height
        }
        if not around:
            raise OutsideRaster(
                "The polygons do not touch the raster or the chosen extent." + _where(shapes, limit)
            )
        merged = merged_boxes(list(around.values()))
        pieces: list[Piece] = []
        for box in merged:
            if self._fits(box):
                pieces.append(Piece(box))
            else:
                inside = [n for n, one in around.items() if one.clipped(box) == one]
                pieces += self._divided(inside, around)
        kept = self.bytes_kept * sum(p.box.width * p.box.height for p in pieces)
        for piece in pieces:
            self._check(piece.box, kept)
        return pieces

    def _fits(self, box: Box) -> bool:
        pixels = box.width * box.height
        return pixels * self.bands <= MAX_REGION_VALUES and memory.fits(self.bytes_of(pixels))

    def _divided(self, members: list[int], around: dict[int, Box]) -> list[Piece]:
        """Windows of some of the shapes each, by halves along the longer side, until each fits or
        holds a single one."""
        found = []
        waiting = [members]
        while waiting:
            some = waiting.pop()
            box = around_all([around[number] for number in some])
            if len(some) == 1 or self._fits(box):
                found.append(Piece(box, tuple(some)))
                continue
            across = box.width >= box.height
            some.sort(key=lambda number: _middle(around[number], across))
            half = len(some) // 2
            waiting += [some[half:], some[:half]]
        return found

    def _check(self, box: Box, kept: int) -> None:
        """Raise CannotEdit where a window is too large."""
        pixels = box.width * box.height
        what = (
            f"One polygon covers {box.width:,} x {box.height:,} pixels of {self.bands} bands "
            "with its surroundings, and"
        )
        if pixels * self.bands > MAX_REGION_VALUES:
            side = math.isqrt(MAX_REGION_VALUES // self.bands)
            raise CannotEdit(
                f"{what} about {side:,} x {side:,} pixels of so many are edited in one piece. "
                "Divide it."
            )
        memory.check(self.bytes_of(pixels) + kept, f"{what} this editor")


def _middle(box: Box, across: bool) -> float:
    return box.col + box.width / 2 if across else box.row + box.height / 2


def _where(shapes: Sequence[BaseGeometry], limit: Box) -> str:
    """Where polygons lie that touch nothing."""
    xmin, ymin, xmax, ymax = shapely.total_bounds(list(shapes)) if shapes else (np.nan,) * 4
    if not np.isfinite([xmin, ymin, xmax, ymax]).all():
        return ""
    return (
        f" They lie at columns {xmin:,.0f} to {xmax:,.0f} and rows {ymin:,.0f} to {ymax:,.0f}; it "
        f"has columns {limit.col:,} to {limit.col + limit.width:,} and rows {limit.row:,} to "
        f"{limit.row + limit.height:,}. Is their CRS right?"
        + (f" Negative rows are a picture's in GIS programs: {PIXELS_UP}." if ymax <= 0 else "")
    )
