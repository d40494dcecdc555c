"""The plugin: a toolbar, menus, the dock, the Processing provider; unloading leaves nothing
behind."""

from typing import Any, Optional

from qgis.core import Qgis, QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QMenu

from .map.results import results
from .panel.dock import LandbrushDock
from .panel.options_page import LandbrushOptionsFactory
from .processing.provider import ICON, LandbrushProvider
from .translated import tr

try:
    RASTER, VECTOR = Qgis.LayerType.Raster, Qgis.LayerType.Vector
except AttributeError:  # before QGIS 3.30
    from qgis.core import QgsMapLayerType

    RASTER, VECTOR = QgsMapLayerType.RasterLayer, QgsMapLayerType.VectorLayer

MENU = "Landbrush"


class LandbrushPlugin:
    """The plugin as QGIS loads it: actions, one dock, one provider, one page of options."""

    def __init__(self, iface) -> None:
        self.iface = iface
        self.provider: Optional[LandbrushProvider] = None
        self.dock: Any = None  # a LandbrushDock
        self.options: Optional[LandbrushOptionsFactory] = None
        self.action: Any = None  # a QAction, whose module depends on the version of Qt
        self.toolbar: Any = None
        self.menu: Any = None  # never shown: what makes actions in any version of Qt
        self.actions: list = []  # in menu and toolbar
        self.of_layers: list = []  # in the menus of layers

    def initProcessing(self) -> None:
        """Also called alone, by qgis_process."""
        self.provider = LandbrushProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Add the toolbar, the menus, the dock and the options page."""
        self.initProcessing()
        window = self.iface.mainWindow()
        self.dock = dock = LandbrushDock(self.iface, window)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        # Qt's own action of the dock: it knows that a dock behind a tab is not closed.
        self.action = dock.toggleViewAction()
        self.action.setIcon(QIcon(ICON))
        self.action.setObjectName("landbrushAction")
        self.iface.addRasterToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu(MENU, self.action)
        self.menu = QMenu(window)
        self._add_actions()
        self._add_to_layers()
        self.options = LandbrushOptionsFactory()
        self.iface.registerOptionsWidgetFactory(self.options)

    def _add_actions(self) -> None:
        """Toolbar and menu; QGIS's list of shortcuts has them too."""
        dock = self.dock
        self.toolbar = self.iface.addToolBar(MENU)
        self.toolbar.setObjectName("LandbrushToolBar")
        self.toolbar.addAction(self.action)
        for name, title, icon, call in (
            ("Draw", tr("Landbrush: draw areas"), "mActionAddPolygon.svg", dock.draw_areas),
            ("Run", tr("Landbrush: run the edit"), "mActionStart.svg", dock.run),
            ("Swipe", tr("Landbrush: before and after"), "mActionSplitFeatures.svg",
             dock.toggle_swipe),
            ("Queue", tr("Landbrush: queue"), "mActionOpenTable.svg", dock.show_jobs),
            ("Collect", tr("Landbrush: collect results into the project folder"),
             "mActionFileSave.svg", dock.collect),
            ("Diagnostics", tr("Landbrush: diagnostics"), "mActionPropertiesWidget.svg",
             dock.show_diagnostics),
            ("Help", tr("Landbrush: help"), "mActionHelpContents.svg", dock.show_help),
        ):  # fmt: skip
            action = self.menu.addAction(QgsApplication.getThemeIcon(f"/{icon}"), title)
            action.setObjectName(f"landbrush{name}")
            action.triggered.connect(lambda _=False, call=call: call())
            self.iface.addPluginToRasterMenu(MENU, action)
            self.iface.registerMainWindowAction(action, "")
            if name in ("Draw", "Run", "Swipe"):
                self.toolbar.addAction(action)
            self.actions.append(action)

    def _add_to_layers(self) -> None:
        """The menu of a raster layer."""
        for title, call, kind, every in (
            (tr("Edit with Landbrush"), self._edit_layer, RASTER, True),
            (tr("Run as Landbrush scenario …"), self._run_as_scenario, VECTOR, True),
            (tr("Landbrush: edit again …"), self._edit_again, RASTER, False),
        ):
            action = self.menu.addAction(QIcon(ICON), title)
            action.triggered.connect(lambda _=False, call=call: call(self.iface.activeLayer()))
            self.iface.addCustomActionForLayerType(action, "", kind, every)
            self.of_layers.append(action)
        self.dock.results.listed.connect(self._result_listed)
        for layer in results():
            self._result_listed(layer)

    def _result_listed(self, layer) -> None:
        self.iface.addCustomActionForLayer(self.of_layers[-1], layer)

    def _edit_layer(self, layer) -> None:
        """Open the panel for a layer."""
        self.dock.layer.setLayer(layer)
        self.dock.setUserVisible(True)
        self.dock.words.prompt.setFocus()

    def _run_as_scenario(self, layer) -> None:
        """The form of the algorithm, with this layer and the panel's raster."""
        from processing import execAlgorithmDialog  # of QGIS, there once it has started

        given = {"LAYER": layer.id()}
        raster = self.dock.layer.currentLayer()
        if raster is not None:
            given["INPUT"] = raster.id()
        execAlgorithmDialog("landbrush:scenario", given)

    def _edit_again(self, layer) -> None:
        self.dock.setUserVisible(True)
        self.dock.do_to_result("again", layer)

    def unload(self) -> None:
        """Take everything away again."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        if self.options is not None:
            self.iface.unregisterOptionsWidgetFactory(self.options)
            self.options = None
        for action in self.of_layers:
            self.iface.removeCustomActionForLayerType(action)
        for action in self.actions:
            self.iface.unregisterMainWindowAction(action)
            self.iface.removePluginRasterMenu(MENU, action)
        self.actions, self.of_layers = [], []
        if self.dock is not None:
            self.iface.removePluginRasterMenu(MENU, self.action)
            self.iface.removeRasterToolBarIcon(self.action)
            self.toolbar.deleteLater()
            self.menu.deleteLater()
            self.dock.dispose()
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = self.action = self.toolbar = self.menu = None
