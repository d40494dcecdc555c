"""Outlines of what lies at a place."""

from __future__ import annotations

from ...contract.outlines import OUTLINES, Outline, OutlineRequest
from ...ground.errors import BadRequest
from .declared import Resource, services

resource = Resource("outlines")


@resource.serves(OUTLINES)
def outline(wanted: OutlineRequest) -> Outline:
    """The thing at a place."""
    if wanted.raster.extent is not None:
        raise BadRequest("raster.extent: things are found in a raster that is there; name a path.")
    return Outline.from_json(services().place.read("outline at", wanted.to_json()))
