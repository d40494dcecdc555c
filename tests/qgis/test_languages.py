"""The panel in the languages of the catalogues: said in them, and still narrow enough."""

import pytest
from landbrush.plugin import told, translated
from landbrush.plugin.panel.dock import LandbrushDock
from landbrush.plugin.panel.widgets import OptionsForm
from landbrush.server.contract.editors import Option
from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QLocale
from test_panel import LOW, NARROW, inside, shown


@pytest.fixture(params=["de", "fr", "es", "zh"])
def foreign(request, qgis_iface, raster, monkeypatch, helpers):
    monkeypatch.setattr(translated, "language", lambda: request.param)
    dock = LandbrushDock(qgis_iface)
    dock.layer.setLayer(raster)
    dock.show()
    yield dock, translated.catalogue(request.param)
    dock.dispose()
    dock.deleteLater()
    helpers.wait(lambda: False, 0.1)


def test_the_panel_speaks_it_and_fits(foreign):
    dock, catalogue = foreign
    for widget, text in (
        (dock.run_button, "Run"),
        (dock.cancel_button, "Cancel"),
        (dock.area.draw, "Draw"),
        (dock.swipe, "Swipe"),
        (dock.original, "Original"),
    ):
        assert widget.text().replace("&", "") == catalogue[text].replace("&", "")
    assert (
        dock.words.prompt.placeholderText()
        == catalogue[
            "What should be there? For instance: remove the shed - forest here - flooded - snow"
        ]
    )
    shown(dock, NARROW, LOW)
    assert dock.width() <= NARROW
    for button in (dock.run_button, dock.cancel_button, dock.server_button):
        assert inside(dock, button)
    content = dock.scroll.widget().minimumSizeHint().width()
    assert content <= dock.scroll.viewport().width()


def test_the_language_is_that_of_qgis():
    settings = QgsSettings()
    before = settings.value("locale/overrideFlag"), settings.value("locale/userLocale")
    try:
        settings.setValue("locale/overrideFlag", True)
        settings.setValue("locale/userLocale", "es_ES")
        assert QgsApplication.locale().startswith("es") and translated.language() == "es"
    finally:
        settings.setValue("locale/overrideFlag", before[0] or False)
        settings.setValue("locale/userLocale", before[1] or "")


def test_values_of_options_are_read_in_it_and_sent_as_they_are(monkeypatch, qgis_app):
    monkeypatch.setattr(told, "language", lambda: "de")
    roads = Option(
        "roads", "string", "tracked", "Roads", choices=("snowed in", "tracked", "cleared")
    )
    form = OptionsForm()
    form.show_options((roads,))
    field = form.fields["roads"][1]
    assert [field.itemText(at) for at in range(3)] == ["eingeschneit", "mit Spuren", "geräumt"]
    assert form.values() == {}
    field.setCurrentIndex(2)
    assert form.values() == {"roads": "cleared"}
    form.set_values({"roads": "snowed in"})
    assert field.currentText() == "eingeschneit" and form.values() == {"roads": "snowed in"}
    form.set_values({"roads": "none of these"})
    assert form.values() == {"roads": "snowed in"}, "what it does not have changes nothing"
    form.deleteLater()


@pytest.mark.parametrize(
    ("locale", "wanted"), [("de_DE", "27.269,5"), ("en_US", "27,269.5"), ("C", "27,269.5")]
)
def test_numbers_are_written_as_the_locale_does(qgis_app, locale, wanted):
    before, of_user = QLocale(), QLocale(locale)
    of_user.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)  # as QGIS does by default
    QLocale.setDefault(of_user)
    try:
        assert translated.localised(27269.46, 1) == wanted
        assert translated.localised(0.25).replace(",", ".") == "0.25"
        assert translated.localised(3.0) == "3"
    finally:
        QLocale.setDefault(before)
