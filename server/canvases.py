"""What a result is written on where it is not the layer itself: its grid with further bands, or ground that is still empty.

Further bands: a virtual raster, which refers to the layer's own and holds empty ones for what is to be made, so nothing is
copied, whatever the size of the layer; pixels outside the polygons stay empty. Empty ground: a GeoTIFF without blocks.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from . import bands
from .api import EditorInfo, Extent
from .bands import Layer, Stretch
from .errors import BadRequest, CannotEdit, NoSpace
from .masks import crs_of
from .raster import NO_NETWORK, Box, Profile, opened, read_window

SMALLEST_GSD_M = 0.001
LARGEST_BLANK_PX = 100_000
"""Of a side of empty ground."""
_TYPES = {"uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
          "float32": "Float32", "float64": "Float64"}


@dataclass(frozen=True)
class Kind:
    """Of a band in a virtual raster, in its words; what is empty is left out."""

    type: str
    unit: str = ""
    nodata: str = ""
    offset: str = ""
    scale: str = ""
    colour: str = ""

    @classmethod
    def of(cls, profile: Profile) -> Kind:
        """As the raster's first band is."""
        scaled = profile.scales[0] != 1 or profile.offsets[0] != 0
        return cls(_TYPES[profile.dtype], profile.units[0] or "", "" if profile.nodata is None else repr(profile.nodata),
                   repr(profile.offsets[0]) if scaled else "", repr(profile.scales[0]) if scaled else "")


NEW = {**{role: Kind("Byte", nodata="0", colour=role.capitalize()) for role in bands.COLOURS},
       "vv": Kind("Float32", "dB", "nan", colour="Gray")}
"""Of bands that are a layer of their own."""


@dataclass(frozen=True)
class Canvas:
    """A raster to write on; `made`: indices of the bands that an editor fills, none where it changes those there are;
    `apart`: whether there are no others."""

    layer: Layer
    made: tuple[int, ...] = ()
    apart: bool = False

    def laid(self, box: Box, made: np.ndarray, stretch: Stretch, mask: np.ndarray) -> np.ndarray:
        """Native pixels (bands, H, W) of a window with what was made (made bands, H, W) inside the mask."""
        values = read_window(self.layer.dataset, box).values
        count = len(self.made)
        low, high = stretch.low[0], stretch.high[0]
        if self.apart:
            low, high = 0.0, 255.0 if self.layer.profile.dtype == "uint8" else 1.0
        native = Stretch(self.made, (low,) * count, (high,) * count).native(made, self.layer.profile)
        nodata = self.layer.profile.nodata
        for index, band in enumerate(self.made):
            if nodata is not None and np.isfinite(nodata) and native.dtype.type(nodata) == nodata:
                native[index][native[index] == nodata] = bands.beside(native.dtype.type(nodata))
            values[band][mask] = native[index][mask]
        return values


@contextlib.contextmanager
def canvas_of(layer: Layer, info: EditorInfo, folder: Path) -> Iterator[Canvas]:
    """What to write on for an editor; raises CannotEdit where the layer has the bands already that it would append."""
    if not info.makes:
        yield Canvas(layer)
        return
    if not info.apart:
        _check_room(layer, info.makes)
    path = folder / ".canvas.vrt"
    try:
        with rasterio.Env(**NO_NETWORK):
            rasterio.shutil.copy(layer.dataset, path, driver="VRT")
        tree = ET.parse(path)
        if info.apart:
            _emptied(tree.getroot())
        for role in info.makes:
            _append(tree.getroot(), role, NEW[role] if info.apart else Kind.of(layer.profile))
        tree.write(path)
    except (OSError, RasterioError, CPLE_BaseError, ET.ParseError) as error:
        path.unlink(missing_ok=True)
        raise NoSpace(f"The canvas {path.name} could not be made: {error}. Is the disk full?") from error
    try:
        with opened(path) as dataset:
            first = 0 if info.apart else layer.profile.count
            yield Canvas(Layer.of(dataset, {}), tuple(range(first, first + len(info.makes))), info.apart)
    finally:
        path.unlink(missing_ok=True)


def _check_room(layer: Layer, makes: Sequence[str]) -> None:
    there = [f"{role} (band {bands.data_bands(layer.profile)[layer.roles.names.index(role)] + 1})"
             for role in makes if role in layer.roles.names]
    if there:
        raise CannotEdit(f"This layer has {', '.join(there)} already. To make it anew, start from a layer without it, or state "
                         "other bands (band roles).")
    if layer.profile.alpha is not None:
        raise CannotEdit("This layer has an alpha band, which counts in files of four bands alone: with a further band what is "
                         "transparent would turn to ground. Make a nodata value or a mask of it first (Raster > Translate).")
    if len(bands.data_bands(layer.profile)) == 1:
        raise CannotEdit(f"{', '.join(makes)} is made from colours, and this layer has a single band.")


def _emptied(root: ET.Element) -> None:
    """Take the layer's own bands out, and what is said of them."""
    for element in list(root):
        if element.tag in ("VRTRasterBand", "MaskBand", "OverviewList"):
            root.remove(element)


