"""What two rasters say of themselves: by rasterio's tags, and by GDAL's own description (VRT)."""

from __future__ import annotations

import re
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError

from .grids import palette_of

LAYOUT = (
    "IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "RPC", "GEOLOCATION", "ESRI",
    "xml:ESRI", "LocationInfo", "TIFF", "OVERVIEWS", "COLOR_TABLE",
)  # fmt: skip
"""Domains that say how a file is laid out, and what is compared otherwise (RPC)."""
OWN = ("STATISTICS_", "LANDBRUSH_", "AI_GENERATED", "OVR_RESAMPLING_ALG")
"""Items that a result has of its own, or must not have (statistics of other pixels)."""
PARTS = {
    "CategoryNames": "the names of classes",
    "GDALRasterAttributeTable": "the attribute table",
}
XMP = "xml:XMP"
PROFILE = "COLOR_PROFILE"
Said = dict[tuple[int, str], str]
"""What is said, by band (0: the whole raster) and what it is, in words."""


def _tags_of(dataset: rasterio.DatasetReader) -> Said:
    """Items of all domains that do not say how the file is laid out."""
    found: Said = {}
    for band in (0, *dataset.indexes):
        for name in {"", *dataset.tag_namespaces(band)} - {*LAYOUT}:
            for key, text in sorted(dataset.tags(band, ns=name or None).items()):
                if key.startswith(OWN) or (name == PROFILE and key != "SOURCE_ICC_PROFILE"):
                    continue
                words = "the ICC profile" if name == PROFILE else f"metadata {name or key}"
                found[band, words] = found.get((band, words), "") + f"{key}={text}\n"
    return found


def _described(dataset: rasterio.DatasetReader) -> Said:
    """What only GDAL's own description tells: epoch, names of classes, tables."""
    found: Said = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raster.vrt"
        try:
            rasterio.shutil.copy(dataset, path, driver="VRT")
            root = ElementTree.parse(path).getroot()
        except (RasterioError, OSError, ElementTree.ParseError):
            return found
    place = root.find("SRS")
    epoch = "" if place is None else place.get("coordinateEpoch", "")
    if epoch:
        found[0, f"the epoch of its coordinates ({epoch})"] = epoch
    for band in root.findall("VRTRasterBand"):
        for name, words in PARTS.items():
            part = band.find(name)
            if part is not None:
                text = re.sub(r"\s+", " ", ElementTree.tostring(part, "unicode"))
                found[int(band.get("band", "1")), words] = text
    return found


def lost(source: rasterio.DatasetReader, result: rasterio.DatasetReader) -> tuple[str, ...]:
    """What the source says of itself beside grid, type and values and the result does not, or says
    otherwise, in words."""
    gone = []
    before, after = _described(source), _tags_of(result)
    if before:  # describing costs a millisecond, and few rasters say something so
        after |= _described(result)
    before |= _tags_of(source)
    colours, others = palette_of(source), palette_of(result)
    if any(others.get(value, colour)[3:] != colour[3:] for value, colour in colours.items()):
        gone.append("the transparency of colours in the palette")
    for (band, words), text in before.items():
        kept = after.get((band, words))
        if words == f"metadata {XMP}" and kept is not None:
            same = not Counter(_tokens(text)) - Counter(_tokens(kept))
        else:
            same = kept == text
        if not same:
            gone.append(words + (f" of band {band}" if band else ""))
    return tuple(dict.fromkeys(gone))


def _tokens(packet: str) -> list[str]:
    """The words of an XMP packet but for those that state the digital source type."""
    return [
        token
        for token in re.findall(r"[^\s<>]+", packet)
        if "igitalSourceType" not in token and "Iptc4xmpExt" not in token
    ]
