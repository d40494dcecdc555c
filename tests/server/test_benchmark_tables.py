"""A paper's table by one command: its systems, a dataset's test part, and what is counted over all
cases."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
import torch
from landbrush.server import __main__
from landbrush.server.experiments import benchmark, paper_tables
from landbrush.server.experiments.benchmark import Terms, protocol, runs
from landbrush.server.experiments.benchmark.asked import Asked, editor_of
from landbrush.server.ground.errors import WeightsMissing
from landbrush.server.models import damage_network
from PIL import Image
from safetensors.torch import save_file

from tests.server.conftest import in_type, scene

pytestmark = pytest.mark.usefixtures("home")


def said(_):
    return None


OF_PAIRS = ("rsedit-1", "rsedit-2", "rsedit-3", "icedit")


@pytest.mark.parametrize("name", OF_PAIRS)
def test_each_table_names_models_and_settings_that_there_are(models, editors, name, tmp_path):
    folder = levir(tmp_path)
    found = protocol.read(paper_tables.path_of(name), editors, protocol.Data(folder))
    assert len(found.cases) == 2 and found.cases[0].reference and found.sensible in found.systems
    for system in found.systems:
        if system in protocol.REFERENCES:
            continue
        editor, options = editor_of(found, found.cases[0], Asked(system, 0))
        known = {option.name: option for option in editors.get(editor).info.options}
        editors.get(editor).parse(options)
        assert set(options) <= set(known), (system, set(options) - set(known))


def levir(folder):
    for side, seed in (("A", 1), ("B", 2)):
        place = folder / "images" / "test" / side
        place.mkdir(parents=True)
        for number in range(2):
            pixels = in_type(scene(3, 80, 80, seed + number), "uint8").transpose(1, 2, 0)
            Image.fromarray(pixels).save(place / f"{number}.png")
    (folder / "LevirCCcaptions.json").write_text(
        json.dumps(
            {
                "images": [
                    {
                        "filename": f"{n}.png",
                        "split": "test",
                        "sentences": [{"raw": "houses were built ."}],
                    }
                    for n in range(2)
                ]
            }
        )
    )
    return folder


def test_a_datasets_test_part_is_asked(tmp_path, capsys):
    table = tmp_path / "table.toml"
    table.write_text(
        'seeds = [0]\nsystems = ["reference", "identity", "snow"]\nsensible = "snow"\n'
    )
    wanted = [
        "evaluate",
        "cases",
        "--cases",
        str(table),
        "--data",
        str(levir(tmp_path / "data")),
        "--home",
        str(tmp_path / "home"),
    ]
    assert __main__.main([*wanted, "--output", str(tmp_path / "out"), "--most", "1"]) == 0
    records = list(runs.records(tmp_path / "out" / "results.jsonl"))
    assert len(records) == 3 and {one["case"] for one in records} == {"00000 0"}
    assert not any(one["failure"] for one in records) and records[0]["values"]["l1"] == 0
    capsys.readouterr()
    (tmp_path / "pairs.jsonl").write_text(
        "".join(
            json.dumps(
                {"before": "before.png", "after": "before.png", "caption": str(n), "part": "test"}
            )
            + "\n"
            for n in range(338)
        )
    )
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "before.png")
    some = [int(case.prompt) for case in protocol.Data(tmp_path, "pairs", most=300).cases()]
    assert len(some) == 300 and some[-1] > 330 and len(set(some)) == 300
    assert __main__.main([*wanted, "--output", str(tmp_path / "new"), "--part", "val"]) == 1
    assert "no pairs to val" in capsys.readouterr().err
    odd = ["--data", str(tmp_path), "--output", str(tmp_path / "n")]
    assert __main__.main(["evaluate", "cases", "--table", "no", *odd]) == 1
    assert "rsedit-1" in capsys.readouterr().err
    assert (
        __main__.main(["evaluate", "cases", "--table", "rsedit-1", "--output", str(tmp_path / "n")])
        == 1
    )
    assert "--data" in capsys.readouterr().err


class Named(torch.nn.Module):
    """Stands for torchange's network, which is no part of this project: a building where the first
    picture is bright, destroyed where the second is dark."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, pair):
        first, second = (pair[:, part].mean(1) for part in (slice(0, 3), slice(3, 6)))
        dark = (second < 0).float()
        scores = torch.stack(
            [
                torch.zeros_like(dark),
                0.5 * torch.ones_like(dark),
                *(torch.zeros_like(dark),) * 2,
                dark,
            ],
            1,
        )
        return types.SimpleNamespace(
            t1_semantic_prediction=(first > 0).float()[:, None] * self.scale,
            change_prediction=scores,
        )