def _append(root: ET.Element, role: str, kind: Kind) -> None:
    """Add an empty band, marked as synthetic."""
    number = len(root.findall("VRTRasterBand")) + 1
    band = ET.Element("VRTRasterBand", dataType=kind.type, band=str(number))
    place = [n for n, element in enumerate(root) if element.tag == "VRTRasterBand"]
    root.insert(place[-1] + 1 if place else len(root), band)
    about = ET.SubElement(band, "Metadata")
    ET.SubElement(about, "MDI", key="LANDBRUSH_SYNTHETIC").text = "This band was made by a program. Not measured."
    ET.SubElement(band, "Description").text = f"{role} (synthetic)"
    for name, value in (("UnitType", kind.unit), ("NoDataValue", kind.nodata), ("Offset", kind.offset), ("Scale", kind.scale),
                        ("ColorInterp", kind.colour)):
        if value:
            ET.SubElement(band, name).text = value


def blank(extent: Extent, gsd_m: float, folder: Path) -> Path:
    """A file of empty ground, red, green and blue bytes, with pixels that are square on the ground; the same for the same wish.

    The extent is enlarged to the right and below to whole pixels. Raises BadRequest.
    """
    crs = crs_of(extent.crs, "raster.extent.crs")
    if not (crs.is_projected or crs.is_geographic):
        raise BadRequest(f"raster.extent: {crs.name} is neither projected nor geographic; choose a CRS of the ground.")
    if gsd_m < SMALLEST_GSD_M:
        raise BadRequest(f"raster.gsd_m: {gsd_m:g} m; at least {SMALLEST_GSD_M:g} m is taken.")
    across, down = _metres_a_unit(extent, crs)
    size = gsd_m / across, gsd_m / down
    sides = [(extent.xmax - extent.xmin) / size[0], (extent.ymax - extent.ymin) / size[1]]
    if not max(sides) <= LARGEST_BLANK_PX:
        raise BadRequest(f"raster: the extent has {sides[0]:.3g} x {sides[1]:.3g} pixels of {gsd_m:g} m; at most "
                         f"{LARGEST_BLANK_PX:,} a side are made. Choose a smaller extent or a larger ground size.")
    width, height = (max(1, math.ceil(round(side, 6))) for side in sides)
    transform = Affine(size[0], 0, extent.xmin, 0, -size[1], extent.ymax)
    wish = repr((crs.to_wkt("WKT2_2019"), tuple(transform), width, height)).encode()
    path = folder / f"blank-{hashlib.sha256(wish).hexdigest()[:24]}.tif"
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".blank-", dir=folder) as draft:
            # A GeoTIFF, so that what such a file cannot hold of the CRS shows here and not after the drawing.
            with rasterio.open(Path(draft) / path.name, "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8",
                               crs=rasterio.crs.CRS.from_user_input(extent.crs), transform=transform, photometric="RGB",
                               tiled=True, compress="deflate", sparse_ok=True, bigtiff="IF_SAFER"):
                pass
            with rasterio.Env(GDAL_PAM_ENABLED="NO"), opened(Path(draft) / path.name) as made:
                held = made.crs
            if held is None or pyproj.CRS.from_wkt(held.to_wkt()).name != crs.name:
                raise BadRequest(f"raster.extent.crs: a GeoTIFF holds {crs.name} as {held}; choose that, or another CRS.")
            os.replace(Path(draft) / path.name, path)
    except (OSError, RasterioError, CPLE_BaseError) as error:
        raise NoSpace(f"The empty raster could not be written to {folder}: {error}.") from error
    return path


def all_of_it(shapes: list, box: Box) -> list:
    """All pixels of new ground where the polygons cover the extent that was asked for; it was enlarged to whole pixels."""
    whole = shapely.box(0, 0, box.width, box.height)
    covered = shapely.union_all(shapes).intersection(whole).area
    return [whole] if covered >= (box.width - 1.01) * (box.height - 1.01) else shapes


def _metres_a_unit(extent: Extent, crs: pyproj.CRS) -> tuple[float, float]:
    """Metres on the ground that a unit of the CRS measures across and down, in the middle of the extent."""
    x, y = (extent.xmin + extent.xmax) / 2, (extent.ymin + extent.ymax) / 2
    step = 1e-3 if crs.is_geographic else 1.0
    try:
        to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        lon, lat = to_degrees.transform([x, x + step, x], [y, y, y + step], errcheck=True)
        geod = pyproj.Geod(ellps="WGS84")
        found = tuple(geod.inv(lon[0], lat[0], lon[i], lat[i])[2] / step for i in (1, 2))
    except pyproj.exceptions.ProjError as error:
        raise BadRequest(f"raster.extent: its middle ({x:g}, {y:g}) is no place of {crs.name} ({error}).") from error
    if not all(math.isfinite(length) and length > 0 for length in found):
        raise BadRequest(f"raster.extent: {crs.name} measures no ground at ({x:g}, {y:g}).")
    return found[0], found[1]
