"""Whether two rasters are of one kind: grid, CRS, type, bands and what each is called."""

from __future__ import annotations

from typing import Any

import pyproj
import rasterio
from affine import Affine

SHIFT_PX = 1e-6
EPSILON = 2.0**-52
LONGEST = 160
"""Characters of a value in a message."""
BLACK_AND_WHITE = {0: (0, 0, 0, 255), 1: (255, 255, 255, 255)}


def faults(
    source: rasterio.DatasetReader,
    result: rasterio.DatasetReader,
    window: tuple[int, int, int, int],
    made: int,
    alone: bool,
) -> list[str]:
    """What of a result is not as in the window of its source, in words. `made`: bands at its end
    that the source has not; `alone`: it has no others."""
    col, row, width, height = window
    found = []
    if not same_crs(source, result):
        found.append(f"its CRS is {result.crs}, the source's {source.crs}")
    if (result.width, result.height) != (width, height):
        found.append(
            f"it has {result.width} x {result.height} pixels, the window {width} x {height}"
        )
    wanted = source.transform @ Affine.translation(col, row)
    if _shift_px(result.transform, wanted, width, height) > _rounding_px(wanted):
        found.append(f"its affine is {tuple(result.transform)[:6]}, not {tuple(wanted)[:6]}")
    if alone:
        return found + ([] if result.count == made else [f"it has {result.count} bands"])
    ours, theirs = _kind(source, source.count), _kind(result, source.count)
    ours["number of bands"] += made
    for name, value in ours.items():
        if theirs[name] != value:
            there, here = (str(one)[:LONGEST] for one in (theirs[name], value))
            found.append(f"its {name} is {there}, the source's {here}")
    before, after = palette_of(source), palette_of(result)
    if any(after.get(value, ())[:3] != colour[:3] for value, colour in before.items()):
        found.append("its palette is not the source's")
    if not _same_camera(source, result, col, row):
        found.append("its camera model (RPC) is not the source's")
    return found


def same_crs(one: rasterio.DatasetReader, other: rasterio.DatasetReader) -> bool:
    """Whether two rasters are in one CRS, or both in none."""
    if one.crs == other.crs:
        return True
    if one.crs is None or other.crs is None:
        return False
    first, second = (
        pyproj.CRS.from_wkt(dataset.crs.to_wkt(version="WKT2_2019")) for dataset in (one, other)
    )
    return bool(first == second)


def _kind(dataset: rasterio.DatasetReader, bands: int) -> dict[str, Any]:
    """What the first bands of a raster are, by what to call it."""
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    colours = [colour.name for colour in dataset.colorinterp[:bands]]
    # A first band of no colour reads as grey in a GeoTIFF.
    colours[:1] = ["gray" if name == "undefined" else name for name in colours[:1]]
    bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", "")
    if bits == "1" and palette_of(dataset) in ({}, BLACK_AND_WHITE):
        colours[:1] = ["gray"]  # as which a GeoTIFF of one bit does not read
    flags = {flag.name for band in dataset.mask_flag_enums[:bands] for flag in band}
    return {
        "number of bands": dataset.count,
        "dtype": dataset.dtypes[:bands],
        "descriptions": dataset.descriptions[:bands],
        "scales": dataset.scales[:bands],
        "offsets": dataset.offsets[:bands],
        "units": tuple(unit or "" for unit in dataset.units[:bands]),
        "nodata": tuple(repr(value) for value in dataset.nodatavals[:bands]),
        "colorinterp": tuple(colours),
        "mask": "per_dataset" in flags and not flags & {"alpha", "nodata"},
        "number of bits": bits,
        "white": structure.get("MINISWHITE", ""),
    }


def palette_of(dataset: rasterio.DatasetReader) -> dict[int, tuple[int, ...]]:
    """Red, green, blue and alpha of each value of the first band; none where it has no palette."""
    try:
        found = dict(dataset.colormap(1))
    except ValueError:
        return {}
    return {} if dataset.colorinterp[0].name != "palette" else found


def _rounding_px(affine: Affine) -> float:
    """By which a corner may lie elsewhere: what is lost where positions are large beside pixels."""
    pixel = abs(affine.determinant) ** 0.5
    return SHIFT_PX + 8 * EPSILON * max(abs(affine.c), abs(affine.f)) / pixel


def _shift_px(affine: Affine, wanted: Affine, width: int, height: int) -> float:
    """How far a corner lies from where it should, in pixels."""
    back = ~wanted
    shifts = []
    for corner in ((0, 0), (width, 0), (0, height), (width, height)):
        x, y = back @ (affine @ corner)
        shifts.append(max(abs(x - corner[0]), abs(y - corner[1])))
    return max(shifts)


def _same_camera(
    source: rasterio.DatasetReader, result: rasterio.DatasetReader, col: int, row: int
) -> bool:
    """Whether the camera model (RPC) is the source's, its lines and samples counted from the
    window's corner."""
    if source.rpcs is None or result.rpcs is None:
        return source.rpcs is None and result.rpcs is None
    ours, theirs = source.rpcs.to_dict(), result.rpcs.to_dict()
    ours["line_off"] -= row
    ours["samp_off"] -= col
    return repr(ours) == repr(theirs)
