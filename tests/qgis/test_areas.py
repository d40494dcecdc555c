"""Areas out of the data that the user has: features with a distance around them, values of a
raster."""

import math

import pytest
from driving import draw, run
from landbrush.plugin.errors import PluginError
from landbrush.plugin.map.places import around, square_metres
from landbrush.plugin.map.values import ValuedGround, ranges_of
from landbrush.plugin.panel.areas import DRAWN, NOTHING, SELECTED, VALUES
from landbrush.plugin.tasks.request import key_of
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsFeedback,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

MAKE_CLASSES = """
import sys, numpy as np, rasterio
from affine import Affine
classes = np.ones((200, 240), "int16")
classes[20:60, 30:90] = 5
classes[100:140, 150:200] = 3
classes[110:120, 160:170] = -9999
index = np.where(classes == 5, 0.6, 0.1).astype("float32")
index[0, 0] = np.nan
grid = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400000, 0, -0.5, 3285000)}
profile = {"driver": "GTiff", "width": 240, "height": 200, **grid}
with rasterio.open(sys.argv[1], "w", **profile, count=1, dtype="int16", nodata=-9999) as out:
    out.write(classes, 1)
with rasterio.open(sys.argv[2], "w", **profile, count=2, dtype="float32") as out:
    out.write(np.zeros_like(index), 1)
    out.write(index, 2)
"""


@pytest.fixture
def classes(raster, helpers, tmp_path):
    """(a raster of classes with gaps, one of an index in its second band), in the project."""
    paths = [tmp_path / "classes.tif", tmp_path / "index.tif"]
    helpers.server_python(MAKE_CLASSES, *paths)
    layers = [QgsRasterLayer(str(path), path.stem) for path in paths]
    QgsProject.instance().addMapLayers(layers)
    return layers


def vector(kind, *shapes, crs="EPSG:32617", name="features"):
    layer = QgsVectorLayer(f"{kind}?crs={crs}&field=use:string", name, "memory")
    for number, shape in enumerate(shapes):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromWkt(shape))
        feature.setAttributes(["school" if number % 2 else "road"])
        assert layer.dataProvider().addFeatures([feature])[0]
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("3", [3], [2.99, 4]),
        ("3, 5", [3, 5], [4]),
        ("3;5 ; 7", [3, 5, 7], [6]),
        ("0.2 to 0.5", [0.2, 0.3, 0.5], [0.19, 0.51]),
        ("-1..-0.5", [-1, -0.5], [0, -1.1]),
        ("> 0.4", [0.41, 1e9], [0.4, -1]),
        (">=0.4", [0.4], [0.39]),
        ("≤ 2", [2, -5], [2.1]),
        ("< 0, > 10", [-1, 11], [0, 5, 10]),
        ("1e-3 bis 1E3", [0.001, 1000], [0]),
    ],
)
def test_values_are_read(text, inside, outside):
    found = ranges_of(text)
    assert all(any(one.holds(value) for one in found) for value in inside)
    assert not any(any(one.holds(value) for one in found) for value in (*outside, math.nan))


@pytest.mark.parametrize(
    "text", ["", " ", "water", "3 5", "0.2 to", "0,4", "> ", "5 to 3", "1, , 2", "3x", "1, "]
)
def test_values_that_cannot_be_read_are_told(text):
    with pytest.raises(PluginError, match="Values"):
        ranges_of(text)


