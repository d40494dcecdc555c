"""This computer's server and those of an office, by name."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from driving import draw, run
from landbrush.plugin import servers, settings
from landbrush.plugin.panel.options_page import LandbrushOptionsPage
from landbrush.plugin.servers import Profile


@pytest.fixture(autouse=True)
def as_before():
    kept = {
        key: settings.get(key)
        for key in ("servers", "server/local", "server/name", "server/url", "server/token")
    }
    yield
    for key, value in kept.items():
        settings.put(key, value)


@pytest.fixture
def office(tmp_path, helpers):
    """A server of its own that takes uploads, as one on another computer does: (url, token)."""
    token = tmp_path / "token"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    order = [os.environ["LANDBRUSH_PYTHON"], "-m", "landbrush.server", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*order, "--home", str(tmp_path / "office")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    told = json.loads(process.stdout.readline())
    token = Path(told["token_file"]).read_text("ascii").strip()
    yield told["url"], token
    process.terminate()
    process.wait()


def names(dock):
    dock._list_servers()
    return {
        action.text(): action.isChecked()
        for action in dock.servers_button.menu().actions()
        if action.isCheckable()
    }


def test_profiles_are_kept_by_name_and_what_cannot_be_read_is_none(qgis_app):
    servers.keep(
        [Profile("A", "http://a"), Profile("B", "http://b", "cfg"), Profile("A", "http://c")]
    )
    assert servers.profiles() == [Profile("A", "http://c"), Profile("B", "http://b", "cfg")]
    servers.keep([Profile("", "http://a"), Profile("C", "")])
    assert servers.profiles() == []
    for text in ("", "{", '["x"]', '[{"name": "A"}]', '[{"name": "A", "url": "u", "z": 1}]'):
        settings.put("servers", text)
        assert servers.profiles() == []


def test_the_options_name_change_and_remove_servers(qgis_app):
    servers.keep([])
    page = LandbrushOptionsPage()
    page.name.setEditText("Office")
    page.url.setText(" http://10.0.0.2:8765 ")
    page.token.setText("secret")
    page.apply()
    assert servers.profiles() == [Profile("Office", "http://10.0.0.2:8765", "", "secret")]
    page = LandbrushOptionsPage()
    assert page.name.currentText() == "Office"
    page.name.setEditText("Second")
    page.url.setText("http://10.0.0.3:8765")
    page.local.setChecked(False)
    page.apply()
    assert [one.name for one in servers.profiles()] == ["Office", "Second"]
    assert servers.current().name == "Second" and settings.token() == "secret"
    page = LandbrushOptionsPage()
    page.name.setCurrentIndex(page.name.findText("Office"))
    assert page.url.text() == "http://10.0.0.2:8765"
    page.forget.click()
    assert page.name.currentText() == "Second" and page.url.text() == "http://10.0.0.3:8765"
    page.apply()
    assert servers.profiles() == [Profile("Second", "http://10.0.0.3:8765", "", "secret")]
    page = LandbrushOptionsPage()
    page.forget.click()
    assert (page.name.currentText(), page.url.text(), page.token.text()) == ("", "", "")


def test_one_is_chosen_in_the_panel_and_works_with_all_it_has(served, office, raster, helpers):
    url, token = office
    servers.keep([Profile("Office", url, "", token)])
    assert names(served) == {"This computer": True, "Office": False}
    editors = served.editor.count()
    served.use_server(servers.profiles()[0])
    assert names(served) == {"This computer": False, "Office": True}
    assert "Office" in served.server_line.text() and served.server_button.isHidden()
    assert helpers.wait(lambda: not served.tasks)
    assert served.editor.count() == editors and served.form is not None
    draw(served, raster)
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    made = run(served, helpers)
    assert made is not None, served.status.text()
    report = helpers.compare(raster.source(), made.source())
    assert report["same"] and report["outside"] == 0 and report["inside"] > 0
    assert url in served.connection().url

    served.use_server(None)
    assert names(served)["This computer"] and not served.server_button.isHidden()
    assert served.connection().url == served.server.url
    assert helpers.wait(lambda: not served.tasks)
    assert run(served, helpers) is not None


def test_one_that_does_not_answer_says_so_and_another_is_chosen(served, helpers):
    dead = Profile("Old", "http://127.0.0.1:9")
    served.use_server(dead)
    assert helpers.wait(lambda: not served.tasks)
    assert "127.0.0.1:9" in served.status.text()
    served.use_server(None)
    assert helpers.wait(lambda: not served.tasks)
    assert "127.0.0.1:9" not in served.status.text() and served.editor.count() > 10
