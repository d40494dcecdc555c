"""What the user's layers tell of the ground, and land cover as a layer."""

import json

import pytest
from driving import draw, run
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsVectorLayer

HOUSE = "POLYGON((400055 3284955, 400065 3284955, 400065 3284945, 400055 3284945, 400055 3284955))"
STREET = "LINESTRING(400000 3284920, 400120 3284920)"


def layer_of(kind, wkt, crs="EPSG:32617", shown="EPSG:32617"):
    from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform

    layer = QgsVectorLayer(f"{kind}?crs={shown}", kind, "memory")
    feature = QgsFeature()
    shape = QgsGeometry.fromWkt(wkt)
    change = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem(crs), layer.crs(), QgsProject.instance()
    )
    shape.transform(change)
    feature.setGeometry(shape)
    layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.mark.parametrize("shown", ["EPSG:32617", "EPSG:4326", "EPSG:3857"])
def test_land_cover_goes_by_the_users_layers(provider, raster, helpers, tmp_path, shown):
    import processing

    output = tmp_path / "cover.tif"
    found = processing.run(
        "landbrush:land-cover",
        {
            "INPUT": raster,
            "KNOWN_BUILDINGS": layer_of("Polygon", HOUSE, shown=shown),
            "KNOWN_ROADS": layer_of("LineString", STREET, shown=shown),
            "OUTPUT": str(output),
        },
    )
    request = json.loads(found["MANIFEST"])["request"]
    assert sorted(one.get("kind", "roof") for one in request["known"]) == ["paved", "roof"]
    made = QgsRasterLayer(str(output), "cover")
    assert made.isValid() and made.crs() == raster.crs()
    classes = {one.value: one.label for one in made.renderer().classes()}
    assert classes[1] == "Roof" and classes[2] == "Paved ground"
    script = (
        "import sys, json, rasterio\n"
        "with rasterio.open(sys.argv[1]) as one:\n"
        "    a = one.read(1)\n"
        "    print(json.dumps([float((a[94:106, 114:126] == 1).mean()),"
        " float((a[157:163, 10:230] == 2).mean())]))"
    )
    roof, road = json.loads(helpers.server_python(script, output))
    assert roof > 0.8 and road > 0.8


def test_the_panel_sends_what_the_layers_know_near_the_edit(served, raster):
    from landbrush.plugin.tasks.request import located
    from qgis.core import QgsGeometry as Geometry

    house = layer_of("Polygon", HOUSE, shown="EPSG:4326")
    far = layer_of("Polygon", "POLYGON((500000 0, 500010 0, 500010 10, 500000 0))")
    served.area.choose("layer")
    served.editor.setCurrentIndex(served.editor.findData("flood"))
    assert served.ground_box.isVisibleTo(served)
    served.ground["roof"].setLayer(house)
    served.ground["water"].setLayer(far)
    form = located(served.edit_form())
    found = {kind: known.read() for kind, known in form.known}
    assert found["water"] is None and sorted(found) == ["roof", "water"]
    shape = found["roof"]
    assert abs(shape.area() - 100) < 1 and shape.intersects(Geometry.fromWkt(HOUSE))
    served.editor.setCurrentIndex(served.editor.findData("remove"))
    assert not served.ground_box.isVisibleTo(served) and served.edit_form().known == ()


def test_shapes_that_have_no_place_are_left_out_and_too_many_are_said(raster, monkeypatch):
    from landbrush.plugin.errors import PluginError
    from landbrush.plugin.map import known
    from landbrush.plugin.tasks.request import Area, EditForm, build, by_path, known_ground
    from qgis.core import QgsGeometry as Geometry

    world = "POLYGON((-179 -89, 179 -89, 179 89, -179 89, -179 -89))"
    layer = layer_of("Polygon", HOUSE)
    flat = QgsFeature()
    flat.setGeometry(Geometry.fromWkt("POLYGON((400050 3284950, 400060 3284950, 400050 3284950))"))
    layer.dataProvider().addFeatures([flat])
    land = layer_of("Polygon", world, crs="EPSG:4326", shown="EPSG:4326")
    area = Area(Geometry.fromRect(raster.extent()), raster.crs())
    form = EditForm(raster, area, known=known_ground({"roof": layer, "water": land}, area, raster))
    request = build(form, by_path(raster.source()))
    kinds = [one.kind for one in request.known]
    assert kinds[0] == "roof" and set(kinds) <= {"roof", "water"}
    monkeypatch.setattr(known, "MOST_FEATURES", 1)
    with pytest.raises(PluginError, match="More than 1 features"):
        build(form, by_path(raster.source()))


def test_what_an_edit_knew_is_known_when_it_is_made_again(served, raster, helpers):
    from landbrush.plugin.map.results import manifest_of

    house = layer_of("Polygon", HOUSE)
    draw(served, raster, [(90, 80), (150, 80), (150, 130), (90, 130)])
    served.editor.setCurrentIndex(served.editor.findData("flood"))
    served.ground["roof"].setLayer(house)
    first = run(served, helpers)
    assert first is not None, served.status.text()
    before = manifest_of(first)
    assert [one.kind for one in before.request.known] == ["roof"]
    QgsProject.instance().removeMapLayer(house)
    served.results.do("again", first)
    again = manifest_of(run(served, helpers))
    assert again.request.known == before.request.known
    assert again.gate.sha256_result == before.gate.sha256_result
    served.layer.setLayer(None)
    assert served.known_again == ()
