"""Polygons as they come: read part by part, repaired, and united, with a bound on what that may
cost.

Parts that overlap are one area, whatever rule a repair of all of them together would follow:
whoever draws two polygons wants what lies in either.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ..contract.requests import Polygons
from ..ground.errors import BadRequest

MOST_OWN_CROSSINGS = 2000
"""Times that outlines may cross themselves: repairing them costs about a second at this many, and
twenty at five times as many."""
MOST_CROSSINGS = 100_000
"""Times that all outlines may cross one another: uniting them costs about ten seconds at this
many."""
PAIRS_AT_ONCE = 2_000_000
"""Crossings that are held in memory while they are counted."""


def parts_of(polygons: Polygons) -> list[BaseGeometry]:
    """Each polygon of a request for itself, flat, as it was given: it may be invalid."""
    given = polygons.geometry["coordinates"]
    every = [given] if polygons.geometry["type"] == "Polygon" else given
    # Heights and measures are left out, which some positions may have and others not.
    flat = [[[at[:2] for at in ring] for ring in rings] for rings in every]
    parts = (shapely.Polygon(rings[0], rings[1:]) for rings in flat)
    return [part for part in parts if not part.is_empty]


def polygonal(shape: BaseGeometry) -> list[BaseGeometry]:
    """The polygons that hold ground in what a repair gave; lines and points that it left are
    dropped."""
    parts = shapely.get_parts(shapely.make_valid(shape))
    flat = [inner for part in parts for inner in shapely.get_parts(part)]
    return [part for part in flat if part.geom_type == "Polygon" and part.area > 0]


def united(parts: Sequence[BaseGeometry], what: str) -> BaseGeometry:
    """All ground that lies in any of the parts; raises BadRequest where they cross too often to be
    put together."""
    _check_cost(parts, what)
    return shapely.union_all([inner for part in parts for inner in polygonal(part)])


def _check_cost(parts: Sequence[BaseGeometry], what: str) -> None:
    tangled = [part for part in parts if not shapely.is_valid(part)]
    if tangled:
        _check_crossings(tangled, MOST_OWN_CROSSINGS, what, "with itself")
    if len(parts) > 1 and not shapely.is_valid(shapely.multipolygons(list(parts))):
        _check_crossings(parts, MOST_CROSSINGS, what, "with one another")


def _check_crossings(parts: Sequence[BaseGeometry], most: int, what: str, how: str) -> None:
    points, ring = shapely.get_coordinates(shapely.get_rings(list(parts)), return_index=True)
    joined = ring[1:] == ring[:-1]
    lines = shapely.linestrings(np.stack([points[:-1], points[1:]], axis=1)[joined])
    tree = shapely.STRtree(lines)
    count = 0
    step = max(1, PAIRS_AT_ONCE // max(len(lines), 1))
    for start in range(0, len(lines), step):
        count += tree.query(lines[start : start + step], predicate="crosses").shape[1]
        if count > 2 * most:
            raise BadRequest(
                f"{what}: outlines of {len(points):,} vertices cross {how} more than {most:,} "
                "times, which is no area that can be edited. Repair them first (in QGIS: Fix "
                "geometries, then Dissolve), or draw simpler ones."
            )
