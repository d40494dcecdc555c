"""What is clicked on the map is what is edited, whatever CRS the project and the layer have: with
datum shifts by grids, by parameters, and by an operation that the user chose in QGIS."""

import json

import pytest
from driving import run
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest

MAKE = """
import sys, numpy as np, rasterio
from affine import Affine
path, crs, size, left, top = sys.argv[1:]
size = float(size)
values = np.clip(110 + 20 * np.random.default_rng(0).standard_normal((3, 200, 240)), 1, 254)
place = {} if crs == "none" else {"crs": crs}
with rasterio.open(path, "w", driver="GTiff", width=240, height=200, count=3, dtype="uint8",
                   photometric="RGB", transform=Affine(size, 0, float(left), 0, -size, float(top)),
                   **place) as out:
    out.write(values.astype("uint8"))
"""
LOOK = """
import sys, json, numpy as np, rasterio, shapely
with rasterio.open(sys.argv[1]) as a, rasterio.open(sys.argv[2]) as b:
    col, row = (round(v) for v in ~a.transform @ (b.transform @ (0, 0)))
    window = rasterio.windows.Window(col, row, b.width, b.height)
    rows, cols = np.nonzero((a.read(window=window) != b.read()).any(axis=0))
    ring = np.array(json.loads(sys.argv[3]))
    seen = shapely.Polygon(np.column_stack(~a.transform @ (ring[:, 0], ring[:, 1])))
    changed = shapely.points(cols + col + 0.5, rows + row + 0.5)
    mask = shapely.from_wkb(b.tags()["LANDBRUSH_MASK_WKB"])
    told = shapely.transform(mask, lambda xy: np.column_stack(~a.transform @ (xy[:, 0], xy[:, 1])))
    print(json.dumps({"away": float(shapely.distance(seen, changed).max()),
                      "changed": len(rows) / seen.area,
                      "told": float(shapely.hausdorff_distance(seen, told))}))
"""
PLACES = [
    # project, layer, a place in the project's coordinates, pixel of the layer
    ("EPSG:27700", "EPSG:25830", (530_000, 180_000), 1.0),
    ("EPSG:4267", "EPSG:26915", (-94.5, 37.05), 1.0),
    ("EPSG:23030", "EPSG:25830", (440_000, 4_475_000), 1.0),
    ("EPSG:31467", "EPSG:25832", (3_513_000, 5_404_000), 0.25),  # by grid where QGIS has it
    ("EPSG:21781", "EPSG:2056", (600_000, 200_000), 0.1),  # by grid
    ("EPSG:27572", "EPSG:2154", (600_000, 2_428_000), 0.5),  # by grid
    ("EPSG:27200", "EPSG:2193", (2_658_000, 5_989_000), 0.5),  # by grid
    ("EPSG:3857", "EPSG:4326", (950_000, 6_000_000), 1e-5),
    ("EPSG:4326", "EPSG:3035", (11.5, 48.1), 2.0),
    ("EPSG:2263", "EPSG:32618", (985_000, 200_000), 0.6),  # feet
    ("EPSG:28992", "none EPSG:25831", (120_000, 487_000), 0.5),  # set by hand
]


def crs_of(code):
    return QgsCoordinateReferenceSystem(code)


def edited(served, helpers, tmp_path, project, layer_crs, place, size):
    """Click a square around a place, edit; how far what changed lies from what was clicked."""
    in_file, _, by_hand = layer_crs.partition(" ")
    there = QgsCoordinateTransform(
        crs_of(project), crs_of(by_hand or in_file), QgsProject.instance()
    )
    back = QgsCoordinateTransform(
        crs_of(by_hand or in_file), crs_of(project), QgsCoordinateTransformContext()
    )
    middle = there.transform(QgsPointXY(*place))
    path = tmp_path / "x.tif"
    corner = (middle.x() - 120 * size, middle.y() + 100 * size)
    helpers.server_python(MAKE, path, in_file, size, *corner)
    layer = QgsRasterLayer(str(path), "x")
    if by_hand:
        layer.setCrs(crs_of(by_hand))
    QgsProject.instance().addMapLayer(layer)
    served.layer.setLayer(layer)
    canvas = served.canvas
    canvas.resize(600, 480)
    canvas.setDestinationCrs(crs_of(project))
    canvas.setLayers([layer])
    # Near enough that a pixel of the screen is a small part of one of the layer.
    near = QgsRectangle(-30 * size, -30 * size, 30 * size, 30 * size)
    near = QgsRectangle(
        middle.x() + near.xMinimum(), middle.y() + near.yMinimum(),
        middle.x() + near.xMaximum(), middle.y() + near.yMaximum(),
    )  # fmt: skip
    canvas.setExtent(back.transformBoundingBox(near))
    served.tool.activate()
    QTest.mouseClick(served.area.draw, Qt.MouseButton.LeftButton)
    none = Qt.KeyboardModifier.NoModifier
    for col, row in ((-12, -9), (12, -9), (12, 9), (-12, 9)):
        ground = QgsPointXY(middle.x() + col * size, middle.y() - row * size)
        at = canvas.getCoordinateTransform().transform(back.transform(ground))
        spot = QPoint(round(at.x()), round(at.y()))
        QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, none, spot)
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.RightButton, none, spot)
    seen = served.tool.geometry()
    seen.transform(there)
    assert abs(seen.area() / (24 * 18 * size**2) - 1) < 0.1
    ring = [[p.x(), p.y()] for p in seen.vertices()]
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    served.feather.setValue(0)
    result = run(served, helpers)
    assert result is not None, served.status.text()
    assert result.crs() == layer.crs()
    kept = json.loads(result.customProperty("landbrush/manifest"))
    assert "(by QGIS)" in kept["transformation"]
    return json.loads(helpers.server_python(LOOK, path, result.source(), json.dumps(ring)))


