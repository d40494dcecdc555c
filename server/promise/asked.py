"""What a request asks for, on the pixels of its raster: read from the request anew.

Nothing here is shared with what the writer makes its masks of. A polygon holds the pixels whose
centres lie inside by the even-odd rule, with its holes; several polygons hold what any of them
holds. Pixel (column, row) has its centre at (column + 0.5, row + 0.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyproj
import rasterio
import shapely
from affine import Affine
from scipy import ndimage

from ..contract.requests import PIXELS, PIXELS_UP, Extent, Polygons
from ..ground.errors import PromiseBroken

PIECES = 64
"""Edges of a polygon in another CRS bend as the map does: cut to this part of its extent."""
EXACT_PX = 1e-3
MOVED_PX = 0.5
"""From an outline to a pixel's centre that is in doubt; where positions came in another CRS."""
MANY_RUNS = 100_000
"""Of pixels along a row, from which on they are counted together instead of filled in."""
MOST_CANDIDATES = 20_000_000


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


def ground_of(polygons: Polygons, dataset: rasterio.DatasetReader) -> Ground:
    """The polygons of a request on a raster's pixels."""
    data = polygons.geometry
    parts = data["coordinates"]
    rings = [parts] if data["type"] == "Polygon" else parts
    return _ground([[np.array([p[:2] for p in ring], float) for ring in one] for one in rings],
                   polygons.crs, dataset)  # fmt: skip


def ground_of_shape(shape: Any, dataset: rasterio.DatasetReader) -> Ground:
    """Polygons of a geometry (shapely) in the raster's own coordinates, on its pixels."""
    return _ground(_rings_of(shape), "", dataset)


def limit_of(extent: Extent | None, dataset: rasterio.DatasetReader) -> Window:
    """Pixels that may change: those that an extent touches, else all."""
    whole = Window(0, 0, dataset.width, dataset.height)
    if extent is None:
        return whole
    x, y = (extent.xmin, extent.xmax), (extent.ymin, extent.ymax)
    ring = np.array([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]), (x[0], y[0])])
    found = _ground([[ring]], extent.crs, dataset).points
    low = np.floor(found.min(axis=0) + 1e-6).astype(int)
    high = np.ceil(found.max(axis=0) - 1e-6).astype(int)
    return Window(low[0], low[1], high[0] - low[0], high[1] - low[1])


Rings = Sequence[Sequence[np.ndarray]]
"""Positions (N, 2) of each ring of each polygon."""


def _ground(polygons: Rings, crs: str, dataset: rasterio.DatasetReader) -> Ground:
    to_own, moved = _way(crs, dataset)
    degrees = (
        crs not in (PIXELS, PIXELS_UP) and dataset.crs is not None and dataset.crs.is_geographic
    )
    to_pixels = Affine.identity() if crs in (PIXELS, PIXELS_UP) else ~dataset.transform
    doubt = MOVED_PX if moved else EXACT_PX
    if degrees:
        return _turned(_joined(polygons, to_own, moved), to_pixels, moved, doubt)

    def on_pixels(some: Rings) -> tuple[Ground, bool]:
        there, ring, polygon = _joined(some, to_own, moved)
        points = np.column_stack(to_pixels @ (there[:, 0], there[:, 1]))
        whole = bool(np.isfinite(points).all())
        return Ground(*_finite(points, ring, polygon), doubt), whole

    ground, whole = on_pixels(polygons)
    if moved and not (whole and ground.meets(dataset)):
        # Far beyond a projection's own area positions are wrong or infinite: what is near counts.
        ground, _ = on_pixels(_near(polygons, crs, dataset))
    return ground


