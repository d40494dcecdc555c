"""Every table of the papers by its command, end to end: tiny random weights, a made dataset in the
published layout, two steps a picture."""

from __future__ import annotations

import json

import pytest
from landbrush.server import __main__
from landbrush.server.experiments import paper_tables
from landbrush.server.experiments.benchmark import runs
from landbrush.server.ground.files import read_toml
from landbrush.server.store.importing import Arrival, import_model

from tests.server import test_layouts, tiny_clip, tiny_pipelines
from tests.server.test_experiments import abcd
from tests.server.test_systems import aid

pytestmark = [
    pytest.mark.usefixtures("home"),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.slow,
]


def rscc(folder):
    """With the list of its test part."""
    test_layouts.rscc(folder)
    (folder / "test_set.txt").write_text("images/b_pre.png\n")


DATA = {
    "rsedit-1": rscc,
    "rsedit-2": rscc,
    "rsedit-3": test_layouts.levir,
    "rsedit-grades": rscc,
    "icedit": test_layouts.magicbrush,
}


def brought(models, folder, path):
    """All models that a table names, with their bases."""
    table = read_toml(path)
    store = models.store
    for name in paper_tables._models_in(table, path):
        for entry in reversed(store.lineage(store.entry(name))):
            if store.record(entry.id) is None:
                made = _built(entry.id, folder)
                import_model(store, Arrival(entry, True), made)


def _built(name, folder):
    if name in ("rsedit-unet-remoteclip", "rsedit-unet-gitrsclip"):
        return tiny_pipelines.stable_diffusion(folder / name, 8)
    if name == "sd21":
        return tiny_pipelines.stable_diffusion(folder / name, 4, seed=3)
    if name == "pixart-alpha-512":
        return tiny_pipelines.pixart(folder / name, transformer=False)
    return tiny_pipelines.build(name, folder)


def small(path, folder):
    """The same table with two steps a picture on small canvases."""
    lines = []
    for line in path.read_text().splitlines():
        for part in line.replace(",", " , ").split():
            if part.isdigit() and f"steps = {part}" in line:
                line = line.replace(f"steps = {part}", "steps = 2")
        line = line.replace("canvas_px = 512", "canvas_px = 64")
        if path.stem != "rsedit-3":  # the product's way enlarges to native sides, which takes long
            line = line.replace('["as published", "product"]', '["as published"]')
        lines.append(line)
    (folder / path.name).write_text("\n".join(lines))
    return folder / path.name


@pytest.mark.parametrize("name", sorted(DATA))
def test_a_table_of_pairs_runs(models, tmp_path, name, capsys):
    path = paper_tables.path_of(name)
    brought(models, tmp_path / "published", path)
    (tmp_path / "data").mkdir()
    DATA[name](tmp_path / "data")
    part = "val" if name == "icedit" else "test"
    given = ["--cases", str(small(path, tmp_path)), "--data", str(tmp_path / "data")]
    given += ["--part", part, "--most", "1", "--output", str(tmp_path / "out")]
    assert __main__.main(["evaluate", "cases", *given, "--home", str(tmp_path / "home")]) == 0
    records = list(runs.records(tmp_path / "out" / "results.jsonl"))
    failed = {one["system"]: one["failure"] for one in records if one["failure"]}
    assert not failed, failed
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    named = found["named"]
    assert {one["system"] for one in records} >= set(named)
    assert {one["way"] for one in named.values()} >= {"as published"}
    for row in found["rows"]:
        assert row["cells"]["l1"]["cases"] == 1, row["system"]
    capsys.readouterr()


def test_figure_8_runs(models, tmp_path, capsys):
    models.folder.choose("image-text", str(tiny_clip.saved(tmp_path / "a")))
    models.folder.choose("second-image-text", str(tiny_clip.saved(tmp_path / "b", seed=1)))
    path = small(paper_tables.path_of("han-8"), tmp_path)
    text = path.read_text().replace("seeds = [0, 1, 2]", "seeds = [0]")
    text = text.replace('"published", steps', '"fast", steps').replace('"160"', '"32"')
    path.write_text(text.replace("ensemble =", "views = 1, ensemble ="))
    given = ["--cases", str(path), "--data", str(aid(tmp_path / "data"))]
    given += ["--output", str(tmp_path / "out"), "--home", str(tmp_path / "home")]
    assert __main__.main(["evaluate", "cases", *given]) == 0
    records = list(runs.records(tmp_path / "out" / "results.jsonl"))
    assert not any(one["failure"] for one in records) and len(records) == 2 * 4
    scores = {
        (one["case"], one["system"]): one["values"]["clip_score"]
        for one in records
        if one["system"] != "identity"
    }
    assert len(set(scores.values())) == 6  # each word, ensemble and model gives another picture
    capsys.readouterr()


def test_table_two_of_han_runs_as_a_table(models, tmp_path, monkeypatch, capsys):
    models.folder.choose("image-text", str(tiny_clip.saved(tmp_path)))
    text = paper_tables.path_of("han-2").read_text()
    text = text.replace("[5, 10, 30, 50]", "[2]").replace("undamaged = 30", "undamaged = 2")
    (tmp_path / "han-2.toml").write_text(text)
    monkeypatch.setattr(paper_tables, "path_of", lambda name: tmp_path / "han-2.toml")
    from landbrush.server.experiments import augmentation

    whole = augmentation.Experiment

    def quick(editors, maker, counts, undamaged):
        maker = augmentation.Maker(maker.editor, maker.prompt, {"views": 1}, maker.generated)
        return whole(editors, maker, counts, undamaged, 1, 2, (64, 8, 8))

    monkeypatch.setattr(augmentation, "Experiment", quick)
    given = ["--table", "han-2", "--data", str(abcd(tmp_path / "data"))]
    given += ["--output", str(tmp_path / "out"), "--home", str(tmp_path / "home")]
    assert __main__.main(["evaluate", "cases", *given]) == 0
    found = json.loads((tmp_path / "out" / "table.json").read_text())
    assert set(found["scores"]) == {
        f"{row}, {score}"
        for row in ("only observed pairs", "with edited pairs")
        for score in ("plain", "balanced")
    }
    assert found["about"]["prompt"] == "a picture of ground after tsunami"
    assert __main__.main(["evaluate", "cases", "--table", "han-2", "--output", str(tmp_path)]) == 1
    assert "--data FOLDER" in capsys.readouterr().err
