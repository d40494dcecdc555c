"""What the judge is given, and the error in which it says what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import rasterio

from ..contract.requests import EditRequest
from ..ground.errors import PromiseBroken


@dataclass(frozen=True)
class Case:
    """What is judged. `source`: the user's file. `result`: what was
    written, of the window `window` (column, row, width, height). `request`: what was asked for.
    `grow_px`: by which the polygons were to be widened. `made`: bands at the result's end that the
    source has not. `alone`: the result has those alone. `anywhere`: all of it was made, so nothing
    lies outside. `over`: results that lie over the file `beneath`; `source` is then all of them in
    one."""

    source: rasterio.DatasetReader
    result: Path
    window: tuple[int, int, int, int]
    request: EditRequest
    grow_px: int = 0
    made: int = 0
    alone: bool = False
    anywhere: bool = False
    beneath: Path | None = None
    over: tuple[Path, ...] = ()


def broken(what: str) -> PromiseBroken:
    """The error of a result that is not what was promised: `what` is wrong with it."""
    return PromiseBroken(
        f"The result was thrown away, since it does not keep the raster promise: {what}. That is a "
        "fault of Landbrush; please report it with the raster's format, CRS and size."
    )