def test_f1_of_damage_is_counted_over_all_cases(editors, models, tmp_path, monkeypatch):
    module = types.ModuleType("torchange.models.changen2")
    module.changestar_1x256 = lambda *_: Named()
    for name in ("torchange", "torchange.models"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "torchange.models.changen2", module)
    save_file({"scale": torch.ones(1)}, tmp_path / "cstar.safetensors")
    models.folder.choose("damage", str(tmp_path / "cstar.safetensors"))
    before, after = (np.full((3, 64, 64), value, np.uint8) for value in (220, 220))
    after[:, :32] = 10
    for part, pixels in (("pre", before), ("post", after)):
        path = tmp_path / "test" / "images" / f"a_{part}_disaster.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(path)
    labels = tmp_path / "test" / "labels" / "a_post_disaster.json"
    labels.parent.mkdir()
    boxes = (
        ("destroyed", 4, 4),
        ("no-damage", 4, 40),
        ("un-classified", 40, 40),
        ("destroyed", 40, 44),
    )
    labels.write_text(
        json.dumps(
            {
                "features": {
                    "xy": [
                        {
                            "wkt": f"POLYGON (({x} {y}, {x + 16} {y}, {x + 16} {y + 16}, {x} "
                            f"{y + 16}, {x} {y}))",
                            "properties": {"subtype": kind},
                        }
                        for kind, x, y in boxes
                    ]
                }
            }
        )
    )
    table = tmp_path / "table.toml"
    table.write_text(
        'seeds = [0]\nsystems = ["reference", "identity", "snow"]\nsensible = "snow"\n'
    )
    page = benchmark.run(table, tmp_path / "out", Terms(editors), said, protocol.Data(tmp_path))
    rows = {
        row["system"]: row["damage"]
        for row in json.loads((page.parent / "results.json").read_text())["rows"]
    }
    # By hand: of 512 destroyed pixels the reference shows the 256 above, the 256 below stay; the
    # 256 unharmed are found.
    hit, missed, wrong = 256, 256, 256
    destroyed, none = 2 * hit / (2 * hit + missed), 2 * 256 / (2 * 256 + wrong)
    assert rows["reference"]["f1_classes"] == pytest.approx([none, 0, 0, destroyed], abs=1e-6)
    assert rows["reference"]["f1_dam"] == pytest.approx(
        4 / (1 / (none + 1e-6) + 2 / 1e-6 + 1 / (destroyed + 1e-6))
    )
    # One case, so that its own weighted F1 is that of all.
    assert rows["reference"]["f1_weighted_of_cases"] == pytest.approx(
        rows["reference"]["f1_weighted"]
    )
    assert (
        rows["identity"]["f1_classes"][3] == 0
        and "F1 of damage" in (page.parent / "tables.md").read_text()
    )
    save_file({"other": torch.ones(1)}, tmp_path / "cstar.safetensors")
    with pytest.raises(WeightsMissing, match="is not that checkpoint: 2 of its tensors"):
        benchmark.run(table, tmp_path / "new", Terms(editors), said, protocol.Data(tmp_path))


def test_without_torchange_it_is_said_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchange", None)
    with pytest.raises(WeightsMissing, match="pip install torchange"):
        damage_network.DamageNetwork(tmp_path / "any.pth")
