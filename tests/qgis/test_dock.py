"""The dock driven by clicks, over task, client and a real server, to a layer."""

import json
from pathlib import Path

import pytest
from driving import click, draw, run
from landbrush.plugin import settings
from landbrush.plugin.errors import PluginError
from landbrush.plugin.local import installer
from landbrush.plugin.local.server import FAILED, RUNNING
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest


def test_from_prompt_to_layer(served, raster, helpers):
    draw(served, raster)
    assert abs(served.tool.geometry().area() - 16 * 16) < 64  # a canvas pixel is 0.7 m here
    QTest.keyClicks(served.words.prompt, "remove the building")
    assert helpers.wait(lambda: served.words.understood is not None)
    assert "Remove" in served.words.meaning.text()
    layer = run(served, helpers)
    assert layer is not None and layer.isValid(), served.status.text()
    assert (
        layer.crs() == raster.crs()
        and layer.rasterUnitsPerPixelX() == raster.rasterUnitsPerPixelX()
    )
    assert "remove the building" in layer.name() and "synthetic" in layer.name()
    assert "Synthetic" in layer.metadata().abstract() and layer.metadata().constraints()
    root = QgsProject.instance().layerTreeRoot()
    group = root.findGroup(f"Landbrush · {raster.name()}")
    assert group.findLayer(layer.id()) and not group.findLayer(layer.id()).isExpanded()
    places = root.children()
    assert places.index(group) == places.index(root.findLayer(raster.id())) - 1, "right above it"
    found = helpers.compare(raster.source(), layer.source())
    assert (
        found == {"same": True, "outside": 0, "inside": found["inside"], "synthetic": "TRUE"}
        and found["inside"] > 500
    )
    manifest = json.loads(layer.customProperty("landbrush/manifest"))
    assert (
        manifest["gate"]["pixels_outside_different"] == 0
        and "Nothing outside" in served.status.text()
    )
    assert not [p for p in settings.output_folder().iterdir() if p.name.startswith(".")]


def test_options_form_exemplar_and_seed(served, raster, helpers):
    served.editor.setCurrentIndex(served.editor.findData("fill"))
    assert "keep_objects" in served.options.fields and served.exemplar.isVisibleTo(served)
    draw(served, raster)
    QTest.mouseClick(served.exemplar.draw, Qt.MouseButton.LeftButton)
    click(served.canvas, raster, [(10, 10), (80, 10), (80, 80), (10, 80)])
    served.options.set_values({"keep_objects": True, "outline_px": 2.0})
    QTest.mouseClick(served.dice, Qt.MouseButton.LeftButton)
    seed = served.seed.value()
    layer = run(served, helpers)
    manifest = json.loads(layer.customProperty("landbrush/manifest"))
    assert manifest["options"]["keep_objects"] is True and manifest["options"]["outline_px"] == 2.0
    assert (
        manifest["seed"] == seed
        and helpers.compare(raster.source(), layer.source())["outside"] == 0
    )


def test_selected_features_in_another_crs(served, raster, helpers):
    from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform

    wgs = QgsCoordinateReferenceSystem("EPSG:4326")
    extent = raster.extent()
    box = QgsGeometry.fromRect(
        QgsRectangle(
            extent.xMinimum() + 52,
            extent.yMaximum() - 58,
            extent.xMinimum() + 68,
            extent.yMaximum() - 42,
        )
    )
    box.transform(QgsCoordinateTransform(raster.crs(), wgs, QgsProject.instance()))
    vector = QgsVectorLayer("Polygon?crs=EPSG:4326", "areas", "memory")
    feature = QgsFeature()
    feature.setGeometry(box)
    vector.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(vector)
    vector.selectAll()
    served.area.choose("selected")
    served.area.layers.setLayer(vector)
    served.editor.setCurrentIndex(served.editor.findData("remove"))
    layer = run(served, helpers)
    found = helpers.compare(raster.source(), layer.source())
    assert found["outside"] == 0 and abs(found["inside"] - 1024) < 150


def test_edits_add_up_when_one_goes_on_with_the_result(served, raster, helpers):
    served.go_on.setChecked(True)
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    draw(served, raster)
    first = run(served, helpers)
    assert served.layer.currentLayer() is first and first.width() == raster.width()
    served.tool.clear()
    draw(served, raster, [(10, 10), (60, 10), (60, 60), (10, 60)])
    second = run(served, helpers)
    found = helpers.compare(first.source(), second.source())
    assert found["same"] and found["outside"] == 0 and found["inside"] > 500


