"""Copies of layers that are no plain file: of a database, a subdataset, a virtual raster.

The copy is what is edited, so it must be the layer: its pixels are compared with the layer's once
it is written.
"""

import html
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from qgis.core import QgsApplication, QgsRasterFileWriter, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QProcess

from ..errors import Cancelled, PluginError
from ..translated import tr
from .layers import wkt_of
from .taken import Taken

WHOLE_PX = 4_000_000
"""A layer of so many pixels is copied whole; of a larger one what is around the area."""
AROUND_PX = 2048
"""How much around the area: as far as words are looked for, and a little more."""
LARGEST_COPY = 2 << 30
"""Bytes."""
TILE_PX = 1024
POLL_MS = 100
RGB = [3, 4, 5]
ALPHA = 6
"""Colour interpretations, by number as GDAL and QGIS count them."""


@dataclass
class Band:
    """A band as the provider tells of it. `name`, `colour` (number): may be empty and 0. `scale`,
    `offset`: what QGIS shows is stored * scale + offset. `nodata`: as shown; None: none."""

    name: str
    colour: int
    scale: float
    offset: float
    nodata: Optional[float]


@dataclass
class Copied(Taken):
    """A layer's own pixels. `provider`: a copy of its. `crs`: as set in QGIS. `extent`: of what is
    copied; `width`, `height`: in pixels. `kind`: the type of the stored values. `bands`: of it."""

    provider: Any
    crs: Any
    extent: QgsRectangle
    width: int
    height: int
    kind: Any
    bands: list

    def __post_init__(self) -> None:
        self.note = (
            "The layer is no file of its own: edited is a copy of its pixels, which was compared "
            "with it."
        )

    def write(self, path, feedback):
        """The copy, compared; raises PluginError where it is not what the layer shows."""
        self.fill(path, feedback)
        self._compare(path, feedback)

    def fill(self, path, feedback):
        """Tile by tile, through QGIS."""
        writer = QgsRasterFileWriter(str(path))
        colours = [band.colour for band in self.bands]
        options = ["COMPRESS=DEFLATE", "TILED=YES", "BIGTIFF=IF_SAFER"]
        options.append("PHOTOMETRIC=" + ("RGB" if colours[:3] == RGB else "MINISBLACK"))
        if colours[-1] == ALPHA:
            options.append("ALPHA=YES")
        writer.setCreateOptions(options)
        out = writer.createMultiBandRaster(
            self.kind, self.width, self.height, self.extent, self.crs, len(self.bands)
        )
        if out is None or not out.isValid():
            raise PluginError(tr("The copy of the layer could not be written."), str(path))
        out.setEditable(True)
        nodata = {band.nodata for band in self.bands} - {None}
        if nodata:
            out.setNoDataValue(1, nodata.pop())
        for box, col, row in self._tiles(feedback):
            for number in range(1, len(self.bands) + 1):
                block = self._read(number, box)
                if not out.writeBlock(block, number, col, row):
                    raise PluginError(tr("The copy of the layer could not be written."), str(path))
        out.setEditable(False)
        del out
        self._describe(path)

    def _tiles(self, feedback):
        """Extent, size, first column and first row of each part."""
        wide = self.extent.width() / self.width
        high = self.extent.height() / self.height
        for row in range(0, self.height, TILE_PX):
            for col in range(0, self.width, TILE_PX):
                if feedback.isCanceled():
                    raise Cancelled
                cols = min(TILE_PX, self.width - col)
                rows = min(TILE_PX, self.height - row)
                left = self.extent.xMinimum() + col * wide
                top = self.extent.yMaximum() - row * high
                box = QgsRectangle(left, top - rows * high, left + cols * wide, top)
                yield (box, cols, rows), col, row

    def _read(self, number, box):
        """A part of a band; raises PluginError where the layer cannot be read."""
        block = self.provider.block(number, *box)
        if not block.isValid():
            raise PluginError(
                tr("Band {number} of the layer cannot be read.", number=number),
                self.provider.error().message(),
            )
        return block

    def _describe(self, path):
        """The names of bands, which QGIS does not write into the file: beside it, as GDAL reads
        them."""
        bands = "".join(
            f'<PAMRasterBand band="{number}"><Description>{html.escape(band.name)}</Description>'
            "</PAMRasterBand>"
            for number, band in enumerate(self.bands, 1)
            if band.name
        )
        beside = path.with_name(path.name + ".aux.xml")
        beside.write_text(f"<PAMDataset>{bands}</PAMDataset>", encoding="utf8")

    def _compare(self, path, feedback):
        """Raise PluginError where QGIS reads other values from the copy than from the layer."""
        layer = QgsRasterLayer(str(path), "copy")
        copy = layer.dataProvider()
        same = layer.isValid() and copy.bandCount() == len(self.bands)
        for box, _, _ in self._tiles(feedback):
            for number in range(1, len(self.bands) + 1):
                ours = self._read(number, box)
                theirs = copy.block(number, *box)
                same = (
                    same and ours.dataType() == theirs.dataType() and ours.data() == theirs.data()
                )
        if not same:
            raise PluginError(
                tr(
                    "The layer cannot be copied without loss. Save it as a GeoTIFF (Export > "
                    "Save As, raw data) and edit that."
                )
            )


