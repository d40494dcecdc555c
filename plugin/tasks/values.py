"""Ground where a raster has certain values, found in the background."""

from qgis.core import QgsGeometry

from ..translated import tr
from .task import BackgroundTask


class ValuesTask(BackgroundTask):
    """Reads a ValuedGround. Signal `ended(task)`; then `geometry` holds what was found, in `parts`
    polygons, or `error` is set."""

    def __init__(self, ground) -> None:
        super().__init__(tr("Landbrush: looking at values"))
        self.ground = ground
        self.geometry = QgsGeometry()
        self.parts = 0

    def work(self) -> None:
        """Called in a worker thread."""
        self.feedback.progressChanged.connect(self.setProgress)
        self.geometry = self.ground.read(self.feedback)
        self.parts = len(self.geometry.asGeometryCollection())
