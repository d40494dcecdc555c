"""Before and after on the map: a curtain that is dragged over it."""

from typing import Any

from qgis.core import QgsMapRendererParallelJob, QgsProject
from qgis.gui import QgsMapCanvasItem, QgsMapTool
from qgis.PyQt.QtCore import QPointF, QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QPainter, QPen

from ..translated import tr

LABEL_PX = 6


class _Curtain(QgsMapCanvasItem):
    """A picture of the map without the results, over the part of it before the line."""

    def __init__(self, canvas) -> None:
        super().__init__(canvas)
        self.canvas = canvas
        self.image = None
        self.share = 0.5  # of the map's width, or height, that the curtain covers
        self.upright = True
        self.setZValue(90)
        self.hide()

    def updatePosition(self) -> None:
        """Called by QGIS when the map moves: the curtain stays over the whole of it."""
        self.prepareGeometryChange()
        self.setPos(0, 0)

    def boundingRect(self):
        """The whole map, in its pixels."""
        return QRectF(0, 0, self.canvas.width(), self.canvas.height())

    def covered(self):
        """The part that shows what was before."""
        whole = self.boundingRect()
        if self.upright:
            return QRectF(0, 0, whole.width() * self.share, whole.height())
        return QRectF(0, 0, whole.width(), whole.height() * self.share)

    def paint(self, painter, *_) -> None:
        """Called by Qt: the picture of before, the line, and a word on each side of it."""
        if self.image is None:
            return
        before, whole = self.covered(), self.boundingRect()
        painter.save()
        painter.setClipRect(before)
        painter.fillRect(before, self.canvas.canvasColor())
        painter.drawImage(QPointF(0, 0), self.image)
        painter.restore()
        end = before.bottomRight()
        start = QPointF(end.x(), 0) if self.upright else QPointF(0, end.y())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, width in ((QColor(0, 0, 0, 160), 4), (QColor("white"), 2)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(start, end)
        self._label(painter, tr("Before"), before, False)
        rest = (
            whole.adjusted(before.width(), 0, 0, 0)
            if self.upright
            else whole.adjusted(0, before.height(), 0, 0)
        )
        self._label(painter, tr("After · synthetic"), rest, True)

    def _label(self, painter, text, area, last) -> None:
        """A word in the corner of an area, if there is room for it."""
        size = (
            painter.fontMetrics()
            .boundingRect(text)
            .adjusted(-LABEL_PX, -LABEL_PX, LABEL_PX, LABEL_PX)
        )
        if size.width() > area.width() or size.height() > area.height():
            return
        left = area.right() - size.width() - LABEL_PX if last and self.upright else LABEL_PX
        box = QRectF(left, area.top() + LABEL_PX, size.width(), size.height())
        painter.fillRect(box, QColor(0, 0, 0, 150))
        painter.setPen(QColor("white"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


class SwipeTool(QgsMapTool):
    """Drag: move the curtain; the right button turns it. Escape ends. Signal `ended()`.

    What lies under the curtain is drawn once for each view, in QGIS's rendering threads.
    """

    ended = pyqtSignal()

    def __init__(self, canvas) -> None:
        super().__init__(canvas)
        self.curtain = _Curtain(canvas)
        self.results: list = []  # ids of the layers that "before" is without
        self.base = ""  # id of the layer below
        self.job: Any = None  # the drawing that goes on
        self.dragging = False
        self.setCursor(Qt.CursorShape.SplitHCursor)

    def compare(self, layers, base) -> None:
        """Compare these results with what lies below them. `base`: is shown even where its box is
        not ticked; None: nothing more than the map shows."""
        self.results = [layer.id() for layer in layers]
        self.base = base.id() if base is not None else ""
        self.canvas().setMapTool(self)
        self._draw()

    def activate(self) -> None:
        """Called by QGIS: from now on the curtain is drawn anew with each view."""
        super().activate()
        self.canvas().mapCanvasRefreshed.connect(self._draw)
        self.canvas().extentsChanged.connect(self._forget)

    def deactivate(self) -> None:
        """Called by QGIS: take the curtain away."""
        self.canvas().mapCanvasRefreshed.disconnect(self._draw)
        self.canvas().extentsChanged.disconnect(self._forget)
        self._stop()
        self._forget()
        super().deactivate()
        self.ended.emit()

    def _forget(self) -> None:
        """What was drawn is of another view."""
        self.curtain.image = None
        self.curtain.hide()

    def _stop(self) -> None:
        job, self.job = self.job, None
        if job is not None:
            job.cancelWithoutBlocking()

    def _draw(self) -> None:
        self._stop()
        settings = self.canvas().mapSettings()
        layers = [layer for layer in settings.layers() if layer.id() not in self.results]
        base = QgsProject.instance().mapLayer(self.base)
        if base is not None and base not in layers:
            layers.append(base)
        settings.setLayers(layers)
        self.job = job = QgsMapRendererParallelJob(settings)

        def finished() -> None:
            if self.job is job:
                self.job = None
                self.curtain.image = job.renderedImage()
                self.curtain.show()
                self.curtain.update()

        job.finished.connect(finished)
        job.start()

    def _move(self, event) -> None:
        place, curtain = event.pos(), self.curtain
        whole = curtain.boundingRect()
        share = place.x() / whole.width() if curtain.upright else place.y() / whole.height()
        curtain.share = min(max(share, 0.0), 1.0)
        curtain.update()

    def canvasPressEvent(self, event) -> None:
        """Take hold of the line, or turn it."""
        if event.button() == Qt.MouseButton.RightButton:
            self.curtain.upright = not self.curtain.upright
            split = (
                Qt.CursorShape.SplitHCursor if self.curtain.upright else Qt.CursorShape.SplitVCursor
            )
            self.setCursor(split)
            self.canvas().setCursor(split)
        self.dragging = event.button() == Qt.MouseButton.LeftButton
        self._move(event)

    def canvasMoveEvent(self, event) -> None:
        """The line follows the pointer while the button is down."""
        if self.dragging:
            self._move(event)

    def canvasReleaseEvent(self, event) -> None:
        """Let go of the line."""
        self.dragging = False

    def keyPressEvent(self, event) -> None:
        """Escape ends; the arrow keys move the line."""
        step = {Qt.Key.Key_Left: -0.02, Qt.Key.Key_Up: -0.02, Qt.Key.Key_Right: 0.02,
                Qt.Key.Key_Down: 0.02}.get(event.key())  # fmt: skip
        if event.key() == Qt.Key.Key_Escape:
            self.canvas().unsetMapTool(self)
            event.accept()
        elif step is not None:
            self.curtain.share = min(max(self.curtain.share + step, 0.0), 1.0)
            self.curtain.update()
            event.accept()

    def dispose(self) -> None:
        """Take the curtain off the canvas for good."""
        self._stop()
        self.canvas().scene().removeItem(self.curtain)