def test_ground_of_classes_is_theirs_to_the_pixel(classes):
    layer = classes[0]
    found = ValuedGround(layer, 1, ranges_of("3, 5")).read(QgsFeedback())
    assert math.isclose(found.area(), (40 * 60 + 40 * 50 - 100) * 0.25, rel_tol=1e-9)
    inside, hole = QgsGeometry.fromWkt("Point(400016 3284989)"), "Point(400082.2 3284942.7)"
    assert found.contains(inside) and not found.intersects(QgsGeometry.fromWkt(hole))
    assert found.isGeosValid()
    # A gap is no value, also where its number would be one.
    low = ValuedGround(layer, 1, ranges_of("< 2")).read(QgsFeedback())
    assert math.isclose(low.area(), (200 * 240 - 2400 - 2000) * 0.25, rel_tol=1e-9)
    box = QgsRectangle(400020.1, 3284975.2, 400030.4, 3284985.3)
    part = ValuedGround(layer, 1, ranges_of("5"), box).read(QgsFeedback())
    seen = part.boundingBox()
    assert (seen.xMinimum(), seen.xMaximum()) == (400020.0, 400030.5)
    assert (seen.yMinimum(), seen.yMaximum()) == (3284975.0, 3284985.5)


def test_a_threshold_of_an_index_and_what_cannot_be_found(classes):
    index = classes[1]
    found = ValuedGround(index, 2, ranges_of("> 0.4")).read(QgsFeedback())
    assert math.isclose(found.area(), 600, rel_tol=1e-9)
    with pytest.raises(PluginError, match="No pixel of 'index'"):
        ValuedGround(index, 2, ranges_of("> 0.9")).read(QgsFeedback())
    # What QGIS shows as 0.6 is 0.6, though single precision holds a little more.
    for text in ("0.6", "<= 0.6", "0.5 to 0.6"):
        area = ValuedGround(index, 2, ranges_of(text)).read(QgsFeedback()).area()
        assert area == pytest.approx(600 if text != "<= 0.6" else 200 * 240 / 4 - 0.25)
    with pytest.raises(PluginError, match="No pixel"):
        ValuedGround(index, 2, ranges_of("> 0.6")).read(QgsFeedback())
    with pytest.raises(PluginError, match="no band 3"):
        ValuedGround(index, 3, ranges_of("1"))
    with pytest.raises(PluginError, match="does not reach"):
        ValuedGround(index, 1, ranges_of("1"), QgsRectangle(0, 0, 10, 10))


def test_what_is_transparent_has_no_value(raster, helpers, tmp_path):
    script = """
import sys, numpy as np, rasterio
from affine import Affine
bands = np.zeros((4, 40, 40), "uint8")
bands[3, :, :10] = 255
grid = {"crs": "EPSG:32617", "transform": Affine(1, 0, 400000, 0, -1, 3285000)}
with rasterio.open(sys.argv[1], "w", driver="GTiff", width=40, height=40, count=4, dtype="uint8",
                   **grid, photometric="RGB", alpha="yes") as out:
    out.write(bands)
"""
    helpers.server_python(script, tmp_path / "alpha.tif")
    layer = QgsRasterLayer(str(tmp_path / "alpha.tif"), "alpha")
    found = ValuedGround(layer, 1, ranges_of("0")).read(QgsFeedback())
    assert found.area() == pytest.approx(400)


def test_features_far_apart_and_broken_ones_keep_their_ground(qgis_app):
    globe = QgsCoordinateReferenceSystem("EPSG:4326")
    spots = [
        QgsGeometry.fromWkt(f"Point({x} {y})") for x, y in ((-179.9, 10), (179.9, 10), (0, 60))
    ]
    wide = around(spots, globe, 100)
    assert len(wide.asGeometryCollection()) == 3
    for part in wide.asGeometryCollection():
        assert abs(square_metres(part, globe) / (math.pi * 100**2) - 1) < 0.01
    bow = QgsGeometry.fromWkt("Polygon((0 0, 10 10, 10 0, 0 10, 0 0))")
    bow.translate(400000, 3285000)
    utm = QgsCoordinateReferenceSystem("EPSG:32617")
    assert around([bow], utm, 0.001).area() == pytest.approx(50, rel=0.01), "both of its lobes"


