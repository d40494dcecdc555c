"""Which of PROJ's operations brings positions to a raster, and whether a better one lacks its
grid."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from pyproj.crs import CoordinateOperation
from pyproj.transformer import AreaOfInterest, TransformerGroup

from ..contract.requests import PIXELS, PIXELS_UP, Polygons
from .outlines import parts_of
from .polygons import crs_of, profile_crs
from .raster import Profile


@dataclass(frozen=True)
class Used:
    """An operation. `name`: as PROJ calls it, with its accuracy; empty: positions were not moved.
    `note`: where a better one is known that PROJ cannot use here; empty: nothing to say."""

    name: str = ""
    note: str = ""


def used_for(polygons: Polygons, profile: Profile) -> Used:
    """The operation that brings polygons to a raster's CRS: the best that PROJ has for where they
    lie."""
    ours = profile_crs(profile)
    if polygons.crs in ("", PIXELS, PIXELS_UP) or ours is None:
        return Used()
    theirs = crs_of(polygons.crs, "polygons.crs")
    if theirs == ours:
        return Used()
    left, bottom, right, top = shapely.total_bounds(parts_of(polygons))
    x, y = (left + right) / 2, (bottom + top) / 2
    change = pyproj.Transformer.from_crs(theirs, ours, always_xy=True)
    if not np.isfinite(change.transform(x, y)).all():
        return Used()
    found = change.get_last_used_operation()
    name = _described(found.description, found.accuracy)
    try:
        better = _lacking(theirs, ours, (x, y))
    except pyproj.exceptions.ProjError:
        return Used(name)
    accuracy = np.inf if found.accuracy is None or found.accuracy < 0 else found.accuracy
    if better is None or not 0 <= better.accuracy < accuracy or accuracy < profile.gsd_m:
        return Used(name)  # no better one, or none that a pixel would show
    grids = ", ".join(grid.short_name for grid in better.grids if not grid.available)
    return Used(
        name,
        "Where was edited may be off by some metres: the polygons came to the raster's CRS by "
        f"{name}. A better way, "
        f"{_described(better.name, better.accuracy)}, needs {grids}, which PROJ has not here. In "
        "QGIS its own grids are used; elsewhere fetch it (pyproj sync), or give the polygons in "
        "the raster's CRS.",
    )


def _lacking(
    theirs: pyproj.CRS, ours: pyproj.CRS, at: tuple[float, float]
) -> CoordinateOperation | None:
    """The best operation around a place that cannot be used for want of a grid; None: there is
    none."""
    lon, lat = pyproj.Transformer.from_crs(theirs, "EPSG:4326", always_xy=True).transform(*at)
    if not (abs(lon) <= 180 and abs(lat) <= 90):
        return None
    near = AreaOfInterest(max(lon - 0.1, -180), max(lat - 0.1, -90), lon + 0.1, lat + 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says so too, to nobody
        group = TransformerGroup(theirs, ours, always_xy=True, area_of_interest=near)
    lacking = group.unavailable_operations
    return lacking[0] if lacking and not group.best_available else None


def _described(name: str, accuracy: float | None) -> str:
    steps = " + ".join(
        step for step in name.split(" + ") if not step.startswith("axis order change")
    )
    if accuracy is None or accuracy < 0:
        return f"'{steps}' (of unknown accuracy)"
    return f"'{steps}' (accurate to {accuracy:g} m)"
