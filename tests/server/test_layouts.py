"""Datasets as their authors lay them out on disk: each is told from its files and read."""

from __future__ import annotations

import json

import pytest
from landbrush.server.ground.errors import BadRequest
from landbrush.server.training.data import layouts
from PIL import Image

from tests.server.conftest import in_type, scene


def put(path, side=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(in_type(scene(3, side, side), "uint8").transpose(1, 2, 0)).save(path)


def rscc(folder):
    for name in "ab":
        for when in ("pre", "post"):
            put(folder / "images" / f"{name}_{when}.png")
    lines = [
        {
            "pre_image": f"images/{name}_pre.png",
            "post_image": f"images/{name}_post.png",
            "change_caption": f"{name} burned",
        }
        for name in "ab"
    ]
    (folder / "RSCC.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return [("a burned", "train"), ("b burned", "train")]


def karpathy(folder, name, place):
    images = []
    for split in ("train", "val", "test"):
        for side in "AB":
            put(place(folder, split) / side / f"{split}_1.png")
        images.append(
            {
                "filepath": split,
                "filename": f"{split}_1.png",
                "split": split,
                "sentences": [
                    {"raw": " a road was built ."},
                    {"raw": "a road was built"},
                    {"raw": "trees are gone ."},
                ],
            }
        )
    (folder / name).write_text(json.dumps({"images": images}))
    return [
        (said, part)
        for part in ("train", "val", "test")
        for said in ("a road was built .", "trees are gone .")
    ]


def levir(folder):
    return karpathy(folder, "LevirCCcaptions.json", lambda root, split: root / "images" / split)


def second(folder):
    return karpathy(folder, "SECOND-CC-AUG.json", lambda root, split: root / split / "rgb")


def magicbrush(folder):
    for part, number in (("train", 11), ("dev", 22)):
        for name in ("input", "output1"):
            put(folder / part / "images" / str(number) / f"{number}-{name}.png")
        (folder / part / "edit_turns.json").write_text(
            json.dumps(
                [
                    {
                        "input": f"{number}-input.png",
                        "mask": f"{number}-mask1.png",
                        "output": f"{number}-output1.png",
                        "instruction": "add a dog",
                    }
                ]
            )
        )
    (folder / "dev" / "local_descriptions.json").write_text(
        json.dumps({"22": {"22-output1.png": "a dog on a lawn"}})
    )
    return [("add a dog", "train"), ("add a dog", "val")]


def xbd(folder):
    for part in ("train", "hold"):
        for when in ("pre", "post"):
            put(folder / part / "images" / f"palu_1_{when}_disaster.png")
        labels = folder / part / "labels" / "palu_1_post_disaster.json"
        labels.parent.mkdir(parents=True)
        kinds = ("destroyed", "destroyed", "no-damage", "un-classified")
        labels.write_text(
            json.dumps(
                {
                    "metadata": {"disaster_type": "tsunami"},
                    "features": {
                        "xy": [{"wkt": "", "properties": {"subtype": kind}} for kind in kinds]
                    },
                }
            )
        )
    return [
        ("after the tsunami: of 3 buildings 2 destroyed, 1 unharmed", part)
        for part in ("train", "val")
    ]


@pytest.mark.parametrize("make", [rscc, levir, second, magicbrush, xbd])
def test_each_dataset_is_told_and_read_as_its_authors_lay_it_out(tmp_path, make):
    wanted = make(tmp_path)
    found = layouts.read(tmp_path)
    assert [(pair.caption, pair.part) for pair in found] == wanted
    assert all(pair.path != pair.control and pair.path.is_file() for pair in found)
    if make is magicbrush:
        assert [pair.outcome for pair in found] == ["", "a dog on a lawn"]
    gone = found[0].path
    gone.unlink()
    assert [pair.path for pair in layouts.read(tmp_path)] == [
        pair.path for pair in found if gone not in (pair.path, pair.control)
    ]


def test_rsccs_test_list_and_what_is_no_dataset(tmp_path):
    rscc(tmp_path)
    (tmp_path / "test.txt").write_text("images/b_pre.png\n")
    assert [pair.part for pair in layouts.read(tmp_path, test_list=tmp_path / "test.txt")] == [
        "train",
        "test",
    ]
    (tmp_path / "test.txt").write_text("images/z_pre.png\n")
    with pytest.raises(BadRequest, match="not in the dataset"):
        layouts.read(tmp_path, test_list=tmp_path / "test.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRequest, match="laid out as none of"):
        layouts.read(tmp_path / "empty")
    (tmp_path / "RSCC.jsonl").write_text('{"pre_image": "a.png", "change_caption": "x"}\n')
    with pytest.raises(BadRequest, match="not laid out as rscc: KeyError 'post_image'"):
        layouts.read(tmp_path)
