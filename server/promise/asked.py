"""What a request asks for, on the pixels of its raster: read from the request anew.

Nothing here is shared with what the writer makes its masks of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyproj
import rasterio
import shapely
from affine import Affine

from ..contract.requests import PIXELS, PIXELS_UP, Extent, Polygons
from .pixels import EXACT_PX, Ground, Window

PIECES = 64
"""Edges of a polygon in another CRS bend as the map does: cut to this part of its extent."""
MOVED_PX = 0.5
"""From an outline to a pixel's centre that is in doubt, where positions came in another CRS."""


def ground_of(polygons: Polygons, dataset: rasterio.DatasetReader) -> Ground:
    """The polygons of a request on a raster's pixels."""
    data = polygons.geometry
    parts = data["coordinates"]
    rings = [parts] if data["type"] == "Polygon" else parts
    return _ground([[np.array([p[:2] for p in ring], float) for ring in one] for one in rings],
                   polygons.crs, dataset)  # fmt: skip


def ground_of_shape(shape: Any, dataset: rasterio.DatasetReader) -> Ground:
    """Polygons of a geometry (shapely) in the raster's own coordinates, on its pixels."""
    points, ring, polygon = _joined(_rings_of(shape), lambda xy: xy, False)
    there = np.column_stack(~dataset.transform @ (points[:, 0], points[:, 1]))
    return Ground(*_finite(there, ring, polygon))


def limits_of(extent: Extent | None, dataset: rasterio.DatasetReader) -> tuple[Window, ...]:
    """Windows in which something may change: pixels that an extent touches, at each turn of
    longitude at which it meets the raster; all pixels where there is none."""
    whole = Window(0, 0, dataset.width, dataset.height)
    if extent is None:
        return (whole,)
    x, y = (extent.xmin, extent.xmax), (extent.ymin, extent.ymax)
    ring = np.array([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]), (x[0], y[0])])
    ground = _ground([[ring]], extent.crs, dataset)
    found = []
    for start, end in _runs(ground.ring):
        points = ground.points[start:end]
        low = np.floor(points.min(axis=0) + 1e-6).astype(int)
        high = np.ceil(points.max(axis=0) - 1e-6).astype(int)
        window = Window(low[0], low[1], high[0] - low[0], high[1] - low[1])
        if window.meets(whole):
            found.append(window)
    return tuple(found)


Rings = Sequence[Sequence[np.ndarray]]
"""Positions (N, 2) of each ring of each polygon."""


def _ground(polygons: Rings, crs: str, dataset: rasterio.DatasetReader) -> Ground:
    to_own, moved = _way(crs, dataset)
    degrees = (
        crs not in (PIXELS, PIXELS_UP) and dataset.crs is not None and dataset.crs.is_geographic
    )
    to_pixels = Affine.identity() if crs in (PIXELS, PIXELS_UP) else ~dataset.transform
    doubt = MOVED_PX if moved else EXACT_PX
    frame = Window(0, 0, dataset.width, dataset.height)
    if degrees:
        return _turned(_joined(polygons, to_own, moved), to_pixels, moved, doubt)

    def on_pixels(some: Rings) -> tuple[Ground, bool]:
        there, ring, polygon = _joined(some, to_own, moved)
        points = np.column_stack(to_pixels @ (there[:, 0], there[:, 1]))
        whole = bool(np.isfinite(points).all())
        return Ground(*_finite(points, ring, polygon), doubt, frame), whole

    ground, whole = on_pixels(polygons)
    if moved and not (whole and ground.meets(frame)):
        # Far beyond a projection's own area positions are wrong or infinite: what is near counts.
        ground, _ = on_pixels(_near(polygons, crs, dataset))
    return ground


def _joined(
    polygons: Rings, to_own: Callable[[np.ndarray], np.ndarray], cut: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All vertices in the raster's coordinates, with their ring and polygon."""
    rings = [_cut(ring, one[0]) if cut else ring for one in polygons for ring in one]
    owners = [number for number, one in enumerate(polygons) for _ in one]
    lengths = [len(ring) for ring in rings]
    points = to_own(np.concatenate(rings)) if rings else np.zeros((0, 2))
    return points, np.repeat(np.arange(len(rings)), lengths), np.repeat(owners, lengths)


def _near(polygons: Rings, crs: str, dataset: rasterio.DatasetReader) -> Rings:
    """What of polygons lies about the raster, cut off in their own CRS."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]) * [dataset.width, dataset.height]
    frame = np.column_stack(dataset.transform @ (corners[:, 0], corners[:, 1]))
    back = pyproj.Transformer.from_crs(_crs_of(dataset), crs, always_xy=True)
    around = np.column_stack(back.transform(*_cut(frame, frame).T))
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
    """Polygons in degrees, each ring at every whole turn at which it may meet a raster: by the
    even-odd rule it does not matter on which turn a hole was given.

    Rings that came from another CRS go on past 180 degrees instead of jumping, and one that runs
    once around a pole goes to the pole and back.
    """
    points, ring, polygon = rings
    found: list[tuple[np.ndarray, int]] = []
    for start, end in _runs(ring):
        one = points[start:end]
        if moved:
            one = _unwrapped(one)
        turns = range(1)  # of a ring that is wider than a turn
        if np.ptp(one[:, 0]) <= 360.0 + 1e-9:
            one = one - [360.0 * round(float(one[:, 0].mean()) / 360.0), 0.0]
            turns = range(-2, 3)
        found += [(one + [360.0 * turn, 0.0], int(polygon[start])) for turn in turns]
    if not found:
        return Ground(points, ring, polygon, doubt)
    lengths = [len(one) for one, _ in found]
    lon, lat = np.concatenate([one for one, _ in found]).T
    there = np.column_stack(to_pixels @ (lon, lat))
    rings_of = np.repeat(np.arange(len(found)), lengths)
    owners = np.repeat([owner for _, owner in found], lengths)
    return Ground(*_finite(there, rings_of, owners), doubt)


def _runs(ring: np.ndarray) -> list[tuple[int, int]]:
    """First vertex of each ring, and the one behind its last."""
    starts = np.flatnonzero(np.diff(ring, prepend=-1))
    return list(zip(starts.tolist(), [*starts[1:].tolist(), len(ring)], strict=True))


def _unwrapped(ring: np.ndarray) -> np.ndarray:
    """A ring in degrees that goes on past 180; one around a pole goes to the pole and back."""
    found = ring.copy()
    found[:, 0] = np.unwrap(found[:, 0], period=360.0)
    if abs(found[-1, 0] - found[0, 0]) <= 180:
        return found
    pole = float(np.copysign(90.0, found[:, 1].mean()))
    ends = [(found[-1, 0], pole), (found[0, 0], pole), found[0]]
    return np.concatenate([found, np.array(ends)])


def _finite(
    points: np.ndarray, ring: np.ndarray, polygon: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Without rings that have a vertex with no place on the raster's map; the others numbered from
    0 on."""
    bad = ~np.isfinite(points).all(axis=1)
    keep = ~np.isin(ring, ring[bad])
    rings, owners = (np.unique(one[keep], return_inverse=True)[1] for one in (ring, polygon))
    return points[keep], rings, owners


def _cut(ring: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """A ring with its long edges cut into pieces, by the extent of its polygon's outline."""
    step = float((outer.max(axis=0) - outer.min(axis=0)).max()) / PIECES
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
