"""Polygons on pixels: one holds the pixels whose centres lie inside by the even-odd rule, with its
holes; several hold what any of them holds.

Pixel (column, row) has its centre at (column + 0.5, row + 0.5). A centre on an outline counts as
GDAL's fill counts it: with the ground to its left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import rasterio
import shapely
from scipy import ndimage

from ..ground.errors import PromiseBroken

EXACT_PX = 1e-3
"""From an outline to a pixel's centre that is in doubt."""
MANY_RUNS = 100_000
"""Of pixels along a row, from which on they are counted together instead of filled in."""
MOST_CANDIDATES = 20_000_000
"""Pixels around one thin polygon that are looked at."""


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels. `col`, `row`: its first column and row. `width`, `height`: columns and
    rows."""

    col: int
    row: int
    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    def holds(self, other: Window) -> bool:
        """Whether all of another one lies in it."""
        return (
            self.col <= other.col
            and self.row <= other.row
            and self.col + self.width >= other.col + other.width
            and self.row + self.height >= other.row + other.height
        )

    def grown(self, by: int) -> Window:
        """Larger on every side."""
        return Window(self.col - by, self.row - by, self.width + 2 * by, self.height + 2 * by)


@dataclass(frozen=True)
class Ground:
    """Polygons on a raster's pixels. `points` (N, 2): vertices of all rings, each closed. `ring`
    (N,): which ring a vertex is of. `polygon` (N,): which polygon. `doubt_px`: how near to an
    outline a pixel's centre may lie on either side. `edges`: x and y of where each edge of a ring
    starts and ends, and its polygon."""

    points: np.ndarray
    ring: np.ndarray
    polygon: np.ndarray
    doubt_px: float = EXACT_PX
    edges: tuple[np.ndarray, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        joined = self.ring[1:] == self.ring[:-1]
        starts, ends = self.points[:-1][joined], self.points[1:][joined]
        edges = (starts[:, 0], starts[:, 1], ends[:, 0], ends[:, 1], self.polygon[1:][joined])
        object.__setattr__(self, "edges", edges)

    def held(self, window: Window) -> np.ndarray:
        """Pixels (H, W) of a window whose centres lie in a polygon."""
        rows, first, last, _ = self._spans(window)
        if len(rows) < MANY_RUNS:
            found = np.zeros(window.shape, bool)
            for row, start, end in zip(rows.tolist(), first.tolist(), last.tolist(), strict=True):
                found[row, start:end] = True
            return found
        count = np.zeros((window.height, window.width + 1), np.int32)
        np.add.at(count, (rows, first), 1)
        np.add.at(count, (rows, last), -1)
        return np.cumsum(count, axis=1)[:, :-1] > 0

    def _spans(self, window: Window) -> tuple[np.ndarray, ...]:
        """Row (from the window's first), first column, column behind the last, and polygon of each
        run of pixels inside a polygon."""
        x1, y1, x2, y2, polygon = self.edges
        low = np.ceil(np.minimum(y1, y2) - 0.5).clip(window.row, window.row + window.height)
        high = np.ceil(np.maximum(y1, y2) - 0.5).clip(window.row, window.row + window.height)
        count = (high - low).astype(np.int64)
        hit = count > 0
        count = count[hit]
        start = np.repeat(np.cumsum(count) - count, count)
        rows = np.repeat(low[hit], count) + np.arange(len(start)) - start
        ax, ay, bx, by = (np.repeat(one[hit], count) for one in (x1, y1, x2, y2))
        xs = ax + (rows + 0.5 - ay) * ((bx - ax) / (by - ay))
        owner = np.repeat(polygon[hit], count)
        order = np.lexsort((xs, rows, owner))
        # Along a row a closed ring is crossed an even number of times: in, out, in, out.
        cols = np.floor(xs[order] + 0.5).clip(window.col, window.col + window.width)
        cols = (cols - window.col).astype(np.int64)
        lines = (rows[order] - window.row).astype(np.int64)
        return lines[::2], cols[::2], cols[1::2], owner[order][::2]

    def meets(self, dataset: rasterio.DatasetReader) -> bool:
        """Whether a polygon holds a pixel of a raster, or comes near one."""
        frame = Window(0, 0, dataset.width, dataset.height)
        _, first, last, _ = self._spans(frame)
        return bool((last > first).any() or touched(self.thin(frame), frame).any())

    @cached_property
    def shapes(self) -> np.ndarray:
        """Each polygon's rings as lines (object array), for distances to its outline."""
        if not len(self.points):
            return np.array([], dtype=object)
        lines = shapely.linestrings(self.points, indices=self.ring)
        first = np.flatnonzero(np.diff(self.ring, prepend=-1))
        return np.asarray(shapely.multilinestrings(lines, indices=self.polygon[first]))

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.shapes)

    def near(self, cols: np.ndarray, rows: np.ndarray, distance: float) -> np.ndarray:
        """Which pixels have their centre no farther than `distance` from an outline."""
        found = np.zeros(len(cols), bool)
        centres = shapely.points(cols + 0.5, rows + 0.5)
        found[self._tree.query(centres, predicate="dwithin", distance=distance)[0]] = True
        return found

    def thin(self, within: Window) -> np.ndarray:
        """Outlines of the polygons that hold no pixel's centre in a window, of those that meet
        it."""
        _, first, last, owner = self._spans(within)
        held = np.bincount(owner, weights=last - first, minlength=len(self.shapes))
        left, top, right, bottom = shapely.bounds(self.shapes).T
        meets = (left < within.col + within.width) & (right > within.col)
        meets &= (top < within.row + within.height) & (bottom > within.row)
        return np.asarray(self.shapes[(held == 0) & meets])


def touched(thin: np.ndarray, window: Window) -> np.ndarray:
    """Pixels (H, W) of a window that outlines of thin polygons touch."""
    found = np.zeros(window.shape, bool)
    right, bottom = window.col + window.width, window.row + window.height
    for shape in thin:
        x1, y1, x2, y2 = shapely.bounds(shape)
        cols = np.arange(max(int(x1) - 1, window.col), min(int(x2) + 2, right))
        rows = np.arange(max(int(y1) - 1, window.row), min(int(y2) + 2, bottom))
        if not (len(cols) and len(rows)):
            continue
        if len(cols) * len(rows) > MOST_CANDIDATES:
            raise PromiseBroken("A polygon is too long and thin to be checked. Divide it.")
        x, y = np.meshgrid(cols, rows)
        meets = shapely.intersects(shape, shapely.box(x, y, x + 1, y + 1))
        found[np.ix_(rows - window.row, cols - window.col)] |= meets
    return found


def grown(ground: Ground, window: Window, by_px: int) -> np.ndarray:
    """Pixels (H, W) of a window that a polygon holds, or whose centres lie within `by_px` pixels of
    such a one."""
    if not by_px:
        return ground.held(window)
    held = ground.held(window.grown(by_px + 1))
    if not held.any():
        return np.zeros(window.shape, bool)
    near = ndimage.distance_transform_edt(~held) <= by_px
    return np.asarray(near[by_px + 1 : -by_px - 1, by_px + 1 : -by_px - 1])
