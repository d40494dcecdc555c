"""The published experiments as commands: Table I on cases of one's own, Table II on pairs in the
layouts of ABCD and xBD."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from landbrush.server import __main__
from landbrush.server.evaluation import tables
from landbrush.server.experiments import augmentation, damage_pairs, paper_tables
from landbrush.server.experiments.benchmark import protocol as protocols
from landbrush.server.ground.errors import BadRequest, ModelNotNamed
from landbrush.server.models.siamese import SiameseResNet18
from landbrush.server.store.importing import Arrival, import_model
from landbrush.server.training.damage import Pair, accuracy, trained
from PIL import Image

from tests.server import tiny_clip, tiny_pipelines
from tests.server.conftest import in_type, scene

pytestmark = pytest.mark.slow


def picture(seed=0, size=96):
    return in_type(scene(3, size, size, seed), "uint8").transpose(1, 2, 0)


def tiny_inpainting(models, tmp_path):
    """Stable Diffusion's inpainting, tiny, in the store of the home."""
    import_model(
        models.store,
        Arrival(models.store.entry("sd15-inpainting"), True),
        tiny_pipelines.build("sd15-inpainting", tmp_path / "published"),
    )


CASES = """
seeds = [0, 1]
systems = ["text", "snow", "sd"]
[baselines]
sd = "sd15-inpainting"
nothing = "sd21"
[options.sd]
steps = 2
[[case]]
name = "whole picture"
image = "a.png"
prompt = "snow on a field"
options = {{ views = 1, candidates = 1 }}
[[case]]
name = "masked"
image = "a.png"
prompt = "a pond"
polygon = [[30, 30], [70, 30], [70, 70], [30, 70]]
exemplar = [[0, 0], [28, 0], [28, 90], [0, 90]]
options = {{ content = "patch diffusion", views = 1, candidates = 1 }}
{more}
"""


def protocol(tmp_path, more=""):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    path = tmp_path / "cases.toml"
    path.write_text(CASES.format(more=more))
    return path


@pytest.mark.filterwarnings("ignore")
def test_table_one_runs_cases_systems_and_seeds(models, tmp_path):
    tiny_inpainting(models, tmp_path)
    judge = tiny_clip.saved(tmp_path)
    out = tmp_path / "out"
    code = __main__.main(
        [
            "evaluate",
            "single-image",
            "--cases",
            str(protocol(tmp_path)),
            "--output",
            str(out),
            "--home",
            str(tmp_path / "home"),
            "--model",
            f"image-text={judge}",
        ]
    )
    assert code == 0
    table = json.loads((out / "table.json").read_text())
    assert table["about"]["not run"] == "nothing", table["about"]["not run"]
    assert set(table["scores"]) == {"unedited, vit", "text, vit", "snow, vit", "sd, vit"}
    assert all(
        len(values) == 2 for row in list(table["scores"].values())[1:] for values in row.values()
    )
    assert len(list((out / "pictures").glob("*.png"))) == 3 * 2 * 2
    assert "±" in (out / "table.md").read_text()
    before, after = picture(), np.asarray(Image.open(out / "pictures" / "masked-text-0.png"))
    outside = np.ones((96, 96), bool)
    outside[28:72, 28:72] = False
    assert np.array_equal(before[outside], after[outside])


@pytest.mark.parametrize(
    "more, sentence",
    [
        ('[[case]]\nimage = "no.png"\nprompt = "x"', "no image"),
        ('[[case]]\nprompt = "x"', "needs image"),
        ('[[case]]\nimage = "a.png"\nprompt = "x"\nmask = 1', "mask"),
        ("[[case", "TOML"),
    ],
)
def test_a_wrong_protocol_is_refused_with_its_place(editors, tmp_path, more, sentence):
    with pytest.raises(BadRequest, match=sentence):
        protocols.read(protocol(tmp_path, more), editors)


def test_scores_need_a_named_model_and_nothing_is_overwritten(tmp_path, capsys):
    arguments = [
        "evaluate",
        "single-image",
        "--cases",
        str(protocol(tmp_path)),
        "--home",
        str(tmp_path / "home"),
    ]
    assert __main__.main([*arguments, "--output", str(tmp_path / "new")]) == 1
    assert "image-text" in capsys.readouterr().err
    assert __main__.main([*arguments, "--output", str(tmp_path)]) == 1
    assert "not empty" in capsys.readouterr().err


def test_tables_show_mean_and_deviation():
    assert (
        tables.shown([1.0, 3.0]) == "2.00 ± 1.41"
        and tables.shown([2.0]) == "2.00"
        and tables.shown([]) == "-"
    )
    text = tables.markdown({"a": {"x": [1.0, 3.0], "y": [4.0]}, "b": {"x": [1.0]}}, "who")
    assert "| a | 2.00 ± 1.41 | 4.00 | 3.00 |" in text and "| b | 1.00 | - | 1.00 |" in text


# ---- Table II


