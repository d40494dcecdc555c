"""What a person meets first: a narrow panel, a server that is just starting, words that are just
being understood, errors that are over, a layer whose CRS was set by hand, a project whose CRS
changes."""

import json

import pytest
from driving import BLOCK, click, draw, run
from landbrush.plugin import settings
from landbrush.plugin.errors import PluginError
from landbrush.plugin.local import installer
from landbrush.plugin.local.server import FAILED, RUNNING, STARTING
from landbrush.plugin.tasks.request import Area, in_layer_crs, polygons_of, united
from qgis.core import QgsCoordinateReferenceSystem as Crs
from qgis.core import QgsCoordinateTransform, QgsGeometry, QgsPointXY, QgsProject, QgsRasterLayer
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QWheelEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractSpinBox, QApplication, QComboBox

NARROW, LOW = 260, 430


def settle():
    for _ in range(20):
        QApplication.processEvents()


def shown(dock, width, height):
    """The dock floating at a size."""
    dock.setFloating(True)
    dock.resize(width, height)
    settle()


def inside(dock, widget):
    """Whether a widget is seen whole in the dock."""
    at = widget.mapTo(dock, QPoint(0, 0))
    return (
        widget.isVisibleTo(dock)
        and at.x() >= 0
        and at.y() >= 0
        and (at.x() + widget.width() <= dock.width() and at.y() + widget.height() <= dock.height())
    )


# ---- the panel fits


@pytest.mark.parametrize("size", [(NARROW, LOW), (NARROW, 700), (298, 560), (420, 900)])
def test_run_cancel_and_start_are_always_seen(dock, size):
    dock.status.setText(
        "A long sentence of what went wrong, which value it was, and what to do. " * 8
    )
    shown(dock, *size)
    assert dock.width() <= size[0] and dock.height() <= size[1], "it can be made so small"
    for button in (dock.run_button, dock.cancel_button, dock.server_button):
        assert inside(dock, button) and button.width() >= button.minimumSizeHint().width(), (
            button.text()
        )
    assert not dock.scroll.horizontalScrollBar().isVisible()


def test_every_editor_fits_a_narrow_panel(served, raster):
    for box in (served.options_box, served.ensemble):
        box.setCollapsed(False)
    for row in range(served.editor.count()):
        served.editor.setCurrentIndex(row)
        shown(served, NARROW, 700)
        content = served.scroll.widget().minimumSizeHint().width()
        assert content <= served.scroll.viewport().width(), (
            f"{served.editor.currentData()}: {content} px"
        )
        assert inside(served, served.run_button)


def test_choices_keep_their_height(served, helpers):
    shown(served, NARROW, LOW)
    QTest.keyClicks(served.words.prompt, "make it nicer somehow")
    assert helpers.wait(lambda: served.words.understood is not None)
    buttons = [
        served.words.choices_row.itemAt(i).widget() for i in range(served.words.choices_row.count())
    ]
    settle()
    assert buttons and all(button.height() >= button.sizeHint().height() for button in buttons)


