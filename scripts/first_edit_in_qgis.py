"""From the plugin's zip to a first edit, click by click, in a profile that has never seen
Landbrush. Run by first-edit.sh.

Nothing is set: the zip is installed as *Plugins > Install from ZIP* does it, then only buttons are
pressed (a path is typed where one is asked for). Reads ZIP, RASTER, OUT and WHEELS (a zip of
wheels; empty: from the internet) from the environment; writes steps.json (what was done, and after
how many seconds) and a picture a step.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

import pyplugin_installer
from qgis.core import QgsPointXY, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QPoint, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import active_plugins, iface, loadPlugin, plugins, startPlugin

sys.path.insert(0, os.environ["DAY_SCRIPTS"])

from person import as_soon_as, name_file

OUT = Path(os.environ["OUT"])
STEPS = []
HANDS = ["Install from ZIP"]  # what a person presses until the server runs
BEGAN = time.monotonic()


def wait(condition):
    while not condition():
        QApplication.processEvents()
        time.sleep(0.02)


def done(step):
    for _ in range(60):
        QApplication.processEvents()
    picture = f"{len(STEPS) + 1}.png"
    QApplication.primaryScreen().grabWindow(0).save(str(OUT / picture))
    STEPS.append({"step": step, "seconds": round(time.monotonic() - BEGAN, 1), "picture": picture})
    print(step, STEPS[-1]["seconds"], flush=True)


def click_on_map(layer, ring):
    canvas = iface.mapCanvas()
    extent = layer.extent()
    for col, row in ring:
        point = QgsPointXY(
            extent.xMinimum() + col / layer.width() * extent.width(),
            extent.yMaximum() - row / layer.height() * extent.height(),
        )
        at = canvas.getCoordinateTransform().transform(point)
        place = QPoint(round(at.x()), round(at.y()))
        QTest.mouseClick(
            canvas.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place
        )
    QTest.mouseClick(
        canvas.viewport(), Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, place
    )


def set_up(card):
    """By its button, or from the zip of wheels by the button beside it."""
    wheels = os.environ["WHEELS"]
    if not wheels:
        HANDS.append(card.button.text())
        QTest.mouseClick(card.button, Qt.MouseButton.LeftButton)
        return

    def pick(menu):
        place = menu.actionGeometry(card.from_zip).center()
        QTest.mouseMove(menu, place)
        QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=place)

    HANDS.append(card.from_zip.text())
    as_soon_as(QApplication.activePopupWidget, pick)
    name_file(wheels)
    QTest.mouseClick(card.more, Qt.MouseButton.LeftButton)


def first_edit():
    iface.mainWindow().setGeometry(QApplication.primaryScreen().availableGeometry())
    pyplugin_installer.instance().installFromZipFile(os.environ["ZIP"])
    if "landbrush" not in active_plugins:
        loadPlugin("landbrush")
        startPlugin("landbrush")
    dock = plugins["landbrush"].dock
    done(
        "Plugins > Install from ZIP: the panel opens; its button says "
        f"'{dock.setup_card.button.text()}'"
    )
    said = []
    dock.server.changed.connect(
        lambda state, text: said.append((round(time.monotonic() - BEGAN, 1), state, text))
    )
    fetched = set()

    def running_or_failed():
        fetched.add(dock.setup_card.bar.format())
        state = dock.server.state
        return state == "failed" or (state == "running" and dock.infos)

    set_up(dock.setup_card)
    wait(running_or_failed)
    if dock.server.state == "failed":
        raise RuntimeError(f"{dock.setup_card.said.text()} {dock.server.errors[-1500:]}")
    done(f"{HANDS[-1]}: pressed once; the server is set up and starts")
    layer = QgsRasterLayer(os.environ["RASTER"], "scene")
    QgsProject.instance().addMapLayer(layer)
    iface.setActiveLayer(layer)
    iface.zoomToActiveLayer()
    iface.mapCanvas().waitWhileRendering()
    done("A raster is added")
    QTest.mouseClick(dock.area.draw, Qt.MouseButton.LeftButton)
    click_on_map(
        layer, [(130, 90), (180, 80), (240, 85), (262, 110), (240, 140), (180, 150), (140, 135)]
    )
    done("Draw: a polygon is clicked around the trees")
    QTest.keyClicks(dock.words.prompt, "remove the trees")
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.task is None and not dock.will_run)
    if not dock.results.count():
        raise RuntimeError(dock.status.text())
    dock.tool.clear()
    iface.mapCanvas().waitWhileRendering()
    done("'remove the trees', Run: a new layer lies over the old one")
    result = QgsProject.instance().mapLayer(dock.results.item(0).data(Qt.ItemDataRole.UserRole))
    manifest = json.loads(result.customProperty("landbrush/manifest"))
    whole = [int(text.split("/")[1].split()[0]) for text in fetched if text.endswith(" MB")]
    return {
        "hands": HANDS,
        "fetched_mb": max(whole, default=0),
        "log": said,
        "gate": manifest["gate"],
        "editor": manifest["editor"],
    }


def main():
    about = {}
    failure = ""
    try:
        about = first_edit()
    except BaseException as error:
        failure = f"{type(error).__name__}: {error}"
        traceback.print_exc()
        done("failure")
    (OUT / "steps.json").write_text(
        json.dumps({"steps": STEPS, "failure": failure, **about}, indent=1), "utf8"
    )
    try:
        plugins["landbrush"].dock.server.stop(closing=True)
    finally:
        os._exit(1 if failure else 0)


QTimer.singleShot(2000, main)
