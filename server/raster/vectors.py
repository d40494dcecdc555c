"""Vector files, by the library pyogrio: shapefiles, GeoPackages, FlatGeobuf and KML with polygons.

The library brings a GDAL of its own. It is loaded when the first such file is met, and registers no
drivers but these.
"""

from __future__ import annotations

import functools
import os
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import rasterio
import shapely
from shapely.geometry.base import BaseGeometry

from ..ground.errors import BadRequest, NoSpace
from ..ground.optional import needed
from . import doors

KINDS = {
    b"\x00\x00\x27\x0a": "ESRI Shapefile",
    b"SQLite format 3": "GPKG",
    b"fgb\x03": "FlatGeobuf",
}
"""Drivers by how their files begin; KML is told by its name."""
KML = ("KML", "LIBKML")
_loading = threading.Lock()


@dataclass(frozen=True)
class Vectors:
    """`shapes`: one a feature, flat; None: it has none. `crs`: WKT or an authority's code; empty:
    the file names none. `fields`: of the features, by name."""

    shapes: tuple[BaseGeometry | None, ...]
    crs: str
    fields: Mapping[str, Sequence[object]]


@functools.cache
def _library() -> ModuleType:
    """pyogrio, with the drivers of KINDS and KML alone; raises NotInstalled."""
    with _loading:
        with rasterio.Env():  # the other GDAL registers its drivers first, by its own list
            pass
        before = {name: os.environ.get(name) for name in ("GDAL_SKIP", "CPL_LOG")}
        kept = {*KINDS.values(), *KML, "MEM", "Memory"}
        os.environ["GDAL_SKIP"] = ",".join(
            sorted({*doors.OTHERS.strip(",").split(","), *doors.FORMATS, "OGR_VRT", "VRT"} - kept)
        )
        os.environ["CPL_LOG"] = os.devnull  # it names each driver that it has not got
        try:
            needed("pyogrio")
            import pyogrio
            import pyogrio.raw
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
        return pyogrio


def is_vector(path: Path, start: bytes) -> bool:
    """Whether a file that begins so is one of those that are read here."""
    if path.suffix.lower() == ".zip":
        return bool(_inside(path))
    return path.suffix.lower() == ".kml" or any(start.startswith(mark) for mark in KINDS)


def _inside(path: Path) -> list[str]:
    """Shapefiles in a zip."""
    try:
        with zipfile.ZipFile(path) as packed:
            return [name for name in packed.namelist() if name.lower().endswith(".shp")]
    except (OSError, zipfile.BadZipFile):
        return []


def read_vectors(path: Path, layer: str = "", fields: bool = False) -> Vectors:
    """All features of one layer of a file; `layer`: which, where it holds several. Raises
    BadRequest where it cannot be read."""
    raw = _library().raw
    name = str(path)
    if path.suffix.lower() == ".zip":
        found = _inside(path)
        if len(found) != 1:
            raise BadRequest(f"{path} holds {len(found)} shapefiles; unpack it and give one.")
        name = f"/vsizip/{path.resolve()}/{found[0]}"
    try:
        chosen = layer or _layer_of(name, path)
        about, _, shapes, values = raw.read(
            name, layer=chosen, columns=None if fields else [], force_2d=True
        )
    except (RuntimeError, ValueError, OSError) as error:
        there = ", ".join(n for n, _ in _layers(name)) if layer else ""
        raise BadRequest(
            f"{path} cannot be read: {str(error)[:200]}."
            + (f" It has the layers {there}." if there else " Is it whole?")
            + (" A shapefile needs its .shx and .dbf beside it." if name.endswith(".shp") else "")
        ) from error
    return Vectors(
        tuple(_shape(one, f"{path}: feature {n}") for n, one in enumerate(shapes, 1)),
        about["crs"] or "",
        dict(zip(about["fields"], values, strict=True)),
    )


def _layers(name: str) -> list[tuple[str, str | None]]:
    """Layers of a file and the kind of their geometries; none where it cannot be read."""
    try:
        return [(str(n), kind) for n, kind in _library().list_layers(name)]
    except (RuntimeError, ValueError, OSError):
        return []


def _layer_of(name: str, path: Path) -> str:
    """The only layer of a file with polygons; raises BadRequest where there are none, or several to
    choose from."""
    layers = _library().list_layers(name)
    places = [str(n) for n, kind in layers if kind is not None]
    wide = [str(n) for n, kind in layers if kind is not None and "Polygon" in str(kind)]
    if len(wide) == 1 or len(places) == 1:
        return (wide or places)[0]
    if not places:
        raise BadRequest(f"{path} holds no layer with geometries.")
    named = ", ".join(wide or places)
    raise BadRequest(
        f"{path} holds {len(wide or places)} layers ({named}); name one: "
        f"'{path.name}|layername={(wide or places)[0]}'."
    )


def _shape(wkb: bytes | None, what: str) -> BaseGeometry | None:
    if wkb is None:
        return None
    try:
        return shapely.from_wkb(wkb)
    except shapely.errors.ShapelyError as error:
        raise BadRequest(
            f"{what} has a geometry that is not read here ({error}); convert it to polygons with "
            "straight edges (in QGIS: Segmentize)."
        ) from error


def write_vectors(
    path: Path, shapes: Sequence[BaseGeometry], crs: str, fields: Mapping[str, Sequence[str]]
) -> None:
    """A FlatGeobuf file of polygons with text attributes; raises NoSpace where it cannot be
    written."""
    columns = [np.array(values, dtype=object) for values in fields.values()]
    try:
        _library().raw.write(
            str(path),
            shapely.to_wkb(np.array(shapes, dtype=object)),
            columns,
            np.array(list(fields), dtype=object),
            driver="FlatGeobuf",
            geometry_type="Polygon",
            crs=crs or None,
            layer="synthetic",
        )
    except (RuntimeError, OSError) as error:
        raise NoSpace(f"{path.name} could not be written: {error}. Is the disk full?") from error