@pytest.mark.parametrize("crs", ["EPSG:32617", "EPSG:4326", "EPSG:3857"])
def test_a_distance_is_metres_in_any_crs(qgis_app, crs):
    metric = QgsCoordinateReferenceSystem("EPSG:32617")
    there = QgsCoordinateReferenceSystem(crs)
    shapes = [
        QgsGeometry.fromWkt("LineString(400000 3285000, 400100 3285000)"),
        QgsGeometry.fromWkt("Point(400300 3285000)"),
    ]
    for shape in shapes:
        shape.transform(QgsCoordinateTransform(metric, there, QgsProject.instance()))
    wide = around(shapes, there, 5)
    size = square_metres(wide, there)
    assert abs(size / (100 * 10 + 2 * math.pi * 25) - 1) < 0.005
    field = QgsGeometry.fromWkt("Polygon((0 0, 0 60, 60 60, 60 0, 0 0))")
    field.translate(400000, 3285000)
    field.transform(QgsCoordinateTransform(metric, there, QgsProject.instance()))
    assert abs(square_metres(around([field], there, -10), there) / 1600 - 1) < 0.005
    with pytest.raises(PluginError, match="Nothing is left"):
        around([field], there, -40)
    with pytest.raises(PluginError, match="CRS"):
        around([field], QgsCoordinateReferenceSystem(), 5)


def test_a_road_that_is_a_line_is_edited_as_wide_as_it_is(dock, raster):
    roads = vector("LineString", "LineString(400010 3284950, 400110 3284950)")
    assert dock.area.layers.findText("features") >= 0 or dock.area.layers.count() >= 1
    dock.area.choose(SELECTED)
    dock.area.layers.setLayer(roads)
    with pytest.raises(PluginError, match="distance"):
        dock.area.area(dock.canvas, raster)
    assert "distance" in dock.area.size.text()
    dock.area.features.distance.setValue(4)
    found = dock.area.area(dock.canvas, raster)
    assert abs(found.geometry.area() / (100 * 8 + math.pi * 16) - 1) < 0.01
    assert "m²" in dock.area.size.text()
    # What stays as it is comes from such a layer too.
    dock.protect.choose(SELECTED)
    dock.protect.layers.setLayer(roads)
    dock.protect.features.distance.setValue(2)
    draw(dock, raster)
    dock.area.choose(DRAWN)
    dock.words.prompt.setPlainText("snow")
    form = dock.edit_form()
    assert abs(form.protect.geometry.area() / (100 * 4 + math.pi * 4) - 1) < 0.01
    dock.protect.features.distance.setValue(3)
    assert key_of(dock.edit_form()) != key_of(form)


def test_features_are_selected_by_an_expression(dock, raster, helpers):
    squares = [
        f"Polygon(({x} 3284950, {x} 3284960, {x + 10} 3284960, {x + 10} 3284950, {x} 3284950))"
        for x in (400010, 400030, 400050)
    ]
    layer = vector("Polygon", *squares)
    dock.area.choose(SELECTED)
    dock.area.layers.setLayer(layer)
    assert dock.area.area(dock.canvas, raster) is None
    QTest.mouseClick(dock.area.features.filter, Qt.MouseButton.LeftButton)
    from qgis.gui import QgsExpressionSelectionDialog

    (asked,) = dock.area.features.findChildren(QgsExpressionSelectionDialog)
    assert asked.isVisible()
    asked.setExpressionText("\"use\" = 'road'")
    layer.selectByExpression(asked.expressionText())
    asked.close()
    assert dock.area.area(dock.canvas, raster).geometry.area() == 200
    assert "2 areas" in dock.area.size.text()


