"""What a level of water would cover, by an elevation model: shown on the map while one chooses the
level."""

import math
from array import array
from dataclasses import dataclass
from typing import Optional

from qgis.core import (
    Qgis,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterBlockFeedback,
    QgsRasterProjector,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvasItem
from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPolygonF, qRgba

from ..errors import Cancelled, PluginError
from ..translated import tr
from .places import square_metres

STEPS = 250
"""Levels that are told apart, from the lowest ground to the highest."""
DRY = STEPS + 2
"""What stays dry at any of them; 0 is what lies outside, or has no height."""
MOST_M = 30.0
"""Deeper water is asked for by number."""
MOST_PX = 600
"""A side of what is looked at of one polygon."""
MOST_POLYGONS = 200
WATER = (40, 110, 200, 120)


@dataclass(frozen=True)
class Basin:
    """One polygon. `box`: around it, in the map's CRS. `steps`: its picture, a byte a pixel: 0
    outside, else 1 + the first step of the level at which it is wet. `low`: its lowest ground.
    `pixel_m2`: ground of a pixel; 0: not known."""

    box: QgsRectangle
    steps: QImage
    low: float
    pixel_m2: float


@dataclass(frozen=True)
class Basins:
    """All polygons of an area. `step_m`: between two levels."""

    all: tuple
    step_m: float

    def level_m(self, step) -> float:
        """Height of the water over the lowest ground of each polygon."""
        return step * self.step_m

    def wet_m2(self, step) -> float:
        """Ground that lies under water, in m²."""
        wet = bytes(range(1, step + 2))
        return sum(one.pixel_m2 * _count(one.steps, wet) for one in self.all)


def _bytes(picture):
    size = picture.width() * picture.height()
    bits = picture.constBits()
    bits.setsize(picture.bytesPerLine() * picture.height())
    content = bytes(bits)
    if picture.bytesPerLine() == picture.width():
        return content[:size]
    line = picture.bytesPerLine()
    return b"".join(
        content[row * line : row * line + picture.width()] for row in range(picture.height())
    )


def _count(picture, values) -> int:
    content = _bytes(picture)
    return len(content) - len(content.translate(None, values))


class Heights:
    """An elevation model over an area: taken on the GUI thread, where that is quick, and read on
    any other.

    `layer`: the model. `geometry`: the area, in the map's `crs`. Raises PluginError.
    """

    def __init__(self, layer, geometry, crs) -> None:
        self.name, self.crs = layer.name(), crs
        self.parts = geometry.asGeometryCollection()
        if len(self.parts) > MOST_POLYGONS:
            raise PluginError(
                tr(
                    "{n} areas are too many to set one level on the map (at most {most}); give it "
                    "as a number.",
                    n=f"{len(self.parts):,}",
                    most=MOST_POLYGONS,
                )
            )
        self.provider = layer.dataProvider().clone()
        self.moved = None
        self.pixel = min(layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY())
        if layer.crs().isValid() and crs.isValid() and layer.crs() != crs:
            self.moved = QgsRasterProjector()
            self.moved.setInput(self.provider)
            self.moved.setCrs(layer.crs(), crs, QgsProject.instance().transformContext())
            self.pixel = 0.0  # of the model, in units of the map, is not known

    def read(self, feedback):
        """The Basins. Raises PluginError where no height is known in the area, Cancelled."""
        found = []
        for part in self.parts:
            if feedback.isCanceled():
                raise Cancelled
            heights = self._heights(part)
            if heights is not None:
                found.append((part, *heights))
        if not found:
            raise PluginError(tr("'{name}' tells no height where the areas are.", name=self.name))
        span = max(max(_known(values)) - min(_known(values)) for _, _, values in found)
        step = min(max(span, 0.1), MOST_M) / STEPS
        return Basins(tuple(_basin(one, step, self.crs) for one in found), step)

    def _heights(self, part):
        """(mask, heights): QImage of the part's own shape, and an array of its pixels with gaps as
        not a number; None where no height is known."""
        box = part.boundingBox()
        wide, high = box.width(), box.height()
        pixel = max(wide, high) / MOST_PX
        pixel = max(pixel, self.pixel / 2) if self.pixel else pixel
        columns, rows = (max(4, min(MOST_PX, math.ceil(side / pixel))) for side in (wide, high))
        source = self.moved or self.provider
        block = source.block(1, box, columns, rows, QgsRasterBlockFeedback())
        if not block.isValid() or not block.convert(Qgis.DataType.Float64):
            return None
        values = array("d", bytes(block.data()))
        if block.hasNoData():
            for place in range(len(values)):
                if block.isNoData(place // columns, place % columns):
                    values[place] = math.nan
        mask = _mask(part, box, columns, rows)
        inside = _bytes(mask)
        for place, here in enumerate(inside):
            if not here:
                values[place] = math.nan
        return (mask, values) if any(True for _ in _known(values)) else None


def _known(values):
    return [value for value in values if value == value]


def _mask(part, box, columns, rows):
    """A picture of a polygon: not 0 inside."""
    picture = QImage(columns, rows, QImage.Format.Format_Grayscale8)
    picture.fill(0)
    painter = QPainter(picture)
    painter.setPen(Qt.PenStyle.NoPen)
    rings = part.asPolygon() if not part.isMultipart() else part.asMultiPolygon()[0]
    for number, ring in enumerate(rings):
        painter.setBrush(QColor("white") if number == 0 else QColor("black"))
        across, down = columns / box.width(), rows / box.height()
        painter.drawPolygon(
            QPolygonF(
                [
                    QPointF((one.x() - box.xMinimum()) * across, (box.yMaximum() - one.y()) * down)
                    for one in ring
                ]
            )
        )
    painter.end()
    return picture


def _basin(found, step, crs):
    part, mask, values = found
    low = min(_known(values))
    columns, rows = mask.width(), mask.height()
    content = bytes(
        0 if value != value else 1 + min(DRY - 1, math.ceil((value - low) / step - 1e-9))
        for value in values
    )
    picture = QImage(content, columns, rows, columns, QImage.Format.Format_Indexed8).copy()
    box = part.boundingBox()
    whole = square_metres(QgsGeometry.fromRect(box), crs)
    return Basin(box, picture, low, (whole or 0.0) / (columns * rows))


class FloodPreview(QgsMapCanvasItem):
    """Water over the map up to a level; `show_level` and `forget` are all there is to it."""

    def __init__(self, canvas) -> None:
        super().__init__(canvas)
        self.canvas = canvas
        self.basins: Optional[Basins] = None
        self.step = 0
        self.hide()

    def show_level(self, basins, step) -> None:
        """Draw the water of Basins up to one of their steps."""
        self.basins, self.step = basins, step
        colours = [qRgba(0, 0, 0, 0)] * 256
        colours[1 : step + 2] = [qRgba(*WATER)] * (step + 1)
        for one in basins.all:
            one.steps.setColorTable(colours)
        self.show()
        self.updatePosition()
        self.update()

    def forget(self) -> None:
        """The level is chosen, or its ground is another."""
        self.basins = None
        self.hide()

    def updatePosition(self) -> None:
        """Called by QGIS when the map moves."""
        self.setRect(QgsRectangle(self.canvas.extent()))

    def paint(self, painter, *_) -> None:
        """Called by Qt: each polygon's water onto its box."""
        for one in self.basins.all if self.basins is not None else ():
            left_top = self.toCanvasCoordinates(QgsPointXY(one.box.xMinimum(), one.box.yMaximum()))
            right_low = self.toCanvasCoordinates(QgsPointXY(one.box.xMaximum(), one.box.yMinimum()))
            there = QRectF(left_top - self.pos(), right_low - self.pos())
            painter.drawImage(there, one.steps)

    def dispose(self) -> None:
        """Take it off the canvas for good."""
        self.canvas.scene().removeItem(self)