def test_cancel(served, raster, helpers):
    served.area.choose("layer")
    served.editor.setCurrentIndex(served.editor.findData("variation"))
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: "editing" in served.status.text())
    QTest.mouseClick(served.cancel_button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: served.task is None)
    assert served.status.text() == "Cancelled." and served.results.count() == 0
    client = served.connection().client()
    assert helpers.wait(lambda: [j.status for j in client.jobs()] == ["dismissed"])


def test_the_server_dies_while_a_job_runs(served, raster, helpers, monkeypatch):
    monkeypatch.setattr("landbrush.plugin.tasks.client.POLL_ERRORS", 2)
    served.area.choose("layer")
    served.editor.setCurrentIndex(served.editor.findData("variation"))
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: "editing" in served.status.text())
    served.server.process.kill()
    assert helpers.wait(lambda: served.task is None)
    assert "does not answer" in served.status.text() and served.run_button.isEnabled()
    assert served.server.state == FAILED and "stopped" in served.server_line.text()
    served.server.start()
    assert helpers.wait(lambda: served.server.state == RUNNING)


def test_failures_are_told(served, raster, helpers):
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert served.task is None and "Draw a polygon" in served.status.text()
    draw(served, raster)
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert "Say what should be there" in served.status.text()
    QTest.keyClicks(served.words.prompt, "wind turbines")
    assert run(served, helpers) is None
    assert "Nothing here makes 'wind turbines'" in served.status.text()
    assert served.run_button.isEnabled() and not served.cancel_button.isEnabled()


def test_a_read_only_output_folder(served, raster, helpers, tmp_path):
    (tmp_path / "file").write_text("in the way")
    settings.put("output/folder", str(tmp_path / "file" / "below"))
    draw(served, raster)
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert served.task is None and str(tmp_path / "file") in served.status.text()


def test_unclear_words_offer_choices(served, helpers):
    QTest.keyClicks(served.words.prompt, "make it nicer somehow")
    assert helpers.wait(lambda: served.words.understood is not None)
    assert not served.words.understood.sure and served.words.choices_row.count() == len(
        served.words.understood.choices
    )


def test_what_was_understood_can_be_adjusted(served, raster, helpers):
    QTest.keyClicks(served.words.prompt, "severe wildfire")
    assert helpers.wait(lambda: served.words.understood is not None)
    QTest.mouseClick(served.words.adjust, Qt.MouseButton.LeftButton)
    assert served.editor.currentData() == "burn" and served.options.values() == {"severity": 0.95}
    served.options.set_values({"severity": 0.5})
    draw(served, raster)
    layer = run(served, helpers)
    assert json.loads(layer.customProperty("landbrush/manifest"))["options"]["severity"] == 0.5


def test_what_the_ensemble_says_is_shown_changed_and_used(served, raster, helpers):
    served.editor.setCurrentIndex(served.editor.findData("text"))
    assert served.ensemble.isVisibleTo(served) and "paraphrases" not in served.options.fields
    QTest.mouseClick(served.ensemble.propose, Qt.MouseButton.LeftButton)
    assert served.ensemble.lines.count() == 0  # no prompt yet
    QTest.keyClicks(served.words.prompt, "flooded fields")
    QTest.mouseClick(served.ensemble.propose, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: served.ensemble.lines.count() == 6), served.status.text()
    assert served.ensemble.texts()[0] == "flooded fields" and any(
        "inundated" in text for text in served.ensemble.texts()
    )
    served.ensemble.lines.item(1).setCheckState(Qt.CheckState.Unchecked)
    served.ensemble.lines.item(2).setText("a lake where fields were")
    served.options.set_values({"candidates": 1, "outline_px": 0.0})
    draw(served, raster)
    QTest.mouseClick(served.exemplar.draw, Qt.MouseButton.LeftButton)
    click(served.canvas, raster, [(10, 10), (80, 10), (80, 80), (10, 80)])
    layer = run(served, helpers)
    assert layer is not None, served.status.text()
    manifest = json.loads(layer.customProperty("landbrush/manifest"))
    used = manifest["editor_facts"]["sentences"]
    assert len(used) == 5 and "a lake where fields were" in used and used == served.ensemble.texts()
    assert served.find.isVisibleTo(served) and served.words.sought("text") == "flooded fields"
    QTest.keyClicks(served.words.prompt, " in spring")
    assert not served.ensemble.texts()  # they said the same as another prompt
    QTest.mouseClick(served.ensemble.propose, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: served.ensemble.lines.count() == 6)
    QTest.mouseClick(served.ensemble.drop, Qt.MouseButton.LeftButton)
    assert "paraphrases" not in served.edit_form().options
    served.editor.setCurrentIndex(served.editor.findData("remove"))
    assert not served.ensemble.isVisibleTo(served)