def test_values_become_polygons_that_one_can_change(dock, raster, classes, helpers):
    picker = dock.area
    picker.choose(VALUES)
    picker.values.raster.setLayer(classes[1])
    assert picker.values.band.layer() is classes[1]
    picker.values.band.setBand(2)
    picker.values.values.setText("> 0.4")
    with pytest.raises(PluginError, match="Find"):
        dock.edit_form()
    QTest.mouseClick(picker.values.find, Qt.MouseButton.LeftButton)
    assert dock.valuing is not None
    assert helpers.wait(lambda: dock.valuing is None)
    assert picker.source.currentData() == DRAWN and not dock.tasks
    assert math.isclose(picker.area(dock.canvas, raster).geometry.area(), 600, rel_tol=1e-6)
    assert "600 m²" in dock.status.text() or "600" in picker.size.text()
    picker.undo.click()
    assert picker.area(dock.canvas, raster) is None
    # What cannot be read is told, and nothing runs.
    picker.choose(VALUES)
    picker.values.values.setText("green")
    QTest.mouseClick(picker.values.find, Qt.MouseButton.LeftButton)
    assert dock.valuing is None and "green" in dock.status.text()
    picker.values.values.setText("> 7")
    QTest.keyClick(picker.values.values, Qt.Key.Key_Return)
    assert helpers.wait(lambda: dock.valuing is None)
    assert "No pixel" in dock.status.text() and picker.source.currentData() == VALUES


def test_an_exemplar_of_values_that_are_not_found_yet_is_no_silent_nothing(dock, raster, classes):
    draw(dock, raster)
    dock.words.prompt.setPlainText("like there")
    dock.exemplar.choose(VALUES)
    with pytest.raises(PluginError, match="Find"):
        dock.edit_form()
    # Nobody asks for it where nothing is copied.
    from landbrush.server.contract.editors import EditorInfo

    dock.infos["mist"] = EditorInfo(id="mist", title="Mist", description="", engine="")
    dock.editor.addItem("Mist", "mist")
    dock.editor.setCurrentIndex(dock.editor.findData("mist"))
    assert dock.edit_form().exemplar is None
    dock.editor.setCurrentIndex(0)
    dock.exemplar.choose(NOTHING)
    assert dock.edit_form().exemplar is None


def test_the_panel_stays_narrow_and_low(dock, raster, helpers):
    high = {}
    for name in (DRAWN, SELECTED, VALUES):
        dock.area.choose(name)
        helpers.wait(lambda: False, 0.05)
        high[name] = dock.area.sizeHint().height()
        assert dock.area.minimumSizeHint().width() <= 200
    assert high[DRAWN] < high[SELECTED] and high[DRAWN] < high[VALUES]


@pytest.mark.usefixtures("served")
def test_snow_where_the_classes_say(dock, raster, classes, helpers):
    dock.area.choose(VALUES)
    dock.area.values.raster.setLayer(classes[0])
    dock.area.values.values.setText("5")
    QTest.mouseClick(dock.area.values.find, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: dock.valuing is None)
    dock.words.prompt.setPlainText("snow")
    layer = run(dock, helpers)
    assert layer is not None, dock.status.text()
    found = helpers.compare(raster.source(), layer.source())
    assert found["same"] and found["outside"] == 0 and 0 < found["inside"] <= 2400


def test_the_algorithm_gives_polygons_to_edit(provider, raster, classes, tmp_path):
    import processing
    from qgis.core import QgsProcessingException

    wanted = {"INPUT": classes[0], "VALUES": "3, 5", "OUTPUT": str(tmp_path / "areas.gpkg")}
    found = processing.run("landbrush:areas_of_values", wanted)
    layer = QgsVectorLayer(found["OUTPUT"], "areas")
    assert found["COUNT"] == layer.featureCount() == 2 and layer.crs() == raster.crs()
    sizes = sorted(round(feature["area_m2"]) for feature in layer.getFeatures())
    assert abs(sizes[0] - 475) < 3 and abs(sizes[1] - 600) < 3
    wanted = {**wanted, "SMALLEST": 500, "OUTPUT": str(tmp_path / "large.gpkg")}
    assert processing.run("landbrush:areas_of_values", wanted)["COUNT"] == 1
    box = "400000,400010,3284990,3285000 [EPSG:32617]"
    with pytest.raises(QgsProcessingException, match="No pixel"):
        processing.run("landbrush:areas_of_values", {**wanted, "EXTENT": box})
    with pytest.raises(QgsProcessingException, match="green"):
        processing.run("landbrush:areas_of_values", {**wanted, "VALUES": "green"})
