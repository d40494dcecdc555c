"""Polygons from GeoJSON files of the wild: RFC 7946, the `crs` member of its 2008 forerunner in the
forms in which programs wrote it, byte order marks, empty geometries, heights and measures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..contract.requests import Polygons
from ..ground.errors import BadRequest

DEGREES = "EPSG:4326"
WANTED = (
    "Give GeoJSON, a shapefile, a GeoPackage, FlatGeobuf or KML (in QGIS: Export > Save Features "
    "As)."
)
OTHERS = {
    b"PK\x03\x04": "a zip without a shapefile",
    b"<?xm": "XML",
}
"""What is given instead, by how it begins."""


def read_polygons(path: Path, crs: str = "", unnamed: str = DEGREES) -> Polygons:
    """A GeoJSON geometry, Feature or FeatureCollection as one MultiPolygon, flat; `crs` counts
    before what the file says, `unnamed` where it says none. Raises BadRequest, with the number of
    the feature that is wrong."""
    data = _read(path)
    try:
        named = "" if crs else _crs_of(data, path)
        polygons = list(_polygons_of(data, path))
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise BadRequest(f"{path} is JSON, but not GeoJSON: {error}") from error
    if not polygons:
        raise BadRequest(f"{path} holds no polygon.")
    if not (crs or named) and unnamed == DEGREES:
        _check_degrees(polygons, path)
    return Polygons({"type": "MultiPolygon", "coordinates": polygons}, crs or named or unnamed)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}.") from error
    other = next((what for mark, what in OTHERS.items() if content.startswith(mark)), "")
    if other:
        raise BadRequest(f"{path} is {other}. {WANTED}")
    try:
        # Windows's editors begin a file with a mark; UTF-16 is what PowerShell writes.
        wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        data = json.loads(content.decode("utf-16" if wide else "utf-8-sig"))
    except ValueError as error:
        raise BadRequest(f"{path} cannot be read as GeoJSON: {error}. {WANTED}") from error
    if not isinstance(data, dict):
        raise BadRequest(f"{path} is JSON, but not GeoJSON: it holds a {type(data).__name__}.")
    if data.get("type") == "Topology":
        raise BadRequest(f"{path} is TopoJSON. {WANTED}")
    return data


def _crs_of(data: dict[str, Any], path: Path) -> str:
    """What the file names as its CRS, '' where it names none; raises BadRequest for a form that is
    not understood, since positions taken for degrees would lie elsewhere."""
    if "crs" not in data:
        return ""
    stated = data["crs"]
    if isinstance(stated, str) and stated.strip():
        return stated
    if isinstance(stated, dict):
        inner = stated.get("properties") or {}
        if isinstance(inner, dict) and isinstance(inner.get("name"), str) and inner["name"].strip():
            return str(inner["name"])
        if str(stated.get("type", "")).upper() == "EPSG" and "code" in inner:
            return f"EPSG:{int(inner['code'])}"
    raise BadRequest(
        f"{path}: its crs ({json.dumps(stated)[:120]}) is not understood. Name the CRS that the "
        "positions are in (on the command line: --crs EPSG:...)."
    )


def _check_degrees(polygons: list[Any], path: Path) -> None:
    """Raise BadRequest for positions that cannot be degrees, in a file that names no CRS."""
    for place in (position for polygon in polygons for ring in polygon for position in ring):
        if abs(place[0]) > 540 or abs(place[1]) > 90:
            raise BadRequest(
                f"{path} names no CRS, so its positions are degrees (EPSG:4326), which "
                f"{place[0]:.8g}, {place[1]:.8g} are not. Name the CRS they are in (on the "
                "command line: --crs EPSG:...)."
            )


def _polygons_of(data: dict[str, Any], path: Path) -> Iterator[Any]:
    """Coordinates of every polygon; of a collection, feature by feature."""
    features = data.get("features")
    if features is None:
        yield from _flat_polygons(data, str(path))
        return
    for number, feature in enumerate(features, 1):
        yield from _flat_polygons(feature, f"{path}: feature {number}")


def _flat_polygons(data: Any, what: str) -> Iterator[Any]:
    for polygon in _polygons_in(data):
        if not polygon:
            continue  # an empty geometry
        rings = []
        for ring in polygon:
            try:
                flat = [[float(x), float(y)] for x, y, *_ in ring]
            except (TypeError, ValueError) as error:
                raise BadRequest(
                    f"{what} has a position that is no pair of numbers: {error}."
                ) from error
            if len(flat) < 3:
                raise BadRequest(f"{what} has a ring of {len(flat)} positions; a polygon has 3.")
            rings.append(flat if flat[0] == flat[-1] else [*flat, flat[0]])
        yield rings


def _polygons_in(data: Any) -> Iterator[Any]:
    """Coordinates of every polygon of a GeoJSON object, as they are."""
    if data is None:
        return
    kind = data.get("type")
    if kind == "Polygon":
        yield data.get("coordinates")
    elif kind == "MultiPolygon":
        yield from data.get("coordinates") or ()
    for inner in (*(data.get("features") or ()), *(data.get("geometries") or ())):
        yield from _polygons_in(inner)
    if kind == "Feature":
        yield from _polygons_in(data.get("geometry"))
