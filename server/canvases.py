"""What a result is written on: the layer itself, or its grid with bands that an editor makes and the layer does not have.

Such a canvas is a virtual raster beside the job's files. It refers to the layer's bands and holds empty ones for what is
to be made, so nothing is copied, whatever the size of the layer; pixels outside the polygons stay empty.
"""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from . import bands
from .bands import Layer, Stretch
from .errors import CannotEdit, NoSpace
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
