"""What a result is written on where it is not the layer itself: its grid with further bands, or ground that is still empty.

A canvas is a virtual raster. It refers to the layer's bands and holds empty ones for what is to be made, so nothing is
copied, whatever the size of the layer; pixels outside the polygons stay empty.
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
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from . import bands
from .api import Extent
from .bands import Layer, Stretch
from .errors import BadRequest, CannotEdit, NoSpace
from .masks import crs_of
from .raster import NO_NETWORK, Block, Box, opened, read_window

NAMES = {"nir": "nir (synthetic)", "red": "red (synthetic)", "green": "green (synthetic)", "blue": "blue (synthetic)"}
COLOURS = ("red", "green", "blue")
_TYPES = {"uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
          "float32": "Float32", "float64": "Float64"}


@dataclass(frozen=True)
class Canvas:
    """A raster to write on; `made`: indices of the bands that an editor fills, none where it changes those there are."""

    layer: Layer
    made: tuple[int, ...] = ()

    def laid(self, box: Box, made: np.ndarray, stretch: Stretch, mask: np.ndarray) -> np.ndarray:
        """Native pixels (bands, H, W) of a window with what was made (made bands, H, W) inside the mask."""
        values = read_window(self.layer.dataset, box).values
        count = len(self.made)
        native = Stretch(self.made, stretch.low[:1] * count, stretch.high[:1] * count).native(made, self.layer.profile)
        for index, band in enumerate(self.made):
            values[band][mask] = native[index][mask]
        return values


@contextlib.contextmanager
def canvas_of(layer: Layer, makes: Sequence[str], folder: Path) -> Iterator[Canvas]:
    """What to write on for an editor that makes bands of those roles; raises CannotEdit where the layer has them."""
    if not makes:
        yield Canvas(layer)
        return
    there = [f"{role} (band {bands.data_bands(layer.profile)[layer.roles.names.index(role)] + 1})"
             for role in makes if role in layer.roles.names]
    if there:
        raise CannotEdit(f"This layer has {', '.join(there)} already. To make it anew, start from a layer without it, or state "
                         "other bands (band roles).")
    path = folder / ".canvas.vrt"
    try:
        with rasterio.Env(**NO_NETWORK):
            rasterio.shutil.copy(layer.dataset, path, driver="VRT")
        tree = ET.parse(path)
        for role in makes:
            _append(tree.getroot(), layer, role)
        tree.write(path)
    except (OSError, RasterioError, CPLE_BaseError, ET.ParseError) as error:
        path.unlink(missing_ok=True)
        raise NoSpace(f"The canvas {path.name} could not be made: {error}. Is the disk full?") from error
    try:
        with opened(path) as dataset:
            canvas = Layer.of(dataset, {})
            yield Canvas(canvas, tuple(range(layer.profile.count, layer.profile.count + len(makes))))
    finally:
        path.unlink(missing_ok=True)


def _append(root: ET.Element, layer: Layer, role: str) -> None:
    """Add an empty band, marked as synthetic."""
    profile = layer.profile
    number = len(root.findall("VRTRasterBand")) + 1
    band = ET.Element("VRTRasterBand", dataType=_TYPES[profile.dtype], band=str(number))
    root.insert(list(root).index(root.findall("VRTRasterBand")[-1]) + 1, band)
    about = ET.SubElement(band, "Metadata")
    ET.SubElement(about, "MDI", key="LANDBRUSH_SYNTHETIC").text = "This band was made by a program. Not measured."
    ET.SubElement(band, "Description").text = NAMES[role]
    if profile.nodata is not None:
        ET.SubElement(band, "NoDataValue").text = repr(profile.nodata)
    if profile.scales[0] != 1 or profile.offsets[0] != 0:
        ET.SubElement(band, "Offset").text, ET.SubElement(band, "Scale").text = repr(profile.offsets[0]), repr(profile.scales[0])


def proportional(layer: Layer, block: Block) -> Stretch:
    """The stretch in which 0 is the raster's own 0: what makes bands must know what is dark."""
    data = tuple(bands.data_bands(layer.profile))
    if layer.profile.dtype == "uint8":
        return Stretch(data, (0.0,) * len(data), (255.0,) * len(data))
    shown = [data[i] for i in (layer.roles.index(role) for role in COLOURS) if i is not None] or list(data)
    values = block.values[shown][:, block.valid]
    high = float(np.percentile(values[:, :: max(1, values.shape[1] // 200_000)], 99.5)) if values.size else 1.0
    return Stretch(data, (0.0,) * len(data), (max(high, 1e-9) * 1.05,) * len(data))


LARGEST_BLANK_PX = 100_000
"""Of a side of empty ground."""


def blank(extent: Extent, gsd_m: float, folder: Path) -> Path:
    """A file of empty ground, red, green and blue bytes, with pixels that are square on the ground; the same for the same wish.

    The extent is enlarged to the right and below to whole pixels. Raises BadRequest.
    """
    crs = crs_of(extent.crs, "raster.extent.crs")
    across, down = _metres_a_unit(extent, crs)
    size = gsd_m / across, gsd_m / down
    width, height = (max(1, math.ceil(round(length / step, 6))) for length, step in zip(
        (extent.xmax - extent.xmin, extent.ymax - extent.ymin), size, strict=True))
    if max(width, height) > LARGEST_BLANK_PX:
        raise BadRequest(f"raster: the extent has {width} x {height} pixels of {gsd_m:g} m; at most {LARGEST_BLANK_PX:,} a side "
                         "are made. Choose a smaller extent or a larger ground size.")
    north_first = bool(crs.axis_info) and crs.axis_info[0].direction.lower() == "north"
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="2,1" if north_first else "1,2").text = crs.to_wkt("WKT2_2019")
    ET.SubElement(root, "GeoTransform").text = f"{extent.xmin!r}, {size[0]!r}, 0.0, {extent.ymax!r}, 0.0, {-size[1]!r}"
    for number, colour in enumerate(COLOURS, 1):
        band = ET.SubElement(root, "VRTRasterBand", dataType="Byte", band=str(number))
        ET.SubElement(band, "ColorInterp").text = colour.title()
    content = ET.tostring(root)
    path = folder / f"blank-{hashlib.sha256(content).hexdigest()[:24]}.vrt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".blank-", dir=folder)
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        os.replace(draft, path)
    except OSError as error:
        raise NoSpace(f"The empty raster could not be written to {folder}: {error}.") from error
    return path


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
