"""Parts of the dock: a form made from an editor's options, an area picker, found windows,
results."""

import base64

from qgis.core import QgsFeatureRequest, QgsGeometry, QgsMapLayerProxyModel, QgsWkbTypes
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QEvent, QObject, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ..tasks.request import Area, canvas_area, united
from .wrapped import Wrapped

try:
    from qgis.core import Qgis

    RASTER_FILTER = Qgis.LayerFilter.RasterLayer
    POLYGON_FILTER = Qgis.LayerFilter.PolygonLayer
except AttributeError:
    RASTER_FILTER = QgsMapLayerProxyModel.Filter.RasterLayer
    POLYGON_FILTER = QgsMapLayerProxyModel.Filter.PolygonLayer

DRAWN = "drawn"
SELECTED = "selected"
CANVAS = "canvas"
WHOLE = "layer"
NOTHING = "nothing"


class NarrowForm(QFormLayout):
    """Rows that fit a narrow panel: titles wrap, and fields take what is left, however long what
    they hold."""

    def addRow(self, title, field) -> None:
        """Add a row; `title`: text."""
        label = Wrapped(title)
        label.setBuddy(field)
        # What a field holds does not say how wide it must be.
        for part in (field, *field.findChildren(QWidget)):
            if isinstance(part, QComboBox):
                part.setSizeAdjustPolicy(
                    QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
                )
                part.setMinimumContentsLength(4)
            if isinstance(part, (QComboBox, QAbstractSpinBox)):
                part.setMinimumWidth(FIELD_PX)
                part.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        super().addRow(label, field)


FIELD_PX = 60


def narrow_form(parent=None):
    """An empty NarrowForm, of a widget or to be put into a layout."""
    form = NarrowForm(parent) if parent is not None else NarrowForm()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    form.setVerticalSpacing(4)  # rows that are hidden keep theirs
    return form


class WheelGuard(QObject):
    """The wheel scrolls the panel; it changes a field only where one has clicked into it first."""

    def watch(self, widget) -> None:
        """Guard all fields below a widget; those that come later need to be watched too."""
        for field in (
            *widget.findChildren(QComboBox),
            *widget.findChildren(QAbstractSpinBox),
            *widget.findChildren(QSlider),
        ):
            field.setFocusPolicy(
                Qt.FocusPolicy.StrongFocus
            )  # Qt's own policy gives the focus by the wheel
            field.installEventFilter(self)

    def eventFilter(self, field, event) -> bool:
        """Called by Qt: a wheel over a field without the focus goes on to what scrolls."""
        if event.type() == QEvent.Type.Wheel and not field.hasFocus():
            event.ignore()
            return True
        return False


