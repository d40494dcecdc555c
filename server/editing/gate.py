"""The raster promise, checked on the file that was written.

Re-opens the result and compares it with the source: same grid, same kind of
raster, and outside the polygons not one bit different in any band. A file that
fails is refused, whoever wrote it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from ..contract.manifest import GateReport
from ..ground.errors import PromiseBroken, RasterUnreadable
from ..raster.grid import Box
from ..raster.masks import Region, Wanted, draw_mask
from ..raster.metadata import metadata_of
from ..raster.polygons import profile_crs
from ..raster.raster import OnPart, Profile, opened, part_side, profile_of, validity

GRID_TOLERANCE_PX = 1e-6


@dataclass(frozen=True)
class Edited:
    """Where was edited. `regions`: as they were cut. `wanted`: what had been asked for, read from
    the request anew; None: nothing to compare with."""

    regions: Sequence[Region]
    wanted: Wanted | None = None


def verify(
    source: rasterio.DatasetReader,
    box: Box,
    result: str | Path,
    edited: Edited,
    on_part: OnPart = lambda part, parts: None,
) -> GateReport:
    """Compare `result` with the window `box` of `source`; raises PromiseBroken with every fault."""
    ours = profile_of(source)
    try:
        with opened(result) as written:
            theirs = profile_of(written)
            faults = _profile_faults(ours, theirs, box)
            if not _same_camera(source, written, box):
                faults.append("its camera model (RPC) is not the source's")
            if faults:
                raise PromiseBroken(f"{Path(result).name}: " + "; ".join(faults))
            report = _compare(source, written, box, edited, on_part)
    except RasterUnreadable as error:
        raise PromiseBroken(f"The written file cannot be read back: {error}") from error
    if report.pixels_outside_different or report.validity_different:
        raise PromiseBroken(
            f"{Path(result).name}: {report.pixels_outside_different} of {report.pixels_outside} "
            f"pixels outside the polygons differ from the source, {report.validity_different} "
            "became nodata, or valid outside the polygons."
        )
    if report.pixels_wanted_missed or report.pixels_protected_changed:
        raise PromiseBroken(
            f"{Path(result).name}: {report.pixels_wanted_missed} pixels inside the polygons were "
            f"neither drawn nor left as nodata, {report.pixels_protected_changed} that were to "
            "stay as they are changed."
        )
    return report


def _same_camera(source: rasterio.DatasetReader, written: rasterio.DatasetReader, box: Box) -> bool:
    """Whether the camera model (RPC) is the source's, its lines and samples counted from the
    window's corner."""
    if source.rpcs is None or written.rpcs is None:
        return source.rpcs is None and written.rpcs is None
    ours = source.rpcs.to_dict()
    theirs = written.rpcs.to_dict()
    ours["line_off"] -= box.row
    ours["samp_off"] -= box.col
    return repr(ours) == repr(theirs)


def verify_kept(source: rasterio.DatasetReader, box: Box, result: str | Path) -> None:
    """Compare all bands of the window `box` of `source` with the first ones of `result`, to which
    others were appended; raises PromiseBroken where a bit differs."""
    with opened(result) as written:
        for part in box.squares(part_side(source)):
            old = source.read(window=part.window)
            new = written.read(indexes=list(source.indexes), window=part.relative_to(box).window)
            if (_bits(old) != _bits(new)).any():
                raise PromiseBroken(
                    f"{Path(result).name}: bands that the layer had are not what they were."
                )
            if (
                validity(source, part.window) != validity(written, part.relative_to(box).window)
            ).any():
                raise PromiseBroken(f"{Path(result).name}: ground became nodata, or nodata ground.")


def lost_metadata(source: rasterio.DatasetReader | None, result: str | Path) -> tuple[str, ...]:
    """What the source says of itself beside pixels, grid and default tags and the result does not,
    in words; nothing where there is no source."""
    if source is None:
        return ()
    with opened(result) as written:
        return tuple(metadata_of(source).without(metadata_of(written)))


def _profile_faults(ours: Profile, theirs: Profile, box: Box) -> list[str]:
    faults = []
    if profile_crs(ours) != profile_crs(theirs):
        faults.append(f"its CRS is {theirs.crs}, the source's {ours.crs}")
    if (theirs.width, theirs.height) != (box.width, box.height):
        faults.append(
            f"it has {theirs.width} x {theirs.height} pixels, the window {box.width} x {box.height}"
        )
    if _grid_shift_px(ours, theirs, box) > GRID_TOLERANCE_PX:
        faults.append(
            f"its affine is {tuple(theirs.transform)[:6]}, not {tuple(ours.transform_of(box))[:6]}"
        )
    if _colours(ours) != _colours(theirs):
        faults.append(f"its colorinterp is {theirs.colorinterp}, the source's {ours.colorinterp}")
    same = ("count", "dtype", "descriptions", "scales", "offsets", "has_mask")
    for name in same:
        if getattr(ours, name) != getattr(theirs, name):
            faults.append(
                f"its {name} is {getattr(theirs, name)}, the source's {getattr(ours, name)}"
            )
    if ours.palette != theirs.palette:
        faults.append("its palette is not the source's")
    if repr(ours.nodata) != repr(theirs.nodata):
        faults.append(f"its nodata is {theirs.nodata}, the source's {ours.nodata}")
    if [u or "" for u in ours.units] != [u or "" for u in theirs.units]:
        faults.append(f"its units are {theirs.units}, the source's {ours.units}")
    return faults


