"""What a benchmark looks at: a result, where change was asked for, and both as pictures beside the
source and the reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...contract.requests import Polygons
from ...ground.errors import BadRequest
from ...raster import bands, masks, polygons
from ...raster.bands import Layer
from ...raster.grid import Box
from ...raster.polygons import as_polygons
from .protocol import Case, Ring

MARGIN_PX = 48
"""Ground around the polygon that is measured too."""


@dataclass(frozen=True)
class Drawn:
    """A result. `path`: its GeoTIFF. `box`: the window that this covers, in pixels of the case's
    image. `seconds`: how long it took to make. `report`: the editor's manifest, or what stands for
    it with REFERENCES."""

    path: Path
    box: Box
    seconds: float
    report: dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a case asks for change. `box`: the window that is measured, in pixels of the image.
    `mask` (H, W): what of it may change. `shapes`: the polygons (shapely) in pixels of the
    image."""

    box: Box
    mask: np.ndarray
    shapes: list

    @classmethod
    def of(cls, case: Case, layer: Layer) -> Place:
        """Raises BadRequest where the polygon misses the image."""
        profile = layer.profile
        shapes = polygons.pixel_polygons(asked_polygons(case, layer), profile)
        left, top, right, bottom = (round(value) for value in _bounds(shapes))
        box = Box(left, top, max(right - left, 1), max(bottom - top, 1)).grown(
            MARGIN_PX, profile.box
        )
        mask = masks.draw_mask(shapes, box)
        if not mask.any():
            raise BadRequest(f"case {case.name}: its polygon covers no pixel of {case.image.name}.")
        return cls(box, mask, shapes)


def _bounds(shapes: list) -> tuple[float, float, float, float]:
    found = np.array([shape.bounds for shape in shapes])
    return (*found[:, :2].min(axis=0), *found[:, 2:].max(axis=0))


def asked_polygons(case: Case, layer: Layer) -> Polygons:
    """In the image's own CRS."""
    if case.polygon is None:
        return as_polygons(layer.profile.box, layer.profile)
    return polygons_of(case.polygon, layer.profile.transform)


def polygons_of(ring: Ring, transform: Any) -> Polygons:
    """A ring of pixels on the ground."""
    corners = [list(transform @ (float(x), float(y))) for x, y in ring]
    return Polygons({"type": "Polygon", "coordinates": [[*corners, corners[0]]]})


@dataclass(frozen=True)
class Seen:
    """A case and a result as pictures (C, H, W) in [0, 1] by one stretch, on the window of the
    place.

    `place`: where change is asked for. `before`, `after`: the source as it is, and with the result
    laid over it. `reference`: its pixels in the polygon, the source's around; None where there is
    none; `mask`: of the place, where all of them are no nodata, as `valid` is; `roles` name the
    bands; `size`: width and height of the case's whole image.
    """

    place: Place
    size: tuple[int, int]
    before: np.ndarray
    after: np.ndarray
    reference: np.ndarray | None
    mask: np.ndarray
    valid: np.ndarray
    roles: bands.Roles
