"""In what an elevation model counts."""

from __future__ import annotations

from ...contract.heights import HEIGHT_UNITS, HeightUnit, HeightUnitRequest
from .declared import Resource, services

resource = Resource("heights")


@resource.serves(HEIGHT_UNITS)
def height_unit(wanted: HeightUnitRequest) -> HeightUnit:
    """The unit of a model's heights."""
    return HeightUnit.from_json(services().place.read("height unit", wanted.to_json()))
