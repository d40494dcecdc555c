"""What a person does with results: look at them, compare them, go on from them, hand them on, and
find them again the next day."""

import json
import re
from pathlib import Path

import pytest
from driving import draw, run
from landbrush.plugin import settings
from landbrush.plugin.map.results import (
    base_of,
    edited_area,
    files_of_result,
    is_shown,
    manifest_of,
    results,
)
from landbrush.plugin.products.areas import write_areas
from landbrush.plugin.products.layout import make_layout
from landbrush.plugin.products.page import write_page
from landbrush.plugin.products.pictures import Pictures, ground
from landbrush.plugin.products.sheet import bar_of, width_m
from qgis.core import QgsCoordinateReferenceSystem as Crs
from qgis.core import QgsLayoutItemMap, QgsPointXY, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QFileDialog, QMessageBox

LEFT = [(20, 20), (60, 20), (60, 60), (20, 60)]
RIGHT = [(150, 110), (190, 110), (190, 150), (150, 150)]


def choose(dock, editor, seed=0):
    dock.editor.setCurrentIndex(dock.editor.findData(editor))
    dock.seed.setValue(seed)


@pytest.fixture
def edited(served, raster, helpers):
    """The dock with two results over the same ground, made by different editors."""
    draw(served, raster, LEFT)
    made = []
    for editor in ("snow", "fog"):
        choose(served, editor)
        made.append(run(served, helpers))
    assert all(layer is not None for layer in made), served.status.text()
    return served, made


def item(dock, layer):
    return dock.results.item_of(layer.id())


def test_results_are_seen_one_at_a_time(edited, raster, helpers):
    dock, (first, second) = edited
    assert is_shown(second) and not is_shown(first), "the newer one hides what it would cover"
    assert helpers.wait(lambda: not dock.results.pictures.jobs)
    pixels = {item(dock, one).icon().pixmap(72, 72).toImage().pixel(36, 36) for one in results()}
    assert len(pixels) == 2, "each has a picture of its own"
    rect = dock.results.visualItemRect(item(dock, first))
    QTest.mouseClick(dock.results.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())
    assert is_shown(first) and not is_shown(second)
    QTest.keyPress(dock.results, Qt.Key.Key_Space)
    assert not is_shown(first) and not is_shown(second), "the original while Space is held"
    QTest.keyRelease(dock.results, Qt.Key.Key_Space)
    assert is_shown(first) and not is_shown(second)
    QTest.mousePress(dock.original, Qt.MouseButton.LeftButton)
    assert not is_shown(first)
    QTest.mouseRelease(dock.original, Qt.MouseButton.LeftButton)
    assert is_shown(first) and base_of(first) == raster


def test_an_edit_elsewhere_leaves_the_others_shown(edited, raster, helpers):
    dock, (_, second) = edited
    dock.tool.clear()
    draw(dock, raster, RIGHT)
    third = run(dock, helpers)
    assert is_shown(second) and is_shown(third)
    root = QgsProject.instance().layerTreeRoot()
    assert len([group for group in root.findGroups(True) if group.findLayers()]) == 1


def test_the_outline_stays_and_its_fill_goes_when_it_runs(edited, raster):
    dock, _ = edited
    assert len(dock.tool.polygons) == 1 and dock.tool.band.fillColor().alpha() == 0
    draw(dock, raster, RIGHT)
    assert dock.tool.band.fillColor().alpha() > 0


