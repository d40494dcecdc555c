"""A table of edits: words, editor, seed and order from its fields; run all, or what has changed;
stopped half-way, nothing is lost and nothing done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProcessingException, QgsProject, QgsVectorLayer

FIELDS = (
    "Polygon?crs=EPSG:32617&field=prompt:string&field=editor:string&field=seed:integer"
    "&field=options:string&field=order:integer"
)


def square_at(col, row, size=30):
    left, top = 400000 + col * 0.5, 3285000 - row * 0.5
    far = size * 0.5
    return (
        f"Polygon(({left} {top}, {left + far} {top}, {left + far} {top - far}, "
        f"{left} {top - far}, {left} {top}))"
    )


def table(rows):
    layer = QgsVectorLayer(FIELDS, "measures", "memory")
    for shape, values in rows:
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromWkt(shape))
        feature.setAttributes(values)
        layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    return layer


ROWS = [
    (square_at(20, 20), ["snow", "", 1, "", 2]),
    (square_at(100, 20), ["", "fog", 2, '{"visibility_m": 300}', 1]),
    (square_at(35, 35), ["misty", "fog", 3, '{"visibility_m": 100}', 3]),
]
"""Two side by side, and one that lies over the first; the second is to be made first."""


def run(raster, layer, folder, **more):
    import processing

    folder.mkdir(exist_ok=True)
    return processing.run(
        "landbrush:scenario",
        {
            "INPUT": raster,
            "LAYER": layer,
            "FOLDER": str(folder / "rows"),
            "OUTPUT": str(folder / "all.tif"),
            "STATUS": "TEMPORARY_OUTPUT",
            **more,
        },
    )


def journal(folder):
    return json.loads((folder / "rows" / "scenario.json").read_text())["rows"]


def pixels(helpers, path):
    script = (
        "import sys, rasterio, hashlib\n"
        "with rasterio.open(sys.argv[1]) as one:\n"
        "    print(hashlib.sha256(one.read().tobytes()).hexdigest())"
    )
    return helpers.server_python(script, path).strip()


def test_a_table_becomes_one_layer(provider, raster, helpers, tmp_path):
    layer = table(ROWS)
    found = run(raster, layer, tmp_path)
    assert (found["DONE"], found["FAILED"], found["MADE"]) == (3, 0, 3)
    told = helpers.compare(raster.source(), found["OUTPUT"])
    assert told["same"] and told["outside"] == 0 and told["synthetic"] == "TRUE"
    assert told["inside"] > 1500, "all three are in it"
    rows = list(found["STATUS"].getFeatures())
    assert [row["prompt"] for row in rows] == ["", "snow", "misty"], "in the order asked for"
    assert all(row["status"] == "done" and Path(row["result"]).is_file() for row in rows)
    assert all(abs(row["area_m2"] - 225) < 1 for row in rows)
    # The one that lies over another was made of it.
    snowed = pixels(helpers, rows[1]["result"])
    assert pixels(helpers, rows[2]["result"]) != snowed


def test_only_what_has_changed_is_made_again(provider, raster, helpers, tmp_path):
    layer = table(ROWS)
    first = run(raster, layer, tmp_path)
    before, digest = journal(tmp_path), pixels(helpers, first["OUTPUT"])
    again = run(raster, layer, tmp_path)
    assert again["MADE"] == 0 and journal(tmp_path) == before
    assert pixels(helpers, again["OUTPUT"]) == digest, "the same to the bit"
    layer.startEditing()
    layer.changeAttributeValue(1, layer.fields().lookupField("seed"), 9)  # of snow, the second
    layer.commitChanges()
    changed = run(raster, layer, tmp_path)
    after = journal(tmp_path)
    assert changed["MADE"] == 2, "it, and the one that lies over it"
    assert after["0"] == before["0"] and after["1"] != before["1"] and after["2"] != before["2"]
    Path(tmp_path / "rows" / after["0"]["file"]).unlink()
    assert run(raster, layer, tmp_path)["MADE"] == 1, "what is not there any more"


def test_one_that_fails_does_not_keep_the_others(provider, raster, tmp_path):
    layer = table([*ROWS[:1], (square_at(5000, 20), ["snow", "", 0, "", 5])])
    found = run(raster, layer, tmp_path)
    assert (found["DONE"], found["FAILED"]) == (1, 1) and Path(found["OUTPUT"]).is_file()
    rows = {row["status"]: row for row in found["STATUS"].getFeatures()}
    assert rows["failed"]["message"] and rows["done"]["message"] == ""
    layer.startEditing()
    layer.changeGeometry(2, QgsGeometry.fromWkt(square_at(150, 100)))
    layer.commitChanges()
    assert run(raster, layer, tmp_path)["DONE"] == 2, "mended, it is made"


def test_words_by_expression(provider, raster, tmp_path):
    layer = table([(square_at(20, 20), ["8", "", 0, "", 1])])
    found = run(
        raster, layer, tmp_path, PROMPT="'snow, ' || prompt || ' cm deep'", SEED="seed + 41"
    )
    row = next(iter(found["STATUS"].getFeatures()))
    assert row["prompt"] == "snow, 8 cm deep" and row["seed"] == 41


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"PROMPT": "prompt ||"}, "is no expression"),
        ({"OPTIONS": "'not json'"}, "is no JSON object"),
        ({"SEED": "-3"}, "no whole number"),
        ({"PROMPT": "to_int('x')"}, "feature"),
        ({"ORDER": "if(seed = 1, 'a', 1)"}, "cannot be put into one order"),
    ],
)
def test_what_cannot_be_read_is_told(provider, raster, tmp_path, more, said):
    with pytest.raises(QgsProcessingException, match=said):
        run(raster, table(ROWS), tmp_path, **more)
    assert not (tmp_path / "all.tif").exists()


def test_a_folder_is_for_one_run_at_a_time(provider, raster, tmp_path):
    from landbrush.plugin.tasks.scenario import held

    (tmp_path / "rows").mkdir()
    with held(tmp_path / "rows"), pytest.raises(QgsProcessingException, match="another run"):
        run(raster, table(ROWS[:1]), tmp_path)
    assert run(raster, table(ROWS[:1]), tmp_path)["DONE"] == 1


def test_a_journal_that_is_broken_is_begun_anew(provider, raster, tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "scenario.json").write_text('{"rows": {"0": {"key": 3')
    assert run(raster, table(ROWS[:1]), tmp_path)["DONE"] == 1


STOPPED = """
import sys
sys.path.insert(0, sys.argv[1])
import os
from qgis.core import QgsApplication, QgsVectorLayer, QgsRasterLayer, QgsProcessingContext
from qgis.core import QgsProcessingFeedback
app = QgsApplication([], False)
app.initQgis()
sys.path.append("/usr/share/qgis/python/plugins")
from processing.core.Processing import Processing
Processing.initialize()
import processing
from landbrush.plugin.processing.provider import LandbrushProvider
provider = LandbrushProvider()
QgsApplication.processingRegistry().addProvider(provider)
os.environ["LANDBRUSH_URL"], os.environ["LANDBRUSH_TOKEN"] = sys.argv[5:7]
found = processing.run("landbrush:scenario", {
    "INPUT": QgsRasterLayer(sys.argv[2], "r"), "LAYER": QgsVectorLayer(sys.argv[3], "l", "ogr"),
    "FOLDER": sys.argv[4], "OUTPUT": sys.argv[4] + "/../all.tif"})
