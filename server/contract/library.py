"""The library of exemplars: what there is to copy from where a layer does not hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from .message import Message, declare
from .requests import BAND_ROLES, Polygons, RasterRef
from .routes import Route


@dataclass(frozen=True)
class ExemplarInfo(Message):
    """One exemplar. `id`: its name. `words`: what it shows, the first as its kind. `gsd_m`: ground
    size of a pixel in metres. `credit`, `licence`, `source`: whose imagery it is. `own`: whether
    the user kept it."""

    id: str
    words: Tuple[str, ...]
    gsd_m: float
    credit: str = ""
    licence: str = ""
    source: str = ""
    own: bool = False

    KEEPS_ALL = True


@dataclass(frozen=True)
class ExemplarList(Message):
    """`exemplars`: all, the user's own first. `words`: that they answer to."""

    exemplars: Tuple[ExemplarInfo, ...]
    words: Tuple[str, ...]

    KEEPS_ALL = True


@dataclass(frozen=True)
class KeepRequest(Message):
    """Keep what `polygons` of a `raster` show as an exemplar of the user's own. `words`: what it
    shows, the first as its kind; one at least."""

    raster: RasterRef
    polygons: Polygons
    name: str = declare("what it is called", longest=60)
    words: Tuple[str, ...] = ()
    credit: str = declare("whose imagery it is", "", longest=300)
    band_roles: dict[str, int] = declare(
        "band of a role, from 1", dict, keys=BAND_ROLES, minimum=1, maximum=4096
    )


EXEMPLARS = Route(
    "GET",
    "/exemplars",
    "the library of exemplars, the user's own first",
    answer=ExemplarList,
)
EXEMPLAR_KEEP = Route(
    "POST",
    "/exemplars",
    "keep a part of a raster as an exemplar of one's own",
    request=KeepRequest,
    answer=ExemplarInfo,
    status=201,
)
EXEMPLAR_PICTURE = Route(
    "GET", "/exemplars/{exemplar_id}/picture", "an exemplar as a picture", kind="image/png"
)
EXEMPLAR_FORGET = Route(
    "DELETE", "/exemplars/{exemplar_id}", "delete one of one's own", answer=ExemplarList
)
