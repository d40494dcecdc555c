"""Rectangle, free hand, holes and vertices of what is drawn."""

from landbrush.plugin.map import canvas
from landbrush.plugin.map.canvas import FREEHAND, OBJECT, RECTANGLE, VERTICES, PolygonTool
from qgis.core import (
    Qgis,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsSnappingConfig,
    QgsVectorLayer,
)
from qgis.core import QgsCoordinateReferenceSystem as Crs
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


def at(dock, col, row):
    extent = dock.layer.currentLayer().extent()
    from qgis.core import QgsPointXY

    point = QgsPointXY(extent.xMinimum() + col * 0.5, extent.yMaximum() - row * 0.5)
    there = dock.canvas.getCoordinateTransform().transform(point)
    return QPoint(round(there.x()), round(there.y()))


def drag(dock, *places):
    view = dock.canvas.viewport()
    QTest.mousePress(view, LEFT, pos=at(dock, *places[0]))
    for place in places[1:]:
        move(dock, *place)
    QTest.mouseRelease(view, LEFT, pos=at(dock, *places[-1]))


def move(dock, col, row):
    """With the left button down, which QTest's own does not say."""
    view, place = dock.canvas.viewport(), QPointF(at(dock, col, row))
    everywhere = QPointF(view.mapToGlobal(place.toPoint()))
    QApplication.sendEvent(
        view,
        QMouseEvent(
            QEvent.Type.MouseMove, place, everywhere, LEFT, LEFT, Qt.KeyboardModifier.NoModifier
        ),
    )


def use(dock, mode):
    dock.area.draw.setChecked(True)
    dock.tool.use(mode)


def click(dock, col, row, button=LEFT, keys=Qt.KeyboardModifier.NoModifier):
    QTest.mouseClick(dock.canvas.viewport(), button, keys, at(dock, col, row))


def test_a_rectangle_is_dragged(dock, raster):
    use(dock, RECTANGLE)
    drag(dock, (20, 20), (50, 50), (80, 60))
    box = dock.tool.geometry().boundingBox()
    assert len(dock.tool.polygons) == 1 and abs(box.width() - 30) < 3 and abs(box.height() - 20) < 3
    drag(dock, (100, 100), (100, 100))
    assert len(dock.tool.polygons) == 1, "a click is no rectangle"


def test_free_hand_follows_the_pointer(dock, raster):
    use(dock, FREEHAND)
    drag(dock, (20, 20), (60, 20), (80, 50), (60, 80), (20, 80))
    assert len(dock.tool.polygons) == 1
    assert 600 < dock.tool.geometry().area() < 900


def test_a_hole_is_cut_and_a_dropped_one_is_not(dock, raster):
    use(dock, RECTANGLE)
    drag(dock, (20, 20), (50, 50), (120, 120))
    whole = dock.tool.geometry().area()
    use(dock, "clicks")
    click(dock, 40, 40, keys=Qt.KeyboardModifier.AltModifier)
    QTest.keyClick(dock.canvas, Qt.Key.Key_Escape)
    use(dock, RECTANGLE)
    drag(dock, (150, 20), (160, 30), (180, 50))
    assert dock.tool.geometry().area() > whole, "what was dropped cuts nothing"
    use(dock, "clicks")
    click(dock, 40, 40, keys=Qt.KeyboardModifier.AltModifier)
    for place in ((80, 40), (80, 80), (40, 80)):
        click(dock, *place)
    click(dock, 40, 80, RIGHT)
    assert len(dock.tool.polygons) == 2
    assert abs(dock.tool.polygons[0].area() - (whole - 400)) < 150
    dock.tool.undo()
    assert abs(dock.tool.polygons[0].area() - whole) < 1 and len(dock.tool.polygons) == 2


def test_vertices_are_moved_added_and_removed(dock, raster, monkeypatch):
    monkeypatch.setattr(canvas, "REACH_PX", 1)  # an offscreen map is small
    use(dock, RECTANGLE)
    drag(dock, (20, 20), (50, 50), (100, 100))
    use(dock, VERTICES)
    before = dock.tool.geometry().area()
    drag(dock, (100, 100), (110, 110), (140, 140))
    assert dock.tool.geometry().area() > before + 300
    dock.tool.undo()
    assert abs(dock.tool.geometry().area() - before) < 1, "the move is taken back, not the polygon"
    drag(dock, (100, 100), (110, 110), (140, 140))
    count = len(list(dock.tool.polygons[0].vertices()))
    drag(dock, (60, 20), (60, 15), (60, 10))
    assert len(list(dock.tool.polygons[0].vertices())) == count + 1
    click(dock, 60, 10, RIGHT)
    assert len(list(dock.tool.polygons[0].vertices())) == count
    QTest.mousePress(dock.canvas.viewport(), LEFT, pos=at(dock, 140, 140))
    QTest.keyClick(dock.canvas, Qt.Key.Key_Backspace)
    move(dock, 10, 10)
    QTest.mouseRelease(dock.canvas.viewport(), LEFT, pos=at(dock, 10, 10))
    assert len(dock.tool.polygons) == 1


