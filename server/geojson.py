"""Polygons from GeoJSON files (RFC 7946, and the `crs` member of its 2008 forerunner)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .api import Polygons
from .errors import BadRequest


def read_polygons(path: Path, crs: str = "") -> Polygons:
    """A GeoJSON geometry, Feature or FeatureCollection as one MultiPolygon."""
    try:
        data = json.loads(path.read_text("utf8"))
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read as GeoJSON: {error}") from error
    try:
        polygons = list(_polygons_in(data))
        named = (data.get("crs") or {}).get("properties", {}).get("name", "")
    except (AttributeError, TypeError) as error:
        raise BadRequest(f"{path} is JSON, but not GeoJSON: {error}") from error
    if not polygons:
        raise BadRequest(f"{path} holds no polygon.")
    return Polygons({"type": "MultiPolygon", "coordinates": polygons}, crs or named or "EPSG:4326")


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
