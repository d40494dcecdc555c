"""Polygons and extents of a request in pixel coordinates of a raster, by PROJ."""

from __future__ import annotations

import json

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from ..contract.requests import PIXELS, PIXELS_UP, Extent, Polygons
from ..ground.errors import BadRequest, OutsideRaster
from .grid import Box, around_all
from .outlines import parts_of, polygonal, united
from .raster import Profile

PIECES_PER_SIDE = 64
"""A polygon in another CRS is cut into this many pieces per extent before it is reprojected."""
MOST_TURNS = 8
"""Whole turns of longitude at which one polygon is tried."""


def crs_of(text: str, what: str) -> pyproj.CRS:
    """A CRS from WKT or an authority code; raises BadRequest with the value."""
    try:
        return pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError as error:
        raise BadRequest(
            f"{what}: '{text[:80]}' is not a CRS that PROJ knows ({error})."
        ) from error


def check_crs(text: str, what: str) -> None:
    """Raise BadRequest for what says in no way where positions lie."""
    if text not in ("", PIXELS, PIXELS_UP):
        crs_of(text, what)


def profile_crs(profile: Profile) -> pyproj.CRS | None:
    """The raster's CRS for PROJ."""
    return (
        None
        if profile.crs is None
        else pyproj.CRS.from_wkt(profile.crs.to_wkt(version="WKT2_2019"))
    )


def _check_horizontal(crs: pyproj.CRS, what: str) -> None:
    """Raise BadRequest for a CRS of heights, times or of no place on the ground; of a compound one
    its horizontal part counts."""
    parts = crs.sub_crs_list or [crs]
    if not any(part.is_geographic or part.is_projected for part in parts):
        raise BadRequest(
            f"{what}: {crs.name} ({crs.type_name}) tells of no place on the ground. Give the "
            "positions in a projected or geographic CRS."
        )


def _way(source: pyproj.CRS, target: pyproj.CRS, what: str) -> pyproj.Transformer:
    """How positions come from one CRS to another; raises BadRequest where there is no way, as from
    one planet to another."""
    try:
        return pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise BadRequest(
            f"{what}: PROJ knows no way from {source.name} to {target.name}. Give the positions in "
            "the raster's CRS."
        ) from error


def _to_raster_crs(shape: BaseGeometry, crs: str, profile: Profile, what: str) -> BaseGeometry:
    if not crs:
        return (
            _wrapped(shape, profile)
            if profile.crs is not None and profile.crs.is_geographic
            else shape
        )
    theirs = crs_of(crs, what)
    ours = profile_crs(profile)
    if ours is None:
        raise BadRequest(
            f"{what}: given in {theirs.name}, but the raster has no CRS. Assign one to the "
            f"raster, or give the polygons in columns and rows of its pixels (crs: {PIXELS})."
        )
    if theirs == ours:
        return _wrapped(shape, profile) if ours.is_geographic else shape
    _check_horizontal(theirs, what)
    change = _way(theirs, ours, what)
    frame = _frame(profile)
    moved = _reprojected(shape, change)
    if not _finite(moved) or not (shapely.intersects(moved, frame) or ours.is_geographic):
        # Far beyond a projection's own area positions are wrong or infinite: only what is near
        # counts.
        back = _way(ours, theirs, what)
        around = _reprojected(frame, back)
        if _finite(around):
            xmin, ymin, xmax, ymax = around.bounds
            moved = _reprojected(
                shape
                & shapely.box(2 * xmin - xmax, 2 * ymin - ymax, 2 * xmax - xmin, 2 * ymax - ymin),
                change,
            )
    if not _finite(moved):
        raise OutsideRaster(
            f"{what}: some positions cannot be expressed in the raster's CRS ({ours.name})."
        )
    return _wrapped(_unrolled(moved), profile) if ours.is_geographic else moved


def _frame(profile: Profile) -> BaseGeometry:
    """The raster's outline in its own CRS."""
    corners = ((0, 0), (profile.width, 0), (profile.width, profile.height), (0, profile.height))
    return shapely.Polygon([profile.transform @ corner for corner in corners])


