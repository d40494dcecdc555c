"""Diagnostics without anything of the user's; looking through results."""

import getpass
from pathlib import Path

import pytest
from landbrush.plugin import settings
from landbrush.plugin.local.setup import LOG
from landbrush.plugin.panel import diagnostics
from landbrush.plugin.panel.searching import FEW
from qgis.PyQt.QtWidgets import QApplication, QListWidgetItem


def test_no_folder_name_or_secret_is_told(dock, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "annabell")
    home = str(Path.home())
    dock.server.errors = (
        f"annabell could not read {home}/secret.tif\nAuthorization: Bearer abc123\n"
    )
    settings.home().mkdir(parents=True, exist_ok=True)
    (settings.home() / LOG).write_text("token=xyz pip said something\n")
    text = diagnostics.report(dock.server, {"device": "CPU", "roots": [home]})
    assert (
        "…/FILE.tif" in text
        and "secret" not in text
        and "USER could not" in text
        and "pip said something" in text
    )
    assert "device: CPU" in text and "QGIS 3" in text
    assert not [one for one in (home, "annabell", "abc123", "xyz", "roots") if one in text]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (r"D:\Clients\Smith\ortho.tif is damaged", "…/FILE.tif is damaged"),
        ("cannot read /srv/Müller & Sons/plan.gpkg.", "…/FILE.gpkg."),
        ("file:///C:/Users/anna/map.tif", "…/FILE.tif"),
        ('File "/opt/x/site-packages/landbrush/server/jobs/store.py", line 3', "…/store.py"),
        ("proxy http://anna:geheim@proxy.example:80", "http://…@proxy.example:80"),
        ("at http://127.0.0.1:8765/jobs/1", "at http://127.0.0.1:8765/jobs/1"),
    ],
)
def test_paths_are_told_by_their_end_alone(said, told):
    found = diagnostics.anonymous(said)
    assert told in found, found
    assert not [one for one in ("Smith", "Müller", "anna", "geheim", "/opt") if one in found]


def test_what_the_server_says_is_in_it_and_it_is_copied(served, helpers):
    served.show_diagnostics()
    assert helpers.wait(lambda: getattr(served, "diagnostics", None) is not None)
    text = served.diagnostics.text.toPlainText()
    assert "versions:" in text and "landbrush" in text
    served.diagnostics.copy.click()
    assert QApplication.clipboard().text() == text
    served.diagnostics.close()


def test_without_a_server_there_is_a_report_too(dock):
    dock.show_diagnostics()
    assert "Landbrush" in dock.diagnostics.text.toPlainText()
    dock.diagnostics.close()


@pytest.mark.parametrize(
    ("typed", "shown"),
    [("snow", {1, 4}), ("SNOW #4", {4}), ("nothing", set()), ("", set(range(9)))],
)
def test_results_are_looked_through_by_words(dock, typed, shown):
    results = dock.results
    results.clear()
    for number in range(9):
        item = QListWidgetItem(f"#{number} {'snow' if number in (1, 4) else 'flood'}")
        results.addItem(item)
    search = dock.search
    assert search.isVisibleTo(search.parent())
    search.setText(typed)
    seen = {row for row in range(9) if not results.item(row).isHidden()}
    assert seen == shown
    while results.count() > FEW:
        results.takeItem(0)
    assert not search.isVisibleTo(search.parent())
    assert not any(results.item(row).isHidden() for row in range(results.count()))
