"""Polygons of a file, whatever kind of file it is, for a raster."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import shapely
import shapely.geometry

from ..contract.requests import LAYER_NAME, Polygons
from ..ground.errors import BadRequest
from .doors import opened
from .geojson import DEGREES, read_polygons
from .polygons import crs_of
from .vectors import is_vector, read_vectors

log = logging.getLogger(__name__)


def polygons_for(
    path: Path, raster: Path, crs: str = "", roots: Sequence[Path] | None = None
) -> Polygons:
    """All polygons of a file that lie on `raster`: GeoJSON, shapefile (also zipped), GeoPackage,
    FlatGeobuf or KML.

    `crs` counts before what the file says. Where nothing says it, GeoJSON's are degrees, unless the
    raster has no CRS: then they are the raster's own coordinates, for a picture columns and rows.
    `roots`: as in doors.opened. Raises BadRequest, with the number of the feature that is wrong.
    """
    name, _, layer = str(path).partition(LAYER_NAME)
    source = Path(name)
    with opened(raster, roots) as dataset:
        nowhere = dataset.crs is None
    try:
        with source.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise BadRequest(f"{source} cannot be read: {error.strerror}.") from error
    if is_vector(source, start):
        return _of_vectors(source, layer, crs, nowhere)
    return read_polygons(source, crs, "" if nowhere else DEGREES)


def _of_vectors(path: Path, layer: str, crs: str, nowhere: bool) -> Polygons:
    found = read_vectors(path, layer)
    if not (crs or found.crs or nowhere):
        raise BadRequest(
            f"{path} names no CRS (a shapefile's stands in a .prj file beside it). Name the one "
            "its positions are in (--crs EPSG:...)."
        )
    flat = [
        inner
        for shape in found.shapes
        if shape is not None
        for part in shapely.get_parts(shape)
        for inner in shapely.get_parts(part)
        if inner.geom_type == "Polygon" and not inner.is_empty
    ]
    wide = ("Polygon", "MultiPolygon", "GeometryCollection")
    left = sum(shape is None or shape.geom_type not in wide for shape in found.shapes)
    if flat and left:
        log.warning("%s: %d features without a polygon were left out.", path, left)
    if not flat:
        others = Counter(shape.geom_type for shape in found.shapes if shape is not None)
        said = ", ".join(f"{count} {kind}" for kind, count in others.items()) or "no feature"
        raise BadRequest(
            f"{path} holds no polygon, but {said}. Lines become polygons in QGIS by Buffer or "
            "Lines to Polygons; a file that should hold polygons may be damaged."
        )
    if crs and found.crs and crs_of(crs, "--crs") != crs_of(found.crs, str(path)):
        log.warning(
            "%s states %s; its positions are taken for %s (--crs).", path, found.crs[:60], crs
        )
    data = shapely.geometry.mapping(shapely.multipolygons(flat))
    return Polygons({"type": "MultiPolygon", "coordinates": data["coordinates"]}, crs or found.crs)
