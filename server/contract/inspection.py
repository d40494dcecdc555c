"""Whether a raster is synthetic, where, and what made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from .message import Message, declare
from .requests import RasterRef
from .routes import Route

SOURCE_TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""IPTC's terms for how a picture came to be (Photo Metadata Standard 2023.1)."""
SOURCE_EDITED = "compositeSynthetic"
"""The term of a picture of which parts were made by a program."""


@dataclass(frozen=True)
class InspectionRequest(Message):
    """What a raster says of edits made to it. `raster`: which."""

    raster: RasterRef


@dataclass(frozen=True)
class Inspection(Message):
    """What a raster says of itself; that it says nothing proves nothing."""

    synthetic: bool = declare("whether it says that it was made or edited by a program")
    source_type: str = declare("IPTC's term for how it came to be; empty: not stated", "")
    edits: Tuple[dict, ...] = declare("one record an edit, the first one first", ())
    crs: Optional[str] = declare("of the raster", None)
    area: Optional[dict] = declare("where, as GeoJSON in the raster's CRS; none: not told", None)
    share: Optional[float] = declare("of the raster's pixels; none: not told", None)
    said: Tuple[str, ...] = declare("the same in sentences", ())


INSPECTIONS = Route(
    "POST",
    "/inspections",
    "whether a raster is synthetic, where, and what made it",
    request=InspectionRequest,
    answer=Inspection,
)
