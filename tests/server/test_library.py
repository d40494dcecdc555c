"""The library of exemplars: what is shipped, what is kept, how it is fitted, and what words do with
it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server.__main__ import main
from landbrush.server.editing.keeping import own_picture
from landbrush.server.editors.fill import LAYER, LIBRARY
from landbrush.server.ground.errors import BadRequest
from landbrush.server.library import chips, own, shelf
from landbrush.server.words import land_cover
from PIL import Image
from rasterio.enums import ColorInterp

from tests.server.conftest import RGB, finished, in_type, inputs, ring, square, write
from tests.server.towns import town

SHIPPED = chips.shipped()
COARSE = Affine(10.0, 0, 400000, 0, -10.0, 3285000)


def test_what_is_shipped_is_whole_and_says_whose_it_is():
    assert len(SHIPPED) >= 300
    assert len({chip.id for chip in SHIPPED}) == len(SHIPPED)
    for chip in SHIPPED:
        assert chip.words and chip.credit and chip.licence and chip.source
        assert 0.1 < chip.gsd_m < 1.0
        with Image.open(chip.path) as image:
            assert image.format == "WEBP" and max(image.size) <= 384
    there = sum(path.stat().st_size for path in chips.SHIPPED.rglob("*"))
    assert there < 15_000_000
    listed = {chip.path.name for chip in SHIPPED}
    assert {path.name for path in (chips.SHIPPED / "chips").iterdir()} == listed


def test_every_word_that_can_be_asked_for_has_an_exemplar_or_is_found_in_layers():
    shown = {word for chip in SHIPPED for word in chip.words}
    for kind in land_cover.FINER:
        assert kind.name in shown, kind.name
    unknown = {"asphalt"}
    assert {kind.name for kind in land_cover.ALL} - shown <= unknown | {"rubble"}


def run(client, path, corners, process="auto", **more):
    wanted = inputs(path, corners, output={"area": "layer"}, **more)
    answer = client.post(f"/processes/{process}/execution", json={"inputs": wanted})
    info = finished(client, answer.get_json()["jobID"])
    if info["status"] != "successful":
        return info, None, None
    manifest = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    with (
        rasterio.MemoryFile(client.get(f"/jobs/{info['jobID']}/results/result.tif").data) as memory,
        memory.open() as made,
    ):
        return info, manifest, made.read()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_word_that_the_layer_does_not_hold_comes_from_the_library(client, tmp_path, dtype):
    image, *_ = town()
    path = write(tmp_path / "a.tif", in_type(image, dtype), colorinterp=RGB)
    info, manifest, made = run(client, path, square(60, 60, 180, 180), prompt="tennis courts")
    assert info["status"] == "successful", info["message"]
    assert manifest["search"]["rule"] == "library" and manifest["search"]["chips"]
    assert all("public domain" in line for line in manifest["search"]["credits"])
    with rasterio.open(path) as source:
        before = source.read()
    differs = (before != made).any(axis=0)
    assert differs[80:160, 80:160].mean() > 0.9 and not differs[:60].any()


def test_only_the_layer_is_looked_in_where_that_is_asked_for(client, tmp_path):
    image, *_ = town()
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    for options, found in (({"look_in": LAYER}, False), ({"look_in": LIBRARY}, True)):
        info, manifest, _ = run(
            client, path, square(60, 60, 180, 180), "fill", prompt="solar farm", options=options
        )
        assert (info["status"] == "successful") == found
        assert found or "was not found in this layer" in info["message"]
        assert not found or manifest["search"]["chips"][0].startswith("solar-farm")


def test_a_layer_that_is_too_coarse_is_told_by_how_much(client, tmp_path):
    image, *_ = town()
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), transform=COARSE, colorinterp=RGB)
    info, *_ = run(client, path, square(60, 60, 180, 180), prompt="tennis courts")
    assert info["status"] == "failed" and "too far apart" in info["message"]


def kept_request(path, **more):
    return {
        "raster": {"path": str(path)},
        "polygons": {"geometry": ring(path, square(20, 20, 120, 120))},
        "name": "our quarter",
        "words": ["zork quarter"],
        **more,
    }


def test_what_is_kept_is_listed_shown_used_and_forgotten(client, tmp_path):
    image, *_ = town()
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    answer = client.post("/exemplars", json=kept_request(path, credit="Town of X"))
    assert answer.status_code == 201 and answer.get_json()["own"]
    listed = client.get("/exemplars").get_json()
    assert listed["exemplars"][0]["id"] == "our quarter"
    assert "zork quarter" in listed["words"] and "parking" in listed["words"]
    shown = client.get("/exemplars/our%20quarter/picture")
    assert shown.data[:4] == b"\x89PNG"
    other = write(tmp_path / "b.tif", in_type(town(seed=4)[0], "uint8"), colorinterp=RGB)
    info, manifest, _ = run(client, other, square(60, 60, 150, 150), prompt="a zork quarter")
    assert info["status"] == "successful", info["message"]
    assert manifest["search"]["chips"] == ["our quarter"]
    assert manifest["search"]["credits"] == ["Town of X"]
    assert client.post("/exemplars", json=kept_request(path)).status_code == 400
    left = client.delete("/exemplars/our%20quarter").get_json()
    assert left["exemplars"] and not left["exemplars"][0]["own"]
    assert client.delete("/exemplars/our%20quarter").status_code == 404
    info, *_ = run(client, other, square(60, 60, 150, 150), prompt="a zork quarter")
    assert info["status"] == "failed"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": "../x"}, "name"),
        ({"name": ""}, "name"),
        ({"words": []}, "words"),
        ({"words": ["  "]}, "words"),
        ({"words": ["x" * 50]}, "words"),
        ({"words": ["of"]}, "words"),
        ({"words": ["a\nb"]}, "words"),
        ({"words": [f"word {n}" for n in range(20)]}, "words"),
        ({"name": "CON"}, "name"),
        ({"name": "a.."}, "name"),
        ({"name": SHIPPED[3].id.upper()}, "shipped already"),
        ({"polygons": {"geometry": {"type": "Polygon", "coordinates": [
            [[0, 0], [1, 0], [1, 1], [0, 0]]]}}}, "polygons"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_told_and_leaves_nothing(client, home, tmp_path, more, said):
    image, *_ = town()
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    answer = client.post("/exemplars", json=kept_request(path, **more))
    assert answer.status_code in (400, 422) and said in answer.get_json()["detail"]
    assert not any((home / "library").glob("*"))


def test_shipped_exemplars_are_shown_and_cannot_be_deleted(client):
    name = SHIPPED[0].id
    assert client.get(f"/exemplars/{name}/picture").data[:4] == b"\x89PNG"
    assert client.delete(f"/exemplars/{name}").status_code == 404
    assert client.get("/exemplars/none/picture").status_code == 404


def test_what_cannot_be_read_in_the_users_folder_is_left_out(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "worse.json").write_text(json.dumps({"name": "x", "words": 3}))
    assert own.chips(tmp_path) == ()


@pytest.mark.parametrize(
    "told",
    [{"gsd_m": 0}, {"gsd_m": float("nan")}, {"tones": {"low": [1]}}, {"words": []}, {"sun": "x"}],
)
def test_an_exemplar_that_makes_no_sense_is_left_out(tmp_path, told):
    whole = {
        "name": "x",
        "words": ["parking"],
        "gsd_m": 0.5,
        "sun": None,
        "tones": {},
        "credit": "",
    }
    (tmp_path / "x.tif").write_bytes(b"")
    (tmp_path / "x.json").write_text(json.dumps(whole))
    assert own.chips(tmp_path)
    (tmp_path / "x.json").write_text(json.dumps({**whole, **told}))
    assert not own.chips(tmp_path)
    (tmp_path / "x.json").write_text(json.dumps(whole))
    (tmp_path / "x.tif").unlink()
    assert not own.chips(tmp_path)


def test_a_picture_of_another_kind_is_not_opened(client, home, tmp_path):
    image, *_ = town()
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    assert client.post("/exemplars", json=kept_request(path)).status_code == 201
    shown = home / "library" / "our quarter.png"
    for content in (b"%!PS-Adobe-3.0 EPSF-3.0", (tmp_path / "a.tif").read_bytes(), b""):
        shown.write_bytes(content)
        assert client.get("/exemplars/our%20quarter/picture").status_code == 404
    shown.unlink()
    answer = client.get("/exemplars/our%20quarter/picture")
    assert answer.status_code == 404 and str(home) not in answer.get_json()["detail"]


def test_of_two_that_keep_at_a_time_one_gets_the_name(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for ending in (".tif", ".png"):
            (tmp_path / name / f"x{ending}").write_bytes(name.encode())
        told = {"name": "x", "words": ["parking"], "gsd_m": 1, "sun": None, "tones": {},
                "credit": name}  # fmt: skip
        (tmp_path / name / "x.json").write_text(json.dumps(told))
    folder = tmp_path / "library"
    own.moved("x", tmp_path / "one", folder)
    with pytest.raises(BadRequest, match="there already"):
        own.moved("x", tmp_path / "two", folder)
    assert (folder / "x.tif").read_bytes() == b"one"
    (tmp_path / "two" / "x.png").unlink()
    for one in folder.iterdir():
        one.unlink()
    with pytest.raises(OSError):
        own.moved("x", tmp_path / "two", folder)
    assert not any(folder.iterdir())


@pytest.mark.parametrize("bands", ["RGB", "RGBA"])
def test_what_lies_outside_the_drawn_polygon_is_not_copied(client, home, tmp_path, bands):
    image, *_ = town()
    values = in_type(image, "uint8")
    meanings = RGB
    if bands == "RGBA":
        values = np.concatenate([values, np.full((1, *values.shape[1:]), 255, np.uint8)])
        meanings = (*RGB, ColorInterp.alpha)
    path = write(tmp_path / "a.tif", values, colorinterp=meanings)
    triangle = ring(path, square(20, 20, 120, 120))
    triangle["coordinates"][0].pop(1)
    wanted = kept_request(path, polygons={"geometry": triangle})
    assert client.post("/exemplars", json=wanted).status_code == 201
    _, usable = own_picture(home / "library" / "our quarter.tif")
    assert 0.4 < usable.mean() < 0.6


def test_the_tones_of_what_is_kept_are_those_that_are_read_again(client, home, tmp_path):
    """In 16 bits a part is stretched otherwise than the whole."""
    image, *_ = town()
    values = (3000 * image + 200).astype(np.uint16)
    values[:, :, 200:] = 40_000
    path = write(tmp_path / "a.tif", values, colorinterp=RGB)
    assert client.post("/exemplars", json=kept_request(path)).status_code == 201
    (chip,) = own.chips(home / "library")
    shown, usable = own_picture(chip.path)
    seen = np.median(shown["green"][usable])
    told = [tone[2] for tone in chip.tones.values()]
    assert min(abs(seen - one) for one in told) < 0.15


def test_nodata_is_no_dark_ground(client, tmp_path):
    """And of polygons far apart the light is taken where one of them lies."""
    image, *_ = town()
    values = np.maximum(in_type(image, "uint8"), 1)
    whole = write(tmp_path / "a.tif", values, colorinterp=RGB)
    holes = values.copy()
    holes[:, :, :70] = 0
    half = write(tmp_path / "b.tif", holes, colorinterp=RGB, nodata=0)
    means = []
    for path in (whole, half):
        info, _, made = run(client, path, square(90, 60, 200, 180), prompt="tennis courts")
        assert info["status"] == "successful", info["message"]
        means.append(made[:, 80:160, 110:180].mean(axis=(1, 2)))
    assert np.abs(means[0] - means[1]).max() < 25


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_what_is_no_picture_gets_none(client, tmp_path, dtype):
    heights = (100 + 10 * np.random.default_rng(0).random((1, 240, 240))).astype(dtype)
    path = write(tmp_path / "dem.tif", heights)
    info, *_ = run(client, path, square(60, 60, 180, 180), prompt="tennis courts")
    assert info["status"] == "failed" and "red, green and blue" in info["message"]


def test_the_command_line_keeps_lists_and_removes(tmp_path, capsys):
    image, *_ = town()
    path = write(tmp_path / "a.tif", in_type(image, "uint8"), colorinterp=RGB)
    area = tmp_path / "area.geojson"
    with rasterio.open(path) as source:
        crs = str(source.crs)
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": ring(path, square(20, 20, 120, 120)),
    }
    area.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    home = ["--home", str(tmp_path / "home")]
    add = ["library", "add", str(path), "--polygons", str(area), "--crs", crs, *home]
    assert main([*add, "--name", "mine", "--words", "plaza, square"]) == 0
    assert main([*add, "--name", "mine", "--words", "plaza"]) == 1
    assert "there already" in capsys.readouterr().err
    assert main(["library", "list", "--word", "plaza", *home]) == 0
    assert "mine" in capsys.readouterr().out
    assert main(["library", "list", "--word", "gibberish", *home]) == 1
    assert main(["library", "remove", "mine", *home]) == 0
    assert main(["library", "remove", "mine", *home]) == 1
    assert main(["library", "add", *home]) == 1


def test_the_users_own_come_first(tmp_path):
    one = replace(SHIPPED[0], id="mine", words=("parking",), own=True)
    told = {"name": one.id, "words": ["parking"], "gsd_m": 0.5, "sun": None, "tones": {},
            "credit": ""}  # fmt: skip
    (tmp_path / "mine.tif").write_bytes(b"")
    (tmp_path / "mine.json").write_text(json.dumps(told))
    library = shelf.Library(tmp_path)
    assert [chip.id for chip in library.having("parking")] == ["mine"]
    assert len(library.having("forest")) > 5
    assert library.own_words() == {"mine": "parking", "parking": "parking"}
