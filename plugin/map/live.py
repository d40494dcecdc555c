"""An unfinished picture, drawn where it lies on the map while it is made."""

import json

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvasItem
from qgis.PyQt.QtGui import QImage, QTransform

from ...server.contract.requests import PIXELS_UP
from .places import own_coordinates

CORNERS = "landbrush:corners"
"""Text of the server's PNG: its corners in the raster's coordinates, from the upper left on, with
the clock."""


class LivePicture(QgsMapCanvasItem):
    """On a canvas above its layers; `show_on` and `forget` are all there is to it."""

    def __init__(self, canvas) -> None:
        super().__init__(canvas)
        self.canvas = canvas
        self.picture = QImage()
        self.corners: list = []  # QgsPointXY in the layer's CRS
        self.crs = canvas.mapSettings().destinationCrs()
        self.hide()

    def show_on(self, content, layer) -> bool:
        """Draw a PNG over a layer; False where it does not tell its place."""
        picture = QImage()
        if layer is None or not picture.loadFromData(content) or not picture.text(CORNERS):
            return False
        up = -1 if own_coordinates(layer) == PIXELS_UP else 1
        try:
            told = json.loads(picture.text(CORNERS))
            self.corners = [QgsPointXY(float(x), up * float(y)) for x, y in told]
        except (ValueError, TypeError):
            return False
        if len(self.corners) != 4:
            return False
        self.picture = picture
        self.crs = layer.crs()
        self.show()
        self.updatePosition()
        self.update()
        return True

    def forget(self) -> None:
        """What it showed is finished, or will not be."""
        self.picture, self.corners = QImage(), []
        self.hide()

    def _on_canvas(self):
        """The corners on the canvas (QPointF); None where they have no place there."""
        target = self.canvas.mapSettings().destinationCrs()
        moved = self.corners
        if self.crs.isValid() and target.isValid() and self.crs != target:
            to_map = QgsCoordinateTransform(self.crs, target, QgsProject.instance())
            try:
                moved = [to_map.transform(corner) for corner in self.corners]
            except QgsCsException:
                return None
        return [self.toCanvasCoordinates(corner) for corner in moved]

    def updatePosition(self) -> None:
        """Called by QGIS when the map moves."""
        self.setRect(QgsRectangle(self.canvas.extent()))

    def paint(self, painter, *_) -> None:
        """Called by Qt: the picture, turned and stretched onto its corners."""
        there = self._on_canvas() if len(self.corners) == 4 else None
        if there is None:
            return
        width, height = max(self.picture.width(), 1), max(self.picture.height(), 1)
        left_top, right_top, _, left_bottom = (corner - self.pos() for corner in there)
        across, down = (right_top - left_top) / width, (left_bottom - left_top) / height
        way = QTransform(across.x(), across.y(), down.x(), down.y(), left_top.x(), left_top.y())
        painter.save()
        painter.setTransform(way, True)
        painter.drawImage(0, 0, self.picture)
        painter.restore()

    def dispose(self) -> None:
        """Take it off the canvas for good."""
        self.canvas.scene().removeItem(self)
