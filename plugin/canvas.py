"""Drawing polygons on the map: an own map tool and rubber bands, the same on QGIS 3.22 and 4."""

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsWkbTypes,
)
from qgis.gui import QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeySequence

if hasattr(Qgis, "GeometryType"):
    POLYGON = Qgis.GeometryType.Polygon
else:
    POLYGON = QgsWkbTypes.GeometryType.PolygonGeometry


def rubber_band(canvas, colour):
    """An outline with a light fill."""
    band = QgsRubberBand(canvas, POLYGON)
    fill = QColor(colour)
    fill.setAlpha(40)
    band.setFillColor(fill)
    band.setStrokeColor(QColor(colour))
    band.setWidth(2)
    return band


class PolygonTool(QgsMapTool):
    """Left click adds a vertex, right click ends the polygon, Backspace or Ctrl+Z takes the last vertex
    back (or the last polygon), Escape drops the polygon being drawn."""

    changed = pyqtSignal()

    def __init__(self, canvas, colour):
        super().__init__(canvas)
        self.band = rubber_band(canvas, colour)
        self.points = []
        self.polygons = []
        self.crs = canvas.mapSettings().destinationCrs()
        canvas.destinationCrsChanged.connect(self._crs_changed)

    def _crs_changed(self):
        """What is drawn stays where it is on the ground: its vertices move as the map does."""
        crs = self.canvas().mapSettings().destinationCrs()
        if crs == self.crs:
            return
        if self.crs.isValid() and crs.isValid():
            change = QgsCoordinateTransform(self.crs, crs, QgsProject.instance())
            try:
                moved = [[change.transform(point) for point in ring] for ring in (self.points, *self.polygons)]
            except QgsCsException:
                moved = [[]]  # no place of the new CRS
            self.points, self.polygons = moved[0], moved[1:]
        self.crs = crs
        self._redraw()
        self.changed.emit()

    def geometry(self):
        """All finished polygons as one geometry, in `crs`."""
        if not self.polygons:
            return QgsGeometry()
        parts = [QgsGeometry.fromPolygonXY([ring]) for ring in self.polygons]
        return QgsGeometry.unaryUnion([part.makeValid() for part in parts])

    def canvasReleaseEvent(self, event):
        """Add a vertex or finish."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.points.append(QgsPointXY(event.mapPoint()))
            self._redraw()
        elif event.button() == Qt.MouseButton.RightButton and len(self.points) >= 3:
            self.polygons.append([*self.points, self.points[0]])
            self.points = []
            self._redraw()
            self.changed.emit()

    def canvasMoveEvent(self, event):
        """Show the polygon as it would be."""
        if self.points:
            self._redraw(QgsPointXY(event.mapPoint()))

    def keyPressEvent(self, event):
        """Undo and cancel."""
        if event.key() == Qt.Key.Key_Backspace or event.matches(QKeySequence.StandardKey.Undo):
            self.undo()
            event.accept()
        elif event.key() == Qt.Key.Key_Escape:
            self.points = []
            self._redraw()
            event.accept()

    def undo(self):
        """Take back the last vertex, or the last finished polygon."""
        if self.points:
            self.points.pop()
        elif self.polygons:
            self.points = self.polygons.pop()[:-1]
            self.changed.emit()
        self._redraw()

    def clear(self):
        """Drop everything drawn."""
        self.points, self.polygons = [], []
        self._redraw()
        self.changed.emit()

    def _redraw(self, pointer=None):
        self.band.reset(POLYGON)
        rings = list(self.polygons)
        open_ring = self.points + ([pointer] if pointer is not None else [])
        if len(open_ring) >= 2:
            rings.append([*open_ring, open_ring[0]])
        if rings:
            self.band.setToGeometry(QgsGeometry.fromMultiPolygonXY([[ring] for ring in rings]), None)

    def dispose(self):
        """Take the outline off the canvas for good."""
        self.canvas().destinationCrsChanged.disconnect(self._crs_changed)
        self.canvas().scene().removeItem(self.band)