def _colours(profile: Profile) -> tuple[ColorInterp, ...]:
    """A first band of no colour counts as grey, since a GeoTIFF reads it as that."""
    first, *others = profile.colorinterp
    return (ColorInterp.gray if first == ColorInterp.undefined else first, *others)


def _grid_shift_px(ours: Profile, theirs: Profile, box: Box) -> float:
    """How far a corner lies from where it should, in pixels."""
    wanted = ours.transform_of(box)
    corners = [(0, 0), (box.width, 0), (0, box.height), (box.width, box.height)]
    shifts = []
    for corner in corners:
        x, y = ~wanted @ (theirs.transform @ corner)
        shifts.append(max(abs(x - corner[0]), abs(y - corner[1])))
    return max(shifts)


def _bits(values: np.ndarray) -> np.ndarray:
    """The same memory as unsigned integers, so that NaN equals itself and -0 differs from 0."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def _compare(
    source: rasterio.DatasetReader,
    written: rasterio.DatasetReader,
    box: Box,
    edited: Edited,
    on_part: OnPart,
) -> GateReport:
    counts = dict.fromkeys(
        ("outside", "different", "inside", "changed", "wanted", "missed", "protected", "misjudged"),
        0,
    )
    before = hashlib.sha256()
    after = hashlib.sha256()
    parts = list(box.squares(part_side(source)))
    for number, part in enumerate(parts):
        on_part(number, len(parts))
        here = part.relative_to(box).window
        old = source.read(window=part.window)
        new = written.read(window=here)
        before.update(old)
        after.update(new)
        unequal = np.zeros(old.shape[1:], bool)
        for ours, theirs in zip(_bits(old), _bits(new), strict=True):
            unequal |= ours != theirs
        mask = _mask_of(part, edited.regions)
        inside = int(mask.sum())
        valid_old = validity(source, part.window)
        valid_new = validity(written, here)
        lost = valid_old & ~valid_new
        gained = ~valid_old & valid_new & ~mask
        wanted, missed, touched = (
            (0, 0, 0) if edited.wanted is None else _against(edited.wanted, part, mask, unequal)
        )
        for name, count in (
            ("outside", mask.size - inside),
            ("different", (unequal & ~mask).sum()),
            ("inside", inside),
            ("changed", (unequal & mask).sum()),
            ("wanted", wanted),
            ("missed", missed),
            ("protected", touched),
            ("misjudged", (lost | gained).sum()),
        ):
            counts[name] += int(count)
    ours = profile_of(source)
    shift_free = tuple(written.transform) == tuple(ours.transform_of(box))
    return GateReport(
        crs_equal=profile_crs(ours) == profile_crs(profile_of(written)),
        affine_equal=shift_free,
        pixels_outside=counts["outside"],
        pixels_outside_different=counts["different"],
        pixels_inside=counts["inside"],
        pixels_inside_changed=counts["changed"],
        pixels_wanted=counts["wanted"],
        pixels_wanted_missed=counts["missed"],
        pixels_protected_changed=counts["protected"],
        validity_different=counts["misjudged"],
        sha256_source_window=before.hexdigest(),
        sha256_result=after.hexdigest(),
    )


def _against(
    wanted: Wanted, part: Box, mask: np.ndarray, unequal: np.ndarray
) -> tuple[int, int, int]:
    """Pixels of `part` that were asked for, those of them that are not in the mask, and those that
    were to stay and changed.

    Each polygon is burned for itself, and what is in doubt is measured against its outline.
    """
    touched = _covered(wanted.protected, part) & unequal
    if touched.any():
        touched = wanted.surely_in(wanted.protected, part, touched)
    limit = np.zeros(mask.shape, bool)
    limit[wanted.limit.clipped(part).relative_to(part).slices] = True
    # A protected shape that is too thin to hold a pixel's centre keeps what it touches.
    asked = _covered(wanted.polygons, part) & ~draw_mask(wanted.protected, part) & limit
    missed = asked & ~mask
    if missed.any():
        missed = wanted.surely_in(wanted.polygons, part, missed)
    return int(asked.sum()), int(missed.sum()), int(touched.sum())


def _covered(shapes: Sequence[BaseGeometry], part: Box) -> np.ndarray:
    found = np.zeros((part.height, part.width), np.uint8)
    frame = shapely.box(part.col, part.row, part.col + part.width, part.row + part.height)
    here = [shapes[number] for number in shapely.STRtree(shapes).query(frame)]
    if here:
        # One geometry each: what several hold is burned by each of them.
        rasterize(
            [(shape, 1) for shape in here],
            out=found,
            transform=Affine.translation(part.col, part.row),
        )
    return found > 0


def _mask_of(part: Box, regions: Sequence[Region]) -> np.ndarray:
    mask = np.zeros((part.height, part.width), bool)
    for region in regions:
        both = region.box.clipped(part)
        if both.width and both.height:
            mask[both.relative_to(part).slices] |= region.mask[both.relative_to(region.box).slices]
    return mask