@dataclass
class Translated(Copied):
    """A layer of GDAL's, copied by GDAL's own program, which keeps all that the layer says of
    itself. `program`: that. `source`: as GDAL names it. `window`: its -srcwin; empty: all."""

    program: str = ""
    source: str = ""
    window: tuple = ()

    def write(self, path, feedback):
        """The window, compared; where QGIS shows a raster turned, on another grid than the file's,
        all of it."""
        try:
            super().write(path, feedback)
        except PluginError:
            size = self.provider.xSize() * self.provider.ySize() * len(self.bands)
            if not self.window or size * self.provider.dataTypeSize(1) > LARGEST_COPY:
                raise
            self.window = ()
            self.extent = self.provider.extent()
            self.width, self.height = self.provider.xSize(), self.provider.ySize()
            path.unlink(missing_ok=True)
            super().write(path, feedback)

    def fill(self, path, feedback):
        """In a process of its own, which ends when the task is cancelled."""
        command = ["-q", "-of", "GTiff", "--config", "GDAL_TIFF_INTERNAL_MASK", "YES"]
        for option in ("COMPRESS=DEFLATE", "TILED=YES", "BIGTIFF=IF_SAFER"):
            command += ["-co", option]
        if self.window:
            command += ["-srcwin", *map(str, self.window)]
        if self.crs.isValid() and self.crs != self.provider.crs():
            command += ["-a_srs", wkt_of(self.crs)]
        running = QProcess()
        running.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        running.start(self.program, [*command, self.source, str(path)])
        while not running.waitForFinished(POLL_MS):
            if running.state() == QProcess.ProcessState.NotRunning:
                break  # it could not be started
            if feedback.isCanceled():
                running.kill()
                running.waitForFinished(-1)
                raise Cancelled
        text = bytes(running.readAll()).decode("utf8", "replace").strip()
        if running.exitCode() or not path.is_file():
            raise PluginError(
                tr(
                    "GDAL could not copy the layer. Save it as a GeoTIFF (Export > Save As, "
                    "raw data) and edit that."
                ),
                text,
            )


def _translator():
    """GDAL's program gdal_translate, which comes with QGIS; '' where it is not found."""
    beside = Path(QgsApplication.prefixPath()) / "bin"
    folders = os.pathsep.join([os.environ.get("PATH", ""), str(beside)])
    return shutil.which("gdal_translate", path=folders) or ""


def copy_of(layer, around):
    """How a layer is copied, what is near the box `around` (layer CRS) or, where that is None, all
    of it. On the GUI thread, or in Processing's. Raises PluginError."""
    provider = layer.dataProvider().clone()
    numbers = range(1, provider.bandCount() + 1)
    kinds = {provider.sourceDataType(number) for number in numbers}
    if len(kinds) != 1:
        raise PluginError(
            tr(
                "The bands of the layer '{name}' are of different types; export them as one.",
                name=layer.name(),
            )
        )
    kind = kinds.pop()
    for number in numbers:
        # What a user takes for nodata is a matter of how the layer is shown.
        provider.setUserNoDataValue(number, [])
        provider.setUseSourceNoDataValue(number, True)
    bands = [_band(layer, provider, number) for number in numbers]
    extent, window = _window(layer, provider, around)
    width, height = window[2:]
    size = width * height * len(bands) * provider.dataTypeSize(1)
    if size > LARGEST_COPY:
        raise PluginError(
            tr(
                "{width} x {height} pixels of {value} bands would be copied, which are "
                "more than 2 GB. Choose a smaller area, or save the layer as a GeoTIFF "
                "and edit that.",
                width=width,
                height=height,
                value=len(bands),
            )
        )
    copied = (provider, layer.crs(), extent, width, height, kind, bands)
    program = _translator()
    if layer.providerType() == "gdal" and program and not layer.source().startswith("/vsimem/"):
        part = window if (width, height) != (provider.xSize(), provider.ySize()) else ()
        return Translated(*copied, program, layer.source(), part)
    if any((band.scale, band.offset) != (1.0, 0.0) for band in bands):
        raise PluginError(
            tr(
                "The layer '{name}' has scaled values, whose type QGIS does not tell; "
                "save it as a GeoTIFF (Export > Save As, raw data) and edit that.",
                name=layer.name(),
            )
        )
    return Copied(*copied)


def _band(layer, provider, number):
    if hasattr(provider, "bandDescription"):
        name = provider.bandDescription(number)
    else:  # 'Band 1: Blue' in QGIS before 3.26
        name = layer.bandName(number).partition(": ")[2]
    colour = provider.colorInterpretation(number)
    nodata = None
    if provider.sourceHasNoDataValue(number):
        nodata = provider.sourceNoDataValue(number)
    return Band(
        name,
        int(getattr(colour, "value", colour)),
        provider.bandScale(number),
        provider.bandOffset(number),
        nodata,
    )


def _window(layer, provider, box):
    """What is copied, on the layer's own pixels: extent, and first column, first row, columns,
    rows."""
    full = provider.extent()
    cols = provider.xSize()
    rows = provider.ySize()
    if box is None or cols * rows <= WHOLE_PX:
        return full, (0, 0, cols, rows)
    wide = full.width() / cols
    high = full.height() / rows
    left = max(0, int((box.xMinimum() - full.xMinimum()) / wide) - AROUND_PX)
    right = min(cols, int((box.xMaximum() - full.xMinimum()) / wide) + 1 + AROUND_PX)
    top = max(0, int((full.yMaximum() - box.yMaximum()) / high) - AROUND_PX)
    bottom = min(rows, int((full.yMaximum() - box.yMinimum()) / high) + 1 + AROUND_PX)
    if left >= right or top >= bottom:
        raise PluginError(tr("The area does not touch the layer '{name}'.", name=layer.name()))
    extent = QgsRectangle(
        full.xMinimum() + left * wide,
        full.yMaximum() - bottom * high,
        full.xMinimum() + right * wide,
        full.yMaximum() - top * high,
    )
    return extent, (left, top, right - left, bottom - top)
