"""Where an area comes from when it is not drawn: features of a layer, values of a raster."""

import contextlib

from qgis.core import QgsApplication, QgsFeatureRequest, QgsWkbTypes
from qgis.gui import (
    QgsDoubleSpinBox,
    QgsExpressionSelectionDialog,
    QgsMapLayerComboBox,
    QgsRasterBandComboBox,
)
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QToolButton, QWidget

from ..errors import PluginError
from ..map.places import around
from ..tasks.request import Area, united
from ..translated import tr
from .widgets import FEATURE_FILTER, RASTER_FILTER, narrow_form

FARTHEST_M = 10_000.0
NARROWEST_M = -1_000.0
FEW = 2_000
"""Features whose ground is added up while one looks on."""


class FeaturesPage(QWidget):
    """Features that are selected in a layer, by hand or by an expression, and what lies around
    them. Signal `changed()`: others, or another distance."""

    changed = pyqtSignal()

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.followed = None  # the layer whose selection is listened to
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(FEATURE_FILTER)
        self.filter = QToolButton()
        self.filter.setIcon(QgsApplication.getThemeIcon("/mIconExpressionSelect.svg"))
        self.filter.setToolTip(tr("Select features by an expression such as \"use\" = 'school'"))
        self.filter.setAccessibleName(tr("Select by expression"))
        self.distance = QgsDoubleSpinBox()
        self.distance.setRange(NARROWEST_M, FARTHEST_M)
        self.distance.setDecimals(1)
        self.distance.setSuffix(" m")
        self.distance.setClearValue(0.0)
        self.distance.setKeyboardTracking(False)  # a number that is typed counts once it is whole
        self.distance.setToolTip(
            tr(
                "Ground around the features: half the width of a road that is a line, the reach "
                "of a point. Below 0: so much less of a polygon"
            )
        )
        form = narrow_form(self)
        form.setContentsMargins(0, 0, 0, 0)
        chosen = QWidget()
        row = QHBoxLayout(chosen)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.layers, 1)
        row.addWidget(self.filter)
        form.add_across(chosen)
        self.layers.setMinimumWidth(40)
        form.addRow(tr("Distance around"), self.distance)
        self.layers.layerChanged.connect(self._follow)
        self.distance.valueChanged.connect(lambda *_: self.changed.emit())
        self.filter.clicked.connect(self.select)
        self._follow()

    def _follow(self, *_) -> None:
        """Listen to what is selected in the layer that was chosen."""
        layer = self.layers.currentLayer()
        if self.followed is not None:
            with contextlib.suppress(RuntimeError, TypeError):  # it was deleted meanwhile
                self.followed.selectionChanged.disconnect(self._selected)
        self.followed = layer
        if layer is not None:
            layer.selectionChanged.connect(self._selected)
        self.changed.emit()

    def _selected(self, *_) -> None:
        self.changed.emit()

    def select(self) -> None:
        """QGIS's own window for a selection by an expression."""
        layer = self.layers.currentLayer()
        if layer is None:
            return
        asked = QgsExpressionSelectionDialog(layer, "", self)
        asked.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        asked.show()

    def many(self) -> int:
        """How many features are selected, where they are too many to be added up while one looks
        on; else 0."""
        layer = self.layers.currentLayer()
        count = layer.selectedFeatureCount() if layer is not None else 0
        return count if count > FEW else 0

    def any(self) -> bool:
        """Whether there is a feature to be taken, whatever its shape."""
        layer = self.layers.currentLayer()
        return layer is not None and bool(layer.selectedFeatureCount() or layer.featureCount() == 1)

    def area(self):
        """The Area; None where nothing is selected in a layer of several features. Raises
        PluginError where what is selected has no ground."""
        layer = self.layers.currentLayer()
        if layer is None:
            return None
        features = layer.selectedFeatures() or list(
            layer.getFeatures(QgsFeatureRequest().setLimit(2))
        )
        if not layer.selectedFeatureCount() and len(features) != 1:
            return None
        shapes = [one.geometry() for one in features if not one.geometry().isEmpty()]
        if not shapes:
            return None
        distance = self.distance.value()
        if distance:
            return Area(around(shapes, layer.crs(), distance), layer.crs())
        if layer.geometryType() != QgsWkbTypes.GeometryType.PolygonGeometry:
            raise PluginError(
                tr(
                    "Lines and points of '{name}' cover no ground: give a distance around them.",
                    name=layer.name(),
                )
            )
        return Area(united(shapes), layer.crs())


class ValuesPage(QWidget):
    """Values of a raster. Signal `wanted()`: the ground that has them is to be found."""

    wanted = pyqtSignal()

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.raster = QgsMapLayerComboBox()
        self.raster.setFilters(RASTER_FILTER)
        self.band = QgsRasterBandComboBox()
        self.values = QLineEdit()
        self.values.setPlaceholderText(tr("3, 5 or > 0.4"))
        self.values.setAccessibleName(tr("Values"))
        self.values.setToolTip(
            tr(
                "Classes such as 3, 5; from one number to another such as 0.2 to 0.5; or a "
                "threshold such as > 0.4"
            )
        )
        self.find = QPushButton(tr("Find"))
        self.find.setToolTip(
            tr("In what the map shows now; what is found can be changed like what is drawn")
        )
        form = narrow_form(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.add_across(self.raster)
        form.add_across(self.band)
        for combo in (self.raster, self.band):
            combo.setMinimumWidth(40)
        asked = QWidget()
        row = QHBoxLayout(asked)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.values, 1)
        row.addWidget(self.find)
        form.add_across(asked)
        self.raster.layerChanged.connect(self.band.setLayer)
        self.band.setLayer(self.raster.currentLayer())
        self.find.clicked.connect(lambda *_: self.wanted.emit())
        self.values.returnPressed.connect(self.wanted.emit)