def test_a_triangle_with_a_hole_keeps_its_corners(dock, raster):
    crs = raster.crs()
    triangle = QgsGeometry.fromWkt(
        "Polygon((400010 3284990, 400080 3284990, 400045 3284920, 400010 3284990),"
        "(400040 3284980, 400050 3284980, 400045 3284970, 400040 3284980))"
    )
    dock.tool.take(triangle, crs)
    use(dock, VERTICES)
    click(dock, 20, 20, RIGHT)
    assert dock.tool.geometry().area() == triangle.area()


def test_a_hole_in_a_crossing_shape_loses_nothing(dock, raster):
    tool = dock.tool
    crossing = QgsGeometry.fromWkt(
        "Polygon((400010 3284990, 400060 3284940, 400060 3284990, 400010 3284940, 400010 3284990))"
    )
    assert not crossing.isGeosValid()
    hole = QgsGeometry.fromWkt("Polygon((400012 3284980, 400016 3284980, 400016 3284960, "
                               "400012 3284960, 400012 3284980))")  # fmt: skip
    left = PolygonTool._cut(crossing, hole)
    assert 0 < left.area() < crossing.makeValid().area()
    assert tool.geometry().isEmpty() and Crs("EPSG:32617").isValid()


def test_clicks_snap_where_the_project_snaps(dock, raster):
    layer = QgsVectorLayer("Point?crs=EPSG:32617", "corners", "memory")
    corner = QgsFeature()
    corner.setGeometry(QgsGeometry.fromWkt("Point(400041.25 3284961.75)"))
    layer.dataProvider().addFeatures([corner])
    QgsProject.instance().addMapLayer(layer)
    dock.canvas.setLayers([layer, raster])
    config = QgsSnappingConfig(QgsProject.instance())
    config.setEnabled(True)
    config.setMode(QgsSnappingConfig.SnappingMode.AllLayers)
    config.setTolerance(20)
    if hasattr(Qgis, "SnappingType"):
        config.setTypeFlag(Qgis.SnappingTypes(Qgis.SnappingType.Vertex))
    else:  # before QGIS 3.26
        config.setType(QgsSnappingConfig.SnappingType.Vertex)
    utils = dock.canvas.snappingUtils()
    utils.setMapSettings(dock.canvas.mapSettings())
    utils.setConfig(config)
    use(dock, "clicks")
    assert utils.snapToMap(at(dock, 84, 78)).isValid()  # QGIS makes its index at the first look
    click(dock, 84, 78)
    assert [(p.x(), p.y()) for p in dock.tool.points] == [(400041.25, 3284961.75)]
    config.setEnabled(False)
    utils.setConfig(config)
    click(dock, 84, 78)
    assert dock.tool.points[1] != dock.tool.points[0]


def test_a_click_takes_an_object_whose_outline_the_server_finds(served, raster, helpers):
    """In the mode for objects a click adds what lies there, and Undo takes it back."""
    use(served, OBJECT)
    click(served, 40, 40)
    assert helpers.wait(lambda: served.tool.polygons or served.last_error is not None)
    assert served.last_error is None, served.last_error.message
    shape = served.tool.geometry()
    assert QgsGeometry.fromRect(raster.extent()).buffer(1, 2).contains(shape) and shape.area() > 0
    assert "Outlined" in served.status.text()
    before = len(served.tool.polygons)
    served.tool.undo()
    assert len(served.tool.polygons) == before - 1
    served.layer.setLayer(None)
    served.tool.object_wanted.emit(QgsPointXY(raster.extent().center()))
    assert not served.tool.polygons


def test_an_object_of_a_picture_without_georeference(served, tmp_path, helpers):
    """Its rows count downwards for the server, upwards for QGIS, whatever CRS the project has."""
    from qgis.core import QgsRasterLayer
    from qgis.PyQt.QtGui import QColor, QImage

    photo = QImage(200, 160, QImage.Format.Format_RGB32)
    photo.fill(QColor(90, 110, 70))
    for col in range(60, 120):
        for row in range(40, 90):
            photo.setPixelColor(col, row, QColor(200, 180, 160))
    photo.save(str(tmp_path / "photo.png"))
    layer = QgsRasterLayer(str(tmp_path / "photo.png"), "photo")
    QgsProject.instance().addMapLayer(layer)
    served.layer.setLayer(layer)
    for crs in (Crs(), Crs("EPSG:3857")):
        served.canvas.setDestinationCrs(crs)
        served.tool.clear()
        served.outline_object(served.tool, QgsPointXY(90, -65))
        assert helpers.wait(lambda: served.tool.polygons or served.last_error is not None)
        assert served.last_error is None, served.last_error.message
        box = served.tool.geometry().boundingBox()
        assert abs(box.xMinimum() - 60) < 4 and abs(box.yMaximum() + 40) < 4
    QgsProject.instance().removeMapLayer(layer.id())
