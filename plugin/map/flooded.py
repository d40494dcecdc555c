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
from qgis.PyQt.QtCore import QPointF, Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPolygonF, QTransform, qRgba

from ..errors import Cancelled, PluginError
from ..translated import localised, tr
from .places import square_metres

STEPS = 250
"""Levels that are told apart, from the lowest ground to the highest."""
DRY = STEPS + 2
"""What stays dry at any of them; 0 is what lies outside, or has no height."""
MOST_M = 30.0
"""Deeper water is asked for by number."""
TOP = 1.5
"""The highest level that can be chosen is at least so many times the one that was asked for."""
MOST_PX = 2_250_000
"""Pixels that are looked at, of all polygons together: of one, 1500 a side."""
MOST_POLYGONS = 200
WATER = (40, 110, 200, 120)


@dataclass(frozen=True)
class Basin:
    """One polygon. `box`: around it, in the map's CRS. `steps`: its picture, a byte a pixel: 0
    outside, else 1 + the first step of the level at which it is wet. `counts`: pixels by that byte.
    `low`: its lowest ground, in metres. `pixel_m2`: ground of a pixel; 0: not known."""

    box: QgsRectangle
    steps: QImage
    counts: tuple
    low: float
    pixel_m2: float


@dataclass(frozen=True)
class Basins:
    """An area. `all`: its polygons. `step_m`: between two levels."""

    all: tuple
    step_m: float

    def level_m(self, step) -> float:
        """Height of the water over the lowest ground of each polygon."""
        return step * self.step_m

    def wet_m2(self, step) -> float:
        """Ground that lies under water, in m²."""
        return sum(one.pixel_m2 * sum(one.counts[1 : step + 2]) for one in self.all)


def _bytes(picture):
    """A byte a pixel; Qt fills its rows up."""
    line, width = picture.bytesPerLine(), picture.width()
    bits = picture.constBits()
    bits.setsize(line * picture.height())
    content = bytes(bits)
    return b"".join(content[row * line : row * line + width] for row in range(picture.height()))


class Heights:
    """An elevation model over an area: taken on the GUI thread, where that is quick, and read on
    any other.

    `layer`: the model. `geometry`: the area, in the map's `crs`. `metres`: what one of the model's
    numbers is, below 0 where depths are counted. `deepest_m`: a level that must be among those that
    can be chosen. Raises PluginError.
    """

    def __init__(self, layer, geometry, crs, metres=1.0, deepest_m=0.0) -> None:
        self.name, self.crs, self.metres, self.deepest = layer.name(), crs, metres, deepest_m
        self.parts = geometry.asGeometryCollection()
        if len(self.parts) > MOST_POLYGONS:
            raise PluginError(
                tr(
                    "{n} areas are too many to set one level on the map (at most {most}); give it "
                    "as a number.",
                    n=localised(len(self.parts)),
                    most=MOST_POLYGONS,
                )
            )
        self.side = max(64, math.isqrt(MOST_PX // max(1, len(self.parts))))
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
            heights = self._heights(part, feedback)
            if heights is not None:
                found.append((part, *heights))
        if not found:
            raise PluginError(tr("'{name}' tells no height where the areas are.", name=self.name))
        span = max(max(_known(values)) - min(_known(values)) for _, _, values in found)
        step = max(min(max(span, 0.1), MOST_M), TOP * self.deepest) / STEPS
        basins = []
        for one in found:
            _stop_where(feedback)
            basins.append(_basin(one, step, self.crs))
        return Basins(tuple(basins), step)

    def _heights(self, part, feedback):
        """(mask, heights): QImage of the part's own shape, and an array of its pixels in metres,
        not a number in gaps; None where no height is known."""
        _stop_where(feedback)
        box = part.boundingBox()
        wide, high = box.width(), box.height()
        pixel = max(wide, high) / self.side
        pixel = max(pixel, self.pixel / 2) if self.pixel else pixel
        columns, rows = (max(4, min(self.side, math.ceil(one / pixel))) for one in (wide, high))
        source = self.moved or self.provider
        stop = QgsRasterBlockFeedback()
        feedback.canceled.connect(stop.cancel)
        block = source.block(1, box, columns, rows, stop)
        _stop_where(feedback)
        if not block.isValid() or not block.convert(Qgis.DataType.Float64):
            return None
        mask = _mask(part, box, columns, rows)
        missing = block.hasNoData()
        values = array("d", bytes(block.data()))
        for place, here in enumerate(_bytes(mask)):
            if not here or (missing and block.isNoData(place // columns, place % columns)):
                values[place] = math.nan
            else:
                values[place] *= self.metres
        return (mask, values) if _known(values) else None


def _stop_where(feedback) -> None:
    if feedback.isCanceled():
        raise Cancelled


def _known(values):
    return [value for value in values if math.isfinite(value)]


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
        1 + min(DRY - 1, math.ceil((value - low) / step - 1e-9)) if math.isfinite(value) else 0
        for value in values
    )
    picture = QImage(content, columns, rows, columns, QImage.Format.Format_Indexed8).copy()
    counts = tuple(content.count(bytes([one])) for one in range(DRY + 1))
    box = part.boundingBox()
    whole = square_metres(QgsGeometry.fromRect(box), crs)
    return Basin(box, picture, counts, low, (whole or 0.0) / (columns * rows))


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
            west, east = one.box.xMinimum(), one.box.xMaximum()
            south, north = one.box.yMinimum(), one.box.yMaximum()
            left_top, right_top, left_bottom = (
                self.toCanvasCoordinates(QgsPointXY(*at)) - self.pos()
                for at in ((west, north), (east, north), (west, south))
            )
            across = (right_top - left_top) / one.steps.width()
            down = (left_bottom - left_top) / one.steps.height()
            painter.save()  # a map may be turned
            painter.setTransform(
                QTransform(across.x(), across.y(), down.x(), down.y(), left_top.x(), left_top.y()),
                True,
            )
            painter.drawImage(0, 0, one.steps)
            painter.restore()

    def dispose(self) -> None:
        """Take it off the canvas for good."""
        self.canvas.scene().removeItem(self)
