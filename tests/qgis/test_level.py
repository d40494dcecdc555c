"""The level of a flood, chosen on the map: what the elevation model puts under water is shown."""

import math

import pytest
from driving import draw, run
from landbrush.plugin.errors import PluginError
from landbrush.plugin.map.flooded import DRY, STEPS, FloodPreview, Heights
from landbrush.plugin.map.results import manifest_of
from landbrush.server.contract.editors import AUTO
from qgis.core import QgsCoordinateReferenceSystem as Crs
from qgis.core import QgsFeedback, QgsGeometry, QgsPointXY, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter
from qgis.PyQt.QtTest import QTest

MAKE_SLOPE = """
import sys, numpy as np, rasterio
from affine import Affine
from rasterio.warp import reproject
rows, cols = np.mgrid[:200, :240]
heights = (300 + cols * 0.05).astype("float32")   # 0.1 m a metre, eastwards
heights[:20] = -9999
grid = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400000, 0, -0.5, 3285000)}
profile = {"driver": "GTiff", "width": 240, "height": 200, "count": 1, "dtype": "float32"}
with rasterio.open(sys.argv[1], "w", **profile, **grid, nodata=-9999) as out:
    out.write(heights, 1)
"""
BOX = "Polygon((400020 3284920, 400020 3284980, 400100 3284980, 400100 3284920, 400020 3284920))"


@pytest.fixture
def slope(raster, helpers, tmp_path):
    path = tmp_path / "dem.tif"
    helpers.server_python(MAKE_SLOPE, path)
    layer = QgsRasterLayer(str(path), "dem")
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_the_share_under_water_follows_the_slope(slope):
    found = Heights(slope, QgsGeometry.fromWkt(BOX), slope.crs()).read(QgsFeedback())
    (basin,) = found.all
    assert abs(basin.low - 302) < 0.06 and math.isclose(found.level_m(STEPS), 8, rel_tol=0.02)
    for share in (0.25, 0.5, 0.9):
        wet = found.wet_m2(round(share * STEPS))
        assert abs(wet / (share * 80 * 60) - 1) < 0.04
    assert abs(found.wet_m2(STEPS) / 4800 - 1) < 0.01
    values = set(bytes(basin.steps.constBits().asarray(basin.steps.sizeInBytes())))
    assert max(values) <= DRY


