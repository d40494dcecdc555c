"""The Processing provider `landbrush`: for the toolbox, models, batch and qgis_process."""

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import editors
from .algorithms import EditAlgorithm, EditorAlgorithm
from .comparison import EvaluateAlgorithm
from .flatten import FlattenAlgorithm
from .replay import ReplayAlgorithm
from .running import ICON
from .scenario import ScenarioAlgorithm
from .synthetic import IsSyntheticAlgorithm
from .valued import AreasOfValuesAlgorithm


class LandbrushProvider(QgsProcessingProvider):
    """The algorithms under *Landbrush* in the toolbox: one by words, one for each editor."""

    def loadAlgorithms(self) -> None:
        """Called by QGIS, and again when a server told of other editors."""
        self.addAlgorithm(EditAlgorithm())
        self.addAlgorithm(ScenarioAlgorithm())
        self.addAlgorithm(ReplayAlgorithm())
        self.addAlgorithm(FlattenAlgorithm())
        self.addAlgorithm(EvaluateAlgorithm())
        self.addAlgorithm(IsSyntheticAlgorithm())
        self.addAlgorithm(AreasOfValuesAlgorithm())
        for info in editors.known_editors():
            self.addAlgorithm(EditorAlgorithm(info))

    def id(self) -> str:
        """Id of the provider, the first part of each algorithm's id."""
        return "landbrush"

    def name(self) -> str:
        """Name in the toolbox."""
        return "Landbrush"

    def icon(self):
        """The plugin's icon."""
        return QIcon(ICON)
