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
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.errors import RasterioError
from rasterio.windows import Window as Pixels

from ..contract.bundle import AREAS_END
from ..contract.manifest import GateReport
from ..contract.requests import EditRequest
from ..ground.errors import BadRequest, PromiseBroken, RasterUnreadable
from ..raster.doors import opened
from ..raster.vectors import read_vectors
from .asked import Ground, Window, ground_of, ground_of_shape, grown, limit_of, touched
from .grids import faults, same_crs
from .overviews import stale
from .said import lost

OnPart = Callable[[int, int], None]
"""Called as on_part(part, parts); may raise Dismissed."""
SIDE = 2048
LEAST_SIDE = 256
PART_BYTES = 64 << 20
"""Parts that are compared: at most so many pixels a side, and so many bytes of all bands."""
MASK_TAG = "LANDBRUSH_MASK_WKB"
MASK_FILE_TAG = "LANDBRUSH_MASK_FILE"


@dataclass(frozen=True)
class Case:
    """What is judged. `source`: the user's file. `result`: what was
    written, of the window `window` (column, row, width, height). `request`: what was asked for.
    `grow_px`: by which the polygons were to be widened. `made`: bands at the result's end that the
    source has not. `alone`: the result has those alone. `anywhere`: all of it was made, so nothing
    lies outside."""

    source: rasterio.DatasetReader
    result: Path
    window: tuple[int, int, int, int]
    request: EditRequest
    grow_px: int = 0
    made: int = 0
    alone: bool = False
    anywhere: bool = False


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
            _refuse(case, faults(source, result, case.window, case.made, case.alone))
            asked = _Asked.of(source, result, case)
            report = _compared(source, result, case, asked, on_part)
            _refuse(case, stale(result, asked.middle(case.window)))
            gone = () if case.alone else lost(source, result)
    except (RasterUnreadable, RasterioError) as error:
        raise PromiseBroken(f"The written file cannot be read back: {error}") from error
    return Verdict(report, gone)


