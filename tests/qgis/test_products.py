"""What is handed on beside a result: an item for catalogues; and what is offered to be edited."""

import json

import pytest
from landbrush.plugin.errors import PluginError
from landbrush.plugin.map.results import MANIFEST, file_of_result, files_of_result
from landbrush.plugin.panel.areas import DRAWN, SELECTED
from landbrush.plugin.products import stac
from qgis.core import QgsCoordinateReferenceSystem as Crs
from qgis.core import (
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)


@pytest.fixture
def result(tmp_path, raster):
    """A copy of the layer that stands for a result."""
    path = tmp_path / "snow-1.tif"
    path.write_bytes(file_of_result(raster).read_bytes())
    layer = QgsRasterLayer(str(path), "remove the house of Mr X · snow (synthetic)")
    QgsProject.instance().addMapLayer(layer)
    yield layer
    QgsProject.instance().removeMapLayer(layer.id())


def test_an_item_for_catalogues_without_prompt_and_folder(result):
    path = stac.write_item(result)
    text = path.read_text("utf8")
    item = json.loads(text)
    assert path.name == "snow-1.stac.json" and path in files_of_result(result)
    assert item["type"] == "Feature" and item["stac_version"] == "1.0.0" and item["id"] == "snow-1"
    assert item["assets"]["data"]["href"] == "./snow-1.tif"
    assert item["assets"]["data"]["file:size"] == file_of_result(result).stat().st_size
    west, south, east, north = item["bbox"]
    assert -180 <= west < east <= 180 and -90 <= south < north <= 90
    assert item["geometry"]["type"] in ("Polygon", "MultiPolygon")
    assert item["properties"]["datetime"].endswith("Z")
    assert item["properties"]["landbrush:synthetic"] is True
    assert item["properties"]["proj:code"] == result.crs().authid()
    assert "Mr X" not in text and str(path.parent) not in text
    assert not list(path.parent.glob("*.part"))
    inside = QgsCoordinateTransform(Crs("EPSG:4326"), result.crs(), QgsProject.instance())
    box = inside.transformBoundingBox(QgsRectangle(west, south, east, north))
    assert box.contains(result.extent()), "the place is that of the file, not of what was edited"


def test_a_layer_without_a_place_has_no_item(result):
    result.setCrs(Crs())
    with pytest.raises(PluginError, match="place on the ground"):
        stac.write_item(result)


def test_the_menu_of_a_result_writes_it(dock, result):
    dock.do_to_result("stac", result)
    assert file_of_result(result).with_suffix(".stac.json").is_file()


def test_what_is_selected_in_the_layer_just_clicked_is_offered(dock):
    houses = QgsVectorLayer("Polygon?crs=EPSG:32617", "houses", "memory")
    for west in (0, 20, 40):
        feature = QgsFeature()
        feature.setGeometry(
            QgsGeometry.fromWkt(f"POLYGON(({west} 0, {west + 9} 0, {west} 9, {west} 0))")
        )
        houses.dataProvider().addFeature(feature)
    lines = QgsVectorLayer("LineString?crs=EPSG:32617", "roads", "memory")
    QgsProject.instance().addMapLayers([houses, lines])
    area = dock.area
    area.suggest(lines)
    assert not area.offer.isVisibleTo(area)
    area.suggest(houses)
    assert not area.offer.isVisibleTo(area), "nothing is selected"
    houses.selectByIds([1, 3])
    assert area.offer.isVisibleTo(area) and area.offer.text() == "Use the 2 selected of houses"
    area.offer.click()
    assert area.source.currentData() == SELECTED and area.layers.currentLayer() is houses
    assert not area.offer.isVisibleTo(area)
    assert area.area(None, None).geometry.constGet().numGeometries() == 2
    area.choose(DRAWN)
    assert area.offer.isVisibleTo(area)
    QgsProject.instance().removeMapLayers([houses.id(), lines.id()])
    area.suggest(None)
    assert not area.offer.isVisibleTo(area)


def test_the_layer_follows_the_one_clicked_until_something_is_drawn(dock, raster, tmp_path):
    path = tmp_path / "other.tif"
    path.write_bytes(file_of_result(raster).read_bytes())
    other, made = (QgsRasterLayer(str(path), name) for name in ("other", "snow"))
    made.setCustomProperty(MANIFEST, "{}")
    QgsProject.instance().addMapLayers([other, made])
    dock.iface.currentLayerChanged.emit(other)
    assert dock.layer.currentLayer() is other
    dock.iface.currentLayerChanged.emit(made)
    assert dock.layer.currentLayer() is other, "a result is looked at, not edited"
    dock.iface.currentLayerChanged.emit(raster)
    assert dock.layer.currentLayer() is raster
    dock.tool.take(QgsGeometry.fromRect(raster.extent()), raster.crs())
    dock.iface.currentLayerChanged.emit(other)
    assert dock.layer.currentLayer() is raster, "what is drawn was drawn on that one"
    dock.tool.clear()
    QgsProject.instance().removeMapLayers([other.id(), made.id()])