def _reprojected(shape: BaseGeometry, change: pyproj.Transformer) -> BaseGeometry:
    """Moved vertex by vertex, long edges of each polygon cut into pieces first."""
    parts = shapely.get_parts(shape)
    if not len(parts) or shape.is_empty:
        return shape
    bounds = shapely.bounds(parts)
    step = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]) / PIECES_PER_SIDE
    dense = np.where(step > 0, shapely.segmentize(parts, np.where(step > 0, step, 1.0)), parts)
    whole = dense[0] if len(dense) == 1 else shapely.geometrycollections(dense)
    if all(part.geom_type == "Polygon" for part in parts) and len(dense) > 1:
        whole = shapely.multipolygons(dense)
    return shapely.transform(
        whole, lambda xy: np.column_stack(change.transform(xy[:, 0], xy[:, 1]))
    )


def _finite(shape: BaseGeometry) -> bool:
    return bool(np.isfinite(shapely.get_coordinates(shape)).all())


def _wrapped(shape: BaseGeometry, profile: Profile) -> BaseGeometry:
    """Each part moved by whole turns of longitude to where it meets the raster (0 ... 360, or
    across 180); where two turns meet it, at both."""
    xs = [
        (profile.transform @ corner)[0]
        for corner in (
            (0, 0),
            (profile.width, 0),
            (0, profile.height),
            (profile.width, profile.height),
        )
    ]
    parts: list[BaseGeometry] = []
    for part in shapely.get_parts(shape):
        low = part.bounds[0]
        high = part.bounds[2]
        first = int(np.floor((min(xs) - high) / 360.0)) + 1
        last = int(np.ceil((max(xs) - low) / 360.0)) - 1
        turns = [360.0 * number for number in range(first, min(last + 1, first + MOST_TURNS))]
        parts += [
            shapely.transform(part, lambda xy, t=turn: xy + [t, 0.0]) if turn else part
            for turn in turns or [0.0]
        ]
    flat = [
        inner for part in parts for inner in shapely.get_parts(part) if inner.geom_type == "Polygon"
    ]
    return shapely.multipolygons(flat)


def _unrolled(shape: BaseGeometry) -> BaseGeometry:
    """Polygons in degrees whose rings go on past 180 instead of jumping to the other side of the
    map. A ring once around a pole, which has no inside on such a map, goes to the pole and back."""

    def ring(points: np.ndarray, middle: float | None = None) -> np.ndarray:
        xs = np.unwrap(points[:, 0], period=360.0)
        ys = points[:, 1]
        if abs(xs[-1] - xs[0]) > 180:
            pole = np.copysign(90.0, ys.mean())
            xs, ys = np.append(xs, [xs[-1], xs[0]]), np.append(ys, [pole, pole])
        if middle is not None:
            xs = xs + 360.0 * np.round((middle - xs.mean()) / 360.0)
        return np.column_stack([xs, ys])

    made = []
    for part in shapely.get_parts(shape):
        for polygon in (inner for inner in shapely.get_parts(part) if inner.geom_type == "Polygon"):
            outer = ring(shapely.get_coordinates(polygon.exterior))
            holes = [
                ring(shapely.get_coordinates(hole), float(outer[:, 0].mean()))
                for hole in polygon.interiors
            ]
            whole = shapely.Polygon(outer)
            for hole in holes:
                # At each turn: a hole around a pole may begin elsewhere than what it is in.
                for turn in (-360.0, 0.0, 360.0):
                    whole = whole.difference(shapely.Polygon(hole + [turn, 0.0]))
            made += [one for one in shapely.get_parts(whole) if one.geom_type == "Polygon"]
    return shapely.multipolygons(made)


def pixel_polygons(
    polygons: Polygons, profile: Profile, what: str = "polygons"
) -> list[BaseGeometry]:
    """The ground that lies in any of the polygons, in pixel coordinates (x = column, y = row):
    valid, apart from one another."""
    return polygonal(_in_pixels(united(parts_of(polygons), what), polygons.crs, profile, what))


