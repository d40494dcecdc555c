"""Whether a raster is synthetic."""

from __future__ import annotations

from ...contract.inspection import INSPECTIONS, Inspection, InspectionRequest
from ...ground.errors import BadRequest
from .declared import Resource, services

resource = Resource("inspections")


@resource.serves(INSPECTIONS)
def inspection(wanted: InspectionRequest) -> Inspection:
    """What a raster says of edits made to it."""
    if wanted.raster.extent is not None:
        raise BadRequest("raster.extent: a raster is inspected that is there; name a path.")
    return Inspection.from_json(services().place.read("inspect", wanted.to_json()))