def test_the_curtain_shows_what_was_before(edited, raster, helpers):
    dock, (first, second) = edited
    dock.canvas.setLayers([second, raster])
    dock.canvas.show()
    QTest.mouseClick(dock.swipe, Qt.MouseButton.LeftButton)
    tool = dock.swipe_tool
    assert dock.canvas.mapTool() is tool and dock.swipe.isChecked()
    assert helpers.wait(lambda: tool.curtain.image is not None)
    assert first.id() in tool.results and second.id() in tool.results
    middle = QgsPointXY(edited_area(second).boundingBox().center())
    at = dock.canvas.getCoordinateTransform().transform(middle)
    before = tool.curtain.image.pixelColor(QPoint(round(at.x()), round(at.y())))
    box = dock.canvas.extent()
    alone = Pictures(second, box, dock.canvas.mapSettings().destinationCrs())
    drawn = []
    alone.made.connect(lambda *images: drawn.extend(images))
    alone.start()
    assert helpers.wait(lambda: drawn)
    x = round((middle.x() - box.xMinimum()) / box.width() * drawn[0].width())
    y = round((box.yMaximum() - middle.y()) / box.height() * drawn[0].height())
    assert abs(before.red() - drawn[0].pixelColor(x, y).red()) < 40
    assert drawn[0].pixelColor(x, y) != drawn[1].pixelColor(x, y), "before and after differ"
    view = dock.canvas.viewport()
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    QTest.mouseMove(view, QPoint(120, 100))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(120, 100))
    assert abs(tool.curtain.share - 100 / dock.canvas.width()) < 0.1
    QTest.mouseClick(view, Qt.MouseButton.RightButton, pos=QPoint(100, 100))
    assert not tool.curtain.upright
    QTest.keyClick(dock.canvas, Qt.Key.Key_Escape)
    assert not dock.swipe.isChecked() and not tool.curtain.isVisible()


def test_an_edit_is_taken_up_again(edited, raster, helpers):
    dock, (first, _) = edited
    before = manifest_of(first)
    dock.tool.clear()
    dock.feather.setValue(9)
    dock.results.do("again", first)
    assert dock.editor.currentData() == "snow" and len(dock.tool.polygons) == 1
    assert dock.feather.value() == before.request.blend.feather_px
    again = run(dock, helpers)
    assert manifest_of(again).request.to_json() == before.request.to_json()
    assert manifest_of(again).gate.sha256_result == before.gate.sha256_result, "to the bit"
    assert again.name() == f"{first.name()} 2", "and with a name of its own"
    dock.results.do("seed", first)
    assert helpers.wait(lambda: dock.task is None and not dock.will_run)
    assert manifest_of(results()[0]).seed != before.seed


def test_what_is_asked_for_meanwhile_waits_for_its_turn(served, raster, helpers):
    draw(served, raster, LEFT)
    choose(served, "snow")
    served.run()
    choose(served, "fog")
    served.run()
    served.run_button.click()
    assert served.task is not None and len(served.waiting) >= 1
    assert served.queue_line.isVisibleTo(served) and "waiting" in served.queue_line.text()
    assert helpers.wait(lambda: served.task is None and not served.waiting)
    assert [manifest_of(one).process for one in reversed(results())] == ["snow", "fog", "fog"]


def test_variants_go_on_where_the_last_ended(served, raster, helpers):
    draw(served, raster, LEFT)
    choose(served, "variation", 5)
    served.variants.setValue(2)
    for expected in ([5, 6], [7, 8]):
        before = len(results())
        served.run()
        assert helpers.wait(lambda: served.task is None and not served.waiting)
        made = [manifest_of(one).seed for one in results()[: len(results()) - before]]
        assert sorted(made) == expected
    QgsProject.instance().removeMapLayer(results()[0].id())  # of seed 8
    assert served._seeds(served.edit_form()) == [8, 9], "what is gone can be made again"


def test_the_list_follows_the_project(edited, raster, tmp_path, helpers):
    dock, (first, second) = edited
    first.setName("my own name")
    assert item(dock, first).text() == "#0 my own name"
    name = second.id()
    QgsProject.instance().removeMapLayer(name)
    assert dock.results.item_of(name) is None and dock.results.count() == 1
    path = tmp_path / "plan.qgz"
    assert QgsProject.instance().write(str(path))
    QgsProject.instance().clear()
    assert dock.results.count() == 0
    assert QgsProject.instance().read(str(path))
    assert dock.results.count() == 1 and dock.results.item(0).text() == "#0 my own name"
    found = results()[0]
    assert manifest_of(found).process == "snow" and base_of(found).name() == "scene"
    dock.results.do("again", found)
    assert dock.editor.currentData() == "snow", "and it can be run again the next day"


def test_a_result_is_deleted_with_its_files(edited, monkeypatch):
    dock, (first, _) = edited
    files = files_of_result(first)
    assert files and all(path.is_file() for path in files)
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    dock.results.do("delete", first)
    assert all(path.is_file() for path in files) and len(results()) == 2
    dock.results.do("delete", first)
    assert not any(path.exists() for path in files) and len(results()) == 1


