"""Small pictures of layers, drawn in QGIS's own rendering threads."""

from qgis.core import QgsMapRendererParallelJob, QgsMapSettings, QgsRectangle
from qgis.PyQt.QtCore import QObject, QSize, pyqtSignal
from qgis.PyQt.QtGui import QColor

SIDE_PX = 64
AROUND = 0.15
"""Share of an area's size that a picture of it shows beside it."""


class Thumbnails(QObject):
    """Signal `made(id of the layer, QImage)` for each `ask`."""

    made = pyqtSignal(str, object)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.jobs: list = []

    def ask(self, layer, base, box, side=SIDE_PX) -> None:
        """Draw a square around a box (QgsRectangle in the layer's CRS). `base`: a layer that is
        seen around the layer, None: nothing."""
        settings = QgsMapSettings()
        settings.setLayers([layer] if base is None else [layer, base])
        settings.setDestinationCrs(layer.crs())
        settings.setOutputSize(QSize(side, side))
        settings.setBackgroundColor(QColor(0, 0, 0, 0))
        settings.setExtent(_square(box))
        job = QgsMapRendererParallelJob(settings)
        self.jobs.append(job)
        name = layer.id()

        def finished() -> None:
            if job in self.jobs:
                self.jobs.remove(job)
                self.made.emit(name, job.renderedImage())

        job.finished.connect(finished)
        job.start()

    def dispose(self) -> None:
        """End what is being drawn; nothing is told of it any more."""
        waiting, self.jobs = self.jobs, []
        for job in waiting:
            job.cancelWithoutBlocking()


def _square(box):
    """A square around a box, with some ground beside it."""
    half = max(box.width(), box.height()) * (0.5 + AROUND)
    centre = box.center()
    return QgsRectangle(centre.x() - half, centre.y() - half, centre.x() + half, centre.y() + half)
