"""Pictures of the panel inside the QGIS desktop: docked at its narrowest, as QGIS opens it,
floating. Run by panel-pictures.sh.

Reads PANEL_RASTER and PANEL_OUT (the beginning of the pictures' names) from the environment.
"""

import os
import traceback

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QPoint, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface, plugins

OUT = os.environ["PANEL_OUT"]


def wait(condition):
    while not condition():
        QApplication.processEvents()


def settle():
    for _ in range(3):
        iface.mapCanvas().waitWhileRendering()
        for _ in range(50):
            QApplication.processEvents()


def shot(name):
    settle()
    QApplication.primaryScreen().grabWindow(0).save(f"{OUT}-{name}.png")


def main():
    try:
        window = iface.mainWindow()
        dock = plugins["landbrush"].dock
        screen = QApplication.primaryScreen().availableGeometry()
        window.showNormal()
        window.setGeometry(screen)
        raster = QgsRasterLayer(os.environ["PANEL_RASTER"], "scene")
        QgsProject.instance().addMapLayer(raster)
        iface.setActiveLayer(raster)
        iface.zoomToActiveLayer()
        dock.layer.setLayer(raster)
        dock.server.start()
        wait(
            lambda: (
                dock.server.state in ("running", "failed")
                and (len(dock.infos) > 10 or dock.server.state == "failed")
            )
        )
        QTest.keyClicks(dock.words.prompt, "flooded to the doorsteps")
        wait(lambda: dock.words.understood is not None)
        dock.status.setText(
            "Done in 0.4 s: 1,234 pixels changed inside, 0 of the window's 5,678 outside. The "
            "edge hardly shows."
        )
        shot("as-opened")
        window.resizeDocks([dock], [260], Qt.Orientation.Horizontal)
        shot("narrow")
        dock.setFloating(True)
        dock.resize(340, 620)
        dock.move(window.mapToGlobal(QPoint(420, 60)))
        dock.raise_()
        shot("floating")
        print("pictures", OUT, flush=True)
    except BaseException:
        traceback.print_exc()
    os._exit(0)


QTimer.singleShot(1500, main)
