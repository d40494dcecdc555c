"""A planner's day inside the QGIS desktop, by mouse and keys: a first edit, before and after, four
variants, a table of measures, products to hand on, the project saved and QGIS left.

Run by day.sh, which starts QGIS once more for next_day_in_qgis.py. Reads DAY_RASTER and DAY_OUT
from the environment; prints `figure NAME VALUE` lines into DAY_OUT/day.log.
"""

import json
import os
import struct
import sys
import traceback

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
from qgis.PyQt.QtCore import QPoint, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAction, QApplication, QInputDialog, QLineEdit
from qgis.utils import iface, plugins

sys.path.insert(0, os.environ["DAY_SCRIPTS"])

from person import (
    LOG,
    OUT,
    Hand,
    Pulse,
    as_soon_as,
    at,
    choose,
    click,
    done,
    draw,
    entry,
    layer_of_first,
    leave,
    name_file,
    number,
    pause,
    say,
    settle,
    shot,
    wait,
    write,
)

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


def first_edit(dock, raster, pulse):
    Hand.clicks = 0
    draw(dock, raster, CREEK)
    write(dock, os.environ.get("DAY_PROMPT", "flooded to the doorsteps"))
    pulse.start()
    click(dock.run_button)
    done(dock)
    settle()
    say(f"figure clicks_to_first_edit {Hand.clicks} clicks (a polygon counts as one)")
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
    click(dock.area.clear)
    draw(dock, raster, FIELD)
    write(dock, "remove the trees")
    number(dock.variants, 4)
    before = dock.results.count()
    click(dock.run_button)
    done(dock)
    say(f"figure variants_made {dock.results.count() - before} of 4")
    number(dock.variants, 1)
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
    click(dock.area.clear)
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
    click(dock.area.clear)
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
    click(dock.area.clear)


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


def whole(path):
    """Whether a file is there to its end."""
    content = path.read_bytes() if path.exists() else b""
    return content.rstrip().endswith((b"%%EOF", b"</html>"))


def products(dock):
    """Sheet, page with a slider, layout and areas of the first edit, from the menu of its
    picture."""
    row = dock.results.count() - 1
    sheet, page = OUT / "before-after.pdf", OUT / "before-after.html"
    name_file(sheet)
    entry(dock, row, "Sheet Before | After as PDF …")
    wait(lambda: whole(sheet))

    def asked():
        window = QApplication.activeModalWidget()
        return window if isinstance(window, QInputDialog) else None

    def title(window):
        name_file(page)
        QTest.keyClicks(window.findChild(QLineEdit), "Creek")
        QTest.keyClick(window.findChild(QLineEdit), Qt.Key.Key_Return)

    as_soon_as(asked, title)
    entry(dock, row, "Page with slider, for a mail …")
    wait(lambda: whole(page))
    project = QgsProject.instance()
    layers = set(project.mapLayers())
    entry(dock, row, "Changed areas as a layer")
    areas = [project.mapLayer(name) for name in set(project.mapLayers()) - layers]
    say(f"figure products_made {whole(sheet) + whole(page) + len(areas)} of 3")
    designers = len(iface.openLayoutDesigners())
    entry(dock, row, "Print layout Before | After")
    wait(lambda: len(iface.openLayoutDesigners()) > designers)
    pause(2)
    designer = iface.openLayoutDesigners()[-1]
    settings = QgsLayoutExporter.ImageExportSettings()
    settings.dpi = 96
    exporter = QgsLayoutExporter(designer.layout())
    exporter.exportToImage(str(OUT / "5-layout.png"), settings)
    designer.close()
    for layer in areas:
        project.layerTreeRoot().findLayer(layer.id()).setItemVisibilityChecked(False)


def home(dock):
    """The project is saved with what will be looked for tomorrow, and QGIS is left."""
    before = layer_of_first(dock)
    tomorrow = {
        "results": dock.results.count(),
        "sha256": json.loads(before.customProperty("landbrush/manifest"))["gate"]["sha256_result"],
    }
    (OUT / "tomorrow.json").write_text(json.dumps(tomorrow), "utf8")
    QgsProject.instance().write(str(OUT / "plan.qgz"))


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
        settle()
        click(dock.server_button)
        wait(lambda: dock.server.state in ("running", "failed") and len(dock.infos) > 10)
        first_edit(dock, raster, Pulse())
        if not SHORT:
            variants(dock, raster)
            footprints(dock, raster)
            like_there(dock, raster)
            over_heights(dock, raster)
            measures(dock, raster)
            products(dock)
            home(dock)
        say("finished", QgsApplication.locale())
    except BaseException:
        traceback.print_exc(file=LOG)
        LOG.flush()
        os._exit(1)
    QgsProject.instance().setDirty(False)  # nothing is asked about it on the way out
    leave()


QTimer.singleShot(1500, main)