@pytest.mark.parametrize(("project", "layer", "place", "size"), PLACES)
def test_the_clicked_pixels_are_edited(served, helpers, tmp_path, project, layer, place, size):
    found = edited(served, helpers, tmp_path, project, layer, place, size)
    assert found["away"] < 0.5 and found["told"] < 0.5, found
    assert 0.6 < found["changed"] < 1.1  # snow leaves some pixels as they are


def test_the_operation_that_the_user_chose_counts(served, helpers, tmp_path):
    """One without the datum shift, some 20 m away from QGIS's usual one."""
    source, target, place = crs_of("EPSG:4267"), crs_of("EPSG:26915"), QgsPointXY(-94.5, 37.05)
    usual = QgsCoordinateTransform(source, target, QgsProject.instance()).transform(place)
    context = QgsProject.instance().transformContext()
    chosen = (
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
        "+step +proj=utm +zone=15 +ellps=clrk66"
    )
    context.addCoordinateOperation(source, target, chosen)
    QgsProject.instance().setTransformContext(context)
    other = QgsCoordinateTransform(source, target, QgsProject.instance()).transform(place)
    assert usual.distance(other) > 10
    try:
        found = edited(served, helpers, tmp_path, "EPSG:4267", "EPSG:26915", (-94.5, 37.05), 5.0)
    finally:
        context.removeCoordinateOperation(source, target)
        QgsProject.instance().setTransformContext(context)
    assert found["away"] < 0.5 and found["told"] < 0.5, found


def test_a_photo_is_edited_where_it_is_clicked(served, helpers, tmp_path):
    path = tmp_path / "photo.png"
    make = MAKE.replace('driver="GTiff"', 'driver="PNG"').replace('photometric="RGB", ', "")
    make = make.replace("transform=Affine(size, 0, float(left), 0, -size, float(top)),", "")
    helpers.server_python(make, path, "none", 1, 0, 0)
    layer = QgsRasterLayer(str(path), "photo")
    QgsProject.instance().addMapLayer(layer)
    served.layer.setLayer(layer)
    canvas = served.canvas
    canvas.resize(600, 480)
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem())
    canvas.setLayers([layer])
    canvas.setExtent(QgsRectangle(80, -120, 160, -40))
    served.tool.activate()
    QTest.mouseClick(served.area.draw, Qt.MouseButton.LeftButton)
    none = Qt.KeyboardModifier.NoModifier
    for col, row in ((100, 60), (140, 60), (140, 90), (100, 90)):
        at = canvas.getCoordinateTransform().transform(QgsPointXY(col, -row))
        spot = QPoint(round(at.x()), round(at.y()))
        QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, none, spot)
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.RightButton, none, spot)
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    served.feather.setValue(0)
    result = run(served, helpers)
    assert result is not None, served.status.text()
    # It lies over the photo, as QGIS shows both.
    assert result.extent() == layer.extent()
    seen = served.tool.geometry()
    assert seen.boundingBox().intersect(QgsRectangle(100, -90, 140, -60)).area() > 1000
    ring = json.dumps([[p.x(), -p.y()] for p in seen.vertices()])
    found = json.loads(helpers.server_python(LOOK, path, result.source(), ring))
    assert found["away"] < 0.5 and found["told"] < 0.5, found
