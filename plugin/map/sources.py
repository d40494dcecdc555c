"""What is edited of a layer: its file, or one that is made of it first."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from qgis.core import Qgis, QgsRectangle

from ..errors import PluginError
from ..translated import tr
from .copies import copy_of
from .layers import plan_export
from .taken import Exported, Taken, Unpacked

ZIP = "/vsizip/"
COPIED = (
    ".nc", ".nc4", ".cdf", ".h5", ".hdf", ".hdf5", ".he5", ".kea", ".grib", ".grib2", ".grb",
    ".grb2", ".ecw", ".sid", ".mbtiles", ".xml", ".wms",
)  # fmt: skip
"""Endings of files that the server does not read; QGIS does."""


@dataclass
class Wanted:
    """What is needed of a layer. `around`: box in the layer's CRS; None: all of it. `resolution`:
    at which a web map is exported, in map units a pixel, with `margin_px` around; 0: such a layer
    is refused."""

    around: Optional[QgsRectangle] = None
    resolution: float = 0.0
    margin_px: int = 64


def layer_path(layer):
    """The file of a raster layer that the server reads; None where it has none (database, archive,
    web map, a format that QGIS alone knows)."""
    if layer.providerType() != "gdal":
        return None
    path = Path(layer.source().split("|")[0])
    try:
        there = path.is_file()
    except OSError:  # no name of a file: too long, or with what names cannot hold
        return None
    return path if there and path.suffix.lower() not in COPIED else None


def file_of(layer, wanted):
    """The file of a layer (Path), or how it is made (Taken). On the GUI thread, or in Processing's.
    Raises PluginError."""
    plain = layer_path(layer) or _in_zip(layer)
    if plain is not None:
        return plain
    if has_pixels(layer):
        return copy_of(layer, wanted.around)
    if not wanted.resolution or wanted.around is None:
        raise PluginError(
            tr(
                "The layer '{name}' has no pixels of its own (a web map). Export it to a "
                "file first.",
                name=layer.name(),
            )
        )
    box = QgsRectangle(wanted.around)
    box.grow(wanted.margin_px * wanted.resolution)
    return Exported(plan_export(layer, box, wanted.resolution))


def as_path(source, folder, feedback):
    """The file of what `file_of` gave, made in `folder` where it is to be made; None for None."""
    return source.file(folder, feedback) if isinstance(source, Taken) else source


def _in_zip(layer):
    """A layer whose source is one file of a zip on this machine."""
    source = layer.source()
    if layer.providerType() != "gdal" or not source.startswith(ZIP):
        return None
    inner = source[len(ZIP) :]
    archive, _, member = inner.partition(".zip/")
    path = Path(archive.lstrip("{") + ".zip")
    member = member.lstrip("}/").split("|")[0]
    for one in (path, Path("/") / path):
        # Of a virtual raster what it is made of would be missing.
        if member and not member.lower().endswith(".vrt") and one.is_file():
            try:
                with zipfile.ZipFile(one) as packed:
                    if member in packed.namelist():
                        return Unpacked(one, member)
            except (OSError, zipfile.BadZipFile):
                return None
    return None


def is_painted(layer) -> bool:
    """Whether a layer is exported before it is edited: it has no file, and no pixels."""
    return layer.isValid() and layer_path(layer) is None and not has_pixels(layer)


def has_pixels(layer) -> bool:
    """Whether a layer is a grid of values, not a picture painted anew at every scale."""
    provider = layer.dataProvider()
    if provider is None or not layer.isValid():
        raise PluginError(tr("The layer '{name}' cannot be read.", name=layer.name()))
    painted = (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)
    return provider.xSize() > 0 and provider.ySize() > 0 and provider.dataType(1) not in painted
