"""A planner's day inside the QGIS desktop, by mouse and keys: a first edit, before and after, four
variants, a table of measures, products to hand on, the project saved and opened again.

Run by day.sh. Reads DAY_RASTER and DAY_OUT from the environment; prints `figure NAME VALUE` lines
into DAY_OUT/day.log.
"""

import json
import os
import struct
import time
import traceback
from pathlib import Path

from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsLayoutExporter,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QElapsedTimer, QPoint, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAction, QApplication, QScrollArea
from qgis.utils import iface, plugins

OUT = Path(os.environ["DAY_OUT"])
LOG = open(OUT / "day.log", "w", encoding="utf8")  # noqa: SIM115 - open to the end
SHORT = bool(os.environ.get("DAY_SHORT"))
"""The first edit and its pictures alone, for the other languages."""
# In pixels of the sample: where water goes, and a strip for trees.
CREEK = [(345, 6), (505, 6), (512, 130), (498, 300), (520, 470), (330, 470), (352, 240)]
FIELD = [(690, 130), (760, 130), (770, 250), (690, 250)]
HOUSES = [(632, 98, 668, 126), (632, 140, 668, 168), (632, 186, 668, 214)]
"""Footprints: left, top, right, bottom."""
LAWN = [(640, 330), (700, 335), (704, 400), (636, 396)]
WOOD = [(715, 605), (785, 605), (785, 665), (715, 665)]
LOW = [(240, 560), (500, 560), (500, 900), (240, 900)]
"""Where the wood is to grow, the wood that it is taken from, and a valley that is flooded."""
clicks = 0


def say(*words):
    print(*words, file=LOG, flush=True)


class Pulse:
    """How long the GUI thread was kept from its events, in milliseconds at most."""

    def __init__(self):
        self.longest, self.clock, self.timer = 0, QElapsedTimer(), QTimer()
        self.timer.setInterval(5)
        self.timer.timeout.connect(self.beat)

    def beat(self):
        self.longest = max(self.longest, self.clock.restart())

    def start(self):
        self.longest = 0
        self.clock.start()
        self.timer.start()


def wait(condition):
    """Handle events until the condition holds; the whole run has a limit outside (LIMIT_S)."""
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)


def pause(seconds):
    until = time.monotonic() + seconds
    wait(lambda: time.monotonic() > until)


def settle():
    iface.mapCanvas().refreshAllLayers()
    pause(0.7)
    wait(lambda: not iface.mapCanvas().isDrawing())


def shot(name):
    iface.messageBar().clearWidgets()
    settle()
    QApplication.primaryScreen().grabWindow(0).save(str(OUT / f"{name}.png"))


def click(widget, place=None, button=Qt.MouseButton.LeftButton):
    global clicks
    clicks += 1
    place = place or widget.rect().center()
    QTest.mouseMove(widget, place)
    QTest.mouseClick(widget, button, Qt.KeyboardModifier.NoModifier, place)


def at(layer, col, row):
    extent = layer.extent()
    x = extent.xMinimum() + col / layer.width() * extent.width()
    y = extent.yMaximum() - row / layer.height() * extent.height()
    there = iface.mapCanvas().getCoordinateTransform().transform(QgsPointXY(x, y))
    return QPoint(round(there.x()), round(there.y()))


