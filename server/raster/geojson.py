"""Polygons from GeoJSON files (RFC 7946, and the `crs` member of its 2008 forerunner)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..contract.requests import Polygons
from ..ground.errors import BadRequest


def read_polygons(path: Path, crs: str = "") -> Polygons:
    """A GeoJSON geometry, Feature or FeatureCollection as one MultiPolygon."""
    try:
        data = json.loads(path.read_text("utf8"))
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read as GeoJSON: {error}") from error
    try:
        polygons = list(_polygons_in(data))
        named = (data.get("crs") or {}).get("properties", {}).get("name", "")
    except (AttributeError, TypeError, IndexError) as error:
        raise BadRequest(f"{path} is JSON, but not GeoJSON: {error}") from error
    if not polygons:
        raise BadRequest(f"{path} holds no polygon.")
    if not (crs or named):
        with contextlib.suppress(
            TypeError, IndexError
        ):  # no positions at all: the contract says so
            _check_degrees(polygons, path)
    return Polygons({"type": "MultiPolygon", "coordinates": polygons}, crs or named or "EPSG:4326")


def _check_degrees(polygons: list[Any], path: Path) -> None:
    """Raise BadRequest for positions that cannot be degrees, in a file that names no CRS."""
    for place in (position for polygon in polygons for ring in polygon for position in ring):
        if abs(place[0]) > 540 or abs(place[1]) > 90:
            raise BadRequest(
                f"{path} names no CRS, so its positions are degrees (EPSG:4326), which "
                f"{place[0]:.8g}, {place[1]:.8g} are not. Name the CRS they are in (on the "
                "command line: --crs EPSG:...)."
            )


def _polygons_in(data: Any) -> Iterator[Any]:
    """Coordinates of every polygon of a GeoJSON object."""
    if data is None:
        return
    kind = data.get("type")
    if kind == "Polygon":
        yield data.get("coordinates")
    elif kind == "MultiPolygon":
        yield from data.get("coordinates")
    for inner in (*data.get("features", ()), *data.get("geometries", ())):
        yield from _polygons_in(inner)
    if kind == "Feature":
        yield from _polygons_in(data.get("geometry"))
