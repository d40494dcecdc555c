"""What a QGIS that was closed, or crashed, leaves behind: a server, and edits that still run."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from driving import draw, run
from landbrush.plugin import settings
from landbrush.plugin.local.server import FAILED, RUNNING, STOPPED, LocalServer, read_address
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QPushButton


class Server:
    """A server that somebody else's QGIS started: `owner`, killed by `crash`."""

    def __init__(self, home) -> None:
        order = [os.environ["LANDBRUSH_PYTHON"], "-m", "landbrush.server", "serve"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self.owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        environment["LANDBRUSH_OWNER"] = str(self.owner.pid)
        self.process = subprocess.Popen(
            [*order, "--port", "0", "--home", str(home), "--root", "/"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.address = read_address(self.process.stdout.readline())

    def crash(self) -> None:
        """The QGIS is gone, its server is not."""
        self.owner.kill()
        self.owner.wait()

    def answers(self) -> bool:
        asked = urllib.request.Request(
            f"{self.address.url}/", headers={"Authorization": f"Bearer {self.address.token}"}
        )
        with urllib.request.urlopen(asked) as answer:
            return bool(json.load(answer)["title"])

    def end(self) -> None:
        for one in (self.owner, self.process):
            one.kill()
            one.wait()


@pytest.fixture
def other(tmp_path):
    found = Server(tmp_path / "home")
    try:
        assert found.address is not None, "it did not start"
        yield found
    finally:
        found.end()


def adopt(dock, helpers):
    dock.server.start()
    assert helpers.wait(lambda: dock.server.state in (RUNNING, FAILED))
    assert dock.server.state == RUNNING, dock.server.errors
    assert dock.server.is_adopted
    assert helpers.wait(lambda: dock.infos)


def test_a_server_of_another_qgis_is_used_and_left_running(dock, other, raster, helpers):
    adopt(dock, helpers)
    assert dock.server.address == other.address and other.address.owner == other.owner.pid
    draw(dock, raster)
    dock.editor.setCurrentIndex(dock.editor.findData("snow"))
    assert run(dock, helpers) is not None
    QTest.mouseClick(dock.server_button, Qt.MouseButton.LeftButton)
    assert dock.server.state == STOPPED
    said = dock.server_line.text()
    assert said == "Left; the server ends when no QGIS uses it any more."
    assert other.process.poll() is None and other.answers()
    other.crash()
    assert helpers.wait(lambda: other.process.poll() is not None), "and it is true"


def test_a_server_that_outlived_a_crash_is_used_and_then_ends(dock, other, raster, helpers):
    adopt(dock, helpers)
    users = Path(settings.home()) / "users"
    assert helpers.wait(lambda: (users / str(os.getpid())).exists())
    other.crash()
    assert helpers.wait(lambda: not (users / str(other.owner.pid)).exists()), "it has looked"
    draw(dock, raster)
    dock.editor.setCurrentIndex(dock.editor.findData("snow"))
    assert run(dock, helpers) is not None, "it works on for who uses it now"
    dock.server.stop(closing=True)  # as when this QGIS is closed
    assert helpers.wait(lambda: other.process.poll() is not None)
    assert other.process.returncode in (0, 143), "in peace"


def test_a_server_that_nobody_owns_runs_on(qgis_app, tmp_path):
    token = tmp_path / "token"
    token.write_text("x" * 20)
    told = {"url": "http://127.0.0.1:9", "token_file": str(token)}
    assert read_address(json.dumps(told)).owner == 0
    for owner in (None, 0, 7):
        assert read_address(json.dumps({**told, "owner": owner})).owner == (owner or 0)
    for owner in ("x", [], "1e400"):
        assert read_address(json.dumps({**told, "owner": owner})) is None or owner == []
    found = LocalServer()
    found.state, found.address = RUNNING, read_address(json.dumps(told))
    heard = []
    found.changed.connect(lambda state, text: heard.append((state, text)))
    found.stop()
    assert heard == [(STOPPED, "Left; the server goes on until somebody ends it.")]


def buttons(dock):
    bar = dock.iface.messageBar()
    return {one.text(): one for item in bar.items() for one in item.findChildren(QPushButton)}


def test_an_edit_that_was_left_running_is_told_and_can_be_ended(served, raster, helpers):
    served.area.choose("layer")
    served.editor.setCurrentIndex(served.editor.findData("variation"))
    QTest.mouseClick(served.run_button, Qt.MouseButton.LeftButton)
    assert helpers.wait(lambda: "editing" in served.status.text())
    served.server.process.kill()  # as when QGIS is closed
    assert helpers.wait(lambda: served.task is None and served.server.state == FAILED)
    assert "Queue …" not in buttons(served)

    served.server.start()
    assert helpers.wait(lambda: "Queue …" in buttons(served)), "it goes on, and says so"
    buttons(served)["Queue …"].click()
    page = served.jobs
    assert helpers.wait(lambda: page.isVisible() and page.tree.topLevelItemCount() == 1)
    page.tree.topLevelItem(0).setSelected(True)
    page.stop.click()
    client = served.connection().client()
    assert helpers.wait(lambda: [job.status for job in client.jobs()] == ["dismissed"])
    page.hide()

    served.area.choose("drawn")
    draw(served, raster)
    served.editor.setCurrentIndex(served.editor.findData("snow"))
    assert run(served, helpers) is not None, "and holds nobody up"