print("DONE", found["DONE"], found["FAILED"], found["MADE"], flush=True)
os._exit(0)
"""


def test_killed_half_way_nothing_is_lost_and_nothing_done_twice(served, raster, helpers, tmp_path):
    """QGIS ends without a word; the job that ran then is on the server, and is fetched."""
    from qgis.core import QgsVectorFileWriter

    layer = table(
        [(square_at(10 + 36 * k, 20 + 60 * j), ["", "snow", k, "", k]) for k in range(6)
         for j in range(2)]
    )  # fmt: skip
    path = tmp_path / "measures.gpkg"
    QgsVectorFileWriter.writeAsVectorFormat(layer, str(path), "utf-8", layer.crs(), "GPKG")
    folder = tmp_path / "rows"
    folder.mkdir()
    arguments = [
        sys.executable, "-c", STOPPED, os.environ["PYTHONPATH"].split(":")[0],
        raster.source(), str(path), str(folder), served.server.url, served.server.token,
    ]  # fmt: skip
    client = served.connection().client()
    for rows in (2, 6):  # each time a few more are there
        qgis = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while not (folder / "scenario.json").is_file() or len(journal(tmp_path)) < rows:
            assert qgis.poll() is None, qgis.communicate()[1].decode()[-2000:]
            time.sleep(0.01)
        qgis.send_signal(signal.SIGKILL)
        qgis.communicate()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert "DONE 12 0" in done.stdout, done.stderr[-2000:]
    jobs = [job for job in client.jobs() if job.status == "successful"]
    assert len(jobs) == 13, "one for each polygon, and one for all of them in one layer"
    files = sorted(folder.glob("*.tif"))
    named = {row["file"] for row in journal(tmp_path).values()}
    assert len(named) == 12 and named <= {one.name for one in files}
    assert not [one for one in folder.iterdir() if one.name.startswith(".landbrush-")]


def test_a_result_is_made_again_to_the_bit(
    served, provider, raster, helpers, tmp_path, monkeypatch
):
    import processing
    from driving import draw
    from driving import run as press_run
    from landbrush.plugin.map.results import manifest_of

    monkeypatch.setenv("LANDBRUSH_URL", served.server.url)
    monkeypatch.setenv("LANDBRUSH_TOKEN", served.server.token)
    draw(served, raster)
    served.editor.setCurrentIndex(served.editor.findData("variation"))
    served.seed.setValue(7)
    layer = press_run(served, helpers)
    again = processing.run("landbrush:replay", {"INPUT": layer, "OUTPUT": str(tmp_path / "a.tif")})
    assert again["SAME"] == 1
    assert pixels(helpers, tmp_path / "a.tif") == pixels(helpers, layer.source())
    made = manifest_of(layer)
    changed = json.loads(json.dumps(made.to_json()))
    changed["request"]["seed"] = 8
    layer.setCustomProperty("landbrush/manifest", json.dumps(changed))
    other = processing.run("landbrush:replay", {"INPUT": layer, "OUTPUT": str(tmp_path / "b.tif")})
    assert other["SAME"] == 0, "another seed gives something else, and that is said"
    changed["request"]["raster"] = {"path": str(tmp_path / "gone.tif")}
    layer.setCustomProperty("landbrush/manifest", json.dumps(changed))
    with pytest.raises(QgsProcessingException, match="not there any more"):
        processing.run("landbrush:replay", {"INPUT": layer, "OUTPUT": str(tmp_path / "c.tif")})
    with pytest.raises(QgsProcessingException, match="is not known"):
        processing.run("landbrush:replay", {"INPUT": raster, "OUTPUT": str(tmp_path / "c.tif")})
    assert not (tmp_path / "c.tif").exists()


def test_the_server_starts_when_one_begins_to_draw(dock, helpers):
    from landbrush.plugin.local.server import RUNNING, STARTING, STOPPED

    assert dock.server.state == STOPPED
    dock.area.draw.click()
    assert dock.server.state == STARTING
    assert helpers.wait(lambda: dock.server.state == RUNNING)
    dock.server_button.click()
    assert helpers.wait(lambda: dock.server.state == STOPPED)
    dock.words.prompt.setPlainText("snow")
    dock.words._ask()
    assert dock.server.state == STOPPED, "who has stopped it says when it starts"


@pytest.mark.parametrize("name", ["INPUT", "suffix"])
def test_nothing_that_is_read_is_written_over(provider, helpers, tmp_path, raster_path, name):
    import shutil

    from qgis.core import QgsRasterLayer

    path = tmp_path / "own.tif"
    shutil.copy(raster_path, path)
    before = path.read_bytes()
    own = QgsRasterLayer(str(path), "own")
    target = str(path) if name == "INPUT" else str(tmp_path / "all.png")
    with pytest.raises(QgsProcessingException, match="nothing is lost|must be a GeoTIFF"):
        run(own, table(ROWS[:1]), tmp_path, OUTPUT=target)
    assert path.read_bytes() == before


def test_rows_are_known_by_what_they_ask_for(provider, raster, tmp_path):
    """Where one is put before them, the others are not made again."""
    run(raster, table(ROWS[:1]), tmp_path)
    more = table([(square_at(150, 110), ["", "fog", 4, "", 1]), *ROWS[:1]])
    assert run(raster, more, tmp_path)["MADE"] == 1


def test_a_scenario_goes_by_what_layers_know_and_makes_anew_what_they_change(
    provider, raster, helpers, tmp_path
):
    layer = table([(square_at(60, 40), ["", "flood", 1, "", 1])])
    house = QgsVectorLayer("Polygon?crs=EPSG:32617", "houses", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromWkt(square_at(66, 46, 16)))
    house.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(house)
    plain = run(raster, layer, tmp_path / "one")
    assert plain["MADE"] == 1
    known = run(raster, layer, tmp_path / "one", KNOWN_BUILDINGS=house)
    assert known["MADE"] == 1, "another flood"
    again = run(raster, layer, tmp_path / "one", KNOWN_BUILDINGS=house)
    assert again["MADE"] == 0 and again["DONE"] == 1


MAKE_NIR = """
import sys, numpy as np, rasterio
from affine import Affine
rng = np.random.default_rng(1)
green = rng.normal(90, 8, (200, 240))
bands = np.stack([green * 0.7, green, green * 0.6, green * 2.2]).clip(1, 254).astype("uint8")
grid = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400000, 0, -0.5, 3285000)}
profile = {"driver": "GTiff", "width": 240, "height": 200, "count": 4, "dtype": "uint8"}
profile["photometric"] = "MINISBLACK"  # else the fourth is taken for alpha
with rasterio.open(sys.argv[1], "w", **profile, **grid) as out:
    out.write(bands)
    out.descriptions = ("red", "green", "blue", "nir")
