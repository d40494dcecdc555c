"""RSCC as published: parts of xBD's pictures, masks of damage, test lists, and what is missing."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from landbrush.server.experiments.benchmark.damage_labels import labelled
from landbrush.server.ground.errors import BadRequest
from landbrush.server.raster.grid import Box
from landbrush.server.training.data import layouts, rscc
from PIL import Image

from tests.server.conftest import in_type, scene

EVENT = "hurricane-florence_00000004"
WHOLE = Box(0, 0, 512, 512)


def put(path, side=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(in_type(scene(3, side, side), "uint8").transpose(1, 2, 0)).save(path)


def outlines(path, *boxes, size=1024):
    """xBD's JSON: (subtype, x, y, side) of each building, in pixels of the whole picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features = [
        {
            "wkt": f"POLYGON (({x} {y}, {x + s} {y}, {x + s} {y + s}, {x} {y + s}, {x} {y}))",
            "properties": {"subtype": kind},
        }
        for kind, x, y, s in boxes
    ]
    told = {"features": {"xy": features}, "metadata": {"width": size, "height": size}}
    path.write_text(json.dumps(told))
    return path


@pytest.mark.parametrize(
    ("stem", "part"),
    [
        (f"{EVENT}_post_disaster_part1", 0),
        (f"{EVENT}_post_disaster_part4", 3),
        (f"{EVENT}_pre_disaster_2", 1),
        (f"{EVENT}_post_disaster", None),
        ("nothing_1", None),
    ],
)
def test_a_name_says_which_part_it_is(stem, part):
    assert rscc.part_of(stem) == part


@pytest.mark.parametrize(("number", "at"), [(1, None), (2, (100, 40)), (3, None), (4, None)])
def test_a_building_lies_in_its_own_part_at_its_own_size(tmp_path, number, at):
    """The building is at column 612, row 40 of 1024: in the upper right part, at column 100."""
    labels = outlines(tmp_path / "a.json", ("destroyed", 612, 40, 32))
    found = labelled(labels, f"{EVENT}_post_disaster_part{number}", (512, 512), WHOLE)
    if at is None:
        assert not found.any()
        return
    rows, cols = np.nonzero(found == 4)
    assert (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1) == (*at, at[0] + 32, at[1] + 32)
    assert (found > 0).sum() == 32 * 32


def test_a_whole_picture_made_smaller_is_scaled_and_a_window_is_cut(tmp_path):
    labels = outlines(tmp_path / "a.json", ("minor-damage", 612, 40, 32), ("?", 0, 0, 8))
    found = labelled(labels, f"{EVENT}_post_disaster", (512, 512), WHOLE)
    assert (found[20:36, 306:322] == 2).all() and (found == 2).sum() == 256
    assert (found[:4, :4] == 255).all()
    window = labelled(labels, f"{EVENT}_post_disaster", (512, 512), Box(300, 16, 40, 30))
    assert np.array_equal(window, found[16:46, 300:340])
    # The labels of the part itself need no cutting.
    own = outlines(tmp_path / f"{EVENT}_post_disaster_part2.json", ("destroyed", 100, 40, 32),
                   size=512)  # fmt: skip
    assert labelled(own, own.stem, (512, 512), WHOLE)[40:72, 100:132].min() == 4


def test_masks_are_read_as_they_are_and_others_are_refused(tmp_path):
    values = np.zeros((64, 48), np.uint8)
    values[10:20, 5:9] = 3
    Image.fromarray(values).save(tmp_path / "m.png")
    found = labelled(tmp_path / "m.png", "any", (48, 64), Box(2, 8, 20, 20))
    assert np.array_equal(found, values[8:28, 2:22])
    with pytest.raises(BadRequest, match="48 x 48 pixels"):
        labelled(tmp_path / "m.png", "any", (48, 48), Box(0, 0, 8, 8))
    values[0, 0] = 9
    Image.fromarray(values).save(tmp_path / "m.png")
    with pytest.raises(BadRequest, match="holds the value 9"):
        labelled(tmp_path / "m.png", "any", (48, 64), Box(0, 0, 8, 8))
    (tmp_path / "m.png").write_bytes(b"no picture")
    with pytest.raises(BadRequest, match="no mask of damage"):
        labelled(tmp_path / "m.png", "any", (48, 64), Box(0, 0, 8, 8))


