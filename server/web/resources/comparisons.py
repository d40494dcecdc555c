"""What changed between two rasters."""

from __future__ import annotations

from ...contract.comparison import COMPARISONS, Comparison, ComparisonRequest
from ...ground.errors import BadRequest
from .declared import Resource, services

resource = Resource("comparisons")


@resource.serves(COMPARISONS)
def comparison(wanted: ComparisonRequest) -> Comparison:
    """What changed between two rasters of one ground, inside and outside polygons."""
    for name, ref in (("before", wanted.before), ("after", wanted.after)):
        if ref.extent is not None:
            raise BadRequest(
                f"{name}.extent: rasters are compared that are there; name a path or an upload."
            )
    return Comparison.from_json(services().place.read("compare", wanted.to_json()))