def draw(dock, layer, ring):
    """Clicks on the map; the right button ends the polygon. How many there are is the shape's."""
    global clicks
    before = clicks
    if not dock.area.draw.isChecked():
        click(dock.area.draw, QPoint(20, dock.area.draw.height() // 2))
        before = clicks
    for col, row in ring:
        click(iface.mapCanvas().viewport(), at(layer, col, row))
    click(iface.mapCanvas().viewport(), at(layer, *ring[-1]), Qt.MouseButton.RightButton)
    clicks = before + 1  # a polygon counts as one


def write(dock, text):
    dock.words.prompt.setFocus()
    dock.words.prompt.selectAll()
    if text.isascii():
        QTest.keyClicks(dock.words.prompt, text)
    else:  # as an input method puts it in; QTest knows the keys of ASCII alone
        dock.words.prompt.insertPlainText(text)
    wait(lambda: dock.words.understood is not None)


def done(dock):
    wait(lambda: dock.task is None and not dock.waiting and not dock.will_run)
    if not dock.results.count():
        raise RuntimeError(f"no result: {dock.status.text()}")


def choose(box, text):
    """An entry of a list, by the keys of its first letters."""
    panel = box.parentWidget()
    while not isinstance(panel, QScrollArea):
        panel = panel.parentWidget()
    panel.ensureWidgetVisible(box)
    box.setFocus()
    QTest.keyClicks(box, text)
    if text not in box.currentText():
        raise RuntimeError(f"the list shows {box.currentText()}, not {text}")


def layer_of_first(dock):
    name = dock.results.item(0).data(Qt.ItemDataRole.UserRole)
    return QgsProject.instance().mapLayer(name)


def first_edit(dock, raster, pulse):
    global clicks
    clicks = 0
    draw(dock, raster, CREEK)
    write(dock, os.environ.get("DAY_PROMPT", "flooded to the doorsteps"))
    pulse.start()
    click(dock.run_button)
    done(dock)
    settle()
    say(f"figure clicks_to_first_edit {clicks} clicks (a polygon counts as one)")
    say(f"figure gui_blocked_ms {pulse.longest} ms")
    shot("1-first-edit")
    click(dock.swipe)
    wait(lambda: dock.swipe_tool.curtain.image is not None)
    view = iface.mapCanvas().viewport()
    middle = at(raster, 425, 200)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=middle)
    iface.messageBar().clearWidgets()
    pause(0.5)
    QApplication.primaryScreen().grabWindow(0).save(str(OUT / "2-swipe.png"))
    QTest.keyClick(iface.mapCanvas(), Qt.Key.Key_Escape)


def variants(dock, raster):
    dock.tool.clear()
    draw(dock, raster, FIELD)
    write(dock, "remove the trees")
    dock.variants.setValue(4)
    before = dock.results.count()
    click(dock.run_button)
    done(dock)
    say(f"figure variants_made {dock.results.count() - before} of 4")
    dock.variants.setValue(1)
    chosen = dock.results.visualItemRect(dock.results.item(2))
    click(dock.results.viewport(), chosen.center())
    shot("3-variants")


def footprints(dock, raster):
    """Houses of a layer, selected in QGIS, taken with the button that offers them."""
    houses = QgsVectorLayer(f"Polygon?crs={raster.crs().authid()}", "houses", "memory")
    extent, size = raster.extent(), raster.rasterUnitsPerPixelX()
    for left, top, right, bottom in HOUSES:
        feature = QgsFeature(houses.fields())
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        ring = ", ".join(
            f"{extent.xMinimum() + col * size} {extent.yMaximum() - row * size}"
            for col, row in corners
        )
        feature.setGeometry(QgsGeometry.fromWkt(f"Polygon(({ring}))"))
        houses.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(houses)
    iface.setActiveLayer(houses)
    iface.mainWindow().findChild(QAction, "mActionSelectAll").trigger()  # as its menu does
    wait(lambda: houses.selectedFeatureCount() == len(HOUSES) and dock.area.offer.isVisible())
    click(dock.area.offer)
    write(dock, "remove the houses")
    before = dock.results.count()
    click(dock.run_button)
    done(dock)
    say(f"figure footprints_edited {houses.selectedFeatureCount()} of {len(HOUSES)}")
    say(f"figure footprints_results {dock.results.count() - before} of 1")
    QgsProject.instance().layerTreeRoot().findLayer(houses.id()).setItemVisibilityChecked(False)
    shot("7-footprints")
    choose(dock.area.source, "drawn")
    iface.setActiveLayer(raster)


def like_there(dock, raster):
    """A wood beside the lawn, drawn as what is to be copied."""
    dock.tool.clear()
    draw(dock, raster, LAWN)
    write(dock, "like there")
    choose(dock.exemplar.source, "drawn")
    dock.scroll.ensureWidgetVisible(dock.exemplar)
    click(dock.exemplar.draw, QPoint(20, dock.exemplar.draw.height() // 2))
    for col, row in WOOD:
        click(iface.mapCanvas().viewport(), at(raster, col, row))
    click(iface.mapCanvas().viewport(), at(raster, *WOOD[-1]), Qt.MouseButton.RightButton)
    before = dock.results.count()
    click(dock.run_button)
    done(dock)
    say(f"figure exemplar_results {dock.results.count() - before} of 1")
    shot("8-like-there")
    choose(dock.exemplar.source, "none")


def over_heights(dock, raster):
    """A flood over an elevation model: a valley that falls to the south."""
    path = str(OUT / "heights.tif")
    extent = raster.extent()
    side = 128
    made = gdal.GetDriverByName("GTiff").Create(path, side, side, 1, gdal.GDT_Float32)
    made.SetProjection(raster.crs().toWkt())
    step = extent.width() / side, extent.height() / side
    made.SetGeoTransform((extent.xMinimum(), step[0], 0, extent.yMaximum(), 0, -step[1]))
    rows = [
        struct.pack(f"{side}f", *(300 - row / 16 + abs(col - 43) / 4 for col in range(side)))
        for row in range(side)
    ]
    made.GetRasterBand(1).WriteRaster(0, 0, side, side, b"".join(rows))
    made = None
    heights = QgsRasterLayer(path, "heights")
    QgsProject.instance().addMapLayer(heights, False)
    dock.tool.clear()
    draw(dock, raster, LOW)
    write(dock, "flooded 2 m")
    choose(dock.elevation, "heights")
    before = dock.results.count()
    click(dock.run_button)
    done(dock)
    manifest = json.loads(layer_of_first(dock).customProperty("landbrush/manifest"))
    wet = manifest["gate"]["pixels_inside_changed"] / manifest["gate"]["pixels_inside"]
    say(f"figure heights_results {dock.results.count() - before} of 1")
    say(f"figure heights_wet {wet:.2f} share of the polygon")
    shot("9-over-heights")
    dock.elevation.setFocus()
    QTest.keyClick(dock.elevation, Qt.Key.Key_Home)
    dock.tool.clear()


def measures(dock, raster):
    """Twelve polygons with words of their own, in one run of the algorithm."""
    import processing

    layer = QgsVectorLayer(
        f"Polygon?crs={raster.crs().authid()}&field=prompt:string&field=seed:integer",
        "measures",
        "memory",
    )
    extent, size = raster.extent(), raster.rasterUnitsPerPixelX()
    words = ("snow", "burnt", "grass", "flooded")
    for k in range(12):
        col, row = 60 + 240 * (k % 4), 520 + 150 * (k // 4)
        x, y = extent.xMinimum() + col * size, extent.yMaximum() - row * size
        far = 70 * size
        feature = QgsFeature(layer.fields())
        feature.setGeometry(
            QgsGeometry.fromWkt(
                f"Polygon(({x} {y}, {x + far} {y}, {x + far} {y - far}, {x} {y - far}, {x} {y}))"
            )
        )
        feature.setAttributes([words[k % 4], k])
        layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    found = {}
    os.environ["LANDBRUSH_URL"], os.environ["LANDBRUSH_TOKEN"] = (
        dock.server.url, dock.server.token,
    )  # fmt: skip
    for turn in ("first", "again"):
        found[turn] = processing.run(
            "landbrush:scenario",
            {
                "INPUT": raster,
                "LAYER": layer,
                "FOLDER": str(OUT / "scenario"),
                "OUTPUT": str(OUT / "scenario.tif"),
                "STATUS": "TEMPORARY_OUTPUT",
            },
        )
    told = found["first"]["DONE"] + found["first"]["FAILED"]
    say(f"figure batch_lost {12 - told} rows")
    say(f"figure batch_failed {found['first']['FAILED']} rows, each with its reason")
    say(f"figure batch_twice {found['again']['MADE']} rows")
    whole = QgsRasterLayer(str(OUT / "scenario.tif"), "scenario (synthetic)")
    QgsProject.instance().addMapLayer(whole)
    QgsProject.instance().layerTreeRoot().findLayer(layer.id()).setItemVisibilityChecked(False)
    shot("4-scenario")
    QgsProject.instance().removeMapLayer(whole.id())


def products(dock, flooded):
    from landbrush.plugin.products.layout import make_layout
    from landbrush.plugin.products.page import write_page
    from landbrush.plugin.products.pictures import Pictures, ground

    box, crs = ground(flooded)
    pictures = Pictures(flooded, box, crs)
    made = []
    pictures.made.connect(lambda *images: made.extend(images))
    pictures.start()
    wait(lambda: made)
    write_page(OUT / "before-after.html", made, "Creek", crs.authid())
    layout = make_layout(flooded, box, crs)
    exporter = QgsLayoutExporter(layout)
    exporter.exportToPdf(str(OUT / "before-after.pdf"), QgsLayoutExporter.PdfExportSettings())
    settings = QgsLayoutExporter.ImageExportSettings()
    settings.dpi = 96
    exporter.exportToImage(str(OUT / "5-layout.png"), settings)


def next_day(dock):
    path = OUT / "plan.qgz"
    project = QgsProject.instance()
    count = dock.results.count()
    project.write(str(path))
    project.clear()
    assert dock.results.count() == 0 or all(
        not dock.results.item(k).data(Qt.ItemDataRole.UserRole) for k in range(dock.results.count())
    )
    project.read(str(path))
    back = sum(
        bool(dock.results.item(k).data(Qt.ItemDataRole.UserRole))
        for k in range(dock.results.count())
    )
    say(f"figure results_found_next_day {back} of {count}")
    before = layer_of_first(dock)
    wanted = json.loads(before.customProperty("landbrush/manifest"))["gate"]["sha256_result"]
    dock.results.do("again", before)
    click(dock.run_button)
    done(dock)
    made = json.loads(layer_of_first(dock).customProperty("landbrush/manifest"))
    say(f"figure replay_same_bytes {int(made['gate']['sha256_result'] == wanted)} of 1")
    shot("6-next-day")


def main():
    try:
        window, dock = iface.mainWindow(), plugins["landbrush"].dock
        window.showNormal()
        window.setGeometry(QApplication.primaryScreen().availableGeometry())
        raster = QgsRasterLayer(os.environ["DAY_RASTER"], "Joplin 2011, 0.6 m")
        QgsProject.instance().addMapLayer(raster)
        iface.setActiveLayer(raster)
        iface.zoomToActiveLayer()
        iface.mapCanvas().zoomByFactor(0.55, QgsPointXY(
            raster.extent().xMinimum() + 0.42 * raster.extent().width(),
            raster.extent().yMaximum() - 0.24 * raster.extent().height(),
        ))  # fmt: skip
        dock.layer.setLayer(raster)
        settle()
        dock.server.start()
        wait(lambda: dock.server.state in ("running", "failed") and len(dock.infos) > 10)
        first_edit(dock, raster, Pulse())
        flooded = layer_of_first(dock)
        if not SHORT:
            variants(dock, raster)
            footprints(dock, raster)
            like_there(dock, raster)
            over_heights(dock, raster)
            measures(dock, raster)
            products(dock, flooded)
            next_day(dock)
        say("finished", QgsApplication.locale())
    except BaseException:
        traceback.print_exc(file=LOG)
    LOG.flush()
    os._exit(0)


QTimer.singleShot(1500, main)
