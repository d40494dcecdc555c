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
from landbrush.server.editors.fill import LAYER, LIBRARY
from landbrush.server.ground.errors import BadRequest
from landbrush.server.library import chips, own, shelf
from landbrush.server.library.fitting import (
    Exemplar,
    Surroundings,
    calm,
    edge_ratio,
    fitted,
    toned,
)
from landbrush.server.library.keeping import own_picture
from landbrush.server.words import land_cover
from landbrush.server.words.interpreter import interpret, with_own
from PIL import Image
from rasterio.enums import ColorInterp
from scipy import ndimage

from tests.server.conftest import RGB, finished, in_type, inputs, ring, square, write
from tests.server.towns import town

SHIPPED = chips.shipped()
COARSE = Affine(10.0, 0, 400000, 0, -10.0, 3285000)


def ground(size=200, seed=0):
    """Ground with grain, edges and bright and dark parts, as a picture (3, H, W)."""
    rng = np.random.default_rng(seed)
    image = np.full((3, size, size), 0.35, np.float32) * np.array([1.0, 1.1, 0.8])[:, None, None]
    for _ in range(40):
        row, col = rng.integers(0, size - 30, 2)
        image[:, row : row + 24, col : col + 18] = rng.uniform(0.15, 0.8)
    image += 0.01 * rng.standard_normal(image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def scene(image=None, roles=("red", "green", "blue"), gsd=0.5, sun=None, tones=None):
    image = ground() if image is None else image
    valid = np.ones(image.shape[1:], bool)
    return Surroundings(image, valid, roles, gsd, sun, tones or {})


def exemplar(image, gsd=0.5, sun=None, tones=None):
    bands = dict(zip(("red", "green", "blue"), image, strict=True))
    return Exemplar(bands, np.ones(image.shape[1:], bool), gsd, sun, tones or {})


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


@pytest.mark.parametrize(("sun", "scene_sun"), [(135, 135), (135, 315), (90, 200), (300, 45)])
def test_shadows_come_to_lie_as_those_of_the_scene(sun, scene_sun):
    """A post with its shadow away from the sun."""
    image = np.full((3, 61, 61), 0.5, np.float32)
    turn = np.deg2rad(sun + 180)
    for far in range(4, 20):
        row, col = round(30 - far * np.cos(turn)), round(30 + far * np.sin(turn))
        image[:, row - 1 : row + 2, col - 1 : col + 2] = 0.1
    made, _ = fitted(exemplar(image, sun=sun), scene(sun=float(scene_sun)), 0)
    dark = made.mean(axis=0) < np.percentile(made.mean(axis=0), 1)
    rows, cols = np.nonzero(dark)
    middle = np.array(made.shape[1:]) / 2
    lies = np.degrees(np.arctan2(cols.mean() - middle[1], middle[0] - rows.mean())) % 360
    apart = abs((lies - (scene_sun + 180) + 180) % 360 - 180)
    assert apart <= 50


@pytest.mark.parametrize(("mine", "theirs"), [(0.3, 0.6), (0.6, 0.3), (0.5, 0.5)])
def test_the_ground_size_is_that_of_the_layer(mine, theirs):
    made, usable = fitted(exemplar(ground(), gsd=mine), scene(gsd=theirs), 0)
    assert made.shape[1:] == usable.shape
    assert abs(made.shape[1] - 200 * mine / theirs) <= 1


@pytest.mark.parametrize(("gain", "offset"), [((1.3, 1.0, 0.8), 0.0), ((0.7, 0.8, 0.9), 0.1)])
def test_the_tone_follows_the_ground_that_both_show(gain, offset):
    plain = {"low": (0.4, 0.33, 0.42, 0.24), "paved": (0.3, 0.5, 0.5, 0.5),
             "shadow": (0.1, 0.12, 0.13, 0.15), "tree": (0.2, 0.2, 0.27, 0.17)}  # fmt: skip
    tinted = {
        name: (tone[0], *(value * by + offset for value, by in zip(tone[1:], gain, strict=True)))
        for name, tone in plain.items()
    }
    image = ground()
    wanted = image * np.array(gain, np.float32)[:, None, None] + offset
    made = toned(image, plain, scene(wanted, tones=tinted))
    assert np.abs(made - wanted).mean() < 0.35 * np.abs(image - wanted).mean()


@pytest.mark.parametrize("blur", [0.0, 0.8, 1.5])
def test_sharpness_and_grain_are_those_of_the_scene(blur):
    there = ndimage.gaussian_filter(ground(seed=1), (0, blur, blur))
    rng = np.random.default_rng(2)
    there = (there + 0.008 * rng.standard_normal(there.shape)).astype(np.float32)
    image = ndimage.gaussian_filter(ground(seed=3), (0, 0.5, 0.5))
    made, _ = fitted(exemplar(image), scene(there), 0)
    assert abs(np.log(calm(made) / calm(there))) < 0.5
    before = abs(np.log(edge_ratio(image) / edge_ratio(there)))
    assert abs(np.log(edge_ratio(made) / edge_ratio(there))) < max(0.8 * before, 0.25)


def test_bands_that_the_exemplar_lacks_come_from_the_scenes_own_pixels():
    image = ground()
    near = np.clip(1.6 * image[1] - 0.4 * image[0], 0, 1)
    layer = np.concatenate([image, near[None]])
    made, _ = fitted(exemplar(ground(seed=5)), scene(layer, ("red", "green", "blue", "nir")), 0)
    expected = np.clip(1.6 * made[1] - 0.4 * made[0], 0, 1)
    assert made.shape[0] == 4 and np.abs(made[3] - expected).mean() < 0.06
    assert made[3].min() >= near.min() - 1e-6 and made[3].max() <= near.max() + 1e-6


def test_another_seed_may_bring_another_chip_and_coarse_layers_bring_none():
    having = shelf.Library(chips.SHIPPED / "nothing").having("parking")
    first = {shelf.fitting(having, scene(), "parking", seed)[0].id for seed in range(12)}
    assert len(first) > 1
    assert not shelf.fitting(having, scene(gsd=10.0), "parking", 0)


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ("tennis courts", "tennis court"),
        ("put a marina here", "marina"),
        ("storage tanks", "storage tanks"),
        ("turn the meadow into a golf course", "golf course"),
        ("a vineyard instead of the forest", "vineyard"),
        ("build warehouses", "warehouse"),
        ("new housing estate", "housing estate"),
        ("mobile homes", "mobile homes"),
        ("airport runway", "runway"),
        ("parked aircraft", "aircraft"),
        ("landslide", "landslide"),
        ("construction site", "construction site"),
        ("rooftop solar", "solar roof"),
        ("solar farm", "solar"),
        ("motorway", "freeway"),
    ],
)
def test_words_name_finer_kinds_of_ground(words, word):
    found = interpret(words, lambda said: {})
    assert found.sure and found.editor == "fill"
    assert found.options["word"] == word
    assert word.split()[0] in found.understood.lower()