"""


def test_a_table_says_what_was_changed_by_kind(provider, raster, helpers, tmp_path):
    from qgis.core import QgsRasterLayer

    path = tmp_path / "nir.tif"
    helpers.server_python(MAKE_NIR, path)
    meadow = QgsRasterLayer(str(path), "meadow")
    QgsProject.instance().addMapLayer(meadow)
    buildings = QgsVectorLayer("Polygon?crs=EPSG:32617", "buildings", "memory")
    for col, row in ((25, 25), (45, 30), (110, 30), (200, 150)):  # two, one, and one elsewhere
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(square_at(col, row, 10)))
        buildings.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(buildings)
    layer = table(
        [
            (square_at(20, 20), ["snow", "", 1, "", 1]),
            (square_at(100, 20), ["snow", "", 2, "", 2]),
            (square_at(20, 120), ["", "fog", 3, '{"visibility_m": 300}', 3]),
            (square_at(5000, 20), ["snow", "", 4, "", 4]),  # beside the raster
        ]
    )
    listed = tmp_path / "kinds.csv"
    more = {"KNOWN_BUILDINGS": buildings, "TABLE": str(listed)}
    found = run(meadow, layer, tmp_path, **more)
    assert found["DONE"] == 3 and found["TABLE"] == str(listed)
    rows = list(found["STATUS"].getFeatures())
    assert [row["buildings"] for row in rows[:3]] == [2, 1, 0]
    assert rows[0]["kind"] == "snow" and rows[0]["ndvi_before"] > 0.4 > rows[0]["ndvi_after"] + 0.1
    assert 0 < rows[0]["changed_m2"] <= rows[0]["area_m2"] * 1.001
    assert rows[3]["status"] == "failed" and not rows[3]["kind"]
    text = listed.read_text("utf-8-sig").splitlines()
    assert text[0].startswith("kind,edits,area_m2,changed_m2,buildings,ndvi_before,ndvi_after")
    kinds = {line.split(",")[0]: line.split(",") for line in text[1:]}
    assert set(kinds) == {"snow", "fog"} and kinds["snow"][1] == "2" and kinds["snow"][4] == "3"
    assert abs(float(kinds["snow"][2]) - 450) < 2 and float(kinds["snow"][5]) > 0.4
    assert not list(tmp_path.glob("*.part"))
    # What is not made again is told again, from the journal.
    again = run(meadow, layer, tmp_path, **more)
    assert again["MADE"] == 0 and listed.read_text("utf-8-sig").splitlines() == text
    # Without near infrared and buildings these columns are empty.
    plain = run(raster, table(ROWS[:1]), tmp_path / "plain", TABLE=str(tmp_path / "plain.csv"))
    (row,) = plain["STATUS"].getFeatures()
    assert not row["ndvi_before"] and not row["buildings"]
    assert (tmp_path / "plain.csv").read_text("utf-8-sig").splitlines()[1].endswith(",,,,,")


def test_a_journal_of_an_older_version_is_read(provider, raster, tmp_path):
    layer = table(ROWS[:1])
    run(raster, layer, tmp_path)
    path = tmp_path / "rows" / "scenario.json"
    told = json.loads(path.read_text())
    assert told["rows"]["0"]["about"]["kind"] == "snow"
    del told["rows"]["0"]["about"]
    path.write_text(json.dumps(told))
    found = run(raster, layer, tmp_path, TABLE=str(tmp_path / "kinds.csv"))
    assert found["MADE"] == 0 and next(found["STATUS"].getFeatures())["area_m2"] > 200


def test_a_table_that_cannot_be_written_loses_no_edit(provider, raster, tmp_path):
    found = run(raster, table(ROWS[:1]), tmp_path, TABLE=str(tmp_path / "no" / "kinds.csv"))
    assert found["DONE"] == 1 and Path(found["OUTPUT"]).is_file() and "TABLE" not in found
    assert next(found["STATUS"].getFeatures())["status"] == "done"