def roll(widget):
    place = QPointF(widget.rect().center())
    event = QWheelEvent(
        place,
        QPointF(widget.mapToGlobal(place.toPoint())),
        QPoint(0, -120),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def test_the_wheel_never_changes_a_field_without_the_focus(served, raster):
    served.editor.setCurrentIndex(served.editor.findData("burn"))
    shown(served, 300, 600)
    fields = [*served.findChildren(QComboBox), *served.findChildren(QAbstractSpinBox)]
    assert len(fields) > 15
    values = lambda: [f.currentIndex() if isinstance(f, QComboBox) else f.text() for f in fields]
    before = values()
    for field in fields:
        field.clearFocus()
        roll(field)
        assert field.focusPolicy() == Qt.FocusPolicy.StrongFocus
    assert values() == before
    served.activateWindow()
    served.options.fields["severity"][1].setFocus()
    if served.options.fields["severity"][1].hasFocus():  # an offscreen window may not get it
        roll(served.options.fields["severity"][1])
        assert values() != before


# ---- first run


def test_run_before_the_server_is_there_waits_and_runs(dock, raster, helpers):
    dock.editor.addItem("Snow", "snow")
    dock.editor.setCurrentIndex(dock.editor.findData("snow"))
    draw(dock, raster)
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    assert (
        dock.will_run
        and dock.server.state == STARTING
        and "begins when it answers" in dock.status.text()
    )
    assert dock.cancel_button.isEnabled()
    assert helpers.wait(lambda: not dock.will_run and dock.task is None)
    assert dock.results.count() == 1 and "Done" in dock.status.text(), dock.status.text()
    assert dock.run_button.isEnabled() and not dock.cancel_button.isEnabled()


def test_run_while_words_are_being_understood_waits_and_runs(dock, raster, helpers):
    """At once after the server's start, where an interpretation and a job once met in half-loaded
    libraries."""
    draw(dock, raster)
    QTest.keyClicks(dock.words.prompt, "snow")
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    assert dock.will_run
    assert helpers.wait(lambda: not dock.will_run and dock.task is None)
    assert dock.results.count() == 1, dock.status.text()
    manifest = json.loads(
        QgsProject.instance()
        .mapLayer(dock.results.item(0).data(Qt.ItemDataRole.UserRole))
        .customProperty("landbrush/manifest")
    )
    assert manifest["editor"] == "snow" and manifest["process"] == "auto"


def test_no_edit_begins_before_its_words_are_understood(served, raster, helpers):
    """Also in the pause in which typing may go on."""
    draw(served, raster)
    QTest.keyClicks(served.words.prompt, "make it nicer somehow")
    began = []
    plain = served._next
    served._next = lambda: began.append(served.words.understood) or plain()
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert served.will_run and not began
    assert helpers.wait(lambda: not served.will_run and served.task is None)
    assert began == [] and "Choose below the prompt" in served.status.text()


def test_an_edit_that_waits_can_be_cancelled(dock, raster, helpers):
    draw(dock, raster)
    QTest.keyClicks(dock.words.prompt, "snow")
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    QTest.mouseClick(dock.cancel_button, Qt.MouseButton.LeftButton)
    assert not dock.will_run and dock.status.text() == "Cancelled." and dock.run_button.isEnabled()
    assert helpers.wait(
        lambda: dock.server.state == RUNNING and len(dock.infos) > 10 and not dock.words.pending()
    )
    assert dock.task is None and dock.results.count() == 0


def test_stopping_the_server_ends_an_edit_that_waits(dock, raster, helpers):
    draw(dock, raster)
    QTest.keyClicks(dock.words.prompt, "snow")
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    assert dock.will_run and dock.server.state == STARTING
    QTest.mouseClick(dock.server_button, Qt.MouseButton.LeftButton)
    assert not dock.will_run and dock.run_button.isEnabled()
    dock.server.start()
    assert helpers.wait(lambda: dock.server.state == RUNNING and len(dock.infos) > 10)
    assert dock.task is None and dock.results.count() == 0


def test_a_remote_server_that_is_not_there_is_told(dock, raster, helpers):
    settings.put("server/local", False)
    settings.put("server/url", "http://127.0.0.1:9")
    try:
        draw(dock, raster)
        QTest.keyClicks(dock.words.prompt, "snow")
        QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
        assert helpers.wait(lambda: not dock.will_run)
        assert "does not answer" in dock.status.text() and dock.run_button.isEnabled()
    finally:
        settings.put("server/url", settings.DEFAULTS["server/url"])


def test_adjusting_waits_until_there_is_something_to_adjust(served, helpers):
    QTest.keyClicks(served.words.prompt, "severe wildfire")
    assert helpers.wait(lambda: served.words.understood is not None)
    assert served.words.adjust.isVisibleTo(served)
    QTest.keyClicks(served.words.prompt, " here")
    assert not served.words.adjust.isVisibleTo(served)


def test_an_edit_that_waits_for_a_server_that_cannot_start_is_told(
    dock, raster, helpers, monkeypatch, tmp_path
):
    monkeypatch.setattr(installer, "find_python", lambda: tmp_path / "no-python")
    draw(dock, raster)
    QTest.keyClicks(dock.words.prompt, "snow")
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: dock.server.state == FAILED)
    assert not dock.will_run and dock.run_button.isEnabled()