@pytest.mark.parametrize(
    "words",
    ["remove the tennis court", "turn the golf course into a forest", "no runway",
     "flood the marina", "demolish the warehouses"],
)  # fmt: skip
def test_a_finer_kind_that_goes_is_not_put_there(words):
    finer = {kind.name for kind in land_cover.FINER}
    assert interpret(words, lambda said: {}).options.get("word") not in finer


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


@pytest.mark.parametrize(
    "words",
    ["replace the houses with forest", "forest instead of houses", "plant trees around the houses",
     "houses spared by the storm", "do not touch the zork quarter", "what is a zork quarter?",
     "remove the zork quarter", "turn the zork quarter into a lake"],
)  # fmt: skip
def test_ones_own_words_are_filled_with_only_where_nothing_else_is_asked(words):
    mine = {"houses": "houses", "zork quarter": "zork quarter", "a": "houses"}
    found = with_own(interpret(words, lambda said: {}), mine)
    assert "your own" not in found.understood


@pytest.mark.parametrize(
    "words",
    ["a zork quarter", "Zork quarter, please", "put a zork quarter here",
     "turn the meadow into a zork quarter", "replace the car park with a zork quarter"],
)  # fmt: skip
def test_ones_own_words_are_known(words):
    found = with_own(interpret(words, lambda said: {}), {"zork quarter": "zork quarter"})
    assert found.sure and found.editor == "fill" and "zork quarter" in found.understood


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ("lake without boats", "water"),
        ("grass, no golf", "grass"),
        ("replace the car park with tennis courts", "tennis court"),
        ("tennis courts instead of a car park", "tennis court"),
        ("replace the meadow with a vineyard", "vineyard"),
        ("replace the houses with warehouses", "warehouse"),
        ("solar panels on the roofs", "solar roof"),
        ("scrub", "shrub"),
        ("baseball field", "baseball field"),
    ],
)
def test_what_is_denied_or_goes_is_not_put_there(words, word):
    assert interpret(words, lambda said: {}).options["word"] == word


@pytest.mark.parametrize(
    "words",
    ["plane trees along the street", "plane the surface", "jet of water", "jets of smoke",
     "jet black roofs", "military tanks", "pitch black roofs", "pool table", "tidal pool",
     "hedge along the highway", "cycle path next to the highway"],
)  # fmt: skip
def test_words_that_only_sound_like_it_put_nothing_there(words):
    found = interpret(words, lambda said: {})
    finer = {kind.name for kind in land_cover.FINER}
    assert found.options.get("word") not in finer and found.editor != "lake"


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
