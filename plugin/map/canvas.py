"""Drawing polygons on the map: an own map tool and rubber bands, the same on QGIS 3.22 and 4."""

from typing import Optional

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
    """Left click adds a vertex, right click ends the polygon, Backspace or Ctrl+Z takes the last
    vertex back (or the last polygon), Escape drops the polygon being drawn."""

    changed = pyqtSignal()

    def __init__(self, canvas, colour) -> None:
        super().__init__(canvas)
        self.band = rubber_band(canvas, colour)
        # Of the polygon being drawn, and finished ones, in the canvas's CRS ...
        self.points: list = []
        self.polygons: list = []
        # ... and as they were clicked, with the CRS that the canvas had then.
        self.begun: Optional[tuple] = None
        self.rings: list = []
        self.crs = canvas.mapSettings().destinationCrs()
        canvas.destinationCrsChanged.connect(self._crs_changed)

    def _crs_changed(self) -> None:
        """What is drawn stays where it is on the ground: its vertices move as the map does, each
        from where it was clicked, so that no change adds up. A polygon that has no place in the new
        CRS is not shown there, and comes back with another one."""
        self.crs = self.canvas().mapSettings().destinationCrs()
        self.points = self._moved(*self.begun) if self.begun else []
        self.polygons = [
            ring for ring in (self._moved(crs, ring) for crs, ring in self.rings) if ring
        ]
        self._redraw()
        self.changed.emit()

    def _moved(self, crs, points):
        if crs == self.crs or not (crs.isValid() and self.crs.isValid()):
            return list(points)
        change = QgsCoordinateTransform(crs, self.crs, QgsProject.instance())
        try:
            return [change.transform(point) for point in points]
        except QgsCsException:
            return []

    def geometry(self):
        """All finished polygons as one geometry, in `crs`."""
        if not self.polygons:
            return QgsGeometry()
        parts = [QgsGeometry.fromPolygonXY([ring]) for ring in self.polygons]
        return QgsGeometry.unaryUnion([part.makeValid() for part in parts])

    def canvasReleaseEvent(self, event) -> None:
        """Add a vertex or finish."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._take([*self.points, QgsPointXY(event.mapPoint())])
        elif event.button() == Qt.MouseButton.RightButton and self.begun and len(self.points) >= 3:
            crs, clicked = self.begun
            self.rings.append((crs, [*clicked, clicked[0]]))
            self.polygons.append([*self.points, self.points[0]])
            self._take([])
            self.changed.emit()

    def canvasMoveEvent(self, event) -> None:
        """Show the polygon as it would be."""
        if self.points:
            self._redraw(QgsPointXY(event.mapPoint()))

    def keyPressEvent(self, event) -> None:
        """Backspace or Ctrl+Z takes the last vertex or polygon back, Escape the polygon being
        drawn."""
        if event.key() == Qt.Key.Key_Backspace or event.matches(QKeySequence.StandardKey.Undo):
            self.undo()
            event.accept()
        elif event.key() == Qt.Key.Key_Escape:
            self._take([])
            event.accept()

    def undo(self) -> None:
        """Take back the last vertex, or the last finished polygon."""
        if self.points:
            self._take(self.points[:-1])
        elif self.polygons:
            self.rings = [
                (crs, ring)
                for crs, ring in self.rings
                if self._moved(crs, ring) != self.polygons[-1]
            ]
            self._take(self.polygons.pop()[:-1])
            self.changed.emit()

    def _take(self, points) -> None:
        """The polygon being drawn, as clicked in the canvas's CRS of now."""
        self.points = points
        self.begun = (self.crs, list(points)) if points else None
        self._redraw()

    def clear(self) -> None:
        """Forget every polygon, finished or not."""
        self.polygons = []
        self.rings = []
        self._take([])
        self.changed.emit()

    def _redraw(self, pointer=None) -> None:
        self.band.reset(POLYGON)
        rings = list(self.polygons)
        open_ring = self.points + ([pointer] if pointer is not None else [])
        if len(open_ring) >= 2:
            rings.append([*open_ring, open_ring[0]])
        if rings:
            self.band.setToGeometry(
                QgsGeometry.fromMultiPolygonXY([[ring] for ring in rings]), None
            )

    def dispose(self) -> None:
        """Take the outline off the canvas for good."""
        self.canvas().destinationCrsChanged.disconnect(self._crs_changed)
        self.canvas().scene().removeItem(self.band)
