"""What a person does with the dock, as the tests do it: clicks on the map, an area drawn, a run
waited for."""

from qgis.core import QgsPointXY, QgsProject
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest


def click(canvas, layer, ring, finish=True):
    viewport, extent = canvas.viewport(), layer.extent()
    for col, row in ring:
        point = QgsPointXY(extent.xMinimum() + col * 0.5, extent.yMaximum() - row * 0.5)
        at = canvas.getCoordinateTransform().transform(point)
        place = QPoint(round(at.x()), round(at.y()))
        QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    if finish:
        QTest.mouseClick(
            viewport, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, place
        )


BLOCK = [(104, 84), (136, 84), (136, 116), (104, 116)]


def draw(dock, raster, ring=BLOCK):
    if not dock.area.draw.isChecked():
        QTest.mouseClick(dock.area.draw, Qt.MouseButton.LeftButton)
    click(dock.canvas, raster, ring)


def run(dock, helpers):
    before = dock.results.count()
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    assert dock.task is not None or dock.will_run, dock.status.text()
    assert helpers.wait(lambda: dock.task is None and not dock.will_run)
    if dock.results.count() == before:
        return None
    return QgsProject.instance().mapLayer(dock.results.item(0).data(Qt.ItemDataRole.UserRole))
