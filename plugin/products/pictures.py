"""Before and after of a result as two pictures of the same ground."""

from qgis.core import QgsMapRendererParallelJob, QgsMapSettings, QgsProject, QgsRectangle
from qgis.PyQt.QtCore import QObject, QSize, pyqtSignal

from ..map.results import base_of, edited_area, family

LONGEST_PX = 1600
AROUND = 0.25
"""Share of the edited area's size that is shown beside it."""


def ground(layer, canvas=None):
    """(box, CRS) of what a picture of a result shows: what the map shows where that is given, else
    the edited area and what lies around it."""
    if canvas is not None:
        return canvas.extent(), canvas.mapSettings().destinationCrs()
    base = base_of(layer) or layer
    box = QgsRectangle(edited_area(layer).boundingBox())
    box.grow(max(box.width(), box.height()) * AROUND)
    inside = box.intersect(base.extent())
    return (inside if not inside.isEmpty() else box), base.crs()


def layers_of(layer):
    """(layers before, layers after), top first: what the project shows, without results of the
    same ground, and with this one above its base."""
    base = base_of(layer)
    mine = {one.id() for one in family(layer)}
    root = QgsProject.instance().layerTreeRoot()
    shown = [
        node.layer()
        for node in root.findLayers()
        if node.layer() is not None and (node.isVisible() or node.layer() == base)
    ]
    before = [one for one in shown if one.id() not in mine]
    place = before.index(base) if base in before else len(before)
    return before, [*before[:place], layer, *before[place:]]


class Pictures(QObject):
    """Draws before and after in QGIS's rendering threads; signal `made(before, after)` with two
    QImage."""

    made = pyqtSignal(object, object)

    def __init__(self, layer, box, crs, parent=None) -> None:
        super().__init__(parent)
        self.images: dict = {}
        self.jobs = []
        wide, high = max(box.width(), 1e-12), max(box.height(), 1e-12)
        scale = LONGEST_PX / max(wide, high)
        size = QSize(max(1, round(wide * scale)), max(1, round(high * scale)))
        for name, layers in zip(("before", "after"), layers_of(layer)):
            settings = QgsMapSettings()
            settings.setLayers(layers)
            settings.setDestinationCrs(crs)
            settings.setTransformContext(QgsProject.instance().transformContext())
            settings.setOutputSize(size)
            settings.setExtent(box)
            job = QgsMapRendererParallelJob(settings)
            job.finished.connect(lambda name=name, job=job: self._finished(name, job))
            self.jobs.append(job)

    def start(self) -> None:
        """Draw both at the same time; `made` tells when they are there."""
        for job in self.jobs:
            job.start()

    def _finished(self, name, job) -> None:
        self.images[name] = job.renderedImage()
        if len(self.images) == len(self.jobs):
            self.made.emit(self.images["before"], self.images["after"])
