"""An unfinished picture lies where it is made."""

import json

import pytest
from landbrush.plugin.map.live import CORNERS, LivePicture
from qgis.core import QgsCoordinateReferenceSystem as Crs
from qgis.core import QgsRasterLayer
from qgis.PyQt.QtCore import QBuffer, QIODevice
from qgis.PyQt.QtGui import QColor, QImage, QPainter


def png(corners, side=4):
    """Red, the upper left pixel blue, with its place told."""
    picture = QImage(side, side, QImage.Format.Format_RGB32)
    picture.fill(QColor("red"))
    picture.setPixelColor(0, 0, QColor("blue"))
    if corners is not None:
        picture.setText(CORNERS, json.dumps(corners) if not isinstance(corners, str) else corners)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    return bytes(buffer.data())


def drawn(live, canvas):
    """The canvas's scene as a picture."""
    found = QImage(canvas.viewport().size(), QImage.Format.Format_RGB32)
    found.fill(QColor("white"))
    painter = QPainter(found)
    painter.translate(live.pos())
    live.paint(painter)
    painter.end()
    return found


@pytest.fixture
def live(dock, raster):
    dock.canvas.setDestinationCrs(raster.crs())
    dock.canvas.setExtent(raster.extent())
    yield dock.live
    dock.live.forget()


def square_of(raster):
    """The middle quarter of a layer, and its corners."""
    box = raster.extent()
    west, east = (box.xMinimum() + share * box.width() for share in (0.25, 0.75))
    north, south = (box.yMaximum() - share * box.height() for share in (0.25, 0.75))
    return [[west, north], [east, north], [east, south], [west, south]]


def colour_at(live, dock, x, y):
    from qgis.core import QgsPointXY

    place = dock.canvas.getCoordinateTransform().transform(QgsPointXY(x, y))
    return drawn(live, dock.canvas).pixelColor(round(place.x()), round(place.y())).name()


def test_it_is_drawn_in_its_place_and_nowhere_else(live, dock, raster):
    corners = square_of(raster)
    assert live.show_on(png(corners), raster) and live.isVisible()
    (west, north), (east, south) = corners[0], corners[2]
    wide, high = east - west, north - south
    assert colour_at(live, dock, west + 0.1 * wide, north - 0.1 * high) == "#0000ff"
    assert colour_at(live, dock, west + 0.6 * wide, north - 0.6 * high) == "#ff0000"
    assert colour_at(live, dock, west - 0.2 * wide, north - 0.5 * high) == "#ffffff"
    live.forget()
    assert not live.isVisible()
    assert colour_at(live, dock, west + 0.6 * wide, north - 0.6 * high) == "#ffffff"


def test_it_moves_with_the_maps_crs(live, dock, raster):
    assert live.show_on(png(square_of(raster)), raster)
    middle = raster.extent().center()
    dock.canvas.setDestinationCrs(Crs("EPSG:3857"))
    to_map = live.canvas.mapSettings().layerToMapCoordinates(raster, middle)
    dock.canvas.setCenter(to_map)
    assert colour_at(live, dock, to_map.x(), to_map.y()) == "#ff0000"


@pytest.mark.parametrize("corners", [None, "no json", [[0, 0]], [[0, 0], 1, 2, 3], "[1]"])
def test_a_picture_without_a_place_is_not_drawn(live, raster, corners):
    assert not live.show_on(png(corners), raster) and not live.isVisible()


def test_neither_is_what_is_no_picture_nor_one_of_no_layer(live, raster):
    assert not live.show_on(b"nothing", raster)
    assert not live.show_on(png(square_of(raster)), None)


def test_a_picture_without_georeference_counts_rows_downwards(dock, tmp_path):
    plain = QImage(40, 30, QImage.Format.Format_RGB32)
    plain.fill(QColor("green"))
    plain.save(str(tmp_path / "photo.png"))
    layer = QgsRasterLayer(str(tmp_path / "photo.png"), "photo")
    live = LivePicture(dock.canvas)
    assert live.show_on(png([[10, 5], [20, 5], [20, 15], [10, 15]]), layer)
    assert [(c.x(), c.y()) for c in live.corners][0] == (10, -5)
    live.dispose()