class OptionsForm(QWidget):
    """One row an option; nothing here knows a particular editor."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.form = narrow_form(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        self.wheel = WheelGuard(self)
        self.fields: dict = {}  # widget by name of the option

    def show_options(self, options, elsewhere=()) -> None:
        """Replace the rows; the options named in `elsewhere` have a widget of their own."""
        while self.form.rowCount():
            self.form.removeRow(0)
        self.fields = {}
        for option in (o for o in options if o.name not in elsewhere):
            field = self._field(option)
            field.setObjectName(f"option_{option.name}")
            field.setToolTip(option.help)
            self.form.addRow(option.title, field)
            self.fields[option.name] = (option, field)
        self.wheel.watch(self)

    def _field(self, option):
        if option.type == "boolean":
            field = QCheckBox()
            field.setChecked(bool(option.default))
        elif option.type == "string" and option.choices:
            field = QComboBox()
            field.addItems(list(option.choices))
            field.setCurrentText(str(option.default))
        elif option.type == "string":
            field = QLineEdit(str(option.default))
        else:
            field = self._number(option)
        return field

    def _number(self, option):
        whole = option.type == "integer"
        most = 2**31 - 1 if whole else 1e9
        low = -most if option.minimum is None else option.minimum
        high = most if option.maximum is None else option.maximum
        field = QSpinBox() if whole else QDoubleSpinBox()
        if whole:
            field.setRange(int(low), int(high))
        else:
            field.setDecimals(3 if option.maximum is None or high <= 10 else 1)
            field.setRange(low, high)
            field.setSingleStep(0.05 if high <= 1 else 1.0)
        field.setValue(option.default)
        if option.unit:
            field.setSuffix(f" {option.unit}")
        return field

    def values(self):
        """Options that differ from their defaults."""
        found = {}
        for name, (option, field) in self.fields.items():
            if isinstance(field, QCheckBox):
                value = field.isChecked()
            elif isinstance(field, QComboBox):
                value = field.currentText()
            elif isinstance(field, QLineEdit):
                value = field.text()
            else:
                value = field.value()
            if value != option.default:
                found[name] = value
        return found

    def set_values(self, values) -> None:
        """Take over values that an option of that name can hold."""
        for name, value in values.items():
            if name not in self.fields:
                continue
            _, field = self.fields[name]
            if isinstance(field, QCheckBox):
                field.setChecked(bool(value))
            elif isinstance(field, QComboBox):
                field.setCurrentText(str(value))
            elif isinstance(field, QLineEdit):
                field.setText(str(value))
            else:
                field.setValue(int(value) if isinstance(field, QSpinBox) else float(value))


class AreaPicker(QWidget):
    """Where an area comes from: drawn on the map, selected features, the canvas, the whole
    layer."""

    draw_toggled = pyqtSignal(bool)

    def __init__(self, tool, sources, parent=None) -> None:
        super().__init__(parent)
        self.tool = tool
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self.source = QComboBox()
        titles = {
            NOTHING: "none",
            DRAWN: "drawn on the map",
            SELECTED: "selected features of",
            CANVAS: "the map canvas",
            WHOLE: "the whole layer",
        }
        for name in sources:
            self.source.addItem(titles[name], name)
        column.addWidget(self.source)
        self.stack = QStackedWidget()
        self.stack.addWidget(QWidget())
        self.draw = QPushButton("Draw")
        self.draw.setCheckable(True)
        self.draw.setToolTip(
            "Left click: vertex. Right click: finish. Backspace: one back. Escape: drop."
        )
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("Take back the last vertex, or the last polygon")
        self.clear = QPushButton("Clear")
        drawing = QWidget()
        buttons = QHBoxLayout(drawing)
        buttons.setContentsMargins(0, 0, 0, 0)
        for button in (self.draw, self.undo, self.clear):
            button.setMinimumWidth(40)
            buttons.addWidget(button)
        self.stack.addWidget(drawing)
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(POLYGON_FILTER)
        self.stack.addWidget(self.layers)
        column.addWidget(self.stack)
        self.source.currentIndexChanged.connect(self._show_source)
        self.draw.toggled.connect(self._drawing)
        self.undo.clicked.connect(tool.undo)
        self.clear.clicked.connect(tool.clear)
        self._show_source()

    def _drawing(self, on) -> None:
        if on:
            self.choose(DRAWN)
        self.draw_toggled.emit(on)

    def choose(self, name) -> None:
        """Select a source by name."""
        self.source.setCurrentIndex(max(0, self.source.findData(name)))

    def _show_source(self) -> None:
        page = {DRAWN: 1, NOTHING: 1, SELECTED: 2}.get(self.source.currentData(), 0)
        self.stack.setCurrentIndex(page)
        self.stack.setVisible(page != 0)

    def area(self, canvas, layer):
        """The Area chosen; None where nothing is."""
        name = self.source.currentData()
        if name == DRAWN:
            geometry = self.tool.geometry()
            return None if geometry.isEmpty() else Area(geometry, self.tool.crs)
        if name == SELECTED:
            return self._selected()
        if name == CANVAS:
            return canvas_area(canvas)
        if name == WHOLE and layer is not None:
            return Area(QgsGeometry.fromRect(layer.extent()), layer.crs())
        return None

    def _selected(self):
        layer = self.layers.currentLayer()
        if layer is None or layer.geometryType() != QgsWkbTypes.GeometryType.PolygonGeometry:
            return None
        features = layer.selectedFeatures() or list(
            layer.getFeatures(QgsFeatureRequest().setLimit(2))
        )
        if not layer.selectedFeatureCount() and len(features) != 1:
            return None
        return Area(united([feature.geometry() for feature in features]), layer.crs())


class FoundList(QListWidget):
    """Windows that look like the word, as thumbnails to tick."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setViewMode(QListWidget.ViewMode.IconMode)
        self.setIconSize(QSize(64, 64))
        self.setMaximumHeight(118)
        self.setFlow(QListWidget.Flow.LeftToRight)
        self.setWrapping(False)
        self.setMovement(QListWidget.Movement.Static)
        self.hide()

    def show_found(self, result) -> None:
        """Fill from a SearchResult; the first three are ticked."""
        self.clear()
        for index, found in enumerate(result.found):
            pixmap = QPixmap()
            pixmap.loadFromData(base64.b64decode(found.thumbnail_png))
            item = QListWidgetItem(QIcon(pixmap), f"{found.agreement:.1f}")
            item.setToolTip(
                f"Scene agreement {found.agreement:.2f} with '{result.word}' ({result.rule})"
            )
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if index < 3 else Qt.CheckState.Unchecked)
            item.setData(Qt.ItemDataRole.UserRole, found.polygons)
            self.addItem(item)
        self.setVisible(bool(result.found))

    def ticked(self):
        """Polygons (contract) of the ticked windows."""
        items = [self.item(row) for row in range(self.count())]
        return [
            i.data(Qt.ItemDataRole.UserRole)
            for i in items
            if i.checkState() == Qt.CheckState.Checked
        ]
