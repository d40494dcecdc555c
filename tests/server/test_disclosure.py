"""What a result file tells of how it was made, and of nobody's folders."""

from __future__ import annotations

import json

import pytest
import rasterio
import shapely
from rasterio.features import rasterize

from tests.server.conftest import ring, square
from tests.server.edits import A, made


def test_a_file_tells_neither_prompt_nor_folders_unless_asked(rgb, tmp_path):
    out = tmp_path / "out"
    body = {"polygons": {"geometry": ring(rgb, A)}, "prompt": "snow on the mayor's garden"}
    report = made(rgb, out, **body)
    with rasterio.open(out / "result.tif") as dataset:
        told = str(dataset.tags()) + "".join(str(dataset.tags(band)) for band in dataset.indexes)
    assert "mayor" not in told and str(tmp_path) not in told and "AI_GENERATED" in told
    assert report["prompt"] == body["prompt"] and report["request"]["raster"]["path"] == str(rgb)
    made(rgb, out, **body, output={"keep_request": True})
    with rasterio.open(out / "result.tif") as dataset:
        tags = dataset.tags()
    assert tags["LANDBRUSH_PROMPT"] == body["prompt"] and str(tmp_path) not in str(tags)
    assert json.loads(tags["LANDBRUSH_REQUEST"])["raster"]["path"] == "rgb.tif"


@pytest.mark.parametrize("keep", [False, True])
def test_a_second_edit_keeps_the_disclosure_of_the_first(rgb, tmp_path, keep):
    first, second, third = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    output = {"area": "layer", "keep_request": keep}
    made(
        rgb,
        first,
        "snow",
        polygons={"geometry": ring(rgb, square(10, 10, 40, 40))},
        prompt="snow",
        output=output,
    )
    made(
        first / "result.tif",
        second,
        "burn",
        polygons={"geometry": ring(rgb, square(100, 100, 140, 140))},
        prompt="burned",
        output=output,
    )
    made(
        second / "result.tif",
        third,
        "fog",
        polygons={"geometry": ring(rgb, square(100, 20, 120, 40))},
        output=output,
    )
    with rasterio.open(third / "result.tif") as dataset, rasterio.open(rgb) as source:
        tags = dataset.tags()
        told = (
            rasterize(
                [shapely.from_wkb(tags["LANDBRUSH_MASK_WKB"])],
                out_shape=dataset.shape,
                transform=dataset.transform,
            )
            > 0
        )
        assert not ((dataset.read() != source.read()).any(axis=0) & ~told).any()
    history = json.loads(tags["LANDBRUSH_HISTORY"])
    assert [record["editor"] for record in history] == ["snow", "burn"] and tags[
        "LANDBRUSH_EDITOR"
    ] == "fog"
    assert [record.get("prompt", "") for record in history] == (
        ["snow", "burned"] if keep else ["", ""]
    )
    assert str(tmp_path) not in str(tags)


def test_folders_in_what_was_asked_before_go_too(rgb, tmp_path):
    """A source of an older version held the whole request; a prompt may name a file."""
    old = {"raster": {"path": "/home/anna/secret plans/a.tif"}}
    with rasterio.open(rgb, "r+") as dataset:
        dataset.update_tags(
            LANDBRUSH_EDITOR="snow",
            LANDBRUSH_REQUEST=json.dumps(old),
            LANDBRUSH_PROMPT="as in /home/anna/b.tif",
        )
    for keep in (True, False):
        made(
            rgb,
            tmp_path / "out",
            polygons={"geometry": ring(rgb, A)},
            prompt="snow as in /home/anna/x/c.tif and/or C:\\Users\\anna\\d.tif",
            output={"keep_request": keep},
        )
        with rasterio.open(tmp_path / "out" / "result.tif") as dataset:
            told = str(dataset.tags())
        assert "anna" not in told and ("c.tif and/or d.tif" in told) == keep, told


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("see \\\\server\\share\\anna\\x.tif end", "see x.tif end"),
        ("from /home/anna/ to here", "from (a folder) to here"),
        ("http://ex.org/a/b and/or 1/2", "http://ex.org/a/b and/or 1/2"),
        ("/data/anna/a.tif", "a.tif"),
    ],
)
def test_folders_go_and_addresses_stay(text, kept):
    from landbrush.server.raster.provenance import without_folders

    assert without_folders(text) == kept and without_folders({"a": [text]}) == {"a": [kept]}
