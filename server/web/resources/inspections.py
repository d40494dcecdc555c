"""Whether a raster is synthetic."""

from __future__ import annotations

from ...contract.inspection import INSPECTIONS, Inspection, InspectionRequest
from ...ground.errors import BadRequest
from ...raster.inspection import inspected
from .declared import Resource, services

resource = Resource("inspections")


@resource.serves(INSPECTIONS)
def inspection(wanted: InspectionRequest) -> Inspection:
    """What a raster says of edits made to it."""
    if wanted.raster.extent is not None:
        raise BadRequest("raster.extent: a raster is inspected that is there; name a path.")
    path = services().path_of(wanted.raster)
    return inspected(path, services().roots_of(path))
