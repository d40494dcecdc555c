"""The plugin: an action, the dock, the Processing provider; unloading leaves nothing behind."""

from typing import Any, Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon

from .panel.dock import LandbrushDock
from .panel.options_page import LandbrushOptionsFactory
from .processing.provider import ICON, LandbrushProvider

MENU = "Landbrush"


class LandbrushPlugin:
    """The plugin as QGIS loads it: one action, one dock, one provider, one page of options."""

    def __init__(self, iface) -> None:
        self.iface = iface
        self.provider: Optional[LandbrushProvider] = None
        self.dock: Optional[LandbrushDock] = None
        self.options: Optional[LandbrushOptionsFactory] = None
        self.action: Any = None  # a QAction, whose module depends on the version of Qt

    def initProcessing(self) -> None:
        """Also called alone, by qgis_process."""
        self.provider = LandbrushProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Add the action, the dock and the options page."""
        self.initProcessing()
        window = self.iface.mainWindow()
        self.dock = LandbrushDock(self.iface, window)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        # Qt's own action of the dock: it knows that a dock behind a tab is not closed.
        self.action = self.dock.toggleViewAction()
        self.action.setIcon(QIcon(ICON))
        self.action.setObjectName("landbrushAction")
        self.iface.addRasterToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu(MENU, self.action)
        self.options = LandbrushOptionsFactory()
        self.iface.registerOptionsWidgetFactory(self.options)

    def unload(self) -> None:
        """Take everything away again."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        if self.options is not None:
            self.iface.unregisterOptionsWidgetFactory(self.options)
            self.options = None
        if self.dock is not None:
            self.iface.removePluginRasterMenu(MENU, self.action)
            self.iface.removeRasterToolBarIcon(self.action)
            self.dock.dispose()
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = self.action = None
