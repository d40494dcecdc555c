"""Bands that a result has and its source has not: a virtual raster of the layer's own with empty
bands behind them, or of empty bands alone.

It refers to the layer's bands, so nothing is copied, whatever its size; pixels outside the polygons
stay empty.
"""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit, NoSpace
from ..raster import bands
from ..raster.bands import Layer
from ..raster.doors import NO_NETWORK
from ..raster.metadata import BESIDE
from ..raster.raster import Profile, opened
from ..scene.classes import PALETTE, TITLES

_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}


@dataclass(frozen=True)
class BandSpec:
    """A band of a virtual raster, in the words of VRT; what is empty is left out.

    `type`: of its values, as GDAL names it. `unit`, `nodata`, `offset`, `scale`: as in a GeoTIFF.
    `colour`: its colour interpretation.
    `palette`: red, green, blue and alpha of its values from 0; `names`: what they stand for.
    """

    type: str
    unit: str = ""
    nodata: str = ""
    offset: str = ""
    scale: str = ""
    colour: str = ""
    palette: tuple[tuple[int, ...], ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, profile: Profile) -> BandSpec:
        """As the raster's first band is."""
        scaled = profile.scales[0] != 1 or profile.offsets[0] != 0
        return cls(
            _TYPES[profile.dtype],
            profile.units[0] or "",
            "" if profile.nodata is None else repr(profile.nodata),
            repr(profile.offsets[0]) if scaled else "",
            repr(profile.scales[0]) if scaled else "",
        )


NEW = {
    **{role: BandSpec("Byte", nodata="0", colour=role.capitalize()) for role in bands.COLOURS},
    "vv": BandSpec("Float32", "dB", "nan", colour="Gray"),
    "cover": BandSpec(
        "Byte", nodata="0", colour="Palette", palette=PALETTE, names=("", *TITLES.values())
    ),
}
"""Of bands that are a layer of their own."""


@contextlib.contextmanager
def with_made_bands(
    layer: Layer, info: EditorInfo, folder: Path
) -> Iterator[tuple[Layer, tuple[int, ...]]]:
    """A layer with empty bands for what an editor makes, and their indices (from 0); raises
    CannotEdit where the layer has them already."""
    if not info.new_layer:
        _check_room(layer, info.makes)
    path = folder / ".canvas.vrt"
    try:
        _write(layer, info, path)
    except (OSError, RasterioError, CPLE_BaseError, ET.ParseError) as error:
        path.unlink(missing_ok=True)
        raise NoSpace(
            f"The canvas {path.name} could not be made: {error}. Is the disk full?"
        ) from error
    try:
        with opened(path) as dataset:
            first = 0 if info.new_layer else layer.profile.count
            yield Layer.of(dataset, {}, classes=True), tuple(range(first, first + len(info.makes)))
    finally:
        path.unlink(missing_ok=True)


def _write(layer: Layer, info: EditorInfo, path: Path) -> None:
    """The virtual raster, not opened yet."""
    with rasterio.Env(**NO_NETWORK):
        rasterio.shutil.copy(layer.dataset, path, driver="VRT")
    tree = ET.parse(path)
    for band in tree.getroot().iter("VRTRasterBand"):
        for name in BESIDE:  # written beside the result, from the layer itself
            for element in band.findall(name):
                band.remove(element)
    if info.new_layer:
        _emptied(tree.getroot())
    for role in info.makes:
        spec = NEW[role] if info.new_layer else BandSpec.of(layer.profile)
        _append(tree.getroot(), role, spec)
    tree.write(path)


def _check_room(layer: Layer, makes: Sequence[str]) -> None:
    there = [
        f"{role} (band {bands.data_bands(layer.profile)[layer.roles.names.index(role)] + 1})"
        for role in makes
        if role in layer.roles.names
    ]
    if there:
        raise CannotEdit(
            f"This layer has {', '.join(there)} already. To make it anew, start from a layer "
            "without it, or state other bands (band roles)."
        )
    if layer.profile.alpha is not None:
        raise CannotEdit(
            "This layer has an alpha band, which counts in files of four bands alone: with a "
            "further band what is transparent would turn to ground. Make a nodata value or a mask "
            "of it first (Raster > Translate)."
        )
    if len(bands.data_bands(layer.profile)) == 1:
        raise CannotEdit(
            f"{', '.join(makes)} is made from colours, and this layer has a single band."
        )


def _emptied(root: ET.Element) -> None:
    """Take the layer's own bands out, and what is said of them."""
    for element in list(root):
        if element.tag in ("VRTRasterBand", "MaskBand", "OverviewList"):
            root.remove(element)


def _append(root: ET.Element, role: str, spec: BandSpec) -> None:
    """Add an empty band, marked as synthetic."""
    number = len(root.findall("VRTRasterBand")) + 1
    band = ET.Element("VRTRasterBand", dataType=spec.type, band=str(number))
    place = [n for n, element in enumerate(root) if element.tag == "VRTRasterBand"]
    root.insert(place[-1] + 1 if place else len(root), band)
    about = ET.SubElement(band, "Metadata")
    ET.SubElement(
        about, "MDI", key="LANDBRUSH_SYNTHETIC"
    ).text = "This band was made by a program. Not measured."
    ET.SubElement(band, "Description").text = f"{role} (synthetic)"
    for name, value in (
        ("UnitType", spec.unit),
        ("NoDataValue", spec.nodata),
        ("Offset", spec.offset),
        ("Scale", spec.scale),
        ("ColorInterp", spec.colour),
    ):
        if value:
            ET.SubElement(band, name).text = value
    if spec.palette:
        table = ET.SubElement(band, "ColorTable")
        for entry in spec.palette:
            colour = {f"c{n}": str(value) for n, value in enumerate(entry, 1)}
            ET.SubElement(table, "Entry", colour)
        names = ET.SubElement(band, "CategoryNames")
        for title in spec.names:
            ET.SubElement(names, "Category").text = title
