"""Raster layers in and out: exporting what has no file, and showing results as layers of the
project."""

import json
import os
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsLayerMetadata,
    QgsMapLayerStyle,
    QgsProject,
    QgsRasterBlockFeedback,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRectangle,
)

from ..errors import Cancelled, PluginError

GROUP = "Landbrush"
LARGEST_EXPORT_PX = 16_000
SYNTHETIC = (
    "Synthetic imagery: pixels inside the edited polygons were made by a program. Not survey data."
)


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
            f"A resolution of {resolution} cannot be exported; give the size of a pixel."
        )
    width = max(1, round(extent.width() / resolution))
    height = max(1, round(extent.height() / resolution))
    if max(width, height) > LARGEST_EXPORT_PX:
        raise PluginError(
            f"{width} x {height} pixels are too many to export (at most {LARGEST_EXPORT_PX} a "
            "side). Choose a smaller area or a coarser resolution."
        )
    pipe = QgsRasterPipe()
    provider = layer.dataProvider().clone()
    # Web maps come as pictures and need the renderer; of data the values count, not how they are
    # shown.
    painted = provider.dataType(1) in (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)
    if not pipe.set(provider) or (painted and not pipe.set(layer.renderer().clone())):
        raise PluginError(f"The layer '{layer.name()}' cannot be exported.")
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
            "The layer could not be exported to a file.",
            f"QgsRasterFileWriter gave {code} for {path}.",
        )


def result_name(manifest) -> str:
    """Name of a result: prompt, engine's editor and seed, and that it is synthetic."""
    words = manifest.prompt.strip() or manifest.operation
    short = words if len(words) <= 40 else words[:39] + "…"
    return f"{short} · {manifest.editor} · seed {manifest.seed} (synthetic)"


def result_path(folder, manifest, job_id):
    """A new file name in the output folder that says what it is and when; not the prompt, since
    files are handed on."""
    words = "".join(c if c.isalnum() else "-" for c in manifest.editor.lower())[:30].strip("-")
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return folder / f"landbrush-{stamp}-{words or 'edit'}-{job_id[:6]}.tif"


def source_of(manifest):
    """The project's layer that a result was made from; None where it is not there."""
    path = manifest.request.raster.path if manifest.request else ""
    for layer in QgsProject.instance().mapLayers().values():
        if path and isinstance(layer, QgsRasterLayer) and layer.source().split("|")[0] == path:
            return layer
    return None


def shown_jobs():
    """Ids of the jobs whose results are layers of the project."""
    found = set()
    for layer in QgsProject.instance().mapLayers().values():
        text = layer.customProperty("landbrush/manifest", "")
        if text:
            found.add(json.loads(text).get("job", ""))
    return found


LONGEST_IN_PROJECT = 200_000
"""Characters of a manifest that a project holds whole."""


def kept_in_project(manifest):
    """A manifest as text for a layer's property: without the request where that has very many
    polygons; then all of it lies in a file beside the result."""
    text = json.dumps(manifest.to_json())
    if len(text) > LONGEST_IN_PROJECT:
        text = json.dumps(replace(manifest, request=None).to_json())
    return text


def add_result(path, source, manifest):
    """Add a result on top of the project, styled like its source; returns the layer."""
    layer = QgsRasterLayer(str(path), result_name(manifest))
    if not layer.isValid():
        raise PluginError(
            "The result was written but QGIS cannot open it.", f"{path}: {layer.error().message()}"
        )
    if source is not None and source.crs() != layer.crs():
        layer.setCrs(source.crs())  # set by hand in QGIS: the result lies over its source
    if source is not None and source.bandCount() == layer.bandCount():
        style = QgsMapLayerStyle()
        style.readFromLayer(source)
        style.writeToLayer(layer)
    layer.setMetadata(_metadata(layer, manifest))
    layer.setCustomProperty("landbrush/manifest", kept_in_project(manifest))
    layer.setCustomProperty("landbrush/synthetic", True)
    project = QgsProject.instance()
    root = project.layerTreeRoot()
    group = root.findGroup(GROUP) or root.insertGroup(0, GROUP)
    project.addMapLayer(layer, False)
    group.insertLayer(0, layer)
    return layer


def _metadata(layer, manifest):
    gate = manifest.gate
    found = QgsLayerMetadata()
    found.setTitle(layer.name())
    found.setType("dataset")
    found.setAbstract(
        f"{SYNTHETIC}\nPrompt: {manifest.prompt or '-'}\nEditor: {manifest.editor} "
        f"- {manifest.engine}\n"
        f"Seed: {manifest.seed}\nPixels outside the polygons that differ from the source: "
        f"{gate.pixels_outside_different} of {gate.pixels_outside}."
    )
    found.setKeywords({"landbrush": ["synthetic", "AI_GENERATED", manifest.editor]})
    found.setConstraints([QgsLayerMetadata.Constraint(SYNTHETIC, "use")])
    found.setHistory(
        [
            f"{datetime.now().isoformat(timespec='seconds')} Landbrush "
            f"{manifest.versions.get('landbrush', '')}: {manifest.operation}"
        ]
    )
    found.setCrs(layer.crs())
    return found
