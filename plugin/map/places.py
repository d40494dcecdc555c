"""Positions of the contract on layers of QGIS."""

import json

from qgis.core import (
    QgsCsException,
    QgsDistanceArea,
    QgsGeometry,
    QgsJsonUtils,
    QgsPointXY,
    QgsProject,
)

from ...server.contract.requests import PIXELS_UP


def own_coordinates(layer):
    """How the server is told that positions are a layer's own: '', or, of a picture that has no
    place on the ground, that QGIS counts its rows downwards from 0."""
    box = layer.extent()
    shown = (box.xMinimum(), box.yMaximum(), box.width(), box.height())
    return PIXELS_UP if shown == (0, 0, layer.width(), layer.height()) else ""


def geometry_of(polygons, layer):
    """Polygons of the contract, given in a layer's own coordinates, as QGIS has them there, with
    their holes."""
    up = -1 if own_coordinates(layer) == PIXELS_UP else 1
    shape = polygons.geometry
    parts = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    return QgsGeometry.fromMultiPolygonXY(
        [[[QgsPointXY(x, up * y) for x, y, *_ in ring] for ring in part] for part in parts]
    )


def _measure(crs):
    """Lengths and areas on the project's ellipsoid, WGS 84's where it has none."""
    project = QgsProject.instance()
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, project.transformContext())
    measure.setEllipsoid(project.ellipsoid() if project.ellipsoid() != "NONE" else "EPSG:7030")
    return measure


def square_metres(geometry, crs):
    """Area of a geometry on the project's ellipsoid, in m²; None where its CRS has no place on the
    ground."""
    if not crs.isValid():
        return None
    measure = _measure(crs)
    try:
        return measure.measureArea(geometry) if measure.willUseEllipsoid() else None
    except QgsCsException:
        return None


def pixel_metres(layer):
    """Width of a raster layer's pixel in its middle, in metres on the ellipsoid; None where the
    layer has no place on the ground."""
    size, middle = layer.rasterUnitsPerPixelX(), layer.extent().center()
    if not layer.crs().isValid() or not size > 0:
        return None
    far = QgsPointXY(middle.x() + size, middle.y())
    try:
        found = _measure(layer.crs()).measureLine(middle, far)
    except QgsCsException:
        return None
    return found if found > 0 and found < float("inf") else None


def fields_of(sample):
    """Columns (QgsFields) of the types of a sample row: text, whole and other numbers, yes or no.
    By GeoJSON, the way to name a type that all of QGIS's Qt know."""
    feature = {"type": "Feature", "geometry": None, "properties": sample}
    return QgsJsonUtils.stringToFields(json.dumps(feature))
