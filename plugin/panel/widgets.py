"""Parts of the dock: a form made from an editor's options, an area picker, found windows,
results."""

import base64

from qgis.core import QgsMapLayerProxyModel
from qgis.gui import QgsDoubleSpinBox, QgsSpinBox
from qgis.PyQt.QtCore import QEvent, QObject, QSize, Qt
from qgis.PyQt.QtGui import QIcon, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QWidget,
)

from ..told import told
from ..translated import tr
from .wrapped import Wrapped

try:
    from qgis.core import Qgis

    RASTER_FILTER = Qgis.LayerFilter.RasterLayer
    GROUND_FILTER = Qgis.LayerFilter.PolygonLayer | Qgis.LayerFilter.LineLayer
    FEATURE_FILTER = Qgis.LayerFilter.HasGeometry
except AttributeError:
    RASTER_FILTER = QgsMapLayerProxyModel.Filter.RasterLayer
    GROUND_FILTER = (
        QgsMapLayerProxyModel.Filter.PolygonLayer | QgsMapLayerProxyModel.Filter.LineLayer
    )
    FEATURE_FILTER = QgsMapLayerProxyModel.Filter.HasGeometry


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

    def add_across(self, field) -> None:
        """Add a row without a title, as wide as the form."""
        super().addRow(field)


FIELD_PX = 60


def narrow_form(parent=None):
    """An empty NarrowForm, of a widget or to be put into a layout."""
    form = NarrowForm(parent) if parent is not None else NarrowForm()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    form.setHorizontalSpacing(4)
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
        """Replace the rows, where they are others; the options named in `elsewhere` have a widget
        of their own."""
        wanted = [option for option in options if option.name not in elsewhere]
        if wanted == [option for option, _ in self.fields.values()]:
            return  # what was typed into them stays
        while self.form.rowCount():
            self.form.removeRow(0)
        self.fields = {}
        for option in wanted:
            field = self._field(option)
            field.setObjectName(f"option_{option.name}")
            field.setToolTip(told(option.help))
            self.form.addRow(tr(option.title), field)
            self.fields[option.name] = (option, field)
        self.wheel.watch(self)

    def _field(self, option):
        if option.type == "boolean":
            field = QCheckBox()
            field.setChecked(bool(option.default))
        elif option.type == "string" and option.choices:
            field = QComboBox()
            for choice in option.choices:
                field.addItem(told(choice), choice)
            _choose(field, option.default)
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
        field = QgsSpinBox() if whole else QgsDoubleSpinBox()
        if whole:
            field.setRange(int(low), int(high))
        else:
            fine = 2 if option.unit == "m" else 1
            field.setDecimals(3 if option.maximum is None or high <= 10 else fine)
            field.setRange(low, high)
            field.setSingleStep(0.05 if high <= 1 else 1.0)
        field.setClearValue(option.default)
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
                value = field.currentData()
            elif isinstance(field, QLineEdit):
                value = field.text()
            else:
                value = field.value()
            if value != option.default:
                found[name] = value
        return found

    def reset(self) -> None:
        """Every option as the editor has it."""
        self.set_values({name: option.default for name, (option, _) in self.fields.items()})

    def set_values(self, values) -> None:
        """Take over values that an option of that name can hold."""
        for name, value in values.items():
            if name not in self.fields:
                continue
            _, field = self.fields[name]
            if isinstance(field, QCheckBox):
                field.setChecked(bool(value))
            elif isinstance(field, QComboBox):
                _choose(field, value)
            elif isinstance(field, QLineEdit):
                field.setText(str(value))
            else:
                field.setValue(int(value) if isinstance(field, QSpinBox) else float(value))


def _choose(field, value):
    """Select what stands for a value of an option; one that it does not have changes nothing."""
    at = field.findData(str(value))
    if at >= 0:
        field.setCurrentIndex(at)


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
                tr(
                    "Scene agreement {agreement} with '{word}' ({rule})",
                    agreement=f"{found.agreement:.2f}",
                    word=result.word,
                    rule=result.rule,
                )
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
