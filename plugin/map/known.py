"""What the user's own layers tell of the ground: footprints, roads, woods, water."""

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProject,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)

from ..errors import PluginError
from ..translated import localised, tr
from .canvas import POLYGON
from .places import own_coordinates, pixel_metres

KINDS = ("roof", "paved", "tree", "water")
"""Kinds of ground that a layer may be given for."""
ROAD_HALF_WIDTH_M = 3.5
"""Of a street that is drawn as a line."""
AROUND_PX = 200
"""Pixels around the edited area that an editor may see."""
MOST_FEATURES = 20_000
"""Of a layer near an edit."""
PIECES = 64
"""Edges of shapes in another CRS are cut into so many pieces per extent, since they bend."""
MITRED = 8


def box_around(geometry, crs, layer, context):
    """The rectangle in a raster layer's CRS that an edit of a geometry looks at; None where the
    geometry has no place there."""
    moved = QgsGeometry(geometry)
    try:
        moved.transform(QgsCoordinateTransform(crs, layer.crs(), context))
    except QgsCsException:
        return None
    box = moved.boundingBox()
    box.grow(AROUND_PX * max(layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY()))
    return box


class KnownLayer:
    """What a vector layer tells near an edit: taken on the GUI thread, where that is quick, and
    read on any other.

    `vector`: the layer. `box`: where it is looked at, in the CRS of the raster `layer`. `context`:
    QgsCoordinateTransformContext.
    """

    def __init__(self, vector, box, layer, context=None) -> None:
        self.name = vector.name()
        self.key = (vector.id(), box.toString(3))
        self.crs, self.own = layer.crs(), own_coordinates(layer)
        self._source = QgsVectorLayerFeatureSource(vector)
        self._lines = vector.geometryType() == QgsWkbTypes.GeometryType.LineGeometry
        context = QgsProject.instance().transformContext() if context is None else context
        self._change = QgsCoordinateTransform(vector.crs(), layer.crs(), context)
        self._box = box
        pixel = pixel_metres(layer)
        width = layer.rasterUnitsPerPixelX()
        self._wide = ROAD_HALF_WIDTH_M / pixel * width if pixel else ROAD_HALF_WIDTH_M

    def read(self):
        """The polygons near the edit (QgsGeometry in the raster layer's CRS); lines as wide as a
        street; None where there are none. Raises PluginError where there are too many."""
        back = Qgis.TransformDirection.Reverse
        try:
            there = self._change.transformBoundingBox(self._box, back)
        except QgsCsException:
            return None
        wanted = QgsFeatureRequest().setFilterRect(there).setNoAttributes()
        parts = []
        for number, feature in enumerate(self._source.getFeatures(wanted)):
            if number >= MOST_FEATURES:
                raise PluginError(
                    tr(
                        "More than {most} features of '{name}' lie around the edit. Edit a "
                        "smaller area, or give a layer of fewer features.",
                        most=localised(MOST_FEATURES),
                        name=self.name,
                    )
                )
            parts += self._polygons(QgsGeometry(feature.geometry()), there)
        whole = QgsGeometry.unaryUnion(parts) if parts else QgsGeometry()
        return None if whole.isEmpty() else whole

    def _polygons(self, shape, there):
        """What of a feature are polygons near the edit; nothing of one that has no place there."""
        if shape.isEmpty():
            return []
        if not self._change.isShortCircuited():
            near = shape.clipped(there) if not self._lines else shape
            length = max(there.width(), there.height()) / PIECES
            shape = near.densifyByDistance(length) if length > 0 else near
            try:
                shape.transform(self._change)
            except QgsCsException:
                return []
        if self._lines:
            shape = shape.buffer(self._wide, MITRED)
        sound = shape if shape.isGeosValid() else shape.makeValid()
        clipped = sound.clipped(self._box)
        return [
            part
            for part in clipped.asGeometryCollection()
            if part.type() == POLYGON and part.area() > 0
        ]
