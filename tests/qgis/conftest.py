"""Fixtures of the tests inside real QGIS. The server is a real one, in its own environment."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.PyQt.QtWidgets import QApplication

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ["LANDBRUSH_PYTHON"])
# A server for nearly every test: each has ready what it is asked for, and no more.
os.environ["LANDBRUSH_COLD"] = "1"
MAKE_RASTER = """
import sys, numpy as np, rasterio
from affine import Affine
rng = np.random.default_rng(0)
rows, cols = np.mgrid[:200, :240]
ground = 110 + 25 * np.sin(rows / 5) * np.cos(cols / 7) + 12 * rng.standard_normal((200, 240))
image = np.stack([ground * f for f in (0.9, 1.0, 0.8)])
image[:, 90:110, 110:130] = 240
profile = {"driver": "GTiff", "width": 240, "height": 200, "count": 3, "dtype": "uint8"}
grid = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400000, 0, -0.5, 3285000)}
with rasterio.open(sys.argv[1], "w", **profile, **grid, photometric="RGB") as out:
    out.write(np.clip(image, 1, 254).astype("uint8"))
"""
COMPARE = """
import sys, json, numpy as np, rasterio, shapely
from rasterio.features import rasterize
with rasterio.open(sys.argv[1]) as a, rasterio.open(sys.argv[2]) as b:
    col, row = ~a.transform @ (b.transform.c, b.transform.f)
    w = rasterio.windows.Window(round(col), round(row), b.width, b.height)
    theirs = rasterio.windows.transform(w, a.transform)
    same = bool(np.allclose(theirs, b.transform, rtol=0, atol=1e-9)) and a.crs == b.crs
    mask = shapely.from_wkb(b.tags()["LANDBRUSH_MASK_WKB"])
    inside = rasterize([mask], out_shape=b.shape, transform=b.transform) > 0
    changed = (a.read(window=w) != b.read()).any(axis=0)
    outside, inside = int((changed & ~inside).sum()), int((changed & inside).sum())
    print(json.dumps({"same": same, "outside": outside, "inside": inside,
                      "synthetic": b.tags().get("AI_GENERATED")}))
"""


def server_python(script, *arguments):
    """Run a script in the server's environment, which has rasterio."""
    import subprocess

    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(
        [str(PYTHON), "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout


ended = pytest.StashKey[int]()


def pytest_sessionfinish(session, exitstatus):
    """How the tests ended, for `pytest_unconfigure`."""
    session.config.stash[ended] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Leave without taking the interpreter apart, as QGIS itself does: QGIS's libraries are gone by
    then, and a layer that a kept traceback still holds would be destroyed without its provider."""
    if ended in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[ended])


@pytest.fixture(scope="session", autouse=True)
def primed(qgis_app):
    """The application of these tests is made in Python, QGIS's own is not: see plugin/network.py on
    what that costs."""
    qgis_app.aboutToQuit.connect(wait)
    qgis_app.aboutToQuit.disconnect(wait)


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """Each test has its own server home and output folder."""
    monkeypatch.setenv("LANDBRUSH_HOME", str(tmp_path / "home"))
    from landbrush.plugin import settings

    settings.put("output/folder", str(tmp_path / "results"))
    settings.put("server/local", True)
    yield
    QgsProject.instance().removeAllMapLayers()


@pytest.fixture(scope="session")
def raster_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scene é.tif"
    server_python(MAKE_RASTER, path)
    return path


@pytest.fixture
def raster(raster_path, qgis_app):
    layer = QgsRasterLayer(str(raster_path), "scene")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    return layer


def wait(condition, seconds=None):
    """Handle events until the condition holds, however long a busy machine takes; what never comes
    shows in pytest's dump of where it hangs. `seconds`: handle events so long where nothing is
    waited for."""
    began = time.monotonic()
    while not condition() and (seconds is None or time.monotonic() < began + seconds):
        QApplication.processEvents()
        time.sleep(0.01)
    return bool(condition())


def compare(source, result):
    import json

    return json.loads(server_python(COMPARE, source, result))


@pytest.fixture
def helpers():
    class Helpers:
        pass

    found = Helpers()
    found.wait, found.compare, found.server_python, found.root = wait, compare, server_python, ROOT
    assert QgsApplication.instance() is not None and sys.version_info >= (3, 9)
    return found


@pytest.fixture
def dock(qgis_iface, qgis_canvas, raster, helpers):
    from landbrush.plugin.panel.dock import LandbrushDock

    canvas = qgis_iface.mapCanvas()
    canvas.resize(480, 400)
    canvas.setDestinationCrs(raster.crs())
    canvas.setLayers([raster])
    canvas.setExtent(raster.extent())
    found = LandbrushDock(qgis_iface)
    found.layer.setLayer(raster)
    found.show()
    yield found
    found.dispose()
    found.deleteLater()
    helpers.wait(lambda: False, 0.1)


@pytest.fixture
def served(dock, helpers):
    from landbrush.plugin.local.server import FAILED, RUNNING

    dock.server.start()
    assert helpers.wait(lambda: dock.server.state in (RUNNING, FAILED)), "no answer"
    assert dock.server.state == RUNNING, dock.server.errors
    assert helpers.wait(lambda: len(dock.infos) >= 11)
    return dock


@pytest.fixture
def provider(qgis_processing):
    from landbrush.plugin.processing.provider import LandbrushProvider

    found = LandbrushProvider()
    QgsApplication.processingRegistry().addProvider(found)
    yield found
    QgsApplication.processingRegistry().removeProvider(found)


BLOCK = {
    "type": "FeatureCollection",
    "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32617"}},
    "features": [
        {
            "type": "Feature",
            "properties": {},
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [
                        [400052, 3284958],
                        [400068, 3284958],
                        [400068, 3284942],
                        [400052, 3284942],
                        [400052, 3284958],
                    ]
                ],
            },
        }
    ],
}


@pytest.fixture
def polygons(tmp_path):
    path = tmp_path / "areas.geojson"
    path.write_text(json.dumps(BLOCK))
    return path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores: tests of servers wait for them a good part of the time."""
    asked = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    if asked:
        return int(asked)
    ours = getattr(os, "sched_getaffinity", None)
    return (len(ours(0)) if ours else os.cpu_count() or 1) + 1