def published(folder, parts=(1, 2), listed="RSCC.jsonl", mask=True, subset="xbd/images-w512-h512"):
    """A list and its pictures below a folder, as RSEdit's test split and RSCC have them."""
    found = []
    for part in parts:
        names = {when: f"{EVENT}_{when}_disaster_part{part}.png" for when in ("pre", "post")}
        for name in names.values():
            put(folder / subset / "florence" / name)
        line = {
            "pre_image": f"{subset}/florence/{names['pre']}",
            "post_image": f"{subset}/florence/{names['post']}",
            "change_caption": f"part {part} is flooded",
            "filename": names["post"],
        }
        if mask:
            line["mask"] = f"masks/{names['post']}"
            (folder / "masks").mkdir(exist_ok=True)
            Image.fromarray(np.full((16, 16), part, np.uint8)).save(folder / line["mask"])
        found.append(line)
    (folder / listed).write_text("".join(json.dumps(line) + "\n" for line in found))
    return found


def test_a_mask_beside_a_pair_is_its_label_and_the_test_split_is_to_test_on(tmp_path):
    folder = tmp_path / "RSCC-RSEdit-Test-Split"
    folder.mkdir()
    published(folder)
    found = layouts.read(folder)
    assert [pair.part for pair in found] == ["test", "test"]
    assert [pair.labels.name[-9:] for pair in found] == ["part1.png", "part2.png"]
    assert [pair.caption for pair in found] == ["part 1 is flooded", "part 2 is flooded"]


def test_both_subsets_and_xbds_own_labels_are_found(tmp_path):
    published(tmp_path, mask=False)
    published(tmp_path, (3,), "EBD.jsonl", mask=False, subset="EBD")
    outlines(
        tmp_path / "xbd" / "images-w512-h512" / "labels" / f"{EVENT}_post_disaster.json",
        ("destroyed", 612, 40, 32),
    )
    found = layouts.read(tmp_path)
    assert [pair.caption[5] for pair in found] == ["3", "1", "2"]
    assert found[0].labels is None
    assert {pair.labels.name for pair in found[1:]} == {f"{EVENT}_post_disaster.json"}


@pytest.mark.parametrize("how", ["path", "name", "stem"])
def test_the_test_list_of_the_folder_is_gone_by(tmp_path, how):
    lines = published(tmp_path)
    path = lines[1]["pre_image"]
    named = {"path": path, "name": path.rsplit("/", 1)[1], "stem": path.rsplit("/", 1)[1][:-4]}
    (tmp_path / rscc.TEST_LIST).write_text(named[how] + "\n")
    assert [pair.part for pair in layouts.read(tmp_path)] == ["train", "test"]
    (tmp_path / rscc.TEST_LIST).write_text("elsewhere.png\n")
    with pytest.raises(BadRequest, match="1 of 1 pictures are not in the dataset"):
        layouts.read(tmp_path)


def test_what_is_missing_is_counted_and_left_out(tmp_path, caplog):
    lines = published(tmp_path, (1, 2, 3))
    (tmp_path / lines[1]["post_image"]).unlink()
    (tmp_path / lines[2]["mask"]).unlink()
    with caplog.at_level(logging.WARNING):
        found = layouts.read(tmp_path)
    assert [pair.caption[5] for pair in found] == ["1", "3"]
    assert found[0].labels is not None and found[1].labels is None
    assert "1 of 3 pairs are left out" in caplog.text and "labels of 1 pairs" in caplog.text
    for line in lines:
        (tmp_path / line["pre_image"]).unlink(missing_ok=True)
    with pytest.raises(BadRequest, match="none of its 3 pairs is there"):
        layouts.read(tmp_path)


def test_failed_entries_and_arrays_are_read_as_the_released_code_does(tmp_path):
    lines = published(tmp_path)
    lines[0]["status"] = "failed"
    (tmp_path / "RSCC.jsonl").write_text(json.dumps(lines))
    assert [pair.caption for pair in layouts.read(tmp_path, "rscc")] == ["part 2 is flooded"]
