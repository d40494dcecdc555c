"""Results and their raster as one file: from the panel, and from the toolbox."""

import json

import pytest
from driving import draw, run
from landbrush.plugin.map.results import is_result, shown_over
from qgis import processing
from qgis.core import QgsProcessingException, QgsProject, QgsRasterLayer
from qgis.PyQt.QtWidgets import QFileDialog

LEFT = [(20, 20), (60, 20), (60, 60), (20, 60)]
RIGHT = [(150, 110), (190, 110), (190, 150), (150, 150)]
DIFFERS = """
import sys, json, numpy as np, rasterio
with rasterio.open(sys.argv[1]) as a, rasterio.open(sys.argv[2]) as b:
    changed = (a.read() != b.read()).any(axis=0)
    boxes = [changed[17:63, 17:63], changed[107:153, 147:193]]
    print(json.dumps({
        "grid": a.transform == b.transform and a.crs == b.crs and a.shape == b.shape,
        "inside": [int(box.sum()) for box in boxes], "all": int(changed.sum()),
        "layout": b.tags(ns="IMAGE_STRUCTURE")["LAYOUT"], "told": "LANDBRUSH_EDITOR" in b.tags(),
    }))
"""


@pytest.fixture
def two(served, raster, helpers):
    """The dock with two results beside each other, the second made over the first."""
    made = []
    for ring, editor in ((LEFT, "snow"), (RIGHT, "burn")):
        served.tool.clear()
        draw(served, raster, ring)
        served.editor.setCurrentIndex(served.editor.findData(editor))
        made.append(run(served, helpers))
    assert all(made), served.status.text()
    return served, made


def test_all_that_is_shown_becomes_one_file_and_layer(two, raster, helpers, tmp_path, monkeypatch):
    dock, (first, second) = two
    assert shown_over(raster) == [first, second]
    target = tmp_path / "scenario.tif"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: (str(target), ""))
    dock.results.do("flatten", second)
    assert helpers.wait(lambda: not dock.tasks)
    assert target.is_file(), dock.status.text()
    told = json.loads(helpers.server_python(DIFFERS, raster.source(), target))
    assert told["grid"] and told["told"] and told["layout"] == "COG"
    assert min(told["inside"]) > 0 and sum(told["inside"]) == told["all"]
    layer = next(
        one for one in QgsProject.instance().mapLayers().values() if one.source() == str(target)
    )
    assert "synthetic" in layer.name() and not is_result(layer)
    assert "Synthetic" in layer.metadata().rights()[0]
    tree = QgsProject.instance().layerTreeRoot()
    order = [node.layerId() for node in tree.findLayers()]
    assert order.index(layer.id()) < order.index(second.id()) < order.index(raster.id())

    # Unticked: an undo in the middle.
    tree.findLayer(first.id()).setItemVisibilityChecked(False)
    other = tmp_path / "without.tif"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: (str(other), ""))
    dock.results.do("flatten", second)
    assert helpers.wait(lambda: not dock.tasks)
    told = json.loads(helpers.server_python(DIFFERS, raster.source(), other))
    assert told["inside"][0] == 0 and told["inside"][1] > 0

    # Not over what is read.
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: (raster.source(), ""))
    dock.results.do("flatten", second)
    assert "one of the files" in dock.status.text() and not dock.tasks
    tree.findLayer(second.id()).setItemVisibilityChecked(False)
    dock.results.do("flatten", second)
    assert "No result is shown" in dock.status.text()


def test_in_the_toolbox(raster, provider, polygons, tmp_path):
    edit = {
        "INPUT": raster,
        "POLYGONS": str(polygons),
        "OUTPUT": str(tmp_path / "one.tif"),
    }
    result = processing.run("landbrush:snow", edit)["OUTPUT"]
    given = {"INPUT": raster, "RESULTS": [result], "OUTPUT": str(tmp_path / "all.tif")}
    found = processing.run("landbrush:flatten", given)
    assert found["COUNT"] == 1 and QgsRasterLayer(found["OUTPUT"]).width() == raster.width()
    for wrong, said in (
        ({"OUTPUT": raster.source()}, "choose another"),
        ({"INPUT": result, "RESULTS": [raster.source()]}, "was not made from this raster"),
    ):
        with pytest.raises(QgsProcessingException, match=said):
            processing.run("landbrush:flatten", {**given, **wrong})
