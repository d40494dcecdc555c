"""Raster layers out: exporting what has no file."""

import os
from dataclasses import dataclass
from typing import Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsProject,
    QgsRasterBlockFeedback,
    QgsRasterFileWriter,
    QgsRasterPipe,
    QgsRectangle,
)

from ..errors import Cancelled, PluginError
from ..translated import tr

LARGEST_EXPORT_PX = 16_000


@dataclass
class Export:
    """Everything a worker thread needs to write a layer without a file to a GeoTIFF. `pipe`: a copy
    of its provider, for web maps with their renderer. `crs`, `extent`: of what is written. `width`,
    `height`: in pixels. `transform_context`: the project's transformations."""

    pipe: Any
    crs: QgsCoordinateReferenceSystem
    extent: QgsRectangle
    width: int
    height: int
    transform_context: Any


def wkt_of(crs):
    """WKT2 of a CRS; '' for none."""
    if not crs.isValid():
        return ""
    variant = getattr(QgsCoordinateReferenceSystem, "WKT2_2019", None)
    if variant is None:
        variant = Qgis.CrsWktVariant.Wkt2_2019
    return crs.toWkt(variant)


def plan_export(layer, extent, resolution):
    """Prepare an export of `extent` (layer CRS) at `resolution` (map units a pixel); on the GUI
    thread."""
    if resolution <= 0:
        raise PluginError(
            tr(
                "A resolution of {resolution} cannot be exported; give the size of a pixel.",
                resolution=resolution,
            )
        )
    width = max(1, round(extent.width() / resolution))
    height = max(1, round(extent.height() / resolution))
    if max(width, height) > LARGEST_EXPORT_PX:
        raise PluginError(
            tr(
                "{width} x {height} pixels are too many to export (at most "
                "{LARGEST_EXPORT_PX} a side). Choose a smaller area or a coarser "
                "resolution.",
                width=width,
                height=height,
                LARGEST_EXPORT_PX=LARGEST_EXPORT_PX,
            )
        )
    pipe = QgsRasterPipe()
    provider = layer.dataProvider().clone()
    # Web maps come as pictures and need the renderer; of data the values count, not how they are
    # shown.
    painted = provider.dataType(1) in (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)
    if not pipe.set(provider) or (painted and not pipe.set(layer.renderer().clone())):
        raise PluginError(tr("The layer '{name}' cannot be exported.", name=layer.name()))
    box = QgsRectangle(
        extent.xMinimum(),
        extent.yMaximum() - height * resolution,
        extent.xMinimum() + width * resolution,
        extent.yMaximum(),
    )
    return Export(pipe, layer.crs(), box, width, height, QgsProject.instance().transformContext())


def run_export(export, path, feedback):
    """Write the export; may run in a worker thread."""
    block = QgsRasterBlockFeedback()
    feedback.canceled.connect(block.cancel)
    writer = QgsRasterFileWriter(str(path))
    writer.setCreateOptions(["COMPRESS=DEFLATE", "TILED=YES"])
    code = writer.writeRaster(
        export.pipe,
        export.width,
        export.height,
        export.extent,
        export.crs,
        export.transform_context,
        block,
    )
    if feedback.isCanceled():
        raise Cancelled
    # An int on Qt 5, an enum whose value counts on Qt 6; success is 0 in both.
    if int(getattr(code, "value", code)) != 0 or not os.path.getsize(path):
        raise PluginError(
            tr("The layer could not be exported to a file."),
            f"QgsRasterFileWriter gave {code} for {path}.",
        )
