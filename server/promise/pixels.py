"""Polygons on pixels: one holds the pixels whose centres lie inside by the even-odd rule, with its
holes; several hold what any of them holds.

Pixel (column, row) has its centre at (column + 0.5, row + 0.5). A centre on an outline counts as
GDAL's fill counts it: with the ground to its left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely
from scipy import ndimage

EXACT_PX = 1e-3
"""From an outline to a pixel's centre that is in doubt."""
MANY_RUNS = 100_000
"""Of pixels along a row, from which on they are counted together instead of filled in."""
SLIVER_PX = 8.0
"""Outline of the shortest polygon that may fall to pieces."""
SMALL_PX, SMALL_CELLS = 4.0, 400
"""Area of a polygon that may hold no centre of a pixel, and pixels around it that are looked at."""


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
        """As of an array of its pixels: (rows, columns)."""
        return self.height, self.width

    def holds(self, other: Window) -> bool:
        """Whether all of another one lies in it."""
        return (
            self.col <= other.col
            and self.row <= other.row
            and self.col + self.width >= other.col + other.width
            and self.row + self.height >= other.row + other.height
        )

    def meets(self, other: Window) -> bool:
        """Whether both have a pixel in common."""
        return (
            self.col < other.col + other.width
            and other.col < self.col + self.width
            and self.row < other.row + other.height
            and other.row < self.row + self.height
        )

    def grown(self, by: int) -> Window:
        """Larger on every side."""
        return Window(self.col - by, self.row - by, self.width + 2 * by, self.height + 2 * by)


@dataclass(frozen=True)
class Ground:
    """Polygons on a raster's pixels. `points` (N, 2): vertices of all rings, each closed. `ring`
    (N,): which ring a vertex is of. `polygon` (N,): which polygon. `doubt_px`: how near to an
    outline a pixel's centre may lie on either side. `frame`: all pixels of the raster; None: they
    have no end. `edges`: x and y of where each edge of a ring starts and ends, and its polygon."""

    points: np.ndarray
    ring: np.ndarray
    polygon: np.ndarray
    doubt_px: float = EXACT_PX
    frame: Window | None = None
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

    def meets(self, window: Window) -> bool:
        """Whether a polygon holds a pixel of a window, or a thin one touches one."""
        _, first, last, _ = self._spans(window)
        return bool((last > first).any() or touched(self.thin, window).any())

    @cached_property
    def _outlines(self) -> shapely.STRtree:
        """All rings as lines, for distances."""
        return shapely.STRtree(shapely.linestrings(self.points, indices=self.ring))

    def near(self, cols: np.ndarray, rows: np.ndarray, distance: float) -> np.ndarray:
        """Which pixels have their centre no farther than `distance` from an outline."""
        found = np.zeros(len(cols), bool)
        if len(self.points):
            centres = shapely.points(cols + 0.5, rows + 0.5)
            at = self._outlines.query(centres, predicate="dwithin", distance=distance)[0]
            found[at] = True
        return found

    @cached_property
    def lobes(self) -> np.ndarray:
        """The simple polygons (object array) that the polygons fall into where they cross
        themselves."""
        if not len(self.points):
            return np.array([], dtype=object)
        rings = shapely.linearrings(self.points, indices=self.ring)
        first = np.flatnonzero(np.diff(self.ring, prepend=-1))
        owner = self.polygon[first]
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        counts = np.diff(np.append(starts, len(owner)))
        whole = shapely.polygons(rings[starts])
        for number in np.flatnonzero(counts > 1):
            start = starts[number]
            whole[number] = shapely.polygons(
                rings[start], rings[start + 1 : start + counts[number]]
            )
        broken = ~shapely.is_valid(whole)
        whole[broken] = shapely.make_valid(whole[broken])
        parts = shapely.get_parts(shapely.get_parts(whole))
        return np.asarray(parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 0)])

    @cached_property
    def thin(self) -> np.ndarray:
        """Lobes (object array) that count by what they touch: those that hold no pixel's centre,
        and long ones that are less than a pixel wide; by themselves, or together with those that
        they touch."""
        few = _slivers(self.lobes) | _without_centre(self.lobes, self.frame)
        if not few.any():
            return np.array([], dtype=object)
        tree = shapely.STRtree(self.lobes)
        group = few
        while True:
            _, met = tree.query(self.lobes[group], predicate="intersects")
            wider = group.copy()
            wider[met] = True
            if (wider == group).all():
                break
            group = wider
        whole = shapely.get_parts(shapely.union_all(self.lobes[group]))
        whole = whole[shapely.get_type_id(whole) == 3]
        together = whole[_slivers(whole) | _without_centre(whole, self.frame)]
        return np.concatenate([self.lobes[few], together])

    @cached_property
    def surely_thin(self) -> np.ndarray:
        """Those of them that touch no other lobe, together with which they may be thick."""
        few = self.lobes[_slivers(self.lobes) | _without_centre(self.lobes, self.frame)]
        at, _ = shapely.STRtree(self.lobes).query(few, predicate="intersects")
        return np.asarray(few[np.bincount(at, minlength=len(few)) == 1])


