"""The panel's widgets and their layout; what they do is in dock.py."""

from qgis.core import QgsApplication
from qgis.gui import (
    QgsCollapsibleGroupBox,
    QgsDockWidget,
    QgsDoubleSpinBox,
    QgsMapLayerComboBox,
    QgsSpinBox,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...server.contract.editors import AUTO
from ...server.contract.message import bounds_of, choices_of
from ...server.contract.requests import Blend, Output
from .. import settings
from ..map.canvas import PolygonTool
from ..map.known import KINDS
from ..map.swipe import SwipeTool
from ..translated import tr
from .areas import CANVAS, DRAWN, NOTHING, SELECTED, VALUES, WHOLE, AreaPicker
from .ensemble import EnsembleBox
from .level import LevelSlider
from .results import ResultList
from .searching import ResultSearch
from .setup_card import SetupCard
from .widgets import GROUND_FILTER, RASTER_FILTER, FoundList, OptionsForm, WheelGuard, narrow_form
from .words import WordsBox
from .wrapped import Wrapped

AREA_TITLES = ((tr("the edited window"), "window"), (tr("the whole layer"), "layer"))
COMPRESSION_TITLES = tuple(
    (word if word == "none" else word.upper(), word) for word in choices_of(Output, "compression")
)


NARROWEST_PX = 240
"""Width at which everything in the panel can be read and reached."""
STATUS_LINES = 3
SERVER_LINES = 2


class DockForm(QgsDockWidget):
    """A dock with everything the user sees, not yet connected."""

    def __init__(self, canvas, parent=None) -> None:
        super().__init__("Landbrush", parent)
        self.setObjectName("LandbrushDock")
        self.canvas = canvas
        self.tool = PolygonTool(canvas, "#d62728")
        self.exemplar_tool = PolygonTool(canvas, "#e6b800")
        self.protect_tool = PolygonTool(canvas, "#1f77b4")
        self.tools = (self.tool, self.exemplar_tool, self.protect_tool)
        self.swipe_tool = SwipeTool(canvas)
        self._build()

    def _make_fields(self) -> None:
        self.layer = QgsMapLayerComboBox()
        self.layer.setFilters(RASTER_FILTER)
        self.resolution = QgsDoubleSpinBox()
        self.resolution.setDecimals(6)
        self.resolution.setRange(1e-6, 1e6)
        self.resolution.setSuffix(tr(" map units / pixel"))
        self.area = AreaPicker(self.tool, (DRAWN, SELECTED, VALUES, CANVAS, WHOLE))
        self.area.setObjectName("area")
        self.exemplar = AreaPicker(self.exemplar_tool, (NOTHING, DRAWN, SELECTED, VALUES))
        self.exemplar_layer = QgsMapLayerComboBox()
        self.exemplar_layer.setFilters(RASTER_FILTER)
        self.exemplar_layer.setAllowEmptyLayer(True)
        self.exemplar_layer.setCurrentIndex(0)
        self.protect = AreaPicker(self.protect_tool, (NOTHING, DRAWN, SELECTED, VALUES))
        self.words = WordsBox()
        self.editor = QComboBox()
        self.editor.addItem(tr("Say what should be there"), AUTO)
        self.missing = Wrapped()
        self.find = QPushButton(tr("Find examples"))
        self.found = FoundList()
        self.elevation = QgsMapLayerComboBox()
        self.elevation.setFilters(RASTER_FILTER)
        self.elevation.setAllowEmptyLayer(True)
        self.elevation.setCurrentIndex(0)
        self.level = LevelSlider(self.canvas)

    def _lay_out_fields(self):
        form = narrow_form()
        for title, field in (
            (tr("Layer"), self.layer),
            (tr("Export at"), self.resolution),
            (tr("Edit"), self.area),
            (None, self.words.chips),
            (tr("Prompt"), self.words),
            (tr("Editor"), self.editor),
            ("", self.missing),
            (tr("Copy from"), self.exemplar),
            (tr("of layer"), self.exemplar_layer),
            ("", self.find),
            ("", self.found),
            (tr("Elevation"), self.elevation),
            ("", self.level),
        ):
            if title is None:
                form.add_across(field)
            else:
                form.addRow(title, field)
        self.form = form
        return form

    def _build(self) -> None:
        """What one fills in scrolls; what one always needs stands below it."""
        inner = QWidget()
        box = QVBoxLayout(inner)
        box.setContentsMargins(6, 6, 6, 6)
        self._make_fields()
        box.addLayout(self._lay_out_fields())
        self.options = OptionsForm()
        self.options_box = QgsCollapsibleGroupBox(tr("Options"))
        QVBoxLayout(self.options_box).addWidget(self.options)
        box.addWidget(self.options_box)
        box.addWidget(self._build_ground())
        self.ensemble = EnsembleBox()
        self.words.prompt.textChanged.connect(
            self.ensemble.clear
        )  # its sentences said the same as another prompt
        box.addWidget(self.ensemble)
        box.addWidget(self._build_more())
        box.addLayout(self._build_seed())
        self.preview = QLabel()
        self.preview.setToolTip(tr("Unfinished"))
        self.preview.hide()
        box.addWidget(self.preview)
        box.addStretch(1)
        self.scroll = QScrollArea()
        self.scroll.setWidgetResizable(True)
        self.scroll.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll.setMinimumWidth(NARROWEST_PX)
        self.scroll.setWidget(inner)
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.setup_card = SetupCard()
        column.addWidget(self.setup_card)
        column.addWidget(self.scroll, 1)
        column.addWidget(self._build_results())
        column.addWidget(self._build_footer())
        self.setWidget(whole)
        self.wheel = WheelGuard(self)
        self.wheel.watch(inner)

    def _build_ground(self):
        """Layers that know the ground."""
        self.ground_box = QgsCollapsibleGroupBox(tr("Known ground"))
        self.ground_box.setCollapsed(True)
        form = narrow_form(self.ground_box)
        self.ground = {}
        self.known_again = ()  # what the edit knew that is done again, until a layer is chosen
        titles = (tr("Buildings"), tr("Roads"), tr("Trees"), tr("Water"))
        for kind, title in zip(KINDS, titles):
            combo = self.ground[kind] = QgsMapLayerComboBox()
            combo.setFilters(GROUND_FILTER)
            combo.setAllowEmptyLayer(True)
            combo.setCurrentIndex(0)
            combo.setToolTip(
                tr(
                    "A layer that knows the ground: flood, snow, fire and night go by it. Shapes "
                    "that lie a few metres off are moved to where the picture shows them."
                )
            )
            combo.activated.connect(lambda *_: self.know_again(()))
            form.addRow(title, combo)
        return self.ground_box

    def _build_results(self):
        """The film strip, and what compares a result with the original; there once there is a
        result."""
        whole = QFrame()
        whole.setFrameShape(QFrame.Shape.StyledPanel)
        column = QVBoxLayout(whole)
        column.setContentsMargins(6, 3, 6, 3)
        column.setSpacing(2)
        self.results = ResultList()
        self.original = QPushButton(tr("Original"))
        self.original.setToolTip(
            tr("Held down: the map without the results (Space in the film strip does the same)")
        )
        self.swipe = QPushButton(tr("Swipe"))
        self.swipe.setCheckable(True)
        self.swipe.setToolTip(
            tr("Drag a curtain between before and after over the map (S in the film strip)")
        )
        self.flicker = QPushButton(tr("Flicker"))
        self.flicker.setCheckable(True)
        self.flicker.setToolTip(tr("Before and after by turns"))
        row = QHBoxLayout()
        for button in (self.original, self.swipe, self.flicker):
            button.setMinimumWidth(40)
            row.addWidget(button)
        column.addLayout(row)
        self.search = ResultSearch(self.results)
        column.addWidget(self.search)
        column.addWidget(self.results)
        self.results.filled.connect(whole.setVisible)
        whole.setVisible(self.results.count() > 0)
        return whole

    def _build_footer(self):
        footer = QFrame()
        footer.setFrameShape(QFrame.Shape.StyledPanel)
        column = QVBoxLayout(footer)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(3)
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.bar.setMaximumHeight(14)
        self.status = Wrapped()
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        said = QScrollArea()  # a long sentence scrolls; it must not push the buttons away
        said.setWidgetResizable(True)
        said.setFrameShape(QFrame.Shape.NoFrame)
        said.setWidget(self.status)
        said.setFixedHeight(STATUS_LINES * self.fontMetrics().lineSpacing() + 4)
        self.run_button = QPushButton(tr("Run"))
        self.run_button.setDefault(True)
        self.run_button.setToolTip(
            tr("Ctrl+Enter. While an edit runs, the next one waits for its turn")
        )
        self.cancel_button = QPushButton(tr("Cancel"))
        self.cancel_button.setEnabled(False)
        self.cancel_button.setToolTip(tr("End the running edit, and those that wait"))
        self.server_line = Wrapped(lines=SERVER_LINES)
        self.server_button = QPushButton(tr("Start server"))
        self.queue_line = Wrapped()
        self.queue_line.hide()
        column.addWidget(self.bar)
        column.addWidget(said)
        column.addWidget(self.queue_line)
        self.servers_button = QToolButton()
        self.servers_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.servers_button.setToolTip(tr("Which server works: this computer or one of the office"))
        self.servers_button.setAccessibleName(tr("Choose the server"))
        self.servers_button.setMenu(QMenu(self.servers_button))
        self.servers_button.setAutoRaise(True)
        self.server_row = QWidget()
        row = QHBoxLayout()
        row.addWidget(self.run_button, 1)
        row.addWidget(self.cancel_button)
        column.addLayout(row)
        row = QHBoxLayout(self.server_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.server_line, 1)
        # One above the other: beside each other they are too wide in French.
        of_server = QVBoxLayout()
        of_server.setSpacing(1)
        of_server.addWidget(self.servers_button, 0, Qt.AlignmentFlag.AlignRight)
        of_server.addWidget(self.server_button)
        row.addLayout(of_server)
        column.addWidget(self.server_row)
        return footer

    def _build_more(self):
        more = QgsCollapsibleGroupBox(tr("Edge and output"))
        more.setCollapsed(True)
        form = narrow_form(more)
        form.addRow(tr("Leave as it is"), self.protect)
        self.grow = QgsSpinBox()
        self.beyond = QgsSpinBox()
        self.feather = QgsSpinBox()
        self.context = QgsSpinBox()
        for field, name in (
            (self.grow, "grow_px"),
            (self.beyond, "beyond_px"),
            (self.feather, "feather_px"),
            (self.context, "context_px"),
        ):
            field.setRange(*bounds_of(Blend, name))
            field.setSuffix(tr(" px"))
        self.beyond.setToolTip(
            tr("The editor draws this far around the polygons too; what lies outside is not kept")
        )
        self.feather.setValue(settings.get("blend/feather_px"))
        self.context.setValue(settings.get("blend/context_px"))
        for field in (self.grow, self.beyond, self.feather, self.context):
            field.setClearValue(field.value())  # the way back to how it was
        self.match = QCheckBox()
        self.match.setChecked(settings.get("blend/radiometric_match"))
        self.whole = QCheckBox()
        self.whole.setChecked(settings.get("blend/whole_objects"))
        self.whole.setToolTip(
            tr(
                "Where something is removed: the polygons grow to all of what they mostly cover "
                "and to its shadow. Off: not one pixel outside of what you drew changes"
            )
        )
        self._make_output_fields()
        for title, field in (
            (tr("Enlarge polygons by"), self.grow),
            (tr("Draw beyond them"), self.beyond),
            (tr("Soft edge inside"), self.feather),
            (tr("Surroundings"), self.context),
            (tr("Match tone"), self.match),
            (tr("Whole objects"), self.whole),
            (tr("Write"), self.write),
            (tr("Compression"), self.compression),
            (tr("Cloud Optimized"), self.cog),
            (tr("Go on with the result"), self.go_on),
            (tr("Prompt in the file"), self.keep_request),
            (tr("Bands"), self.bands),
        ):
            form.addRow(title, field)
        return more

    def _make_output_fields(self) -> None:
        """How a result is written."""
        self.write = QComboBox()
        self.compression = QComboBox()
        for combo, titles in ((self.write, AREA_TITLES), (self.compression, COMPRESSION_TITLES)):
            for title, name in titles:
                combo.addItem(title, name)
        self.cog = QCheckBox()
        self.go_on = QCheckBox()
        self.keep_request = QCheckBox()
        self.keep_request.setToolTip(
            tr(
                "Write the prompt and the request into the GeoTIFF's own tags, not into "
                "the manifest alone"
            )
        )
        self.go_on.setToolTip(
            tr(
                "Write the whole layer and take it as the layer of the next edit, so "
                "that edits add up"
            )
        )
        self.bands = QLineEdit()
        self.bands.setPlaceholderText(tr("as the file says"))
        self.bands.setToolTip(
            tr("Which band is what, where the file does not say: red=1 green=2 blue=3 nir=4")
        )

    def _build_seed(self):
        row = QHBoxLayout()
        self.seed = QgsSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setMinimumWidth(60)
        self.dice = QPushButton(QgsApplication.getThemeIcon("/mActionRefresh.svg"), "")
        self.dice.setToolTip(tr("Roll the dice: another seed"))
        self.dice.setAccessibleName(self.dice.toolTip())
        self.dice.setMaximumWidth(36)
        self.variants = QgsSpinBox()
        self.variants.setRange(1, 8)
        self.variants.setPrefix("x ")
        # Room for the words of every language in the narrowest panel; 1 is one step away.
        self.variants.setShowClearButton(False)
        self.variants.setMinimumWidth(56)
        self.variants.setToolTip(tr("Variants: so many results, each with the next seed"))
        self.models_button = QPushButton(tr("Models …"))
        self.models_button.setToolTip(
            tr("Pretrained models: which the server has, and how to bring more")
        )
        for widget, stretch in (
            (QLabel(tr("Seed")), 0),
            (self.seed, 1),
            (self.dice, 0),
            (self.variants, 0),
        ):
            row.addWidget(widget, stretch)
        self.library_button = QPushButton(tr("Library …"))
        self.library_button.setToolTip(
            tr("Exemplars for words that the layer does not hold, and keeping your own")
        )
        self.jobs_button = QPushButton(tr("Queue …"))
        self.jobs_button.setToolTip(
            tr("Every job of the server, also of former sessions: cancel, fetch, delete")
        )
        more = QHBoxLayout()
        for button in (self.models_button, self.library_button, self.jobs_button):
            button.setMinimumWidth(60)
            more.addWidget(button)
        more.addStretch(1)
        column = QVBoxLayout()
        column.addLayout(row)
        column.addLayout(more)
        return column
