"""Models: named in the options, brought on the dock's page, and drawn with."""

import json

import pytest
from driving import draw
from landbrush.plugin import settings
from qgis.core import QgsProcessingException, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest


def test_models_named_in_the_options_reach_the_server(qgis_app, tmp_path, monkeypatch):
    from landbrush.plugin.local.server import serve_arguments
    from landbrush.plugin.panel.options_page import LandbrushOptionsPage

    page = LandbrushOptionsPage()
    page.models["image-text"].setText(str(tmp_path / "clip"))
    page.models["endpoint"].setText(" http://127.0.0.1:11434/v1 ")
    page.apply()
    try:
        given = serve_arguments()
        assert (
            f"image-text={tmp_path / 'clip'}" in given
            and "endpoint=http://127.0.0.1:11434/v1" in given
        )
    finally:
        for kind in settings.MODELS:
            settings.put(f"models/{kind}", "")
    assert "--model" not in serve_arguments()


BUILD_TINY = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
from tests.server import tiny_pipelines
print(tiny_pipelines.build("instruct-pix2pix", sys.argv[2]))
"""


def test_a_model_is_brought_on_the_page_and_edits_a_layer(
    served, raster, tmp_path, helpers, monkeypatch
):
    """From a missing model to a layer: the page, the licence, the import, the editor that gains it,
    the edit."""
    from landbrush.plugin.panel import models_page

    folder = helpers.server_python(BUILD_TINY, helpers.root, tmp_path / "stick").split()[-1]
    served.editor.setCurrentIndex(served.editor.findData("instruct-pix2pix"))
    assert "See Models" in served.missing.text() and not served.missing.isHidden()
    QTest.mouseClick(served.models_button, Qt.MouseButton.LeftButton)
    page = served.models
    assert helpers.wait(lambda: page.models)
    page.choose("instruct-pix2pix")
    assert (
        "Open RAIL-M" in page.details.toPlainText()
        and page.import_folder.isEnabled()
        and not page.remove.isEnabled()
    )
    monkeypatch.setattr(models_page.QFileDialog, "getExistingDirectory", lambda *_: folder)
    monkeypatch.setattr(page, "accepts", lambda model: False)
    page.import_folder.click()
    assert "not accepted" in page.message.text()
    monkeypatch.setattr(page, "accepts", lambda model: True)
    page.import_folder.click()
    assert helpers.wait(lambda: page.models["instruct-pix2pix"].state == "installed"), (
        page.message.text()
    )
    assert helpers.wait(lambda: not served.infos["instruct-pix2pix"].missing)
    assert "GB" in page.details.toPlainText() and page.remove.isEnabled()
    assert page.grab().save(str(tmp_path / "models.png"))
    page.hide()
    assert served.missing.isHidden()
    served.words.prompt.setPlainText("make it winter")
    draw(served, raster)
    served.options.set_values({"steps": 2, "model": "instruct-pix2pix"})
    served.run_button.click()
    assert helpers.wait(lambda: served.task is None), served.status.text()
    assert served.results.count() == 1, served.status.text()


BRING_TINY = (
    BUILD_TINY
    + """
from landbrush.server import __main__
words = ["models", "import", "sd15", sys.argv[2] + "/sd15", "--accept-licence"]
sys.exit(__main__.main([*words, "--home", sys.argv[3]]))
"""
)


def test_new_ground_is_generated_in_processing(provider, raster, helpers, tmp_path):
    """An extent, a CRS and a ground size become a new layer; nothing of them becomes a sentence."""
    import processing

    script = BRING_TINY.replace('"instruct-pix2pix"', '"sd15"')
    helpers.server_python(script, helpers.root, tmp_path / "stick", tmp_path / "home")
    output = tmp_path / "new.tif"
    asked = {
        "PROMPT": "a town",
        "EXTENT": "11.50,11.502,48.10,48.101 [EPSG:4326]",
        "CRS": "EPSG:25832",
        "GSD": 1.5,
        "MODEL": "sd15",
        "STEPS": 2,
        "OUTPUT": str(output),
    }
    processing.run("landbrush:generate", asked)
    layer = QgsProject.instance().addMapLayer(QgsRasterLayer(str(output), "new"))
    assert layer.isValid() and layer.crs().authid() == "EPSG:25832" and layer.bandCount() == 3
    assert abs(layer.rasterUnitsPerPixelX() - 1.5) < 0.01 and 90 < layer.width() < 120
    finer = {
        **asked,
        "INPUT": str(output),
        "EXTENT": "11.5005,11.501,48.1003,48.1005 [EPSG:4326]",
        "GSD": 0.5,
        "OUTPUT": str(tmp_path / "finer.tif"),
    }
    found = processing.run("landbrush:generate", finer)
    layer = QgsProject.instance().addMapLayer(QgsRasterLayer(finer["OUTPUT"], "finer"))
    assert (
        layer.isValid()
        and abs(layer.rasterUnitsPerPixelX() - 0.5) < 0.01
        and 60 < layer.width() < 90
    )
    assert json.loads(found["MANIFEST"])["editor_facts"]["strength"] == 0.6
    with pytest.raises(QgsProcessingException, match="EXTENT: choose the extent"):
        processing.run("landbrush:generate", {**asked, "EXTENT": None})
    with pytest.raises(QgsProcessingException, match="could not be|INPUT|parameter"):
        processing.run("landbrush:snow", {"OUTPUT": str(tmp_path / "none.tif")})


def test_the_page_needs_a_server(dock):
    dock.show_models()
    assert not dock.models.isVisible()