def _joined(
    polygons: Rings, to_own: Callable[[np.ndarray], np.ndarray], cut: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All vertices in the raster's coordinates, with their ring and polygon."""
    rings = [_cut(ring) if cut else ring for one in polygons for ring in one]
    owners = [number for number, one in enumerate(polygons) for _ in one]
    lengths = [len(ring) for ring in rings]
    points = to_own(np.concatenate(rings)) if rings else np.zeros((0, 2))
    return points, np.repeat(np.arange(len(rings)), lengths), np.repeat(owners, lengths)


def _near(polygons: Rings, crs: str, dataset: rasterio.DatasetReader) -> Rings:
    """What of polygons lies about the raster, cut off in their own CRS."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]) * [dataset.width, dataset.height]
    frame = np.column_stack(dataset.transform @ (corners[:, 0], corners[:, 1]))
    back = pyproj.Transformer.from_crs(_crs_of(dataset), crs, always_xy=True)
    around = np.column_stack(back.transform(*_cut(frame.astype(float)).T))
    if not np.isfinite(around).all():
        return polygons
    low, high = around.min(axis=0), around.max(axis=0)
    box = shapely.box(*(2 * low - high), *(2 * high - low))
    whole = [
        shapely.make_valid(shapely.Polygon(one[0], [ring for ring in one[1:]])) for one in polygons
    ]
    return _rings_of(shapely.intersection(np.array(whole, dtype=object), box))


def _rings_of(shapes: Any) -> Rings:
    flat = [inner for part in shapely.get_parts(shapes) for inner in shapely.get_parts(part)]
    return [
        [shapely.get_coordinates(ring) for ring in (one.exterior, *one.interiors)]
        for one in flat
        if one.geom_type == "Polygon" and not one.is_empty
    ]


def _turned(
    rings: tuple[np.ndarray, np.ndarray, np.ndarray], to_pixels: Affine, moved: bool, doubt: float
) -> Ground:
    """Polygons in degrees, each also a whole turn to the east and to the west of where it is given;
    rings that came from another CRS go on past 180 degrees instead of jumping."""
    points, ring, polygon = rings
    if moved and len(points):
        points, ring, polygon = _unwrapped(points, ring, polygon)
    count = np.bincount(polygon)
    mean = np.bincount(polygon, points[:, 0]) / np.maximum(count, 1)
    points = points - np.column_stack([360.0 * np.round(mean / 360.0)[polygon], 0 * polygon])
    turns = [points + [turn, 0.0] for turn in (0.0, 360.0, -360.0)]
    lon, lat = np.concatenate(turns).T if len(points) else np.zeros((2, 0))
    there = np.column_stack(to_pixels @ (lon, lat))
    rings_of = np.concatenate([ring + k * (ring.max(initial=0) + 1) for k in range(3)])
    owners = np.concatenate([polygon + k * (polygon.max(initial=0) + 1) for k in range(3)])
    return Ground(*_finite(there, rings_of, owners), doubt)


def _unwrapped(points: np.ndarray, ring: np.ndarray, polygon: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rings in degrees that go on past 180, holes on the same turn as what they are in; one that
    runs once around a pole goes to the pole and back."""
    rings, owners = [], []
    middle: dict[int, float] = {}
    for number in np.unique(ring):
        one = points[ring == number].copy()
        owner = int(polygon[ring == number][0])
        one[:, 0] = np.unwrap(one[:, 0], period=360.0)
        if abs(one[-1, 0] - one[0, 0]) > 180:
            pole = float(np.copysign(90.0, one[:, 1].mean()))
            ends = [(one[-1, 0], pole), (one[0, 0], pole), one[0]]
            one = np.concatenate([one, np.array(ends)])
        mean = float(one[:, 0].mean())
        one[:, 0] += 360.0 * round((middle.setdefault(owner, mean) - mean) / 360.0)
        rings.append(one)
        owners.append(owner)
    lengths = [len(one) for one in rings]
    return (
        np.concatenate(rings),
        np.repeat(np.arange(len(rings)), lengths),
        np.repeat(owners, lengths),
    )


def _finite(
    points: np.ndarray, ring: np.ndarray, polygon: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Without rings that have a vertex with no place on the raster's map; the others numbered from
    0 on."""
    bad = ~np.isfinite(points).all(axis=1)
    keep = ~np.isin(ring, ring[bad])
    rings, owners = (np.unique(one[keep], return_inverse=True)[1] for one in (ring, polygon))
    return points[keep], rings, owners


def _cut(ring: np.ndarray) -> np.ndarray:
    """A ring with its long edges cut into pieces."""
    step = float((ring.max(axis=0) - ring.min(axis=0)).max()) / PIECES
    if not step > 0:
        return ring
    pieces = np.maximum(np.ceil(np.hypot(*np.diff(ring, axis=0).T) / step), 1).astype(int)
    found = [
        start + (end - start) * np.arange(count)[:, None] / count
        for start, end, count in zip(ring[:-1], ring[1:], pieces, strict=True)
    ]
    return np.concatenate([*found, ring[-1:]])


def _crs_of(dataset: rasterio.DatasetReader) -> pyproj.CRS | None:
    if dataset.crs is None:
        return None
    return pyproj.CRS.from_wkt(dataset.crs.to_wkt(version="WKT2_2019"))


def _way(
    crs: str, dataset: rasterio.DatasetReader
) -> tuple[Callable[[np.ndarray], np.ndarray], bool]:
    """How positions come to the raster's own coordinates (of pixels to pixels), and whether through
    another CRS."""
    if crs == PIXELS_UP:
        return (lambda xy: xy * [1.0, -1.0]), False
    if crs in ("", PIXELS) or dataset.crs is None:
        return (lambda xy: xy), False
    own = _crs_of(dataset)
    if pyproj.CRS.from_user_input(crs) == own:
        return (lambda xy: xy), False
    change = pyproj.Transformer.from_crs(pyproj.CRS.from_user_input(crs), own, always_xy=True)
    return (lambda xy: np.column_stack(change.transform(xy[:, 0], xy[:, 1]))), True