def _refuse(case: Case, wrong: list[str]) -> None:
    if wrong:
        raise PromiseBroken(f"{case.result.name}: " + "; ".join(wrong))


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
    asked: _Asked,
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
        _count(counts, asked, part, _Pair(source, result, old, new, case))
    if counts.different or counts.misjudged:
        raise PromiseBroken(
            f"{case.result.name}: {counts.different} of {counts.outside} pixels outside the "
            f"polygons differ from the source, {counts.misjudged} became nodata, or valid outside "
            "the polygons."
        )
    if counts.missed or counts.protected:
        raise PromiseBroken(
            f"{case.result.name}: {counts.missed} pixels inside the polygons are not disclosed as "
            f"edited, {counts.protected} that were to stay as they are changed."
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


@dataclass(frozen=True)
class _Pair:
    """The same pixels of both files: `old` and `new` (bands, H, W)."""

    source: rasterio.DatasetReader
    result: rasterio.DatasetReader
    old: np.ndarray
    new: np.ndarray
    case: Case

    def unequal(self) -> np.ndarray:
        """Pixels (H, W) that differ in a band both have, or hold something in one that was made."""
        made = self.case.made
        kept = 0 if self.case.alone else len(self.old)
        found = np.zeros(self.new.shape[1:], bool)
        for before, after in zip(self.old[:kept], self.new[:kept], strict=True):
            found |= _bits(before) != _bits(after)
        if made and found.any():
            raise PromiseBroken(
                f"{self.case.result.name}: bands that the layer had are not what they were."
            )
        nodata = self.result.nodata
        for band in self.new[kept:]:
            empty = band.dtype.type(0 if nodata is None else nodata)
            found |= ~((band == empty) | (np.isnan(band) & np.isnan(empty)))
        return found

    def valid(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each is no nodata (H, W), by the bands that both have."""
        return _valid(self.source, self.old), _valid(self.result, self.new[: len(self.old)])


def _bits(values: np.ndarray) -> np.ndarray:
    """The same memory as unsigned integers, so that NaN equals itself and -0 differs from 0."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def _valid(dataset: rasterio.DatasetReader, values: np.ndarray) -> np.ndarray:
    """Where no nodata: alpha above 0, and a band of another value than nodata."""
    colours = [colour.name for colour in dataset.colorinterp[: len(values)]]
    found = np.ones(values.shape[1:], bool)
    seen = [band for band, colour in zip(values, colours, strict=True) if colour != "alpha"]
    if dataset.nodata is not None:
        empty = dataset.nodata
        found = np.zeros(values.shape[1:], bool)
        for band in seen:
            found |= ~np.isnan(band) if np.isnan(empty) else band != band.dtype.type(empty)
    for band, colour in zip(values, colours, strict=True):
        if colour == "alpha":
            found &= band > 0
    return found


def _count(counts: _Counts, asked: _Asked, part: Window, pair: _Pair) -> None:
    unequal = pair.unequal()
    held = asked.polygons.held(part)
    inside = asked.inside(part, held)
    area = _count_of(inside)
    counts.outside += inside.size - area
    counts.inside += area
    counts.changed += _count_of(unequal & inside)
    counts.different += _count_of(asked.surely_outside(part, unequal & ~inside))
    if not pair.case.alone and (_tells_validity(pair.source) or _tells_validity(pair.result)):
        before, after = pair.valid()
        masked = _masks_differ(pair, part)
        counts.misjudged += _count_of((before & ~after) | (~before & after & ~inside) | masked)
    wanted, missed, spoilt = asked.kept(part, held, unequal)
    counts.wanted += wanted
    counts.missed += missed
    counts.protected += spoilt


def _masks_differ(pair: _Pair, part: Window) -> np.ndarray:
    """Where the mask bands of two files differ (H, W), which have one both or none."""
    if not _has_mask(pair.source):  # the result has one then too
        return np.zeros(part.shape, bool)
    x, y, _, _ = pair.case.window
    here = Pixels(part.col - x, part.row - y, part.width, part.height)
    old = pair.source.read_masks(1, window=Pixels(part.col, part.row, part.width, part.height))
    return np.asarray((old > 0) != (pair.result.read_masks(1, window=here) > 0))


def _count_of(pixels: np.ndarray) -> int:
    return int(np.count_nonzero(pixels))


def _tells_validity(dataset: rasterio.DatasetReader) -> bool:
    """Whether some pixels may be invalid."""
    alpha = any(colour.name == "alpha" for colour in dataset.colorinterp)
    return alpha or dataset.nodata is not None or _has_mask(dataset)


def _has_mask(dataset: rasterio.DatasetReader) -> bool:
    flags = {flag.name for band in dataset.mask_flag_enums for flag in band}
    return "per_dataset" in flags and not flags & {"alpha", "nodata"}


@dataclass(frozen=True)
class _Asked:
    """What was asked for, on pixels of the source. `polygons`, `protected`: of the request.
    `limit`: outside which nothing may change. `thin`, `thin_protected`: outlines of
    those that hold no pixel's centre. `told`: what the result says was edited; None: it
    does not say. `grow_px`, `anywhere`: as of the case."""

    polygons: Ground
    protected: Ground | None
    limit: Window
    thin: np.ndarray
    thin_protected: np.ndarray
    told: Ground | None
    grow_px: int
    anywhere: bool

    @classmethod
    def of(
        cls, source: rasterio.DatasetReader, result: rasterio.DatasetReader, case: Case
    ) -> _Asked:
        """From the request, and the result's own disclosure."""
        request = case.request
        polygons = ground_of(request.polygons, source)
        protected = ground_of(request.protect, source) if request.protect else None
        limit = limit_of(request.extent, source)
        return cls(
            polygons,
            protected,
            limit,
            polygons.thin(limit),
            np.array([]) if protected is None else protected.thin(limit),
            _told(result, case, source),
            case.grow_px,
            case.anywhere,
        )

    def middle(self, window: tuple[int, int, int, int]) -> tuple[float, float]:
        """Column and row of the middle of the first polygon, in the window."""
        first = self.polygons.points[self.polygons.polygon == 0]
        if not len(first):
            return 0.0, 0.0
        x, y = first.mean(axis=0) - window[:2]
        return float(x), float(y)

    def inside(self, part: Window, held: np.ndarray) -> np.ndarray:
        """Pixels (H, W) that may change; `held`: those in the polygons."""
        if self.anywhere:
            return np.ones(part.shape, bool)
        found = grown(self.polygons, part, self.grow_px) if self.grow_px else held.copy()
        if len(self.thin):
            found |= touched(self.thin, part)
        if not self.limit.holds(part):
            found &= _inside_of(self.limit, part)
        if self.protected is not None:
            found &= ~self.protected.held(part) & ~touched(self.thin_protected, part)
        return found

    def surely_outside(self, part: Window, pixels: np.ndarray) -> np.ndarray:
        """Those pixels (H, W) that are in no doubt about an outline."""
        if not pixels.any():
            return pixels
        rows, cols = np.nonzero(pixels)
        x, y = cols + part.col, rows + part.row
        reach = self.polygons.doubt_px + self.grow_px
        doubtful = self.polygons.near(x, y, reach) & _inside_of(self.limit, part)[rows, cols]
        if self.protected is not None:
            held = self.protected.held(part)[rows, cols]
            doubtful &= ~held | self.protected.near(x, y, self.protected.doubt_px)
        sure = np.zeros(pixels.shape, bool)
        sure[rows[~doubtful], cols[~doubtful]] = True
        return sure

    def kept(self, part: Window, held: np.ndarray, unequal: np.ndarray) -> tuple[int, int, int]:
        """Pixels that were asked for; those of them, and of what changed, that the result does not
        say were edited; those that were to stay and changed."""
        asked = held if self.limit.holds(part) else held & _inside_of(self.limit, part)
        spoilt = 0
        if self.protected is not None:
            spared = self.protected.held(part)
            spoilt = _count_of(_sure(self.protected, part, spared & unequal))
            asked = asked & ~spared & ~touched(self.thin_protected, part)
        wanted = _count_of(asked)
        if self.anywhere:
            return wanted, 0, spoilt
        untold = asked | unequal
        if self.told is not None:
            untold &= ~self.told.held(part)
            doubt = max(self.polygons.doubt_px, self.told.doubt_px)
            untold = _sure(self.told, part, _sure(self.polygons, part, untold, doubt), doubt)
        return wanted, _count_of(untold), spoilt


def _inside_of(limit: Window, part: Window) -> np.ndarray:
    rows = np.arange(part.row, part.row + part.height)[:, None]
    cols = np.arange(part.col, part.col + part.width)[None, :]
    return np.asarray(
        (rows >= limit.row)
        & (rows < limit.row + limit.height)
        & (cols >= limit.col)
        & (cols < limit.col + limit.width)
    )


def _sure(ground: Ground, part: Window, pixels: np.ndarray, doubt_px: float = 0.0) -> np.ndarray:
    """Those pixels (H, W) whose centres lie farther from every outline than is in doubt."""
    if not pixels.any():
        return pixels
    rows, cols = np.nonzero(pixels)
    near = ground.near(cols + part.col, rows + part.row, doubt_px or ground.doubt_px)
    sure = np.zeros(pixels.shape, bool)
    sure[rows[~near], cols[~near]] = True
    return sure


def _told(
    result: rasterio.DatasetReader, case: Case, source: rasterio.DatasetReader
) -> Ground | None:
    """What the result says was edited, on pixels of the source; None where it does not say."""
    tags = result.tags()
    shapes: list[shapely.Geometry | None] = []
    if MASK_FILE_TAG in tags:
        try:
            shapes = list(read_vectors(Path(f"{case.result}{AREAS_END}")).shapes)
        except BadRequest as error:
            raise PromiseBroken(f"The areas that were edited cannot be read: {error}") from error
    elif MASK_TAG in tags:
        shapes = [shapely.from_wkb(tags[MASK_TAG])]
    held = [shape for shape in shapes if shape is not None]
    if not held:
        return None
    return ground_of_shape(shapely.geometrycollections(held), source)
