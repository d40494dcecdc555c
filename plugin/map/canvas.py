"""Drawing polygons on the map: an own map tool and rubber bands, the same on QGIS 3.22 and 4."""

from typing import Optional

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsWkbTypes,
)
from qgis.gui import QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeySequence

if hasattr(Qgis, "GeometryType"):
    POLYGON = Qgis.GeometryType.Polygon
else:
    POLYGON = QgsWkbTypes.GeometryType.PolygonGeometry

CLICKS = "clicks"
RECTANGLE = "rectangle"
FREEHAND = "freehand"
VERTICES = "vertices"
OBJECT = "object"
MODES = (CLICKS, RECTANGLE, FREEHAND, VERTICES, OBJECT)
"""How the tool draws: a click a vertex; dragged from corner to corner; along the pointer; moving
the vertices of what is drawn; a click an object, whose outline somebody else finds."""

FILL_ALPHA = 40
REACH_PX = 10
"""How near a click must be to a vertex or an edge that it takes hold of."""
FREEHAND_PX = 4
"""Step of the pointer between two vertices of a shape drawn free hand."""


def rubber_band(canvas, colour):
    """An outline with a light fill."""
    band = QgsRubberBand(canvas, POLYGON)
    fill = QColor(colour)
    fill.setAlpha(FILL_ALPHA)
    band.setFillColor(fill)
    band.setStrokeColor(QColor(colour))
    band.setWidth(2)
    return band


