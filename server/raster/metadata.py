"""What a raster says beside its pixels, grid and default tags: further domains of metadata, its
colour profile, the epoch of its coordinates, names of classes and attribute tables."""

from __future__ import annotations

import struct
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field, replace
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError

from .source_type import with_source_type
from .tiff_tags import set_epoch, set_xmp, states_epoch

PROFILE = "COLOR_PROFILE"
MADE_BY_GDAL = (
    "", "IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "RPC", "GEOLOCATION", PROFILE,
    "OVERVIEWS", "ESRI", "xml:ESRI", "xml:VRT", "new_vrt_sources", "vrt_sources", "LocationInfo",
    "TIFF", "COLOR_TABLE",
)  # fmt: skip
"""Domains that say how a file is laid out, or that are written otherwise."""
TEXTS = ("xml:", "json:")
"""Domains of one text each, which rasterio does not write; XMP is a tag of its own."""
XMP = "xml:XMP"
BESIDE = {
    "CategoryNames": "the names of classes",
    "GDALRasterAttributeTable": "the attribute table",
}
"""What a GeoTIFF itself does not hold: GDAL's elements, and what they are."""
Domains = dict[tuple[int, str], dict[str, str]]
"""Items by (band, domain); band 0 is the whole raster."""


@dataclass(frozen=True)
class Metadata:
    """`domains`: of the raster and its bands, without those that GDAL makes itself. `profile`: ICC
    profile, base64; empty: none. `epoch`: of a dynamic CRS, as a decimal year; empty: none.
    `beside`: what only a sidecar file can hold, in words. `sidecar`: that file, as GDAL reads it
    under the raster's name with .aux.xml behind it; empty: nothing lies beside."""

    domains: Domains = field(default_factory=dict)
    profile: str = ""
    epoch: str = ""
    beside: tuple[str, ...] = ()
    sidecar: str = ""

    @property
    def packet(self) -> str:
        """The XMP packet; empty: there is none."""
        return self.domains.get((0, XMP), {}).get(XMP, "")

    def disclosing(self, source_type: str) -> Metadata:
        """The same, with an XMP packet that states IPTC's digital source type."""
        if not source_type:
            return self
        packet = with_source_type(self.packet, source_type)
        return replace(self, domains={**self.domains, (0, XMP): {XMP: packet}})


def metadata_of(dataset: rasterio.DatasetReader) -> Metadata:
    """All that an open raster says of itself in this way."""
    domains: Domains = {}
    for band in (0, *dataset.indexes):
        for name in dataset.tag_namespaces(band):
            if name not in MADE_BY_GDAL:
                items = dataset.tags(band, ns=name)
                if items:
                    domains[band, name] = items
    profile = dataset.tags(ns=PROFILE).get("SOURCE_ICC_PROFILE", "")
    found = Metadata(domains, profile)
    root = described(dataset) if _says_more(dataset) else None
    return found if root is None else _with_gdals_own(found, root)


def _says_more(dataset: rasterio.DatasetReader) -> bool:
    """Whether there may be an epoch, names of classes or a table: of a GeoTIFF its keys and the
    files beside it tell that faster than GDAL's own description."""
    if dataset.driver != "GTiff" or len(dataset.files) > 1:
        return True
    try:
        return states_epoch(Path(dataset.name))
    except (OSError, ValueError, struct.error):
        return True  # not a file by itself, or not laid out as thought


def _with_gdals_own(found: Metadata, root: ElementTree.Element) -> Metadata:
    """With the epoch, and what lies beside the file, which rasterio does not tell: from a raster as
    GDAL writes it down in its own words (VRT)."""
    place = root.find("SRS")
    epoch = "" if place is None else place.get("coordinateEpoch", "")
    beside = []
    aside = ElementTree.Element("PAMDataset")
    for band in root.iter("VRTRasterBand"):
        number = band.get("band", "1")
        parts = [(band.find(name), words) for name, words in BESIDE.items()]
        held = [(part, words) for part, words in parts if part is not None]
        if held:
            own = ElementTree.SubElement(aside, "PAMRasterBand", band=number)
            own.extend(part for part, _ in held)
            beside += [f"{words} of band {number}" for _, words in held]
    sidecar = ElementTree.tostring(aside, encoding="unicode") if beside else ""
    return replace(found, epoch=epoch, beside=tuple(beside), sidecar=sidecar)


def names_alone(found: Metadata) -> Metadata:
    """The names of classes and nothing else."""
    return Metadata(beside=found.beside, sidecar=found.sidecar)


def described(dataset: rasterio.DatasetReader) -> ElementTree.Element | None:
    """A raster as GDAL writes it down in XML (VRT); None where it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "described.vrt"
        try:
            rasterio.shutil.copy(dataset, path, driver="VRT")
            return ElementTree.parse(path).getroot()
        except (RasterioError, OSError, ElementTree.ParseError):
            return None


def write_domains(target: rasterio.io.DatasetWriter, metadata: Metadata) -> None:
    """Write all domains of items into a GeoTIFF that is being made."""
    for (band, name), items in metadata.domains.items():
        if not name.startswith(TEXTS):
            target.update_tags(band, ns=name, **items)


def write_rest(path: Path, metadata: Metadata) -> None:
    """Put into a closed GeoTIFF what rasterio does not write: XMP, and the epoch."""
    if metadata.packet:
        set_xmp(path, metadata.packet.encode("utf8"))
    if metadata.epoch:
        set_epoch(path, float(metadata.epoch))
