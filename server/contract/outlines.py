"""The outline of what lies at a place: a click instead of a drawn polygon."""

from __future__ import annotations

from dataclasses import dataclass

from .message import Message, declare
from .requests import BAND_ROLES, Polygons, RasterRef
from .routes import Route


@dataclass(frozen=True)
class OutlineRequest(Message):
    """What lies at a place of a raster. `raster`: which. `place`: small polygons, in whose middle
    it lies."""

    raster: RasterRef
    place: Polygons
    band_roles: dict[str, int] = declare(
        "band of a role, from 1", dict, keys=BAND_ROLES, minimum=1, maximum=4096
    )


@dataclass(frozen=True)
class Outline(Message):
    """What was found. `polygons`: around it, in the raster's CRS."""

    polygons: Polygons
    what: str = declare("what it is taken for; empty: what is alike around the place", "")
    by: str = declare("the network that found it; empty: the scene parser, or likeness", "")
    note: str = declare("why a network that was brought did not look; empty: nothing to say", "")


OUTLINES = Route(
    "POST",
    "/outlines",
    "the outline of the thing at a place: a roof, a crown, a water body, or ground that is alike",
    request=OutlineRequest,
    answer=Outline,
)
