"""Help without a network: the guide, the tutorial, and the sample that it goes by."""

import re
from pathlib import Path

from driving import draw, run
from landbrush.plugin.panel.help import DOCS, GUIDE, IMAGE, TUTORIAL, WIDEST_PX
from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtTest import QTest


def test_f1_opens_the_tutorial_and_its_links_lead_on(dock, helpers):
    QTest.keyClick(dock.words.prompt, Qt.Key.Key_F1)
    assert dock.help is not None and dock.help.isVisible()
    page = dock.help.page
    assert "Ten minutes with Landbrush" in page.toPlainText()
    page.anchorClicked.emit(QUrl("guide.md"))
    assert "A day with Landbrush" in page.toPlainText()
    dock.help.tutorial.click()
    assert page.shown == TUTORIAL
    first = dock.help
    QTest.keyClick(dock.words.prompt, Qt.Key.Key_F1)
    assert dock.help is first, "one window"


def test_all_pictures_of_the_guide_are_there_and_fit(dock):
    dock.show_help()
    page = dock.help.page
    names = re.findall(r"!\[[^\]]*\]\((\S+?)\)", (DOCS / GUIDE).read_text("utf8"))
    assert len(names) > 4
    for name in names:
        image = page.loadResource(IMAGE, QUrl(name))
        assert 0 < image.width() <= WIDEST_PX, name
    for name in (GUIDE, TUTORIAL):
        links = re.findall(r"(?<!!)\[[^\]]*\]\((\S+?)\)", (DOCS / name).read_text("utf8"))
        assert all("://" in one or (DOCS / one.partition("#")[0]).is_file() for one in links), name


def test_the_sample_becomes_a_layer_that_can_be_edited(served, helpers):
    served.show_help()
    before = set(QgsProject.instance().mapLayers())
    served.help.sample.click()
    assert helpers.wait(lambda: not served.tasks)
    (new,) = set(QgsProject.instance().mapLayers()) - before
    layer = QgsProject.instance().mapLayer(new)
    assert layer.width() == 256 and abs(layer.rasterUnitsPerPixelX() - 0.6) < 1e-9
    assert "CC BY" in layer.htmlMetadata()
    served.canvas.setDestinationCrs(layer.crs())
    served.canvas.setExtent(layer.extent())
    served.layer.setLayer(layer)
    draw(served, layer, [(40, 40), (160, 40), (160, 160), (40, 160)])
    served.words.prompt.setPlainText("flooded to the doorsteps")
    made = run(served, helpers)
    assert made is not None, served.status.text()
    # A second time the file that is there is taken.
    served.help.sample.click()
    assert helpers.wait(lambda: not served.tasks)
    path = Path(layer.source())
    assert path.is_file() and len(list(path.parent.glob("landbrush-sample*"))) == 1


def test_what_goes_wrong_with_the_sample_is_said(dock, helpers, monkeypatch):
    monkeypatch.setattr("landbrush.plugin.local.installer.find_python", lambda: None)
    dock.show_help()
    dock.help.sample.click()
    assert helpers.wait(lambda: not dock.tasks)
    assert "Set up" in dock.status.text() and dock.help.sample.isEnabled()
