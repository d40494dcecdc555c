"""The plugin as QGIS loads it: from the built zip, loaded, unloaded, and in qgis_process."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsProject, QgsVectorLayer

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
    def mainWindow(self): return self.window
    def mapCanvas(self): return self.canvas
    def __getattr__(self, name):
        def called(*arguments): self.calls.append(name)
        return called
iface = Iface()
items = len(iface.canvas.scene().items())
plugin = landbrush.classFactory(iface)
plugin.initGui()
assert QgsApplication.processingRegistry().algorithmById("landbrush:edit") is not None
plugin.unload()
assert QgsApplication.processingRegistry().providerById("landbrush") is None
assert len(iface.canvas.scene().items()) == items, "something is left on the canvas"
for add, remove in (("addDockWidget", "removeDockWidget"),
                    ("addRasterToolBarIcon", "removeRasterToolBarIcon"),
                    ("addPluginToRasterMenu", "removePluginRasterMenu"),
                    ("registerOptionsWidgetFactory", "unregisterOptionsWidgetFactory")):
    assert iface.calls.count(add) == iface.calls.count(remove) == 1, (add, iface.calls)
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


def test_processing_algorithm_starts_its_own_server(provider, raster, polygons, helpers, tmp_path):
    import processing

    areas = QgsVectorLayer(str(polygons), "areas", "ogr")
    QgsProject.instance().addMapLayer(areas)
    output = tmp_path / "out.tif"
    found = processing.run(
        "landbrush:edit",
        {
            "INPUT": raster,
            "POLYGONS": areas,
            "PROMPT": "snow",
            "SEED": 3,
            "OPTIONS": '{"depth_cm": 40}',
            "OUTPUT": str(output),
        },
    )
    assert (
        found["OUTSIDE_DIFFERENT"] == 0
        and json.loads(found["MANIFEST"])["options"]["depth_cm"] == 40
    )
    told = helpers.compare(raster.source(), output)
    assert (
        told["same"]
        and told["outside"] == 0
        and 600 < told["inside"] <= 1024
        and told["synthetic"] == "TRUE"
    )
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tif" or p.name.startswith(".")] == [
        "out.tif"
    ]


def test_processing_unites_polygons_takes_a_choice_and_keeps_the_request_where_asked(
    provider, raster, helpers, tmp_path
):
    """Features over one another, one of them with a spike, in another CRS than the layer's; words
    that are not clear."""
    import processing
    from qgis.core import QgsFeature, QgsGeometry, QgsProcessingException

    areas = QgsVectorLayer("Polygon?crs=EPSG:32617", "areas", "memory")
    shapes = (
        "400010 3284990, 400030 3284990, 400030 3284970, 400010 3284970, 400010 3284990",
        "400020 3284980, 400040 3284980, 400040 3284960, 400060 3284940, 400040 3284960, 400020 "
        "3284960, 400020 3284980",
    )
    for shape in shapes:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(f"Polygon(({shape}))"))
        areas.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(areas)
    wanted = {
        "INPUT": raster,
        "POLYGONS": areas,
        "PROMPT": "make it nicer somehow",
        "FEATHER": 0,
        "KEEP_REQUEST": True,
        "OUTPUT": str(tmp_path / "out.tif"),
    }
    with pytest.raises(QgsProcessingException, match=r"operation \w+"):
        processing.run("landbrush:edit", wanted)
    manifest = json.loads(
        processing.run("landbrush:edit", {**wanted, "OPERATION": "snow"})["MANIFEST"]
    )
    assert manifest["editor"] == "snow" and manifest["gate"]["pixels_inside"] == 2800
    script = "import sys, rasterio; print(rasterio.open(sys.argv[1]).tags()['LANDBRUSH_PROMPT'])"
    tags = helpers.server_python(script, tmp_path / "out.tif")
    assert tags.strip() == "make it nicer somehow"


def test_a_result_is_known_as_synthetic_and_where(provider, raster, polygons, tmp_path):
    import processing

    edited = tmp_path / "edited.tif"
    processing.run(
        "landbrush:edit",
        {"INPUT": raster, "POLYGONS": str(polygons), "PROMPT": "snow", "OUTPUT": str(edited)},
    )
    found = processing.run(
        "landbrush:is_synthetic", {"INPUT": str(edited), "AREAS": str(tmp_path / "areas.gpkg")}
    )
    assert found["SYNTHETIC"] == 1 and 0 < found["SHARE"] < 1 and "snow" in found["SUMMARY"]
    areas = QgsVectorLayer(found["AREAS"], "areas")
    (feature,) = areas.getFeatures()
    assert areas.crs() == raster.crs() and feature["editor"] == "snow"
    drawn = next(QgsVectorLayer(str(polygons), "drawn").getFeatures()).geometry()
    assert feature.geometry().intersects(drawn)
    assert abs(feature.geometry().area() / 256 - 1) < 0.05
    found = processing.run("landbrush:is_synthetic", {"INPUT": raster})
    assert found["SYNTHETIC"] == 0 and "SHARE" not in found and "AREAS" not in found


def test_two_layers_are_compared(provider, raster, polygons, tmp_path):
    import processing
    from qgis.core import QgsProcessingException

    edited = tmp_path / "edited.tif"
    processing.run(
        "landbrush:edit",
        {"INPUT": raster, "POLYGONS": str(polygons), "PROMPT": "snow", "OUTPUT": str(edited)},
    )
    found = processing.run(
        "landbrush:evaluate", {"BEFORE": raster, "AFTER": str(edited), "POLYGONS": str(polygons)}
    )
    assert (
        found["OUTSIDE_CHANGED"] == 0
        and found["INSIDE_CHANGED"] > 0.5
        and found["ENERGY_INSIDE"] == 1
    )
    assert (
        json.loads(found["REPORT"])["on_one_grid"]
        and "Outside the polygons nothing changed" in found["SUMMARY"]
    )
    same = processing.run("landbrush:evaluate", {"BEFORE": raster, "AFTER": raster})
    assert "Nothing changed." in same["SUMMARY"] and "INSIDE_CHANGED" not in same
    with pytest.raises(QgsProcessingException, match="AFTER"):
        processing.run(
            "landbrush:evaluate", {"BEFORE": raster, "AFTER": str(tmp_path / "none.tif")}
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"OPTIONS": "{"}, "not JSON"),
        ({"OPTIONS": "[1]"}, "JSON object"),
        ({"EDITOR": "nonsense"}, "no editor"),
        ({"PROMPT": ""}, "prompt: empty"),
        ({"OUTPUT": "out.png"}, "GeoTIFF"),
        ({"BAND_ROLES": "nir"}, "not of the form"),
    ],
)
def test_processing_errors_are_sentences(provider, raster, polygons, tmp_path, change, words):
    import processing
    from qgis.core import QgsProcessingException

    parameters = {
        "INPUT": raster,
        "POLYGONS": str(polygons),
        "PROMPT": "snow",
        "OUTPUT": str(tmp_path / "o.tif"),
        **change,
    }
    if "OUTPUT" in change:
        parameters["OUTPUT"] = str(tmp_path / change["OUTPUT"])
    with pytest.raises(QgsProcessingException, match=words):
        processing.run("landbrush:edit", parameters)
    assert not (tmp_path / "o.tif").exists()


def test_processing_never_writes_over_its_input(provider, raster, polygons):
    import processing
    from qgis.core import QgsProcessingException

    before = Path(raster.source()).read_bytes()
    with pytest.raises(QgsProcessingException, match="nothing is lost"):
        processing.run(
            "landbrush:edit",
            {
                "INPUT": raster,
                "POLYGONS": str(polygons),
                "PROMPT": "snow",
                "OUTPUT": raster.source(),
            },
        )
    assert Path(raster.source()).read_bytes() == before


def test_every_editor_is_an_algorithm_with_its_options(
    provider, raster, polygons, tmp_path, helpers
):
    import processing
    from landbrush.plugin.processing import editors
    from landbrush.plugin.processing.algorithms import KEPT_NAMES
    from qgis.core import QgsProcessingException, QgsProcessingParameterDefinition

    registry = QgsApplication.processingRegistry()
    known = editors.known_editors()
    assert len(known) >= 10
    for info in known:
        found = registry.algorithmById(f"landbrush:{KEPT_NAMES.get(info.id, info.id)}")
        names = {definition.name(): definition for definition in found.parameterDefinitions()}
        assert {option.name.upper() for option in info.options} <= set(names)
        assert ("EXEMPLAR" in names) == info.takes("exemplar") and (
            "ELEVATION" in names
        ) == info.takes("elevation")
        if "exemplar" in info.needs:
            assert (
                not names["EXEMPLAR"].flags() & QgsProcessingParameterDefinition.Flag.FlagOptional
            )
    output = tmp_path / "burned.tif"
    found = processing.run(
        "landbrush:burn",
        {
            "INPUT": raster,
            "POLYGONS": str(polygons),
            "SEVERITY": 0.4,
            "FEATHER": 0,
            "COMPRESSION": "zstd",
            "COG": True,
            "OUTPUT": str(output),
        },
    )
    manifest = json.loads(found["MANIFEST"])
    assert manifest["options"]["severity"] == 0.4 and manifest["request"]["output"] == {
        "compression": "zstd",
        "cog": True,
    }
    assert (
        found["OUTSIDE_DIFFERENT"] == 0 and helpers.compare(raster.source(), output)["outside"] == 0
    )
    extent = raster.extent()
    part = (
        f"{extent.xMinimum()},{extent.xMinimum() + 60},{extent.yMinimum()},{extent.yMaximum()} "
        "[EPSG:32617]"
    )
    found = processing.run(
        "landbrush:snow",
        {
            "INPUT": raster,
            "POLYGONS": str(polygons),
            "EXTENT": part,
            "OUTPUT": str(tmp_path / "part.tif"),
        },
    )
    assert json.loads(found["MANIFEST"])["gate"]["pixels_inside"] == 16 * 32, (
        "half of the polygon lies in the extent"
    )
    with pytest.raises(QgsProcessingException, match="wholly protected"):
        processing.run(
            "landbrush:snow",
            {
                "INPUT": raster,
                "POLYGONS": str(polygons),
                "PROTECT": str(polygons),
                "OUTPUT": str(tmp_path / "none.tif"),
            },
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


CLASSES = """
import sys, numpy as np, rasterio
from affine import Affine
values = np.repeat(np.arange(1, 5, dtype="uint8"), 50 * 240).reshape(1, 200, 240)
place = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400000, 0, -0.5, 3285000)}
with rasterio.open(sys.argv[1], "w", driver="GTiff", width=240, height=200, count=1,
                   dtype="uint8", **place) as out:
    out.write(values)
names = "".join(f"<Category>{n}</Category>" for n in ("none", "wood", "water", "road", "roof"))
open(sys.argv[1] + ".aux.xml", "w").write(
    f"<PAMDataset><PAMRasterBand band='1'><CategoryNames>{names}</CategoryNames></PAMRasterBand>"
    "</PAMDataset>")
"""


def test_what_lies_beside_a_result_comes_to_the_output(provider, polygons, helpers, tmp_path):
    import processing

    helpers.server_python(CLASSES, tmp_path / "classes.tif")
    out = tmp_path / "out" / "edited.tif"
    out.parent.mkdir()
    processing.run(
        "landbrush:remove",
        {"INPUT": str(tmp_path / "classes.tif"), "POLYGONS": str(polygons), "OUTPUT": str(out)},
    )
    assert sorted(p.name for p in out.parent.iterdir()) == ["edited.tif", "edited.tif.aux.xml"]
    assert "water" in (out.parent / "edited.tif.aux.xml").read_text()
