"""The changed areas as polygons with their size and kind."""

import uuid
from pathlib import Path

from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)

from ..errors import PluginError
from ..map.places import fields_of, square_metres
from ..map.results import base_of, edited_area, file_of_result, manifest_of
from ..translated import tr

SAMPLE = {
    "result": "file",
    "editor": "snow",
    "seed": 1,
    "made": "2026",
    "area_m2": 0.5,
    "px_changed_result": 1,
    "synthetic": True,
}
"""Columns: file of the result, who made it, its seed, when it was added, size on the ellipsoid,
pixels that differ in the whole result, and that it is no survey data."""


def rows_of(layer):
    """One feature a polygon of a result, with the columns of SAMPLE as a dict."""
    manifest = manifest_of(layer)
    crs = (base_of(layer) or layer).crs()
    found = []
    for part in edited_area(layer).asGeometryCollection():
        found.append(
            (
                part,
                {
                    "result": file_of_result(layer).name,  # the layer's name holds the prompt
                    "editor": manifest.editor if manifest else "",
                    "seed": manifest.seed if manifest else None,
                    "made": layer.customProperty("landbrush/added", ""),
                    "area_m2": square_metres(part, crs),
                    "px_changed_result": manifest.gate.pixels_inside_changed if manifest else None,
                    "synthetic": True,
                },
            )
        )
    return found


def write_areas(layers, folder, name):
    """Polygons of results that lie over the same layer, as a GeoPackage in a folder; returns the
    layer. Raises PluginError."""
    crs = (base_of(layers[0]) or layers[0]).crs()
    fields = fields_of(SAMPLE)
    path = Path(folder) / f"{name}-{uuid.uuid4().hex[:6]}.gpkg"
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = name
    context = QgsProject.instance().transformContext()
    writer = QgsVectorFileWriter.create(
        str(path), fields, QgsWkbTypes.Type.MultiPolygon, crs, context, options
    )
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        raise PluginError(
            tr("{path} cannot be written: {why}", path=path, why=writer.errorMessage())
        )
    for layer in layers:
        for shape, row in rows_of(layer):
            feature = QgsFeature(fields)
            whole = QgsGeometry(shape)
            whole.convertToMultiType()
            feature.setGeometry(whole)
            for column, value in row.items():
                feature.setAttribute(column, value)
            writer.addFeature(feature)
    del writer
    found = QgsVectorLayer(str(path), tr("Changed areas"), "ogr")
    if not found.isValid():
        raise PluginError(tr("{path} cannot be opened.", path=path))
    return found
