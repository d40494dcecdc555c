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
