"""The panel's widgets and their layout; what they do is in dock.py."""

from qgis.core import QgsApplication
from qgis.gui import QgsCollapsibleGroupBox, QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDockWidget,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..server.api import AUTO
from . import settings
from .canvas import PolygonTool
from .ensemble import EnsembleBox
from .results import ResultList
from .widgets import CANVAS, DRAWN, NOTHING, RASTER_FILTER, SELECTED, WHOLE, AreaPicker, FoundList, OptionsForm
from .words import WordsBox

AREA_TITLES = (("the edited window", "window"), ("the whole layer", "layer"))
COMPRESSION_TITLES = (("DEFLATE", "deflate"), ("ZSTD", "zstd"), ("none", "none"))


class DockForm(QDockWidget):
    """A dock with everything the user sees, not yet connected."""

    def __init__(self, canvas, parent=None):
        super().__init__("Landbrush", parent)
        self.setObjectName("LandbrushDock")
        self.canvas = canvas
        self.tool = PolygonTool(canvas, "#d62728")
        self.exemplar_tool = PolygonTool(canvas, "#e6b800")
        self.protect_tool = PolygonTool(canvas, "#1f77b4")
        self.tools = (self.tool, self.exemplar_tool, self.protect_tool)
        self._build()

    def _make_fields(self):
        self.layer = QgsMapLayerComboBox()
        self.layer.setFilters(RASTER_FILTER)
        self.resolution = QDoubleSpinBox()
        self.resolution.setDecimals(6)
        self.resolution.setRange(1e-6, 1e6)
        self.resolution.setSuffix(" map units / pixel")
        self.area = AreaPicker(self.tool, (DRAWN, SELECTED, CANVAS, WHOLE))
        self.area.setObjectName("area")
        self.exemplar = AreaPicker(self.exemplar_tool, (NOTHING, DRAWN, SELECTED))
        self.exemplar_layer = QgsMapLayerComboBox()
        self.exemplar_layer.setFilters(RASTER_FILTER)
        self.exemplar_layer.setAllowEmptyLayer(True)
        self.exemplar_layer.setCurrentIndex(0)
        self.protect = AreaPicker(self.protect_tool, (NOTHING, DRAWN, SELECTED))
        self.words = WordsBox()
        self.editor = QComboBox()
        self.editor.addItem("Say what should be there", AUTO)
        self.missing = QLabel()
        self.missing.setWordWrap(True)
        self.find = QPushButton("Find examples in the layer")
        self.found = FoundList()
        self.elevation = QgsMapLayerComboBox()
        self.elevation.setFilters(RASTER_FILTER)
        self.elevation.setAllowEmptyLayer(True)
        self.elevation.setCurrentIndex(0)

    def _lay_out_fields(self):
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Layer", self.layer)
        form.addRow("Export at", self.resolution)
        form.addRow("Edit", self.area)
        form.addRow("Prompt", self.words)
        form.addRow("Editor", self.editor)
        form.addRow("", self.missing)
        form.addRow("Copy from", self.exemplar)
        form.addRow("of layer", self.exemplar_layer)
        form.addRow("", self.find)
        form.addRow("", self.found)
        form.addRow("Elevation", self.elevation)
        for combo in (self.layer, self.exemplar_layer, self.elevation, self.editor, self.resolution):
            combo.setMinimumWidth(60)
            combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.form = form
        return form

    def _build(self):
        inner = QWidget()
        box = QVBoxLayout(inner)
        self._make_fields()
        box.addLayout(self._lay_out_fields())
        self.options = OptionsForm()
        self.options_box = QgsCollapsibleGroupBox("Options")
        QVBoxLayout(self.options_box).addWidget(self.options)
        box.addWidget(self.options_box)
        self.ensemble = EnsembleBox()
        self.words.prompt.textChanged.connect(self.ensemble.clear)  # its sentences said the same as another prompt
        box.addWidget(self.ensemble)
        box.addWidget(self._build_more())
        box.addLayout(self._build_run())
        self.results = ResultList()
        box.addWidget(QLabel("Results"))
        box.addWidget(self.results)
        box.addLayout(self._build_server())
        box.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        self.setWidget(scroll)

    def _build_more(self):
        more = QgsCollapsibleGroupBox("Edge and output")
        more.setCollapsed(True)
        form = QFormLayout(more)
        form.addRow("Leave as it is", self.protect)
        self.grow, self.beyond, self.feather, self.context = QSpinBox(), QSpinBox(), QSpinBox(), QSpinBox()
        for field, top in ((self.grow, 64), (self.beyond, 64), (self.feather, 128), (self.context, 2048)):
            field.setRange(0, top)
            field.setSuffix(" px")
        self.beyond.setToolTip("The editor draws this far around the polygons too; what lies outside is not kept")
        self.feather.setValue(settings.get("blend/feather_px"))
        self.context.setValue(settings.get("blend/context_px"))
        self.match = QCheckBox("Match the tone to the surroundings")
        self.match.setChecked(settings.get("blend/radiometric_match"))
        self.write, self.compression = QComboBox(), QComboBox()
        for combo, titles in ((self.write, AREA_TITLES), (self.compression, COMPRESSION_TITLES)):
            for title, name in titles:
                combo.addItem(title, name)
        self.cog = QCheckBox("Cloud Optimized GeoTIFF")
        self.go_on = QCheckBox("Go on with the result")
        self.go_on.setToolTip("Write the whole layer and take it as the layer of the next edit, so that edits add up")
        self.bands = QLineEdit()
        self.bands.setPlaceholderText("as the file says")
        self.bands.setToolTip("Which band is what, where the file does not say: red=1 green=2 blue=3 nir=4")
        for title, field in (("Enlarge polygons by", self.grow), ("Draw beyond them", self.beyond),
                             ("Soft edge inside", self.feather),
                             ("Surroundings", self.context), ("", self.match), ("Write", self.write),
                             ("Compression", self.compression), ("", self.cog), ("", self.go_on), ("Bands", self.bands)):
            form.addRow(title, field)
        return more

    def _build_run(self):
        column = QVBoxLayout()
        row = QHBoxLayout()
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.dice = QPushButton(QgsApplication.getThemeIcon("/mActionRefresh.svg"), "")
        self.dice.setToolTip("Roll the dice: another seed")
        self.dice.setMaximumWidth(36)
        self.variants = QSpinBox()
        self.variants.setRange(1, 8)
        self.variants.setPrefix("x ")
        self.variants.setToolTip("Variants: so many results, each with the next seed")
        self.run_button = QPushButton("Run")
        self.run_button.setDefault(True)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setEnabled(False)
        self.seed.setMinimumWidth(60)
        for widget in (QLabel("Seed"), self.seed, self.dice, self.variants, self.run_button, self.cancel_button):
            row.addWidget(widget)
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.preview = QLabel()
        self.preview.setToolTip("Unfinished")
        self.preview.hide()
        column.addLayout(row)
        column.addWidget(self.bar)
        column.addWidget(self.preview)
        column.addWidget(self.status)
        return column

    def _build_server(self):
        row = QHBoxLayout()
        self.server_line = QLabel("Server not started")
        self.server_line.setWordWrap(True)
        self.server_button = QPushButton("Start server")
        row.addWidget(self.server_line, 1)
        self.models_button = QPushButton("Models …")
        self.models_button.setToolTip("Pretrained models: which the server has, and how to bring more")
        row.addWidget(self.models_button)
        row.addWidget(self.server_button)
        return row
