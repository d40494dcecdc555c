"""The benchmark: what it draws, measures, keeps, says of its own measures, and shows."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
import transformers
from landbrush.server import __main__
from landbrush.server.experiments import benchmark
from landbrush.server.experiments.benchmark import (
    Terms,
    measures,
    networks,
    protocol,
    runs,
    summary,
)
from landbrush.server.experiments.benchmark.asked import Asked, key_of
from landbrush.server.experiments.benchmark.measures import HIGHER, LOWER, Measure
from landbrush.server.ground.errors import BadRequest, WeightsMissing
from landbrush.server.models import dino, lpips
from PIL import Image
from safetensors.torch import save_file

from tests.server import tiny_clip
from tests.server.conftest import RGB, in_type, scene, write

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.slow]
RING = [[30, 30], [66, 30], [66, 62], [30, 62]]
CASES = """
title = "Try </script><b>"
seeds = [0, 1]
systems = ["reference", "identity", "noise", "remove", "fill"]
sensible = "remove"
[[case]]
name = "one"
image = "before.tif"
reference = "after.tif"
prompt = "remove the house"
polygon = [[30, 30], [66, 30], [66, 62], [30, 62]]
[[case]]
name = "two"
image = "before.tif"
prompt = "remove the </script> house"
polygon = [[20, 40], [50, 40], [50, 80]]
systems = ["remove"]
"""
QUICK = CASES.replace('"remove"', '"snow"')


@pytest.fixture
def plan(tmp_path):
    before = in_type(scene(3, 120, 110), "uint8")
    after = before.copy()
    after[:, 25:70, 25:70] = in_type(scene(3, 120, 110, 5), "uint8")[:, 25:70, 25:70]
    write(tmp_path / "before.tif", before, colorinterp=RGB)
    write(tmp_path / "after.tif", after, colorinterp=RGB)
    path = tmp_path / "cases.toml"
    path.write_text(CASES)
    return path


@pytest.fixture
def quick(plan):
    """The same with an editor that is done at once, where it does not matter which."""
    plan.write_text(QUICK)
    return plan


def said(_):
    return None


def test_a_run_is_complete_and_honest(plan, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        __main__.main(
            [
                "evaluate",
                "cases",
                "--cases",
                str(plan),
                "--output",
                str(out),
                "--home",
                str(tmp_path / "home"),
            ]
        )
        == 0
    )
    records = list(runs.records(out / "results.jsonl"))
    assert len(records) == (1 + 1 + 2 + 2 + 2) + (1 + 2 + 2)
    by = {(one["case"], one["system"], one["seed"]): one for one in records}
    perfect, same = by["one", "reference", 0]["values"], by["one", "identity", 0]["values"]
    assert perfect["l1"] == perfect["texture_gap"] == perfect["outside_changed"] == 0
    assert same["lite0_likeness"] < perfect["lite0_likeness"] == pytest.approx(1, abs=1e-5)
    assert same["changed_inside"] == 0 and by["one", "noise", 1]["values"]["changed_inside"] > 0.9
    assert "l1" not in by["two", "remove", 0]["values"] and by["one", "fill", 0][
        "failure"
    ].startswith("CannotEdit")
    found = json.loads((out / "results.json").read_text())
    row = next(row for row in found["rows"] if row["system"] == "fill")
    assert (row["runs"], row["failed"], row["cases"]) == (2, 2, 0)
    assert {check["measure"] for check in found["checks"]} >= {
        "l1",
        "lite0_likeness",
        "changed_inside",
    }
    assert "Runs that failed" in (out / "tables.md").read_text()
    told = capsys.readouterr()
    assert "fill: 0 of 2 runs" in told.out and "index.html" in told.out and "[13/13]" in told.err
    # Every result lies on the source's grid, and outside the polygon nothing differs.
    assert all(one["values"]["outside_changed"] == 0 for one in records if not one["failure"])


def test_the_page_holds_its_data_whatever_the_prompts_say(editors, quick, tmp_path):
    page = benchmark.run(quick, tmp_path / "out", Terms(editors), said)
    text = page.read_text()
    data = re.search(
        r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL
    ).group(1)
    found = json.loads(data)
    assert (
        found["prompts"]["two"]["prompt"] == "remove the </script> house"
        and "<title>Try &lt;/script&gt;" in text
    )
    assert text.count("</script>") == 2
    for case, system, _, picture, _, failure, _, beside in found["runs"]:
        if not failure:
            with Image.open(page.parent / picture) as shown:
                assert max(shown.size) >= 320, (case, system)
            assert (page.parent / f"{beside}-before.jpg").is_file()
            with Image.open(page.parent / f"{beside}-outline.png") as outline:
                alpha = np.asarray(outline)[..., 3]
            assert 0 < (alpha > 0).mean() < 0.1


def test_another_polygon_under_the_same_name_has_its_own_pictures(editors, quick, tmp_path):
    def shown():
        records = list(
            runs.records(
                benchmark.run(quick, tmp_path / "out", Terms(editors), said).parent
                / "results.jsonl"
            )
        )
        one = next(one for one in records if one["system"] == "identity" and one["case"] == "two")
        return one["picture"], one["beside"], (tmp_path / "out" / one["picture"]).read_bytes()

    first = shown()
    quick.write_text(
        QUICK.replace("[[20, 40], [50, 40], [50, 80]]", "[[40, 20], [90, 20], [90, 50]]")
    )
    second = shown()
    assert first[0] != second[0] and first[1] != second[1]
    quick.write_text(QUICK)
    assert shown() == first
    (tmp_path / "out" / first[0]).unlink()
    assert shown() == first


def test_what_steers_an_editor_is_part_of_what_a_result_depends_on(editors, models, plan, tmp_path):
    wanted = protocol.read(plan, editors)
    before = [
        key_of(editors, wanted, wanted.cases[0], Asked(system, 0)) for system in ("remove", "noise")
    ]
    models.folder.choose("image-text", str(tiny_clip.saved(tmp_path)))
    after = [
        key_of(editors, wanted, wanted.cases[0], Asked(system, 0)) for system in ("remove", "noise")
    ]
    assert before[0] != after[0] and before[1] == after[1]


def test_what_was_given_for_this_time_reaches_the_workers(editors, models, plan, tmp_path):
    path = str(tiny_clip.saved(tmp_path))
    models.folder.give("image-text", path)
    task = next(runs.tasks(editors, protocol.read(plan, editors), tmp_path / "out"))
    there = pickle.loads(pickle.dumps(task))
    assert there.editors is not editors
    assert there.editors.models.chosen("image-text") == path


def test_what_lies_there_is_not_made_again_and_what_changed_is(editors, quick, tmp_path):
    out, told = tmp_path / "out", []
    benchmark.run(quick, out, Terms(editors), said)
    before = (out / "results.json").read_text()
    times = {path: path.stat().st_mtime_ns for path in (out / "drawn").iterdir()}
    benchmark.run(quick, out, Terms(editors), told.append)
    assert [line for line in told if "fill" not in line] == ["11 of 13 results were there already."]
    assert (out / "results.json").read_text() == before
    assert times == {path: path.stat().st_mtime_ns for path in (out / "drawn").iterdir()}
    other = in_type(scene(3, 120, 110, 8), "uint8")
    write(tmp_path / "after.tif", other, colorinterp=RGB)
    benchmark.run(quick, out, Terms(editors), told.append)
    # The reference, and all that was compared with it; of the results themselves only the reference
    # is another.
    assert len(list((out / "drawn").glob("*.tif"))) == len(times) // 2 + 1
    assert sum("] one:" in line and line.endswith(" s") for line in told) >= 6


def test_a_stopped_run_goes_on(editors, quick, tmp_path):
    def stop(text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark.run(quick, tmp_path / "out", Terms(editors), stop)
    assert not (tmp_path / "out" / "results.jsonl").exists() and list(
        (tmp_path / "out" / "measured").glob("*.json")
    )
    told = []
    benchmark.run(quick, tmp_path / "out", Terms(editors), told.append)
    assert sum(line.startswith("[") for line in told) < 13


@pytest.mark.slow
def test_workers_give_what_one_process_gives(editors, quick, tmp_path):
    quick.write_text(QUICK.replace('"snow", "fill"', '"snow"'))
    pages = [
        benchmark.run(quick, tmp_path / str(count), Terms(editors, count), said) for count in (1, 2)
    ]
    first, second = (json.loads((page.parent / "results.json").read_text()) for page in pages)
    for one, other in zip(first["rows"], second["rows"], strict=True):
        assert other["failures"] == {}
        assert one["cells"] == other["cells"] and one["failures"] == other["failures"] == {}


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ('sensible = "remove"', 'sensible = "snow"', "sensible: 'snow'"),
        ('"remove", "fill"]', '"remove", "nothing"]', "'nothing' is no system"),
        ('reference = "after.tif"', 'reference = "no.tif"', "case 1: reference: there is no image"),
        ('systems = ["remove"]', 'systems = ["snow"]', "case two: its system 'snow'"),
        ('prompt = "remove the house"', 'prompt = "x"\nland_cover = "moon"', "land_cover 'moon'"),
        ('name = "two"', 'name = "one"', "Two cases are called 'one'"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_place(editors, plan, old, new, sentence):
    plan.write_text(CASES.replace(old, new))
    with pytest.raises(BadRequest, match=re.escape(sentence)):
        protocol.read(plan, editors)


def test_a_polygon_off_the_image_and_a_reference_of_another_kind_are_failed_runs(
    editors, quick, tmp_path
):
    write(tmp_path / "after.tif", in_type(scene(1, 120, 110), "uint16"))
    quick.write_text(
        QUICK.replace("[[20, 40], [50, 40], [50, 80]]", "[[220, 40], [250, 40], [250, 80]]")
    )
    listed = benchmark.run(quick, tmp_path / "out", Terms(editors), said).parent / "results.jsonl"
    reasons = {(one["case"], one["system"]): one["failure"] for one in runs.records(listed)}
    assert (
        "1 bands of uint16" in reasons["one", "reference"] and "polygons" in reasons["two", "snow"]
    )
    # Those that need no reference are not harmed by one that does not fit.
    assert reasons["one", "snow"] == "" and reasons["one", "noise"] == ""
    write(
        tmp_path / "after.tif",
        in_type(scene(3, 120, 110), "uint8"),
        colorinterp=RGB,
        transform=rasterio.Affine(1, 0, 9e5, 0, -1, 9e5),
    )
    listed = benchmark.run(quick, tmp_path / "far", Terms(editors), said).parent / "results.jsonl"
    reasons = {(one["case"], one["system"]): one["failure"] for one in runs.records(listed)}
    assert "no valid pixel" in reasons["one", "reference"]


def test_the_key_knows_words_seed_options_and_pixels(editors, plan):
    wanted = protocol.read(plan, editors)
    case = wanted.cases[0]
    keys = {
        key_of(editors, wanted, one, asked)
        for one, asked in (
            (case, Asked("remove", 0)),
            (case, Asked("remove", 1)),
            (case, Asked("noise", 0)),
            (case, Asked("reference", 0)),
            (wanted.cases[1], Asked("remove", 0)),
        )
    }
    other = replace(wanted.named["remove"], options={"keep_shadow": True})
    changed = replace(wanted, named={"remove": other})
    keys.add(key_of(editors, changed, case, Asked("remove", 0)))
    assert len(keys) == 6


def test_the_key_knows_what_a_virtual_raster_is_made_of(editors, plan, tmp_path):
    rasterio.shutil.copy(tmp_path / "before.tif", tmp_path / "before.vrt", driver="VRT")
    plan.write_text(CASES.replace("before.tif", "before.vrt"))
    wanted = protocol.read(plan, editors)
    first = key_of(editors, wanted, wanted.cases[0], Asked("remove", 0))
    write(tmp_path / "before.tif", in_type(scene(3, 120, 110, 4), "uint8"), colorinterp=RGB)
    assert key_of(editors, wanted, wanted.cases[0], Asked("remove", 0)) != first


def test_a_texture_of_half_the_contrast_lies_a_factor_of_two_apart():
    image, mask = (
        np.random.default_rng(0).random((3, 40, 40)).astype(np.float32),
        np.zeros((40, 40), bool),
    )
    mask[5:35, 5:35] = True
    assert measures._texture(image, mask) == pytest.approx(2 * measures._texture(image / 2, mask))
    steps = np.tile(np.arange(40, dtype=np.float32) % 2, (3, 40, 1))  # jumps of 1 across, none down
    count = 30 * 29
    assert measures._texture(steps, mask) == pytest.approx(count / (2 * count))


def test_intervals_and_verdicts():
    assert summary.interval([1.0]) is None and summary.interval([2.0, 2.0, 2.0]) == (2.0, 2.0)
    rng = np.random.default_rng(0)
    low, high = summary.interval(rng.normal(5, 2, 400).tolist())
    assert low < 5 < high and 0.3 < high - low < 0.5  # 2 * 1.96 * 2 / 20 = 0.39
    verdicts = [summary._verdict(gaps) for gaps in ([1, 1, 1], [-1, 3, -1, 3], [-1, -1], [5])]
    assert verdicts == [summary.HOLDS, summary.UNSURE, summary.FAILS, summary.UNSURE]


def test_checks_follow_the_direction_of_a_measure():
    up, down = (
        Measure(name, name, better, 0, 1, "", (("reference", "edit"),))
        for name, better in (("up", HIGHER), ("down", LOWER))
    )
    wanted = protocol.Protocol((), ("reference", "auto"), {}, (0,), sensible="auto")
    gathered = summary.Gathered(None).add(
        [
            {
                "case": case,
                "system": system,
                "seed": 0,
                "values": {"up": value, "down": value},
                "failure": "",
                "seconds": 1.0,
                "features": "",
            }
            for case in "ab"
            for system, value in (("reference", 0.9), ("auto", 0.1))
        ]
    )
    gathered.features.clear()
    checks = {
        check["measure"]: check for check in summary.summed(gathered, wanted, (up, down))["checks"]
    }
    assert checks["up"]["verdict"] == summary.HOLDS and checks["down"]["verdict"] == summary.FAILS
    assert checks["down"]["wrong"] == ["a", "b"] and checks["up"]["held"] == 2


# ---- networks of the user's


def alexnet(path, seed=0):
    torch.manual_seed(seed)
    widths, tensors = (3, 8, 12, 16, 12, 10), {}
    for index, (number, kernel, _, _) in enumerate(lpips.LAYERS):
        tensors[f"features.{number}.weight"] = (
            torch.randn(widths[index + 1], widths[index], kernel, kernel) / kernel
        )
        tensors[f"features.{number}.bias"] = torch.randn(widths[index + 1]) / 10
        tensors[f"lin{index}.model.1.weight"] = torch.rand(1, widths[index + 1], 1, 1)
    save_file(tensors, path)
    return tensors


def test_lpips_is_what_its_paper_says(tmp_path):
    tensors = alexnet(tmp_path / "alex.safetensors")
    net = lpips.Lpips(tmp_path)
    first, second = torch.rand(2, 3, 72, 80)
    assert net.distance(first, first) == 0
    assert (
        net.distance(first, second) == pytest.approx(net.distance(second, first))
        and net.distance(first, second) > 0
    )
    # The first layer's share by hand: unit features at each place, squared differences, weighted,
    # averaged over places.
    shift, scale = (torch.tensor(v)[:, None, None] for v in (lpips.SHIFT, lpips.SCALE))
    maps = []
    for one in (first, second):
        seen = ((one * 2 - 1 - shift) / scale)[None]
        made = torch.relu(
            torch.conv2d(seen, tensors["features.0.weight"], tensors["features.0.bias"], 4, 2)
        )[0]
        maps.append(made / made.norm(dim=0, keepdim=True).clamp_min(1e-10))
    by_hand = ((maps[0] - maps[1]) ** 2 * tensors["lin0.model.1.weight"][0]).sum(0).mean()
    for index in range(1, 5):
        net.tensors[f"lin{index}.model.1.weight"] = torch.zeros_like(
            net.tensors[f"lin{index}.model.1.weight"]
        )
    assert net.distance(first, second) == pytest.approx(float(by_hand), rel=1e-4)
    assert net.distance(first[:, :20, :20], second[:, :20, :20]) > 0
    del tensors["lin3.model.1.weight"]
    save_file(tensors, tmp_path / "alex.safetensors")
    with pytest.raises(WeightsMissing, match="lin3"):
        lpips.Lpips(tmp_path)
    with pytest.raises(WeightsMissing, match="alexnet-owt"):
        lpips.load(str(tmp_path / "nothing"))


def tiny_dino(folder):
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=224,
        patch_size=16,
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore")
def test_named_networks_are_measured_and_missing_ones_stop_it_before_anything_runs(
    editors, models, quick, tmp_path
):
    models.folder.choose("dino", str(tiny_dino(tmp_path / "dino")))
    alexnet(tmp_path / "alex.safetensors")
    models.folder.choose("lpips", str(tmp_path / "alex.safetensors"))
    models.folder.choose("image-text", str(tiny_clip.saved(tmp_path)))
    quick.write_text(
        QUICK.replace('"snow", "fill"]', '"snow"]').replace(
            'name = "one"', 'name = "one"\ncaption = "a lawn"'
        )
    )
    found = json.loads(
        (
            benchmark.run(quick, tmp_path / "out", Terms(editors), said).parent / "results.json"
        ).read_text()
    )
    cells = {row["system"]: row["cells"] for row in found["rows"]}
    assert cells["reference"]["dino_i"]["mean"] == pytest.approx(1, abs=1e-5)
    assert cells["reference"]["lpips"]["mean"] == 0 < cells["noise"]["lpips"]["mean"]
    assert {"clip_i", "clip_t", "clip_score"} <= set(cells["snow"])
    models.folder.choose("dino", str(tmp_path / "elsewhere"))
    networks_before = networks.named(editors.models)
    with pytest.raises(WeightsMissing, match="elsewhere"):
        benchmark.run(quick, tmp_path / "new", Terms(editors), said)
    assert "dino" in networks_before and not (tmp_path / "new").exists()


def test_dino_sees_the_middle_of_the_picture(tmp_path):
    net = dino.load(str(tiny_dino(tmp_path / "dino")))
    picture = torch.rand(3, 256, 320)
    edges = picture.clone()
    edges[:, :, :40] = edges[:, :, -40:] = 0  # of 256 x 320 the middle 224 columns begin at 48
    assert torch.allclose(net.features(picture), net.features(edges), atol=1e-4)
    with pytest.raises(WeightsMissing, match="dino-vits16"):
        dino.Dino(tmp_path)


def test_every_measure_has_direction_range_source_and_a_place_in_the_page():
    for measure in (*measures.CHANGES, networks.LITE0, *networks.NAMED):
        assert measure.better in (LOWER, HIGHER) and len(measure.source) > 20 and measure.title
        assert measure.low is None or measure.high is None or measure.low < measure.high
        assert all({*pair} <= {"reference", "edit", "identity", "noise"} for pair in measure.claims)
