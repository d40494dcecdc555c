"""Positions of the contract on layers of QGIS."""

import json

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsDistanceArea,
    QgsGeometry,
    QgsJsonUtils,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)

from ...server.contract.requests import PIXELS_UP
from ..errors import PluginError
from ..translated import tr


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


def measure_on(crs):
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
    measure = measure_on(crs)
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
        found = measure_on(layer.crs()).measureLine(middle, far)
    except QgsCsException:
        return None
    return found if found > 0 and found < float("inf") else None


FLAT_DEGREES = 2.0
"""What lies within so many degrees is measured on one plane."""
ROUND_SEGMENTS = 12
"""A quarter of a circle around a point has so many edges."""


def around(geometries, crs, metres):
    """Ground within so many metres of geometries (a negative distance takes that much off
    polygons), in their own CRS. Measured on a plane that touches WGS 84's ellipsoid in their
    middle: at 100 km from there distances are true to 1 in 20 000, and what lies further apart is
    measured shape by shape. Raises PluginError where they have no place on the ground, or nothing
    of them is left."""
    if not crs.isValid():
        raise PluginError(tr("A distance in metres needs a layer with a CRS; this one has none."))
    try:
        box = QgsRectangle(geometries[0].boundingBox())
        for geometry in geometries[1:]:
            box.combineExtentWith(geometry.boundingBox())
        globe = QgsCoordinateTransform(
            crs, QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance()
        )
        near = globe.transformBoundingBox(box)
        together = max(near.width(), near.height()) <= FLAT_DEGREES
        groups = [geometries] if together else [[one] for one in geometries]
        found = QgsGeometry.unaryUnion([_around(group, globe, metres) for group in groups])
    except QgsCsException as error:
        raise PluginError(
            tr("A distance cannot be measured where these features lie."), str(error)
        ) from error
    if found.isEmpty():
        raise PluginError(
            tr("Nothing is left of these features at a distance of {metres} m.", metres=metres)
        )
    return found


def _around(geometries, globe, metres):
    """Ground around geometries that lie near one another; `globe`: from their CRS to longitude and
    latitude."""
    middle = globe.transform(QgsGeometry.collectGeometry(geometries).boundingBox().center())
    plane = QgsCoordinateReferenceSystem.fromProj(
        f"+proj=aeqd +lat_0={middle.y():.8f} +lon_0={middle.x():.8f} +datum=WGS84 +units=m"
    )
    there = QgsCoordinateTransform(globe.sourceCrs(), plane, QgsProject.instance())
    wide = []
    for geometry in geometries:
        flat = QgsGeometry(geometry)
        if not flat.isGeosValid():
            flat = flat.makeValid()
        flat.transform(there)
        near = flat.buffer(metres, ROUND_SEGMENTS)
        if near.isNull():
            raise PluginError(
                tr("A feature's shape is broken, and nothing can be measured around it. Repair "
                   "the layer first (Fix geometries in the toolbox).")
            )  # fmt: skip
        if not near.isEmpty():
            wide.append(near)
    found = QgsGeometry.unaryUnion(wide) if wide else QgsGeometry()
    if not found.isEmpty():
        found.transform(there, Qgis.TransformDirection.Reverse)
    return found


def fields_of(sample):
    """Columns (QgsFields) of the types of a sample row: text, whole and other numbers, yes or no.
    By GeoJSON, the way to name a type that all of QGIS's Qt know."""
    feature = {"type": "Feature", "geometry": None, "properties": sample}
    return QgsJsonUtils.stringToFields(json.dumps(feature))
