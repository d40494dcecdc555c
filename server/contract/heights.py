"""In what an elevation model counts, so that a client that reads it shows the same heights."""

from __future__ import annotations

from dataclasses import dataclass

from .message import Message, declare
from .requests import RasterRef
from .routes import Route


@dataclass(frozen=True)
class HeightUnitRequest(Message):
    """Which elevation model. `raster`: of which the first band counts."""

    raster: RasterRef


@dataclass(frozen=True)
class HeightUnit(Message):
    """In what its heights are."""

    metres: float = declare("what one of the file's numbers is; below 0 where depths are counted")
    note: str = declare("a sentence for the user; empty: in metres, as the file says", "")


HEIGHT_UNITS = Route(
    "POST",
    "/height-units",
    "the unit of an elevation model, as an edit takes it",
    request=HeightUnitRequest,
    answer=HeightUnit,
)