def test_depths_and_feet_are_turned_into_metres(slope):
    """The share that a level covers is that of the ground in metres."""
    shape = QgsGeometry.fromWkt(BOX)
    feet = Heights(slope, shape, slope.crs(), 0.3048).read(QgsFeedback())
    assert math.isclose(feet.level_m(STEPS), 8 * 0.3048, rel_tol=0.02)
    assert abs(feet.all[0].low - 302 * 0.3048) < 0.03
    assert abs(feet.wet_m2(STEPS // 4) / 1200 - 1) < 0.05
    depths = Heights(slope, shape, slope.crs(), -1.0).read(QgsFeedback())
    assert abs(depths.all[0].low + 310) < 0.06  # the east lies deepest
    assert abs(depths.wet_m2(STEPS // 4) / 1200 - 1) < 0.05
    high = Heights(slope, shape, slope.crs(), 1.0, 20.0).read(QgsFeedback())
    assert high.level_m(STEPS) >= 30 and high.wet_m2(STEPS) == pytest.approx(4800, rel=0.01)


def test_gaps_and_holes_hold_no_water(slope):
    holed = QgsGeometry.fromWkt(
        "Polygon((400020 3284960, 400020 3285000, 400100 3285000, 400100 3284960, 400020 3284960),"
        "(400040 3284970, 400080 3284970, 400080 3284980, 400040 3284980, 400040 3284970))"
    )
    found = Heights(slope, holed, slope.crs()).read(QgsFeedback())
    # The upper ten metres have no height; the hole is 40 by 10.
    assert abs(found.wet_m2(STEPS) / (80 * 30 - 400) - 1) < 0.03
    nowhere = QgsGeometry.fromWkt(
        "Polygon((400020 3284995, 400020 3284999, 400030 3284999, 400020 3284995))"
    )
    with pytest.raises(PluginError, match="no height"):
        Heights(slope, nowhere, slope.crs()).read(QgsFeedback())
    many = QgsGeometry.collectGeometry(
        [
            QgsGeometry.fromPointXY(QgsPointXY(400020 + k, 3284950)).buffer(0.3, 2)
            for k in range(201)
        ]
    )
    with pytest.raises(PluginError, match="201 areas"):
        Heights(slope, many, slope.crs())


def test_two_polygons_have_each_its_own_lowest_ground(slope):
    both = QgsGeometry.fromWkt(
        "MultiPolygon(((400010 3284920, 400010 3284940, 400030 3284940, 400030 3284920, "
        "400010 3284920)), ((400080 3284920, 400080 3284940, 400100 3284940, 400100 3284920, "
        "400080 3284920)))"
    )
    found = Heights(slope, both, slope.crs()).read(QgsFeedback())
    lows = sorted(one.low for one in found.all)
    assert abs(lows[0] - 301) < 0.06 and abs(lows[1] - 308) < 0.06
    assert abs(found.wet_m2(STEPS // 2) / 400 - 1) < 0.1  # half of each


def test_a_map_in_another_crs_shows_the_same_ground(slope):
    shape, mercator = QgsGeometry.fromWkt(BOX), Crs("EPSG:3857")
    from qgis.core import QgsCoordinateTransform

    shape.transform(QgsCoordinateTransform(slope.crs(), mercator, QgsProject.instance()))
    found = Heights(slope, shape, mercator).read(QgsFeedback())
    assert abs(found.all[0].low - 302) < 0.3
    assert abs(found.wet_m2(STEPS // 2) / 2400 - 1) < 0.05


def test_water_is_drawn_where_it_lies(dock, slope, raster):
    preview = FloodPreview(dock.canvas)
    found = Heights(slope, QgsGeometry.fromWkt(BOX), slope.crs()).read(QgsFeedback())
    preview.show_level(found, STEPS // 2)

    def colour(x, y):
        shown = QImage(dock.canvas.viewport().size(), QImage.Format.Format_RGB32)
        shown.fill(QColor("white"))
        painter = QPainter(shown)
        painter.translate(preview.pos())
        preview.paint(painter)
        painter.end()
        place = dock.canvas.getCoordinateTransform().transform(QgsPointXY(x, y))
        return shown.pixelColor(round(place.x()), round(place.y()))

    west, east, outside = colour(400030, 3284950), colour(400090, 3284950), colour(400110, 3284950)
    assert west.blue() > west.red() + 40 and east == outside == QColor("white")
    preview.show_level(found, STEPS)
    assert colour(400090, 3284950).blue() > colour(400090, 3284950).red() + 40
    # A map that is turned shows it where it lies, too.
    preview.show_level(found, STEPS // 2)
    dock.canvas.setRotation(90)
    west, east = colour(400030, 3284950), colour(400090, 3284950)
    assert west.blue() > west.red() + 40 and east == QColor("white")
    assert colour(400030, 3284925).blue() > colour(400030, 3284925).red() + 40
    dock.canvas.setRotation(0)
    preview.forget()
    assert not preview.isVisible()
    preview.dispose()


@pytest.mark.usefixtures("served")
def test_a_level_is_dragged_and_the_edit_stands_there(dock, raster, slope, helpers):
    draw(dock, raster)
    dock.elevation.setLayer(slope)
    assert not dock.level.isVisible(), "nothing says flood yet"
    dock.words.prompt.setPlainText("flooded 2 m")
    assert helpers.wait(lambda: dock.words.understood is not None)
    assert dock.level.isVisible() or not dock.level.isHidden()
    QTest.mouseClick(dock.level.button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: dock.level.basins is not None)
    assert dock.level.preview.isVisible() and not dock.level.slider.isHidden()
    assert dock.level.told.text().startswith("2 m") and dock.words.changed() == {}, "as was said"
    assert dock.level.basins.level_m(STEPS) >= 3, "also more than the ground rises"
    quarter = round(0.4 / dock.level.basins.step_m)  # the ground rises by 1.6 m
    dock.level.slider.setValue(quarter)
    level = round(dock.level.basins.level_m(quarter), 2)
    assert dock.words.changed() == {"level_m": level, "counts_from": "the lowest ground"}
    assert f"{level:g} m" in dock.level.told.text() and "m²" in dock.level.told.text()
    assert f"{level:g}" in dock.words.parts.text()
    layer = run(dock, helpers)
    assert layer is not None, dock.status.text()
    assert not dock.level.preview.isVisible() and dock.level.slider.isHidden()
    manifest = manifest_of(layer)
    assert manifest.editor == "flood" and manifest.options["level_m"] == level
    found = helpers.compare(raster.source(), layer.source())
    assert found["same"] and found["outside"] == 0
    # A quarter of the slope lies under water.
    assert 0.1 < found["inside"] / (32 * 32) < 0.5
    # Other words have no level that was dragged.
    dock.words.prompt.setPlainText("snow")
    assert helpers.wait(lambda: dock.words.understood is not None)
    assert dock.level.isHidden() and dock.words.changed() == {}


@pytest.mark.usefixtures("served")
def test_the_same_for_an_editor_that_is_chosen(dock, raster, slope, helpers):
    dock.elevation.setLayer(slope)
    dock.editor.setCurrentIndex(dock.editor.findData("flood"))
    assert not dock.level.isHidden() and dock.editor.currentData() != AUTO
    QTest.mouseClick(dock.level.button, Qt.MouseButton.LeftButton)
    assert "Draw first" in dock.status.text() and not dock.level.button.isChecked()
    draw(dock, raster)
    QTest.mouseClick(dock.level.button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: dock.level.basins is not None)
    dock.level.slider.setValue(100)
    level = round(dock.level.basins.level_m(100), 2)
    assert dock.options.values()["level_m"] == pytest.approx(level, abs=0.01)
    assert dock.options.values()["counts_from"] == "the lowest ground"
    dock.tool.clear()
    assert dock.level.basins is None and not dock.level.preview.isVisible()
    assert dock.options.values()["level_m"] == pytest.approx(level, abs=0.01), "the level stays"


@pytest.mark.usefixtures("served")
def test_a_model_in_feet_floods_where_it_was_shown(dock, raster, helpers, tmp_path):
    path = tmp_path / "feet.tif"
    script = MAKE_SLOPE.replace(
        "out.write(heights, 1)", "out.write(heights, 1); out.units = ('ft',)"
    )
    helpers.server_python(script, path)
    feet = QgsRasterLayer(str(path), "feet")
    QgsProject.instance().addMapLayer(feet)
    dock.elevation.setLayer(feet)
    dock.editor.setCurrentIndex(dock.editor.findData("flood"))
    draw(dock, raster)
    QTest.mouseClick(dock.level.button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: dock.level.basins is not None)
    # 1.6 ft of relief; the level that is asked for at first, 1.5 m, covers all of it.
    whole = dock.tool.geometry().area()
    assert dock.level.basins.wet_m2(STEPS) == pytest.approx(whole, rel=0.05)
    wide = dock.tool.geometry().boundingBox().width() / 10  # feet that the ground rises by
    half = round(wide / 2 * 0.3048 / dock.level.basins.step_m)
    assert dock.level.basins.wet_m2(half) == pytest.approx(whole / 2, rel=0.15)
    # The map goes elsewhere: what is drawn stays, and so does its water.
    dock.canvas.zoomScale(500)
    assert dock.level.basins is not None
    dock.area.choose("canvas")
    assert dock.level.basins is None
    # Nothing is drawn into what is not there any more.
    dock.area.choose("drawn")
    QTest.mouseClick(dock.level.button, Qt.MouseButton.LeftButton)
    QgsProject.instance().removeMapLayer(feet.id())
    helpers.wait(lambda: dock.measuring is None and not dock.tasks)
    assert dock.level.basins is None