def test_results_of_an_unsaved_project_come_along_when_asked(edited, tmp_path, helpers):
    dock, made = edited
    settings.put("output/folder", "")
    folder = tmp_path / "shared plan"
    folder.mkdir()
    assert QgsProject.instance().write(str(folder / "plan.qgz"))
    dock.collect()
    assert helpers.wait(lambda: all(Path(one.source()).parent.name == "landbrush" for one in made))
    for layer in made:
        path = Path(layer.source())
        assert path.parent == folder / "landbrush" and layer.isValid()
        assert manifest_of(layer) is not None
    assert not [p for p in (folder / "landbrush").iterdir() if p.name.startswith(".")]
    dock.collect()
    assert len(list((folder / "landbrush").glob("*.tif"))) == 2, "once"


def test_a_page_for_a_mail_says_nothing_that_was_not_asked(edited, tmp_path, helpers):
    _, (first, _) = edited
    pictures = Pictures(first, *ground(first))
    made = []
    pictures.made.connect(lambda *images: made.extend(images))
    pictures.start()
    assert helpers.wait(lambda: made)
    assert made[0].size() == made[1].size() and made[0] != made[1]
    path = tmp_path / "page.html"
    write_page(path, made, "River <park>", "EPSG:32617")
    text = path.read_text(encoding="utf8")
    assert "River &lt;park&gt;" in text and "Synthetic imagery" in text
    assert text.count("data:image/jpeg;base64,/9j/") == 2
    # Letters of a picture may spell anything.
    words = re.sub(r"base64,[^\"')]*", "", text)
    assert len(words) < len(text)
    assert "http" not in words and str(tmp_path) not in text and "snow" not in words.lower()
    with pytest.raises(OSError):
        write_page(tmp_path / "nowhere" / "page.html", made, "x", "y")
    assert sorted(p.name for p in tmp_path.iterdir() if "page" in p.name) == ["page.html"]


def test_a_layout_says_that_it_is_synthetic(edited, helpers, raster):
    _, (first, second) = edited
    layout = make_layout(first, *ground(first))
    maps = {one.id(): one for one in layout.items() if isinstance(one, QgsLayoutItemMap)}
    assert [layer.id() for layer in maps["before"].layers()] == [raster.id()]
    assert [layer.id() for layer in maps["after"].layers()] == [first.id(), raster.id()]
    assert maps["before"].extent() == maps["after"].extent()
    said = " ".join(one.currentText() for one in layout.items() if hasattr(one, "currentText"))
    assert said.count("Synthetic imagery") == 1, "once, by map_credits()"
    assert QgsProject.instance().layoutManager().layoutByName(layout.name()) is layout
    assert make_layout(second, *ground(second)).name() != layout.name()


def test_changed_areas_have_a_size_on_the_ground(edited, raster, tmp_path):
    _, made = edited
    layer = write_areas(made, tmp_path, "changed")
    rows = list(layer.getFeatures())
    assert len(rows) == 2 and {row["editor"] for row in rows} == {"snow", "fog"}
    for row in rows:
        assert row["synthetic"] and row["px_changed_result"] > 0
        assert row["result"].endswith(".tif")
        # UTM is smaller than the ground here, by half a part in a thousand.
        assert 1.0003 < row["area_m2"] / edited_area(made[0]).area() < 1.001
    assert layer.crs() == raster.crs()


def test_the_queue_shows_and_ends_jobs(edited, helpers, monkeypatch):
    dock, _ = edited
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    dock.show_jobs()
    page = dock.jobs
    assert helpers.wait(lambda: page.tree.topLevelItemCount() == 2)
    assert "Jobs: 2, waiting: 0" in page.message.text()
    page.tree.topLevelItem(0).setSelected(True)
    assert page.remove.isEnabled() and page.fetch.isEnabled() and not page.stop.isEnabled()
    page.remove.click()
    assert helpers.wait(lambda: page.tree.topLevelItemCount() == 1)
    assert len(results()) == 2, "what is in the project stays"
    page.tree.topLevelItem(0).setSelected(True)
    page.fetch.click()
    assert helpers.wait(lambda: len(results()) == 3)
    page.hide()