def test_errors_that_are_over_disappear(served, raster, helpers, monkeypatch):
    bar = QgsMessageBar()
    monkeypatch.setattr(served.iface, "messageBar", lambda: bar)
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    error = served.last_error
    assert "Draw a polygon" in error.message and served.status.text() == error.message
    assert any(item.text() == error.message for item in bar.items())
    draw(served, raster)
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    assert run(served, helpers) is not None
    assert served.last_error is None and not any(
        item.text() == error.message for item in bar.items()
    )
    assert error.message not in served.status.text()


def test_nothing_stays_red_after_the_server_is_back(served, raster, helpers, monkeypatch):
    monkeypatch.setattr("landbrush.plugin.tasks.client.POLL_ERRORS", 1)
    served.server.process.kill()
    assert helpers.wait(lambda: served.server.state == FAILED)
    served._fail(PluginError("The Landbrush server does not answer."))
    served.server.start()
    assert helpers.wait(lambda: served.server.state == RUNNING)
    assert served.last_error is None and "does not answer" not in served.status.text()


# ---- choices


def test_a_choice_is_carried_out_and_never_asked_again(served, raster, helpers):
    draw(served, raster)
    QTest.keyClicks(served.words.prompt, "make it nicer somehow")
    assert helpers.wait(lambda: served.words.understood is not None)
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert served.task is None and "Choose below the prompt" in served.status.text()
    offered = [choice.operation for choice in served.words.understood.choices]
    assert offered and "unknown" not in offered
    weather = next(
        (name for name in offered if name in ("snow", "fog", "night", "burn", "flood")), None
    )
    number = offered.index(weather) if weather else 0
    QTest.mouseClick(served.words.choices_row.itemAt(number).widget(), Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: not served.words.pending())
    assert served.words.text() == "make it nicer somehow", "the words stay the user's"
    assert served.words.understood.sure and served.words.understood.operation == offered[number]
    row = served.words.choices_row
    able = [row.itemAt(at).widget().isEnabled() for at in range(row.count())]
    assert able == [at != number for at in range(len(offered))], "another one can be taken"
    assert served.words.chosen == offered[number]
    if weather:
        layer = run(served, helpers)
        assert json.loads(layer.customProperty("landbrush/manifest"))["operation"] == weather
    QTest.keyClicks(served.words.prompt, " please")
    assert not served.words.chosen, "other words are asked for anew"


def test_fill_it_like_the_marked_area_with_one_drawn(served, raster, helpers):
    QTest.keyClicks(served.words.prompt, "fill it like the marked area")
    draw(served, raster)
    QTest.mouseClick(served.exemplar.draw, Qt.MouseButton.LeftButton)
    click(served.canvas, raster, [(10, 10), (80, 10), (80, 80), (10, 80)])
    assert helpers.wait(lambda: not served.words.pending())
    assert served.words.understood.sure and served.words.understood.editor == "fill"
    layer = run(served, helpers)
    assert layer is not None, served.status.text()
    assert json.loads(layer.customProperty("landbrush/manifest"))["editor"] == "fill"


# ---- where it was clicked ------------------------------------------------------------------------


def test_what_is_drawn_stays_on_the_ground_when_the_projects_crs_changes(dock, raster):
    canvas = dock.canvas
    draw(dock, raster)
    click(canvas, raster, [(10, 10), (60, 10)], finish=False)
    before = dock.tool.geometry().boundingBox()
    there = Crs("EPSG:4326")
    canvas.setDestinationCrs(there)
    assert dock.tool.crs == there and len(dock.tool.polygons) == 1 and len(dock.tool.points) == 2
    back = QgsCoordinateTransform(there, raster.crs(), QgsProject.instance())
    moved = dock.tool.geometry()
    moved.transform(back)
    after = moved.boundingBox()
    assert (
        abs(before.xMinimum() - after.xMinimum()) < 1e-3
        and abs(before.yMaximum() - after.yMaximum()) < 1e-3
    )
    canvas.setDestinationCrs(raster.crs())
    again = dock.tool.geometry().boundingBox()
    assert before.xMaximum() == again.xMaximum() and len(dock.tool.points) == 2, "nothing adds up"
    QTest.mouseClick(dock.area.undo, Qt.MouseButton.LeftButton)
    QTest.mouseClick(dock.area.undo, Qt.MouseButton.LeftButton)
    QTest.mouseClick(dock.area.undo, Qt.MouseButton.LeftButton)
    assert not dock.tool.polygons and not dock.tool.shapes and len(dock.tool.points) == len(BLOCK)


