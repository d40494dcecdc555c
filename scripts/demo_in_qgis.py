"""The demo's part inside QGIS: drives the dock as a user would, and notes what came of it.

Run by scripts/demo.sh through `qgis --code`. Reads DEMO_RASTER, DEMO_OUT and,
for a user's own edit, DEMO_PROMPT and DEMO_POLYGONS from the environment.
"""

import json
import os
import shutil
import time
import traceback
from pathlib import Path

from qgis.core import QgsPointXY, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QPoint, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface, plugins

OUT = Path(os.environ["DEMO_OUT"])
LOG = open(OUT / "demo.log", "w", encoding="utf8")  # noqa: SIM115 - open to the end
# On the sample image, in pixels: name, prompt, polygon, exemplar.
CASES = [
    (
        "remove",
        "remove the trees",
        [(130, 90), (180, 80), (240, 85), (262, 110), (240, 140), (180, 150), (140, 135)],
        None,
    ),
    (
        "fill-like-there",
        "fill it like the area I marked",
        [(180, 140), (240, 138), (270, 200), (190, 204)],
        [(120, 90), (250, 88), (254, 140), (130, 152)],
    ),
    (
        "flood",
        "flooded, muddy water",
        [(30, 205), (120, 180), (200, 220), (225, 330), (130, 392), (30, 380)],
        None,
    ),
    ("forest-by-prompt", "forest here", [(268, 246), (336, 240), (344, 312), (280, 320)], None),
]


def say(*words):
    print(*words, file=LOG, flush=True)


def wait(condition):
    """Handle events until the condition holds; the whole run has a limit outside (LIMIT_S)."""
    while not condition():
        QApplication.processEvents()
        time.sleep(0.02)


def shot(name):
    QApplication.processEvents()
    QApplication.primaryScreen().grabWindow(0).save(str(OUT / f"{name}.png"))


def settle():
    """Until the canvas has drawn what was added."""
    iface.mapCanvas().refreshAllLayers()
    until = time.monotonic() + 1
    wait(lambda: time.monotonic() > until and not iface.mapCanvas().isDrawing())


def draw(picker, layer, ring):
    """Clicks on the canvas, vertex by vertex; the right button ends the polygon."""
    canvas = iface.mapCanvas()
    viewport = iface.mapCanvas().viewport()
    if not picker.draw.isChecked():
        QTest.mouseClick(picker.draw, Qt.MouseButton.LeftButton)
    extent = layer.extent()
    last = None
    for col, row in ring:
        x = extent.xMinimum() + col / layer.width() * extent.width()
        y = extent.yMaximum() - row / layer.height() * extent.height()
        at = canvas.getCoordinateTransform().transform(QgsPointXY(x, y))
        last = QPoint(round(at.x()), round(at.y()))
        QTest.mouseMove(viewport, last)
        QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, last)
    QTest.mouseClick(viewport, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, last)


def write_prompt(dock, text):
    dock.words.prompt.clear()
    QTest.keyClicks(dock.words.prompt, text)


def press_run(dock):
    before = dock.results.count()
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    # It waits by itself until the server is there and the words are understood.
    wait(lambda: dock.task is None and not dock.will_run)
    if dock.results.count() == before:
        raise RuntimeError(f"no result: {dock.status.text()}")
    return QgsProject.instance().mapLayer(dock.results.item(0).data(Qt.ItemDataRole.UserRole))


def note(rows, name, layer, source):
    manifest = json.loads(layer.customProperty("landbrush/manifest"))
    result = OUT / f"{name}.tif"
    shutil.copyfile(layer.source(), result)
    (OUT / f"{name}.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False), "utf8")
    rows.append({"name": name, "source": source, "result": result.name, "layer": layer.name()})
    say("result", name, layer.name())


def sample(dock, layer, rows):
    """Each edit goes on with the result before; what is copied comes from the image as it was."""
    dock.go_on.setChecked(True)
    for name, prompt, polygon, exemplar in CASES:
        iface.messageBar().clearWidgets()
        edited = dock.layer.currentLayer()
        dock.tool.clear()
        dock.exemplar_tool.clear()
        dock.exemplar.choose("nothing")
        draw(dock.area, layer, polygon)
        if exemplar:
            draw(dock.exemplar, layer, exemplar)
            dock.exemplar_layer.setLayer(layer)
        write_prompt(dock, prompt)
        result = press_run(dock)
        note(rows, name, result, edited.source())
        dock.tool.clear()
        dock.exemplar_tool.clear()
        dock.exemplar_layer.setLayer(None)
        settle()
        shot(f"qgis-{name}")


def own(dock, layer, rows):
    polygons = QgsVectorLayer(os.environ["DEMO_POLYGONS"], "polygons", "ogr")
    if not polygons.isValid():
        raise RuntimeError(f"{os.environ['DEMO_POLYGONS']} cannot be opened")
    QgsProject.instance().addMapLayer(polygons)
    polygons.selectAll()
    dock.area.choose("selected")
    dock.area.layers.setLayer(polygons)
    write_prompt(dock, os.environ["DEMO_PROMPT"])
    note(rows, "result", press_run(dock), layer.source())
    iface.setActiveLayer(
        QgsProject.instance().mapLayer(dock.results.item(0).data(Qt.ItemDataRole.UserRole))
    )
    iface.zoomToActiveLayer()
    iface.mapCanvas().zoomByFactor(2.0)
    settle()
    shot("qgis-result")


def main():
    rows = []
    failure = ""
    try:
        window = iface.mainWindow()
        window.setGeometry(0, 0, 1440, 900)
        dock = plugins["landbrush"].dock
        window.resizeDocks([dock], [430], Qt.Orientation.Horizontal)
        raster = QgsRasterLayer(os.environ["DEMO_RASTER"], Path(os.environ["DEMO_RASTER"]).stem)
        if not raster.isValid():
            raise RuntimeError(f"{os.environ['DEMO_RASTER']} cannot be opened")
        QgsProject.instance().addMapLayer(raster)
        iface.setActiveLayer(raster)
        iface.zoomToActiveLayer()
        dock.layer.setLayer(raster)
        dock.server.start()
        wait(lambda: len(dock.infos) > 3 or dock.server.state == "failed")
        if dock.server.state == "failed":
            raise RuntimeError(f"server: {dock.server_line.text()} {dock.server.errors[-500:]}")
        wait(lambda: not iface.mapCanvas().isDrawing())
        say("QGIS with", len(dock.infos), "editors")
        (own if os.environ.get("DEMO_POLYGONS") else sample)(dock, raster, rows)
    except BaseException as error:
        failure = f"{type(error).__name__}: {error}"
        say(traceback.format_exc())
        shot("qgis-failure")
    (OUT / "summary.json").write_text(json.dumps({"results": rows, "failure": failure}), "utf8")
    try:
        plugins["landbrush"].dock.server.stop()
    finally:
        LOG.close()
        os._exit(1 if failure else 0)


QTimer.singleShot(1500, main)