def test_a_result_that_lost_its_source_says_so(edited, raster):
    dock, (first, _) = edited
    QgsProject.instance().removeMapLayer(raster.id())
    dock.results.do("again", first)
    assert "is not in the project" in dock.status.text()
    manifest = json.loads(first.customProperty("landbrush/manifest"))
    manifest["request"] = None
    first.setCustomProperty("landbrush/manifest", json.dumps(manifest))
    dock.results.do("again", first)
    assert "How" in dock.status.text()


def test_a_property_that_is_no_manifest_does_no_harm(dock, raster_path):
    layer = QgsRasterLayer(str(raster_path), "odd")
    layer.setCustomProperty("landbrush/manifest", "{not json")
    QgsProject.instance().addMapLayer(layer)
    assert dock.results.item_of(layer.id()) is not None
    dock.results.rebuild()
    assert dock.results.count() == 1 and manifest_of(layer) is None


def test_what_waited_is_made_of_what_came_meanwhile(served, raster, helpers):
    draw(served, raster, LEFT)
    choose(served, "snow")
    served.run()
    served.tool.clear()
    draw(served, raster, [(70, 20), (110, 20), (110, 60), (70, 60)])
    choose(served, "fog")
    served.run()
    assert helpers.wait(lambda: served.task is None and not served.waiting)
    second, first = results()
    over = manifest_of(second).request.over
    assert [one.path for one in over] == [first.source()]
    assert is_shown(first) and is_shown(second)


def test_a_layer_that_goes_while_an_edit_runs_stops_nothing(edited, raster, helpers):
    dock, (first, second) = edited
    dock.tool.clear()
    draw(dock, raster, RIGHT)
    dock.variants.setValue(2)
    dock.run()
    QgsProject.instance().removeMapLayers([first.id(), second.id()])
    assert helpers.wait(lambda: dock.task is None and not dock.waiting)
    assert not dock.cancel_button.isEnabled() and len(results()) == 2


def test_run_ends_the_comparison(edited, raster):
    dock, (_, second) = edited
    dock.flicker.setChecked(True)
    dock.results.hold(True)
    assert not is_shown(second)
    dock.tool.clear()
    dock.run()
    assert is_shown(second) and not dock.flicker.isChecked()


def test_options_that_were_typed_stay(served, raster, helpers):
    draw(served, raster, LEFT)
    choose(served, "snow")
    served.options.fields["depth_cm"][1].setValue(33)
    served.words.understood_changed.emit()  # as the words' timer does
    assert served.options.values() == {"depth_cm": 33}
    layer = run(served, helpers)
    served.options.fields["depth_cm"][1].setValue(55)
    served.options.fields["cover"][1].setValue(0.5)
    served.results.do("again", layer)
    assert served.options.values() == {"depth_cm": 33}, "and nothing of what was typed since"


def test_a_sheet_for_a_report_is_one_pdf(edited, helpers, raster, tmp_path, monkeypatch):
    dock, (first, _) = edited
    target = tmp_path / "Bericht über Mr X.pdf"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    dock.results.do("sheet", first)
    assert helpers.wait(lambda: target.exists() and not dock.tasks)
    content = target.read_bytes()
    assert content.startswith(b"%PDF") and b"%%EOF" in content[-16:]
    assert b"compositeSynthetic" in content and not list(tmp_path.glob("*.part"))
    assert b"snow" not in content.lower() and str(tmp_path).encode() not in content
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "no" / "x.pdf"), "")
    )
    dock.results.do("sheet", first)
    assert helpers.wait(lambda: "could not be written" in dock.status.text()) and not dock.tasks


def test_a_scale_bar_is_a_round_length(qgis_app, raster):
    assert bar_of(100, 100) == (50, 50) and bar_of(133, 133) == (50, 50)
    assert bar_of(1000, 133.5)[0] == 200 and bar_of(3, 130)[0] == 1
    assert bar_of(1.2e6, 130)[0] == 200_000
    found = width_m(raster.extent(), raster.crs())
    assert abs(found / 120 - 1) < 0.001 and width_m(raster.extent(), Crs()) is None