def _slivers(lobes: np.ndarray) -> np.ndarray:
    length = shapely.length(lobes)
    return np.asarray((length > SLIVER_PX) & (2 * shapely.area(lobes) < length))


def _without_centre(lobes: np.ndarray, frame: Window | None) -> np.ndarray:
    """Which lobes hold no centre of a pixel of the frame; those of more than some pixels do."""
    found = np.zeros(len(lobes), bool)
    left, top, right, bottom = np.floor(shapely.bounds(lobes)).reshape(-1, 4).T
    cells = (right - left + 1) * (bottom - top + 1)
    small = np.flatnonzero((shapely.area(lobes) <= SMALL_PX) & (cells <= SMALL_CELLS))
    if not len(small):
        return found
    count = cells[small].astype(np.int64)
    lobe = np.repeat(small, count)
    number = np.arange(len(lobe)) - np.repeat(np.cumsum(count) - count, count)
    wide = (right - left + 1)[lobe].astype(np.int64)
    x, y = left[lobe] + number % wide + 0.5, top[lobe] + number // wide + 0.5
    inside = shapely.contains_xy(lobes[lobe], x, y)
    if frame is not None:
        inside &= (x > frame.col) & (x < frame.col + frame.width)
        inside &= (y > frame.row) & (y < frame.row + frame.height)
    held = np.bincount(lobe, inside, minlength=len(lobes))
    found[small] = held[small] == 0
    return found


def touched(lobes: np.ndarray, window: Window, surely: bool = False) -> np.ndarray:
    """Pixels (H, W) of a window that outlines of polygons run through. One that runs along the edge
    of pixels, or through a corner, touches those on all its sides, or none where `surely`."""
    found = np.zeros(window.shape, bool)
    points, ring = shapely.get_coordinates(shapely.get_rings(lobes), return_index=True)
    joined = ring[1:] == ring[:-1]
    points = points - [window.col, window.row]
    starts, ends = points[:-1][joined], points[1:][joined]
    size = np.array([window.width, window.height])
    meets = (np.minimum(starts, ends) <= size).all(axis=1)
    meets &= (np.maximum(starts, ends) >= 0).all(axis=1)
    starts, ends = starts[meets], ends[meets]
    numbers = np.arange(len(starts))
    # Where each edge begins, ends, and crosses from one column or row to the next.
    edge = [numbers, numbers]
    along = [np.zeros(len(starts)), np.ones(len(starts))]
    for axis in (0, 1):
        a, b = starts[:, axis], ends[:, axis]
        low = np.ceil(np.minimum(a, b)).clip(-1, size[axis] + 1)
        high = np.floor(np.maximum(a, b)).clip(-1, size[axis] + 1)
        count = np.maximum(high - low + 1, 0).astype(np.int64) * (a != b)
        which = np.repeat(numbers, count)
        line = low[which] + np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        edge.append(which)
        along.append((line - a[which]) / (b[which] - a[which]))
    order = np.lexsort((np.concatenate(along), np.concatenate(edge)))
    which, share = np.concatenate(edge)[order], np.concatenate(along)[order].clip(0, 1)
    middle = np.flatnonzero(which[1:] == which[:-1])
    at = which[middle]
    share = (share[middle] + share[middle + 1]) / 2
    place = starts[at] + share[:, None] * (ends[at] - starts[at])
    if surely:
        place = place[(np.abs(place - np.round(place)) > EXACT_PX).all(axis=1)]
    for right in (-EXACT_PX, EXACT_PX):
        for down in (-EXACT_PX, EXACT_PX):
            cols, rows = np.floor(place + [right, down]).astype(np.int64).T
            here = (cols >= 0) & (rows >= 0) & (cols < size[0]) & (rows < size[1])
            found[rows[here], cols[here]] = True
    return found


def meant_by(ground: Ground, window: Window, by_px: int = 0) -> np.ndarray:
    """Pixels (H, W) of a window that polygons hold or, where they are thin, touch; or whose centres
    lie within `by_px` pixels of such a one."""
    wide = window.grown(by_px + 1) if by_px else window
    found = ground.held(wide)
    if len(ground.thin):
        found |= touched(ground.thin, wide)
    if not by_px or not found.any():
        return found[by_px + 1 : -by_px - 1, by_px + 1 : -by_px - 1] if by_px else found
    near = ndimage.distance_transform_edt(~found) <= by_px
    return np.asarray(near[by_px + 1 : -by_px - 1, by_px + 1 : -by_px - 1])
