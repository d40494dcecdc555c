"""A raster with results of earlier edits over it, as one virtual raster on the same grid."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import rasterio
import rasterio.shutil

from ..ground.errors import BadRequest
from .disclosure import Disclosed, disclosed
from .grid import Box
from .raster import opened
from .rasters import Rasters

COMPOSED = "composed.vrt"
NEAR_PX = 1e-3
"""By which a result may lie off the raster's grid: a window's origin is rounded to a double."""


def box_over(base: rasterio.DatasetReader, result: rasterio.DatasetReader, name: str) -> Box:
    """Where a result lies on the raster that it was made from, in pixels; raises BadRequest where
    it was made from another. `name`: of the result, for the sentence."""
    wrong = [
        f"{what} ({there} instead of {here})"
        for what, here, there in (
            ("number of bands", base.count, result.count),
            ("type of pixels", base.dtypes[0], result.dtypes[0]),
            ("CRS", base.crs, result.crs),
        )
        if here != there
    ]
    (a, b, _, d, e, _), (ra, rb, _, rd, re, _) = base.transform[:6], result.transform[:6]
    if any(
        abs(one - other) * max(result.width, result.height) > NEAR_PX * abs(a or b)
        for one, other in ((a, ra), (b, rb), (d, rd), (e, re))
    ):
        wrong.append("size of a pixel")
    col, row = ~base.transform @ (result.transform.c, result.transform.f)
    box = Box(round(col), round(row), result.width, result.height)
    if not wrong and max(abs(col - box.col), abs(row - box.row)) > NEAR_PX:
        wrong.append("grid")
    if not wrong and not (
        0 <= box.col <= base.width - box.width and 0 <= box.row <= base.height - box.height
    ):
        wrong.append("extent: it reaches out of the raster")
    if wrong:
        raise BadRequest(
            f"over: {name} was not made from this raster; it has another "
            f"{', another '.join(wrong)}."
        )
    return box


@contextlib.contextmanager
def composed(rasters: Rasters, folder: Path) -> Iterator[Rasters]:
    """The rasters of an edit, the one to be edited with what lies over it, as long as they are
    used; `folder`: where a virtual raster may be written. Raises BadRequest, RasterUnreadable."""
    if not rasters.over:
        yield rasters
        return
    target = folder / COMPOSED
    with opened(rasters.raster, rasters.roots) as base:
        boxes = []
        for path in rasters.over:
            with opened(path, rasters.roots) as result:
                boxes.append(box_over(base, result, path.name))
        # GDAL's own copy knows all that the file says of itself.
        rasterio.shutil.copy(base, target, driver="VRT")
    tree = ET.parse(target)  # nosec B314: GDAL wrote it just now
    for band in tree.getroot().findall("VRTRasterBand"):
        for path, box in zip(rasters.over, boxes, strict=True):
            band.append(_source(path, band.get("band", "1"), box))
    tree.write(target, encoding="utf-8")
    roots = None if rasters.roots is None else (*rasters.roots, folder.resolve())
    try:
        yield replace(rasters, raster=target, roots=roots, beneath=rasters.raster)
    finally:
        target.unlink(missing_ok=True)


def _source(path: Path, band: str, box: Box) -> ET.Element:
    """A band of a result as a source of the virtual raster."""
    source = ET.Element("SimpleSource")
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = str(path)
    ET.SubElement(source, "SourceBand").text = band
    size = {"xSize": str(box.width), "ySize": str(box.height)}
    ET.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
    ET.SubElement(source, "DstRect", {"xOff": str(box.col), "yOff": str(box.row), **size})
    return source


def disclosed_by(dataset: rasterio.DatasetReader, box: Box, rasters: Rasters) -> Disclosed:
    """The edits that a raster, and what lies over it, tell of, inside the window `box` of it."""
    found = disclosed(dataset, box, rasters.beneath or rasters.raster)
    for path in rasters.over:
        with opened(path, rasters.roots) as result:
            # In the result's own pixels, where the window of the raster begins.
            off = box_over(dataset, result, path.name)
            seen = Box(box.col - off.col, box.row - off.row, box.width, box.height)
            more = disclosed(result, seen, path)
        # Of edits before it a result tells what those tell themselves; its own is one more, even
        # where words, editor and seed are those of another.
        earlier = (one for one in more.history[:-1] if one not in found.history)
        found = Disclosed(
            (*found.areas, *more.areas),
            (*found.history, *earlier, *more.history[-1:]),
            found.coarse or more.coarse,
        )
    return found