def test_protected_areas_output_and_bands(served, raster, helpers):
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    draw(served, raster, [(20, 20), (120, 20), (120, 120), (20, 120)])
    QTest.mouseClick(served.protect.draw, Qt.MouseButton.LeftButton)
    click(served.canvas, raster, [(20, 20), (70, 20), (70, 120), (20, 120)])
    served.cog.setChecked(True)
    served.compression.setCurrentIndex(served.compression.findData("zstd"))
    QTest.keyClicks(served.bands, "red=3 blue=1 green=2")
    layer = run(served, helpers)
    manifest = json.loads(layer.customProperty("landbrush/manifest"))
    assert manifest["band_roles"] == {"roles": ["blue", "green", "red"], "source": "given"}
    assert manifest["request"]["output"] == {"compression": "zstd", "cog": True}
    assert abs(manifest["gate"]["pixels_inside"] - 50 * 100) < 400, (
        "the protected half is not edited"
    )
    served.bands.setText("red=first")
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert served.task is None and "'red=first' is not of the form" in served.status.text()


def test_variants_have_seeds_of_their_own(served, raster, helpers):
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    draw(served, raster)
    served.seed.setValue(7)
    served.variants.setValue(3)
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: served.results.count() == 3 and served.task is None), (
        served.status.text()
    )
    layers = [
        QgsProject.instance().mapLayer(served.results.item(row).data(Qt.ItemDataRole.UserRole))
        for row in range(3)
    ]
    assert [json.loads(layer.customProperty("landbrush/manifest"))["seed"] for layer in layers] == [
        9,
        8,
        7,
    ]


def test_results_of_an_earlier_session_are_fetched(served, raster, helpers):
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    draw(served, raster)
    first = run(served, helpers)
    job = json.loads(first.customProperty("landbrush/manifest"))["job"]
    content = Path(first.source()).read_bytes()
    QgsProject.instance().removeMapLayer(first)
    served.results.clear()
    served.results.show_jobs(served.connection().client().jobs())
    assert served.results.count() == 1 and served.results.item(0).text().startswith("Earlier: snow")
    served.results.itemDoubleClicked.emit(served.results.item(0))
    assert helpers.wait(
        lambda: (
            served.results.count() == 1 and not served.results.item(0).text().startswith("Earlier")
        )
    )
    again = QgsProject.instance().mapLayer(served.results.item(0).data(Qt.ItemDataRole.UserRole))
    assert json.loads(again.customProperty("landbrush/manifest"))["job"] == job
    assert (
        Path(again.source()).read_bytes() == content
        and again.renderer().type() == raster.renderer().type()
    )


def test_the_land_cover_understood_can_be_changed(served, raster, helpers):
    QTest.keyClicks(served.words.prompt, "make a meadow here")
    assert helpers.wait(lambda: served.words.understood is not None)
    QTest.mouseClick(served.words.adjust, Qt.MouseButton.LeftButton)
    assert served.editor.currentData() == "fill" and served.options.values() == {"word": "grass"}
    served.options.set_values({"word": "forest"})
    assert served.options.values() == {"word": "forest"}


def test_a_long_training_shows_its_loss_and_a_picture(served, raster, helpers):
    served.editor.setCurrentIndex(served.editor.findData("sinddm"))
    served.options.set_values({"width": "32", "steps": 100_000})
    draw(served, raster)
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: served.live.isVisible()), served.status.text()
    assert "training, loss" in served.status.text() and served.live.picture.width() > 50
    assert raster.extent().buffered(1).contains(served.live.corners[0]), "in its place on the map"
    QTest.mouseClick(served.cancel_button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: served.task is None)
    assert served.status.text() == "Cancelled." and not served.live.isVisible()