def small_polygons(
    polygons: Polygons, profile: Profile, what: str, most_px: float
) -> list[BaseGeometry]:
    """Polygons as in pixel_polygons, but each for itself, those alone whose area is at most
    `most_px` pixels or less than half of their outline: what of them is thin is lost where they
    are united with what they touch."""
    parts = [one for part in parts_of(polygons) for one in polygonal(part)]
    if not parts:
        return []
    apart = shapely.geometrycollections(parts) if len(parts) > 1 else parts[0]
    flat = shapely.get_parts(_in_pixels(apart, polygons.crs, profile, what))
    area = shapely.area(flat)
    small = flat[(area <= most_px) | (2 * area < shapely.length(flat))]
    return [one for part in small for one in polygonal(part)]


def _in_pixels(shape: BaseGeometry, crs: str, profile: Profile, what: str) -> BaseGeometry:
    if crs == PIXELS:
        return shape
    if crs == PIXELS_UP:
        return shapely.transform(shape, lambda xy: xy * [1.0, -1.0])
    inverse = ~profile.transform
    moved = _to_raster_crs(shape, crs, profile, what)
    return shapely.transform(moved, lambda xy: np.column_stack(inverse @ (xy[:, 0], xy[:, 1])))


def extent_boxes(extent: Extent | None, profile: Profile) -> list[Box]:
    """Pixels of an extent, whole pixels that it touches; on a raster in degrees one box a turn of
    longitude at which it does. All pixels where none is given; raises OutsideRaster where it
    touches none."""
    if extent is None:
        return [profile.box]
    ring = shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax)
    near = 1e-6  # an extent that ends on a pixel edge does not take the next pixel
    found = []
    for part in shapely.get_parts(_in_pixels(ring, extent.crs, profile, "extent")):
        if part.is_empty:
            continue
        x, y = shapely.get_coordinates(part).T
        col = int(np.floor(x.min() + near))
        row = int(np.floor(y.min() + near))
        box = Box(col, row, int(np.ceil(x.max() - near)) - col, int(np.ceil(y.max() - near)) - row)
        box = box.clipped(profile.box)
        found += [box] if box.width and box.height else []
    if not found:
        raise OutsideRaster(
            f"The extent {extent.xmin, extent.ymin, extent.xmax, extent.ymax} does not touch the "
            f"raster, which covers {bounds_of(profile)}."
        )
    return found


def extent_box(extent: Extent | None, profile: Profile) -> Box:
    """The window around all pixels of an extent; all pixels where none is given."""
    return around_all(extent_boxes(extent, profile))


def bounds_of(profile: Profile) -> str:
    """Where a raster lies in its own coordinates, in words."""
    corners = [profile.transform @ (x, y) for x in (0, profile.width) for y in (0, profile.height)]
    xs, ys = zip(*corners, strict=True)
    return f"x {min(xs):.6g} ... {max(xs):.6g}, y {min(ys):.6g} ... {max(ys):.6g}"


def middle_of(polygons: Polygons, profile: Profile) -> tuple[float, float]:
    """Column and row of the middle of polygons, in pixels."""
    shapes = pixel_polygons(polygons, profile, "place")
    if not shapes:
        raise BadRequest("place: there is no polygon at whose middle something could lie.")
    middle = shapely.union_all(shapes).centroid
    return float(middle.x), float(middle.y)


def in_own_crs(shape: BaseGeometry, profile: Profile) -> Polygons:
    """A shape in pixels as polygons in the raster's CRS."""
    t = profile.transform
    flat = shapely.transform(shape, lambda xy: np.column_stack(t @ (xy[:, 0], xy[:, 1])))
    crs = "" if profile.crs is None else profile.crs.to_wkt(version="WKT2_2019")
    return Polygons(json.loads(shapely.to_geojson(flat)), crs)


def as_polygons(box: Box, profile: Profile) -> Polygons:
    """The outline of a window in the raster's CRS."""
    t = profile.transform
    corners = [(0, 0), (box.width, 0), (box.width, box.height), (0, box.height), (0, 0)]
    ring = [[float(v) for v in t @ (box.col + x, box.row + y)] for x, y in corners]
    crs = "" if profile.crs is None else profile.crs.to_wkt(version="WKT2_2019")
    return Polygons({"type": "Polygon", "coordinates": [ring]}, crs)