def pairs_of(count, seed=0, side=64):
    """Pairs whose damaged half shows bright rubble where the building stood."""
    rng = np.random.default_rng(seed)
    out = []
    for number in range(count):
        before = picture(int(rng.integers(1000)), side).copy()
        after = before.copy()
        if number % 2:
            after[16:48, 16:48] = rng.integers(100, 255, (32, 32, 3))
        out.append(Pair(before, after, bool(number % 2)))
    return out


def abcd(folder, count=24):
    (folder / "patch-pairs").mkdir(parents=True)
    (folder / "5fold-list").mkdir()
    names = []
    for number, pair in enumerate(pairs_of(count)):
        name = f"patch-pair_{number}.tif"
        kind = {"driver": "GTiff", "width": 64, "height": 64, "count": 6, "dtype": "uint8"}
        with rasterio.open(folder / "patch-pairs" / name, "w", **kind) as out:
            out.write(np.concatenate([pair.before, pair.after], axis=2).transpose(2, 0, 1))
        names.append(f"{name},{int(pair.damaged)}")
    (folder / "5fold-list" / "cv1-train.csv").write_text("\n".join(names[: count // 2]) + "\n")
    (folder / "5fold-list" / "cv1-test.csv").write_text("\n".join(names[count // 2 :]) + "\n")
    return folder


def xbd(folder, scenes=2):
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number in range(scenes):
        before = picture(number, 256).copy()
        after = before.copy()
        features = []
        for spot, kind in enumerate(
            ("destroyed", "no-damage", "major-damage", "minor-damage", "un-classified")
        ):
            x, y = 60 + 60 * (spot % 3), 60 + 80 * (spot // 3)
            ring = f"POLYGON (({x} {y}, {x + 16} {y}, {x + 16} {y + 16}, {x} {y + 16}, {x} {y}))"
            features.append({"wkt": ring, "properties": {"subtype": kind}})
            if kind in damage_pairs.DAMAGED:
                after[y : y + 16, x : x + 16] = 250
        for when, image in (("pre", before), ("post", after)):
            Image.fromarray(image).save(folder / "images" / f"s_{number}_{when}_disaster.png")
        (folder / "labels" / f"s_{number}_post_disaster.json").write_text(
            json.dumps({"features": {"xy": features}})
        )
    return folder


def test_both_layouts_are_read(tmp_path):
    train, test = damage_pairs.read(abcd(tmp_path / "abcd"), 32)
    assert len(train) == len(test) == 12 and train[1].damaged and not train[0].damaged
    assert train[0].before.shape == (32, 32, 3) and not np.array_equal(
        train[1].before, train[1].after
    )
    train, test = damage_pairs.read(xbd(tmp_path / "xbd"), 32)
    assert len(train) == len(test) == 4 and sum(p.damaged for p in train) == 2


@pytest.mark.parametrize(
    "spoil, sentence",
    [
        (lambda f: (f / "5fold-list" / "cv1-train.csv").unlink(), "cv1-train"),
        (
            lambda f: (f / "5fold-list" / "cv1-test.csv").write_text("patch-pair_1.tif,1\n"),
            "intact",
        ),
        (lambda f: (f / "patch-pairs").rename(f / "pairs"), "neither"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(tmp_path, spoil, sentence):
    folder = abcd(tmp_path / "abcd")
    spoil(folder)
    with pytest.raises(BadRequest, match=sentence):
        damage_pairs.read(folder, 32)


def test_xbd_labels_that_are_wrong_are_named(tmp_path):
    folder = xbd(tmp_path / "xbd")
    (folder / "labels" / "s_0_post_disaster.json").write_text('{"features": {}}')
    with pytest.raises(BadRequest, match="s_0_post"):
        damage_pairs.read(folder, 32)


def test_the_network_is_resnet18_twice():
    net = SiameseResNet18()
    trunk = sum(p.numel() for name, p in net.named_parameters() if not name.startswith("fc"))
    assert trunk == 11_176_512  # ResNet-18 without its classifier
    seen = net.eval()(torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64))
    assert seen.shape == (2, 2)


def test_training_finds_what_is_damaged():
    net = trained(pairs_of(32), 50, 8, 0)
    assert accuracy(net, pairs_of(32, seed=1)).balanced > 80


def test_accuracy_is_plain_and_balanced():
    class Always(torch.nn.Module):
        def forward(self, before, after):
            return torch.tensor([[1.0, 0.0]]).expand(len(before), -1)

    found = accuracy(Always(), [replace(pair, damaged=n < 2) for n, pair in enumerate(pairs_of(8))])
    assert (found.plain, found.balanced) == (75, 50)  # 6 of 8, and one class of two


def test_edited_pairs_are_real_edits(editors):
    pairs = pairs_of(8)
    made = augmentation.edited(editors, augmentation.Maker(augmentation.PASTED), pairs, 4, 0)
    assert [p.damaged for p in made] == [True, False, True, False] and all(p.made for p in made)
    known = [p.after for p in pairs]
    for pair in made:
        assert not any(np.array_equal(pair.after, other) for other in known)
    rows, cols = np.mgrid[:64, :64]
    rim = np.hypot(rows - 32, cols - 32) > 22
    assert any(np.array_equal(made[0].after[rim], other[rim]) for other in known)


def test_the_text_guided_editor_makes_the_damaged_pairs(models, editors, tmp_path):
    """As published: the picture before of an undamaged pair, all of it drawn after the words."""
    models.folder.choose("image-text", str(tiny_clip.saved(tmp_path)))
    pairs = pairs_of(6)
    how = augmentation.Maker(options={"views": 1})
    made = augmentation.edited(editors, how, pairs, 2, 0)
    assert [p.damaged for p in made] == [True, True] and all(p.made for p in made)
    for pair in made:
        source = next(p for p in pairs if np.array_equal(p.before, pair.before))
        assert not source.damaged and pair.after.shape == source.after.shape
        assert not np.array_equal(pair.after, source.before)
    again = augmentation.edited(editors, how, pairs, 2, 0)
    assert np.array_equal(again[0].after, made[0].after)


def test_words_need_a_model_that_reads_them(editors):
    with pytest.raises(ModelNotNamed, match="image-text"):
        augmentation.edited(editors, augmentation.Maker(), pairs_of(6), 2, 0)


@pytest.mark.parametrize("layout, maker", [(abcd, "pasted"), (xbd, "pasted"), (abcd, "text")])
def test_table_two_runs_from_the_command_line(tmp_path, layout, maker):
    out = tmp_path / "out"
    data = [
        "--data",
        str(layout(tmp_path / "data")),
        "--output",
        str(out),
        "--home",
        str(tmp_path / "home"),
    ]
    counts = "2,4" if layout is abcd and maker == "pasted" else "2"
    how = ["--pairs", counts, "--seeds", "2", "--steps", "4", "--size", "64", "--width", "8"]
    how += ["--undamaged", "2", "--editor", maker]
    if maker == "text":
        how += ["--option", "views=1", "--model", f"image-text={tiny_clip.saved(tmp_path)}"]
    assert __main__.main(["evaluate", "change-detection", *data, *how]) == 0
    found = json.loads((out / "table.json").read_text())
    assert all(
        len(found["scores"][f"{row}, {score}"][f"{count} pairs"]) == 2
        for row in ("only observed pairs", "with edited pairs")
        for score in ("plain", "balanced")
        for count in counts.split(",")
    )
    assert found["about"]["undamaged pairs in each training"] == 2
    assert ("ground after tsunami" in found["about"]["prompt"]) == (maker == "text")
    assert list((out / "pictures").glob("*.png"))


@pytest.mark.parametrize(
    "pairs, sentence", [("2,400", "fewer"), ("x", "whole numbers"), ("1", "at least 2")]
)
def test_numbers_of_pairs_that_cannot_be_had(tmp_path, capsys, pairs, sentence):
    data = abcd(tmp_path / "data")
    assert (
        __main__.main(
            [
                "evaluate",
                "change-detection",
                "--data",
                str(data),
                "--pairs",
                pairs,
                "--seeds",
                "1",
                "--steps",
                "1",
                "--size",
                "32",
                "--width",
                "8",
                "--output",
                str(tmp_path / "out"),
                "--home",
                str(tmp_path),
            ]
        )
        == 1
    )
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "text, sentence",
    [
        ('editor = "text"\npairs = 5', "pairs = 5 makes no sense"),
        ("pairs = [5, true]", "no list of whole numbers"),
        ('generated = "one"', "generated = 'one' makes no sense"),
        ("undamaged = true", "undamaged = True makes no sense"),
        ("prompts = 3", "prompts = 3 makes no sense"),
        ('kind = "change"', "none of cases, change-detection, generation"),
    ],
)
def test_a_wrong_table_of_change_detection_is_refused(tmp_path, capsys, text, sentence):
    kind = "" if "kind" in text else 'kind = "change-detection"\n'
    (tmp_path / "t.toml").write_text(kind + text)
    given = ["--cases", str(tmp_path / "t.toml"), "--output", str(tmp_path / "out")]
    given += ["--data", str(tmp_path), "--home", str(tmp_path / "home")]
    assert __main__.main(["evaluate", "cases", *given]) == 1
    assert sentence in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_table_of_change_detection_is_as_published_where_it_says_nothing(editors, tmp_path):
    (tmp_path / "t.toml").write_text('kind = "change-detection"\nundamaged = 7\n')
    found = augmentation.of_table(tmp_path / "t.toml", editors)
    assert found.undamaged == 7 and found.counts == (5, 10, 30, 50)
    assert found.maker.prompt == "a picture of ground after tsunami"
    published = augmentation.of_table(paper_tables.path_of("han-2"), editors)
    assert published == augmentation.Experiment(editors)