class PolygonTool(QgsMapTool):
    """Draws polygons in one of MODES; Backspace or Ctrl+Z takes the last vertex back (or the last
    polygon), Escape drops the polygon being drawn, a click inside a finished polygon while Alt is
    held begins a hole. Where the project snaps, so do the clicks."""

    changed = pyqtSignal()
    object_wanted = pyqtSignal(object)
    """Of the place (QgsPointXY in the canvas's CRS) where an object was clicked."""

    def __init__(self, canvas, colour) -> None:
        super().__init__(canvas)
        self.band = rubber_band(canvas, colour)
        self.mode = CLICKS
        # Vertices of the polygon being drawn, and finished ones, in the canvas's CRS ...
        self.points: list = []
        self.polygons: list = []
        # ... and as they were clicked, with the CRS that the canvas had then.
        self.begun: Optional[tuple] = None
        self.whole: Optional[QgsGeometry] = None  # all finished ones, once it was asked for
        self.shapes: list = []
        self.hole = False
        self.before: list = []  # finished polygons as they were before the last changes of them
        self.corner = None  # where the button went down
        self.held: Optional[tuple] = None  # (number of the polygon, of its vertex) being moved
        self.crs = canvas.mapSettings().destinationCrs()
        canvas.destinationCrsChanged.connect(self._crs_changed)

    def _crs_changed(self) -> None:
        """What is drawn stays where it is on the ground: its vertices move as the map does, each
        from where it was clicked, so that no change adds up. A polygon that has no place in the new
        CRS is not shown there, and comes back with another one."""
        self.crs = self.canvas().mapSettings().destinationCrs()
        moved = (
            self._moved(self.begun[0], QgsGeometry.fromMultiPointXY(self.begun[1]))
            if (self.begun)
            else None
        )
        self.points = moved.asMultiPoint() if moved is not None else []
        self._place()
        self.changed.emit()

    def _place(self) -> None:
        """Finished polygons as they lie in the canvas's CRS."""
        moved = (self._moved(crs, shape) for crs, shape in self.shapes)
        self.polygons = [shape for shape in moved if shape is not None]
        self.whole = None
        self._redraw()

    def _moved(self, crs, shape):
        found = QgsGeometry(shape)
        if crs == self.crs or not (crs.isValid() and self.crs.isValid()):
            return found
        try:
            found.transform(QgsCoordinateTransform(crs, self.crs, QgsProject.instance()))
        except QgsCsException:
            return None
        return found

    def geometry(self):
        """All finished polygons as one geometry, in `crs`."""
        if not self.polygons:
            return QgsGeometry()
        if self.whole is None:  # of thousands it takes its time
            self.whole = QgsGeometry.unaryUnion([part.makeValid() for part in self.polygons])
        return QgsGeometry(self.whole)

    def take(self, geometry, crs) -> None:
        """Have these polygons instead of what was drawn; `crs`: of their coordinates."""
        self.before = []
        self.shapes = [(crs, part) for part in QgsGeometry(geometry).asGeometryCollection()]
        self.points, self.begun = [], None
        self._place()
        self.show_fill(True)
        self.changed.emit()

    def add(self, geometry, crs) -> None:
        """One more polygon, or several, beside what was drawn."""
        self.before.append(list(self.shapes))
        self.shapes += [(crs, part) for part in QgsGeometry(geometry).asGeometryCollection()]
        self._place()
        self.show_fill(True)
        self.changed.emit()

    def use(self, mode) -> None:
        """Draw in another one of MODES; what was begun is dropped."""
        self.mode = mode
        self.held = self.corner = None
        self._take([])

    def show_fill(self, on) -> None:
        """With or without the light fill, which would colour what was made of the ground."""
        colour = self.band.fillColor()
        colour.setAlpha(FILL_ALPHA if on else 0)
        self.band.setFillColor(colour)

    # ---- the pointer

    def _at(self, event):
        snapped = event.snapPoint() if hasattr(event, "snapPoint") else event.mapPoint()
        return QgsPointXY(snapped)

    def canvasPressEvent(self, event) -> None:
        """Begin to drag a rectangle, a line, or a vertex."""
        if event.button() != Qt.MouseButton.LeftButton or self.mode in (CLICKS, OBJECT):
            return
        self.corner = self._at(event)
        if self.mode == VERTICES:
            self.held = self._vertex_near(self.corner)
        elif self.mode == FREEHAND:
            self._take([self.corner])

    def canvasMoveEvent(self, event) -> None:
        """Show the polygon as it would be."""
        here = self._at(event)
        if self.mode == RECTANGLE and self.corner is not None:
            self.points = _corners(self.corner, here)
            self._redraw()
        elif self.mode == FREEHAND and self.corner is not None:
            step = FREEHAND_PX * self.canvas().mapUnitsPerPixel()
            if self.points and self.points[-1].distance(here) >= step:
                self._take([*self.points, here])
        elif self.mode == VERTICES and self.held is not None:
            number, vertex = self.held
            self.polygons[number].moveVertex(here.x(), here.y(), vertex)
            self.whole = None
            self._redraw()
        elif self.points:
            self._redraw(here)

    def canvasReleaseEvent(self, event) -> None:
        """Add a vertex, or finish."""
        here = self._at(event)
        if event.button() == Qt.MouseButton.RightButton:
            if self.mode == VERTICES:
                self._drop_vertex(here)
            elif len(self.points) >= 3:
                self._finish()
        elif event.button() == Qt.MouseButton.LeftButton:
            self._left_released(event, here)

    def _left_released(self, event, here) -> None:
        if self.mode == CLICKS:
            self._begin_hole(event)
            self._take([*self.points, here])
        elif self.mode == OBJECT:
            self.object_wanted.emit(here)
        elif self.mode == VERTICES:
            self._let_go()
        elif self.corner is not None:
            if self.mode == RECTANGLE:
                self._take(_corners(self.corner, here))
            self.corner = None
            box = QgsGeometry.fromMultiPointXY(self.points).boundingBox()
            if len(self.points) >= 3 and box.width() > 0 and box.height() > 0:
                self._finish()
            else:
                self._take([])

    def _begin_hole(self, event) -> None:
        if not self.points:
            self.hole = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)

    def _finish(self) -> None:
        """The polygon being drawn is done: one more, or a hole in those that it lies in."""
        crs, clicked = self.begun if self.begun else (self.crs, self.points)
        ring = QgsGeometry.fromPolygonXY([[*clicked, clicked[0]]])
        if self.hole:
            self.before.append(list(self.shapes))
            self.shapes = [
                (where, self._cut(shape, self._into(ring, crs, where)))
                for where, shape in self.shapes
            ]
        else:
            self.before = []
            self.shapes.append((crs, ring))
        self.hole = False
        self.points, self.begun = [], None
        self._place()
        self.show_fill(True)
        self.changed.emit()

    @staticmethod
    def _cut(shape, hole):
        """A shape without a hole; as it was where the hole would leave nothing of it."""
        left = shape.makeValid().difference(hole.makeValid())
        return shape if left.isNull() or left.isEmpty() else left

    @staticmethod
    def _into(shape, crs, other):
        found = QgsGeometry(shape)
        if crs != other:
            found.transform(QgsCoordinateTransform(crs, other, QgsProject.instance()))
        return found

    # ---- vertices of what is drawn

    def _vertex_near(self, place):
        """The vertex within reach, made new where there is but an edge; (polygon, vertex) or
        None."""
        reach = REACH_PX * self.canvas().mapUnitsPerPixel()
        for number, shape in enumerate(self.polygons):
            _, vertex, _, _, squared = shape.closestVertex(place)
            if squared <= reach**2:
                return number, vertex
        for number, shape in enumerate(self.polygons):
            squared, _, after, _ = shape.closestSegmentWithContext(place)
            if 0 <= squared <= reach**2 and shape.insertVertex(place.x(), place.y(), after):
                return number, after
        return None

    def _let_go(self) -> None:
        if self.held is not None:
            self.held = None
            self._edited()
        self.corner = None

    def _drop_vertex(self, place) -> None:
        reach = REACH_PX * self.canvas().mapUnitsPerPixel()
        for shape in self.polygons:
            _, vertex, _, _, squared = shape.closestVertex(place)
            found, at = shape.vertexIdFromVertexNr(vertex)
            if squared > reach**2 or not found:
                continue
            # A triangle has four: the first is also the last.
            if shape.constGet().vertexCount(at.part, at.ring) > 4:
                shape.deleteVertex(vertex)
                self._edited()
            return

    def _edited(self) -> None:
        """What was moved lies where it was put, in the canvas's CRS of now."""
        self.before.append(list(self.shapes))
        unseen = [pair for pair in self.shapes if self._moved(*pair) is None]
        self.shapes = unseen + [(self.crs, QgsGeometry(shape)) for shape in self.polygons]
        self._place()
        self.changed.emit()

    # ---- keys

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
        """Take back the last vertex, the last change of what is finished, or the last polygon."""
        if self.held is not None:
            self.held = None
            self._place()
        elif self.points:
            self._take(self.points[:-1])
        elif self.before:
            self.shapes = self.before.pop()
            self._place()
            self.changed.emit()
        elif self.polygons:
            last = self.polygons.pop()
            self.whole = None
            self.shapes = [
                (crs, shape)
                for crs, shape in self.shapes
                if (moved := self._moved(crs, shape)) is None or not moved.equals(last)
            ]
            ring = last.asPolygon()[0][:-1] if not last.isMultipart() else []
            self._take(ring if self.mode == CLICKS else [])
            self.changed.emit()

    def _take(self, points) -> None:
        """The polygon being drawn, as clicked in the canvas's CRS of now."""
        self.points = points
        self.begun = (self.crs, list(points)) if points else None
        if not points:
            self.hole = False
        self._redraw()

    def clear(self) -> None:
        """Forget every polygon, finished or not."""
        self.polygons = []
        self.whole = None
        self.shapes = []
        self.before = []
        self._take([])
        self.changed.emit()

    def _redraw(self, pointer=None) -> None:
        self.band.reset(POLYGON)
        shown = list(self.polygons)
        open_ring = self.points + ([pointer] if pointer is not None else [])
        if len(open_ring) >= 2:
            shown.append(QgsGeometry.fromPolygonXY([[*open_ring, open_ring[0]]]))
        if shown:
            self.band.setToGeometry(QgsGeometry.collectGeometry(shown), None)

    def dispose(self) -> None:
        """Take the outline off the canvas for good."""
        self.canvas().destinationCrsChanged.disconnect(self._crs_changed)
        self.canvas().scene().removeItem(self.band)


def _corners(one, other):
    """The ring of a rectangle from corner to corner, not closed."""
    box = QgsRectangle(one, other)
    return [
        QgsPointXY(box.xMinimum(), box.yMinimum()),
        QgsPointXY(box.xMinimum(), box.yMaximum()),
        QgsPointXY(box.xMaximum(), box.yMaximum()),
        QgsPointXY(box.xMaximum(), box.yMinimum()),
    ]