def test_examples_are_looked_for_around_the_area(served, raster, helpers, monkeypatch):
    from landbrush.plugin.tasks import request
    from landbrush.plugin.tasks.client import EditClient

    asked = []
    plain = EditClient.search
    monkeypatch.setattr(
        EditClient, "search", lambda self, wanted: asked.append(wanted) or plain(self, wanted)
    )
    monkeypatch.setattr(request, "SEARCHED_PX", 20)
    QTest.keyClicks(served.words.prompt, "parking lot here")
    assert helpers.wait(lambda: served.words.understood is not None)
    draw(served, raster)
    QTest.keyClicks(served.bands, "red=first")
    QTest.mouseClick(served.find, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: "not of the form" in served.status.text()) and not asked
    served.bands.setText("red=1 green=2 blue=3")
    QTest.mouseClick(served.find, Qt.MouseButton.LeftButton)
    assert helpers.wait(
        lambda: (
            "looks" in served.status.text()
            or "windows" in served.status.text()
            or "small" in served.status.text()
        )
    ), served.status.text()
    box, extent = asked[0].extent, raster.extent()
    assert abs(box.xmin - (extent.xMinimum() + 0.5 * (104 - 20))) < 1.5
    assert abs(box.ymax - (extent.yMaximum() - 0.5 * (84 - 20))) < 1.5
    assert asked[0].band_roles == {"red": 1, "green": 2, "blue": 3}


def test_a_band_is_made_for_all_of_a_layer_without_a_polygon(served, raster, helpers):
    served.editor.setCurrentIndex(served.editor.findData("near-infrared"))
    layer = run(served, helpers)
    assert layer is not None, served.status.text()
    assert (
        layer.bandCount() == 4
        and layer.extent() == raster.extent()
        and "nir (synthetic)" in layer.bandName(4)
    )
    assert any(
        "estimate" in note
        for note in json.loads(layer.customProperty("landbrush/manifest"))["notes"]
    )


def test_undo_of_vertices(dock, raster):
    QTest.mouseClick(dock.area.draw, Qt.MouseButton.LeftButton)
    click(dock.canvas, raster, [(10, 10), (60, 10), (60, 60)], finish=False)
    QTest.keyClick(dock.canvas, Qt.Key.Key_Backspace)
    assert len(dock.tool.points) == 2
    QTest.mouseClick(dock.area.undo, Qt.MouseButton.LeftButton)
    assert len(dock.tool.points) == 1
    click(dock.canvas, raster, [(60, 10), (60, 60)])
    assert len(dock.tool.polygons) == 1 and not dock.tool.points
    click(dock.canvas, raster, [(100, 100), (140, 100), (140, 140)])
    assert len(dock.tool.polygons) == 2
    QTest.mouseClick(dock.area.undo, Qt.MouseButton.LeftButton)
    assert len(dock.tool.polygons) == 1 and len(dock.tool.points) == 3
    QTest.keyClick(dock.canvas, Qt.Key.Key_Escape)
    assert not dock.tool.points
    QTest.mouseClick(dock.area.clear, Qt.MouseButton.LeftButton)
    assert dock.tool.geometry().isEmpty()


def test_no_server_environment(dock, monkeypatch):
    monkeypatch.setattr(installer, "find_python", lambda: None)
    dock.server.start()
    assert dock.server.state == FAILED and "not installed" in dock.setup_card.said.text()


def test_a_layer_without_a_file_is_exported_at_a_stated_resolution(raster, tmp_path, qgis_app):
    from landbrush.plugin.map.layers import plan_export, run_export
    from qgis.core import QgsFeedback, QgsRasterLayer

    extent = raster.extent()
    export = plan_export(
        raster,
        QgsRectangle(
            extent.xMinimum(), extent.yMinimum(), extent.xMinimum() + 50, extent.yMinimum() + 40
        ),
        0.25,
    )
    path = tmp_path / "export.tif"
    run_export(export, path, QgsFeedback())
    layer = QgsRasterLayer(str(path), "export")
    assert (
        layer.isValid()
        and (layer.width(), layer.height()) == (200, 160)
        and layer.rasterUnitsPerPixelX() == 0.25
    )
    assert layer.crs() == raster.crs()
    with pytest.raises(PluginError, match="too many"):
        plan_export(raster, extent, 0.0001)