@pytest.mark.parametrize("first", ["EPSG:4326", "EPSG:26717", "EPSG:3857"])
def test_the_crs_is_that_of_the_clicks_also_where_it_changed_after_pressing_draw(
    served, raster, helpers, first
):
    served.canvas.setDestinationCrs(Crs(first))
    QTest.mouseClick(served.area.draw, Qt.MouseButton.LeftButton)
    served.canvas.setDestinationCrs(raster.crs())
    served.canvas.setExtent(raster.extent())
    click(served.canvas, raster, BLOCK)
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    layer = run(served, helpers)
    assert layer is not None, served.status.text()
    col, row, _, _ = json.loads(layer.customProperty("landbrush/manifest"))["window"]
    assert abs(col + 8 - BLOCK[0][0]) <= 3 and abs(row + 8 - BLOCK[0][1]) <= 3


@pytest.mark.parametrize("by_hand", ["EPSG:32616", "EPSG:26717", "EPSG:3857"])
def test_the_layers_crs_as_set_in_qgis_counts(served, raster_path, helpers, by_hand):
    layer = QgsRasterLayer(str(raster_path), "by hand")
    layer.setCrs(Crs(by_hand))
    QgsProject.instance().addMapLayer(layer)
    served.layer.setLayer(layer)
    served.canvas.setDestinationCrs(layer.crs())
    served.canvas.setLayers([layer])
    served.canvas.setExtent(layer.extent())
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    draw(served, layer)
    result = run(served, helpers)
    assert result is not None, served.status.text()
    manifest = json.loads(result.customProperty("landbrush/manifest"))
    assert result.crs() == layer.crs() and "crs" not in manifest["request"]["polygons"]
    assert (
        abs(manifest["window"][0] + 8 - BLOCK[0][0]) <= 3
        and abs(manifest["window"][1] + 8 - BLOCK[0][1]) <= 3
    )


def test_polygons_move_by_the_operation_that_qgis_uses(raster):
    """Also one that was chosen by hand: a ballpark shift instead of the usual one."""
    source, target = Crs("EPSG:4267"), raster.crs()
    usual = QgsCoordinateTransform(source, target, QgsProject.instance())
    area = Area(
        QgsGeometry.fromWkt("Polygon((-82 29.6, -81.99 29.6, -81.99 29.61, -82 29.61, -82 29.6))"),
        source,
    )
    wanted = usual.transform(QgsPointXY(-82, 29.6))
    assert QgsPointXY(in_layer_crs(area, raster).vertexAt(0)).distance(wanted) < 1e-3
    context = QgsProject.instance().transformContext()
    other = (
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
        "+step +proj=utm +zone=17 +ellps=clrk66"
    )
    context.addCoordinateOperation(source, target, other)
    chosen = QgsCoordinateTransform(source, target, context).transform(QgsPointXY(-82, 29.6))
    assert chosen.distance(wanted) > 20, "the two operations lie apart"
    assert QgsPointXY(in_layer_crs(area, raster, context).vertexAt(0)).distance(chosen) < 1e-3


def test_polygons_over_one_another_are_united_and_what_a_repair_leaves_is_dropped(qgis_app):
    two = QgsGeometry.fromWkt(
        "MultiPolygon(((0 0, 40 0, 40 40, 0 40, 0 0)), ((20 20, 60 20, 60 60, 20 60, 20 20)))"
    )
    assert united([two]).area() == pytest.approx(2800)
    spike = QgsGeometry.fromWkt("Polygon((0 0, 40 0, 40 40, 80 80, 40 40, 0 40, 0 0))")
    flat = QgsGeometry.fromWkt("Polygon((0 0, 10 0, 5 0, 0 0))")
    assert united([spike, flat]).area() == pytest.approx(1600)
    found = polygons_of(Area(spike, Crs()))
    assert found.geometry["type"] in ("Polygon", "MultiPolygon") and found.crs == ""
    with pytest.raises(PluginError, match="area is empty"):
        polygons_of(Area(flat, Crs()))
