"""The plugin as QGIS loads it: from the built zip, loaded, unloaded, and in qgis_process."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

LOAD = """
import sys, json
from qgis.core import QgsApplication
sys.path.insert(0, sys.argv[1])
app = QgsApplication([], True)
app.initQgis()
from unittest.mock import MagicMock
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtWidgets import QMainWindow
import landbrush
class Iface:
    def __init__(self):
        self.window, self.canvas, self.calls = QMainWindow(), QgsMapCanvas(), []
        self.currentLayerChanged = self.canvas.currentLayerChanged
    def mainWindow(self): return self.window
    def mapCanvas(self): return self.canvas
    def addToolBar(self, name): return self.window.addToolBar(name)
    def __getattr__(self, name):
        def called(*arguments): self.calls.append(name)
        return called
iface = Iface()
items = len(iface.canvas.scene().items())
plugin = landbrush.classFactory(iface)
plugin.initGui()
assert QgsApplication.processingRegistry().algorithmById("landbrush:edit") is not None
plugin.dock.hide()
plugin._edit_layer(None)
assert not plugin.dock.isHidden(), "the menu of a layer opens the panel"
plugin.dock.hide()
plugin.dock.do_to_result = lambda name, layer: asked.append(name)
asked = []
plugin._edit_again(None)
assert asked == ["again"] and not plugin.dock.isHidden()
plugin.unload()
assert QgsApplication.processingRegistry().providerById("landbrush") is None
assert len(iface.canvas.scene().items()) == items, "something is left on the canvas"
for add, remove in (("addDockWidget", "removeDockWidget"),
                    ("addRasterToolBarIcon", "removeRasterToolBarIcon"),
                    ("addPluginToRasterMenu", "removePluginRasterMenu"),
                    ("registerMainWindowAction", "unregisterMainWindowAction"),
                    ("addCustomActionForLayerType", "removeCustomActionForLayerType"),
                    ("registerOptionsWidgetFactory", "unregisterOptionsWidgetFactory")):
    assert iface.calls.count(add) == iface.calls.count(remove) > 0, (add, iface.calls)
foreign = {"torch", "rasterio", "flask", "pyproj"} & set(sys.modules)
assert not foreign, foreign
mine = [m for m in sys.modules if m.startswith("landbrush.server")]
print(json.dumps({"file": landbrush.__file__, "server": sorted(mine)}))
"""


def test_the_built_zip_loads_and_unloads(helpers, tmp_path):
    archive = helpers.root / "build" / "landbrush.zip"
    if not archive.exists():
        pytest.skip("build/landbrush.zip is not there: make package")
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        opened.extractall(tmp_path)
    assert archive.stat().st_size < 25_000_000 and {n.split("/")[0] for n in names} == {"landbrush"}
    contract = sorted((helpers.root / "server" / "contract").glob("*.py"))
    assert sorted(n for n in names if n.startswith("landbrush/server")) == [
        "landbrush/server/__init__.py",
        *(f"landbrush/server/contract/{path.name}" for path in contract),
    ]
    assert (
        len(
            [
                n
                for n in names
                if n.startswith("landbrush/resources/server/") and n.endswith("-py3-none-any.whl")
            ]
        )
        == 1
    )
    assert {"landbrush/LICENSE", "landbrush/metadata.txt", "landbrush/__init__.py"} <= set(names)
    environment = {**os.environ, "PYTHONPATH": "/usr/share/qgis/python/plugins"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["file"].startswith(str(tmp_path))
    loaded = set(found["server"])
    assert "landbrush.server.contract.requests" in loaded
    assert all(
        name == "landbrush.server" or name.startswith("landbrush.server.contract")
        for name in loaded
    )


def test_metadata_has_what_the_repository_asks_for(helpers):
    import configparser

    data = configparser.ConfigParser()
    data.read(helpers.root / "metadata.txt", "utf8")
    general = data["general"]
    for key in (
        "name",
        "description",
        "version",
        "qgisMinimumVersion",
        "author",
        "email",
        "about",
        "tracker",
        "repository",
    ):
        assert general[key].strip()
    assert (
        "<" not in general["about"]
        and "plugin" not in general["name"].lower()
        and "/" not in general["author"]
    )
    assert general["hasProcessingProvider"] == "yes" and general["qgisMaximumVersion"].startswith(
        "4"
    )


def test_qgis_process(helpers, raster_path, polygons, tmp_path):
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if program is None:
        pytest.skip("qgis_process is not installed")
    plugins = tmp_path / "config" / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "landbrush").symlink_to(helpers.root)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["QGIS_CUSTOM_CONFIG_PATH"] = str(tmp_path / "config")
    run = lambda *a: subprocess.run(
        [program, *a], capture_output=True, text=True, env=environment, check=False
    )
    assert run("plugins", "enable", "landbrush").returncode == 0
    output = tmp_path / "processed.tif"
    done = run(
        "run",
        "landbrush:edit",
        "--",
        f"INPUT={raster_path}",
        f"POLYGONS={polygons}",
        "PROMPT=remove the building",
        f"OUTPUT={output}",
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    found = helpers.compare(raster_path, output)
    assert found["same"] and found["outside"] == 0 and found["inside"] > 500


def test_the_desktop_on_a_virtual_screen(helpers, tmp_path, raster_path, polygons):
    """QGIS itself, started, edited with through the dock, photographed."""
    if shutil.which("xvfb-run") is None:
        pytest.skip("xvfb-run is not installed")
    out = tmp_path / "demo"
    out.mkdir()
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "QT_QPA_PLATFORM")
    }
    environment |= {
        "DEMO_OUT": str(out),
        "DEMO_RASTER": str(raster_path),
        "DEMO_POLYGONS": str(polygons),
        "DEMO_PROMPT": "burned by a wildfire",
        "LANDBRUSH_HOME": str(tmp_path / "home"),
        "LIMIT_S": "3600",
    }
    subprocess.run(
        [
            str(helpers.root / "scripts/qgis-desktop.sh"),
            str(tmp_path / "profile"),
            str(helpers.root / "scripts/demo_in_qgis.py"),
        ],
        env=environment,
        check=False,
    )
    summary = json.loads((out / "summary.json").read_text())
    assert not summary["failure"], summary["failure"]
    found = helpers.compare(raster_path, out / "result.tif")
    assert found["same"] and found["outside"] == 0 and found["inside"] > 300
    picture = (out / "qgis-result.png").read_bytes()
    assert picture[:4] == b"\x89PNG" and len(picture) > 30_000
