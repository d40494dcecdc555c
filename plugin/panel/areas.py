"""Where an edit takes place: drawn on the map, features of a layer, values of a raster, the canvas,
the whole layer."""

import contextlib
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsGeometry,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..errors import PluginError
from ..map.canvas import CLICKS, FREEHAND, OBJECT, RECTANGLE, VERTICES
from ..map.places import square_metres
from ..tasks.request import Area, canvas_area
from ..translated import localised, tr
from .area_pages import FeaturesPage, ValuesPage
from .wrapped import Wrapped

DRAWN = "drawn"
SELECTED = "selected"
VALUES = "values"
CANVAS = "canvas"
WHOLE = "layer"
NOTHING = "nothing"


class AreaPicker(QWidget):
    """Where an area comes from. Signals: `draw_toggled(on)`; `values_wanted()`: the ground of a
    raster's values is to be found and added to what is drawn."""

    draw_toggled = pyqtSignal(bool)
    values_wanted = pyqtSignal()

    def __init__(self, tool, sources, parent=None) -> None:
        super().__init__(parent)
        self.tool = tool
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self.source = QComboBox()
        titles = {
            NOTHING: tr("none"),
            DRAWN: tr("drawn on the map"),
            SELECTED: tr("selected features of"),
            VALUES: tr("values of a raster"),
            CANVAS: tr("the map canvas"),
            WHOLE: tr("the whole layer"),
        }
        for name in sources:
            self.source.addItem(titles[name], name)
        column.addWidget(self.source)
        self.stack = QStackedWidget()
        self.stack.addWidget(QWidget())
        self.draw = self._draw_button()
        self.undo = QPushButton(tr("Undo"))
        self.undo.setToolTip(tr("Take back the last vertex, or the last polygon"))
        self.clear = QPushButton(tr("Clear"))
        self.clear.setToolTip(tr("Forget every polygon that was drawn here"))
        drawing = QWidget()
        buttons = QHBoxLayout(drawing)
        buttons.setContentsMargins(0, 0, 0, 0)
        for button, icon in ((self.undo, "mActionUndo"), (self.clear, "mActionDeleteSelected")):
            button.setIcon(QgsApplication.getThemeIcon(f"/{icon}.svg"))
            button.setAccessibleName(button.text())
            button.setText("")
            button.setFixedWidth(28)
        self.draw.setMinimumWidth(40)  # in a narrow panel its text may be cut
        buttons.addWidget(self.draw, 1)
        buttons.addWidget(self.undo)
        buttons.addWidget(self.clear)
        self.stack.addWidget(drawing)
        self.features, self.values = FeaturesPage(), ValuesPage()
        self.layers = self.features.layers
        self.stack.addWidget(self.features)
        self.stack.addWidget(self.values)
        column.addWidget(self.stack)
        self.offer = QPushButton()
        self.offer.setMinimumWidth(40)
        self.offer.hide()
        self.offered: Any = None  # the layer whose selection can be taken
        self.offer.clicked.connect(self._take_offer)
        column.addWidget(self.offer)
        self.size = Wrapped()
        column.addWidget(self.size)
        self.source.currentIndexChanged.connect(self._show_source)
        self.features.changed.connect(self.show_size)
        self.values.wanted.connect(self.values_wanted)
        tool.changed.connect(self.show_size)
        self.draw.toggled.connect(self._drawing)
        self.undo.clicked.connect(tool.undo)
        self.clear.clicked.connect(tool.clear)
        self._show_source()

    def _draw_button(self):
        """A button with the ways of drawing behind it."""
        button = QToolButton()
        button.setText(tr("Draw"))
        button.setCheckable(True)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        menu = self.modes = QMenu(button)
        for mode, title, told in (
            (
                CLICKS,
                tr("Polygon"),
                tr("Left click: vertex. Right click: finish. Alt and click in a polygon: a hole. "
                   "Backspace: one back. Escape: drop."),
            ),
            (RECTANGLE, tr("Rectangle"), tr("Drag from corner to corner.")),
            (FREEHAND, tr("Freehand"), tr("Drag along the outline.")),
            (
                VERTICES,
                tr("Move vertices"),
                tr("Drag a vertex, or an edge for a new one. Right click: remove a vertex."),
            ),
            (
                OBJECT,
                tr("Object under the click"),
                tr("Click a roof, a crown, a pond, a field: its outline is found. Backspace: one "
                   "back."),
            ),
        ):  # fmt: skip
            action = menu.addAction(title)
            action.setCheckable(True)
            action.setData((mode, told))
        button.setMenu(menu)
        self.modes.triggered.connect(self._use_mode)
        self.modes.actions()[0].setChecked(True)
        button.setToolTip(self.modes.actions()[0].data()[1])
        return button

    def _use_mode(self, action) -> None:
        mode, told = action.data()
        for other in self.modes.actions():
            other.setChecked(other is action)
        self.tool.use(mode)
        self.draw.setToolTip(told)
        self.draw.setText(tr("Draw") if mode == CLICKS else action.text())
        self.draw.setChecked(True)

    def suggest(self, layer) -> None:
        """Offer what is selected in a layer: the one that the user has just clicked."""
        if self.offered is not None:
            with contextlib.suppress(RuntimeError, TypeError):  # it was deleted meanwhile
                self.offered.selectionChanged.disconnect(self._show_offer)
        on_map = (
            isinstance(layer, QgsVectorLayer)
            and layer.geometryType() != QgsWkbTypes.GeometryType.NullGeometry
        )
        self.offered = layer if on_map else None
        if self.offered is not None:
            self.offered.selectionChanged.connect(self._show_offer)
        self._show_offer()

    def _show_offer(self, *_) -> None:
        count = 0
        with contextlib.suppress(RuntimeError):
            count = self.offered.selectedFeatureCount() if self.offered is not None else 0
        taken = self.source.currentData() == SELECTED and self.layers.currentLayer() is self.offered
        known = self.source.findData(SELECTED) >= 0
        self.offer.setVisible(bool(count) and known and not taken)
        if count:
            self.offer.setText(
                tr("Use the {n} selected of {name}", n=localised(count), name=self.offered.name())
            )
            self.offer.setToolTip(self.offer.text())

    def _take_offer(self) -> None:
        if self.offered is not None:
            self.layers.setLayer(self.offered)
            self.choose(SELECTED)
            self._show_offer()

    def show_size(self, *_) -> None:
        """Say how many polygons there are, and how much ground on the ellipsoid; or what is
        missing."""
        text = ""
        try:
            if self.source.currentData() == SELECTED and self.features.many():
                text = tr("{n} features", n=localised(self.features.many()))
            elif self.source.currentData() in (DRAWN, SELECTED, NOTHING):
                area = self.area(None, None)
                text = size_text(area) if area is not None else ""
        except PluginError as error:
            text = error.message
        self.size.setVisible(bool(text))
        self.size.setText(text)

    def _drawing(self, on) -> None:
        if on:
            self.choose(DRAWN)
        self.draw_toggled.emit(on)

    def choose(self, name) -> None:
        """Select a source by name."""
        self.source.setCurrentIndex(max(0, self.source.findData(name)))

    def _show_source(self) -> None:
        page = {DRAWN: 1, NOTHING: 1, SELECTED: 2, VALUES: 3}.get(self.source.currentData(), 0)
        self._fit_stack(page)
        self.stack.setVisible(page != 0)
        self.show_size()
        self._show_offer()

    def _fit_stack(self, page) -> None:
        """Show a page; the others, which may be higher, take no room."""
        for number in range(self.stack.count()):
            policy = QSizePolicy.Policy.Preferred if number == page else QSizePolicy.Policy.Ignored
            self.stack.widget(number).setSizePolicy(QSizePolicy.Policy.Preferred, policy)
        self.stack.setCurrentIndex(page)
        self.stack.adjustSize()

    def is_chosen(self) -> bool:
        """Whether there is an area, as far as that is known at once."""
        name = self.source.currentData()
        if name == DRAWN:
            return bool(self.tool.polygons)
        if name == SELECTED:
            return self.features.any()
        return name in (CANVAS, WHOLE)

    def area(self, canvas, layer):
        """The Area chosen; None where nothing is. Raises PluginError where what was chosen is no
        ground."""
        name = self.source.currentData()
        if name == DRAWN:
            geometry = self.tool.geometry()
            return None if geometry.isEmpty() else Area(geometry, self.tool.crs)
        if name == SELECTED:
            return self.features.area()
        if name == VALUES:
            raise PluginError(
                tr("Press 'Find' first: where the raster has these values is not known yet.")
            )
        if name == CANVAS:
            return canvas_area(canvas)
        if name == WHOLE and layer is not None:
            return Area(QgsGeometry.fromRect(layer.extent()), layer.crs())
        return None


def size_text(area):
    """How many polygons an area has, and how large they are on the ellipsoid of the project."""
    count = len(area.geometry.asGeometryCollection())
    many = tr("1 area") if count == 1 else tr("{n} areas", n=localised(count))
    square = square_metres(area.geometry, area.crs)
    if square is None:
        return many
    if square >= 1e6:
        return f"{many} · {localised(square / 1e6, 2)} km²"
    return f"{many} · {localised(square, 0 if square >= 10 else 2)} m²"
