"""The library of exemplars: its page, and an exemplar that is kept there."""

from driving import BLOCK, click
from landbrush.plugin.panel.areas import DRAWN
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest


def test_an_exemplar_is_kept_shown_and_deleted(served, raster, tmp_path, helpers, monkeypatch):
    """From the drawn exemplar to the list, its word in the prompt, and gone again."""
    QTest.mouseClick(served.library_button, Qt.MouseButton.LeftButton)
    page = served.library
    assert helpers.wait(lambda: len(page.exemplars) > 300)
    assert helpers.wait(lambda: len(page.pictures) >= 24)
    page.filter.setText("tennis")
    assert page.list.count() > 5
    assert helpers.wait(lambda: set(page.shown()) <= set(page.pictures))
    page.list.setCurrentRow(0)
    assert "tennis court" in page.about.text() and "public domain" in page.about.text()
    assert page.use.isEnabled() and not page.remove.isEnabled()
    page.use.click()
    assert served.words.text() == "tennis court"
    page.filter.clear()

    page.name.setText("our meadow")
    page.words.setText("orchid meadow, grass")
    page.keep_button.click()
    assert "Draw what is to be kept" in page.message.text()
    served.exemplar.source.setCurrentIndex(served.exemplar.source.findData(DRAWN))
    QTest.mouseClick(served.exemplar.draw, Qt.MouseButton.LeftButton)
    click(served.canvas, raster, BLOCK)
    page.keep_button.click()
    assert helpers.wait(lambda: "our meadow" in page.exemplars), page.message.text()
    assert page.shown()[0] == "our meadow"
    page.list.setCurrentRow(0)
    assert page.remove.isEnabled() and "orchid meadow" in page.about.text()
    assert page.grab().save(str(tmp_path / "library.png"))
    page.name.setText("our meadow")
    page.keep_button.click()
    assert helpers.wait(lambda: "is there already" in page.message.text())
    monkeypatch.setattr(page, "agrees", lambda one: True)
    page.remove.click()
    assert helpers.wait(lambda: "our meadow" not in page.exemplars)
    page.hide()
