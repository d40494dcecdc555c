"""The raster promise, judged on the file that was written: same grid, same kind of raster, and
outside the polygons not one bit different in any band. A file that fails is refused, whoever wrote
it.

The judge takes the polygons from the request and the pixels from the user's own file, and shares
with what makes masks, writes files and copies metadata nothing but the way in which files are
opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window as Pixels

from ..contract.manifest import GateReport
from ..ground.errors import RasterUnreadable
from ..raster.doors import opened
from .case import Case, broken
from .grids import faults, same_crs
from .layers import composition_faults
from .meant import Meant
from .overviews import stale
from .pair import Pair, count_of, masks_differ, tells_validity
from .pixels import Window
from .said import lost

OnPart = Callable[[int, int], None]
"""Called as on_part(part, parts); may raise Dismissed."""
SIDE = 2048
LEAST_SIDE = 256
PART_BYTES = 64 << 20
"""Parts that are compared: at most so many pixels a side, and so many bytes of all bands."""


@dataclass(frozen=True)
class Verdict:
    """`report`: what was counted. `lost`: what the result does not say any more, in words."""

    report: GateReport
    lost: tuple[str, ...] = ()


def judge(case: Case, on_part: OnPart = lambda part, parts: None) -> Verdict:
    """Compare a result with its source; raises PromiseBroken with every fault."""
    source = case.source
    try:
        with opened(case.result) as result:
            _refuse(faults(source, result, case.window, case.made, case.alone))
            if case.beneath is not None:
                _refuse(composition_faults(source, case.beneath, case.over, case.window))
            asked = Meant.of(source, result, case)
            report = _compared(source, result, case, asked, on_part)
            _refuse(stale(result, asked.middle(case.window)))
            gone = () if case.alone else lost(source, result)
    except (RasterUnreadable, RasterioError) as error:
        raise broken(f"it cannot be read back ({error})") from error
    return Verdict(report, gone)


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise broken("; ".join(wrong))


@dataclass
class _Counts:
    """Pixels counted so far."""

    outside: int = 0
    different: int = 0
    inside: int = 0
    changed: int = 0
    wanted: int = 0
    missed: int = 0
    protected: int = 0
    misjudged: int = 0
    before: hashlib._Hash = field(default_factory=hashlib.sha256)
    after: hashlib._Hash = field(default_factory=hashlib.sha256)


def _compared(
    source: rasterio.DatasetReader,
    result: rasterio.DatasetReader,
    case: Case,
    asked: Meant,
    on_part: OnPart,
) -> GateReport:
    counts = _Counts()
    window = Window(*case.window)
    side = SIDE
    pixel = max(source.count, result.count) * np.dtype(result.dtypes[0]).itemsize
    while side > LEAST_SIDE and side * side * pixel > PART_BYTES:
        side //= 2
    parts = [
        Window(col, row, min(side, window.col + window.width - col),
               min(side, window.row + window.height - row))
        for row in range(window.row, window.row + window.height, side)
        for col in range(window.col, window.col + window.width, side)
    ]  # fmt: skip
    for number, part in enumerate(parts):
        on_part(number, len(parts))
        here = Pixels(part.col - window.col, part.row - window.row, part.width, part.height)
        old = source.read(window=Pixels(part.col, part.row, part.width, part.height))
        new = result.read(window=here)
        counts.before.update(old)
        counts.after.update(new)
        _count(counts, asked, part, Pair(source, result, old, new, case))
    if counts.different or counts.misjudged:
        raise broken(
            f"{counts.different} of {counts.outside} pixels outside the "
            f"polygons differ from the source, {counts.misjudged} became nodata, or valid outside "
            "the polygons"
        )
    if counts.missed or counts.protected:
        raise broken(
            f"{counts.missed} pixels inside the polygons are not disclosed as "
            f"edited, {counts.protected} that were to stay as they are changed"
        )
    x, y, _, _ = case.window
    wanted = source.transform @ rasterio.Affine.translation(x, y)
    return GateReport(
        crs_equal=same_crs(source, result),
        affine_equal=tuple(result.transform) == tuple(wanted),
        pixels_outside=counts.outside,
        pixels_outside_different=counts.different,
        pixels_inside=counts.inside,
        pixels_inside_changed=counts.changed,
        pixels_wanted=counts.wanted,
        pixels_wanted_missed=counts.missed,
        pixels_protected_changed=counts.protected,
        validity_different=counts.misjudged,
        sha256_source_window=counts.before.hexdigest(),
        sha256_result=counts.after.hexdigest(),
    )


def _count(counts: _Counts, asked: Meant, part: Window, pair: Pair) -> None:
    unequal = pair.unequal()
    inside = asked.inside(part)
    area = count_of(inside)
    counts.outside += inside.size - area
    counts.inside += area
    counts.changed += count_of(unequal & inside)
    counts.different += count_of(asked.surely_outside(part, unequal & ~inside))
    if not pair.case.alone and (tells_validity(pair.source) or tells_validity(pair.result)):
        before, after = pair.valid()
        masked = masks_differ(pair, part)
        counts.misjudged += count_of((before & ~after) | (~before & after & ~inside) | masked)
    wanted, missed, spoilt = asked.kept(part, unequal)
    counts.wanted += wanted
    counts.missed += missed
    counts.protected += spoilt
