"""Two dates of one ground as tiles: registered, split by place, resumable; published layouts."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
import rasterio
from landbrush.server import __main__
from landbrush.server.dataset import bitemporal
from landbrush.server.ground.errors import BadRequest
from landbrush.server.training import journal
from landbrush.server.training.data import layouts
from PIL import Image
from scipy import ndimage

from tests.server.conftest import RGB, in_type, scene, write

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("home")]


@pytest.fixture
def dates(tmp_path):
    """A raster and the same ground later, 2.4 pixels further down and 1.3 to the left of where it
    belongs, in other light."""
    rng = np.random.default_rng(3)
    ground = ndimage.gaussian_filter(rng.random((3, 340, 460)), (0, 1.5, 1.5))
    ground = (ground - ground.min()) / np.ptp(ground)
    before = (40 + 180 * ground[:, 20:320, 20:420]).astype(np.uint8)
    moved = np.stack([ndimage.shift(band, (2.4, -1.3), order=3, mode="nearest") for band in ground])
    after = (20 + 120 * moved[:, 20:320, 20:420]).astype(np.uint8)
    return write(tmp_path / "2010.tif", before, colorinterp=RGB), write(
        tmp_path / "2020.tif", after, colorinterp=RGB
    )


def test_two_dates_become_tiles_that_lie_on_one_another(dates, tmp_path):
    told = []
    counts = bitemporal.tiles(
        *dates, tmp_path / "out", bitemporal.PairConfig(64, "it grew darker"), told.append
    )
    assert counts == {"train": 16, "val": 4, "test": 4}
    moved = [float(number) for number in re.findall(r"\d+\.\d\d", told[0])[:2]]
    assert (
        moved == pytest.approx([2.4, 1.3], abs=0.06)
        and "up and" in told[0]
        and "to the right" in told[0]
    ), told
    lines = journal.lines(tmp_path / "out" / "pairs.jsonl")
    assert [line["caption"] for line in lines] == ["it grew darker"] * 24
    likeness = []
    for line in lines:
        first, second = (
            np.asarray(Image.open(tmp_path / "out" / line[key])).astype(float)
            for key in ("before", "after")
        )
        likeness.append(np.corrcoef(first[4:-4, 4:-4].ravel(), second[4:-4, 4:-4].ravel())[0, 1])
        with rasterio.open(dates[0]) as dataset:
            col, row, width, height = line["window"]
            pixels = dataset.read(
                window=rasterio.windows.Window(col, row, width, height)
            ).transpose(1, 2, 0)
            assert np.abs(first - pixels).max() <= 1
    assert min(likeness) > 0.97
    # By place: everything that is tested on lies right of what is trained on, and no two tiles
    # overlap.
    edges = {
        part: [line["window"][0] for line in lines if line["part"] == part]
        for part in bitemporal.PARTS
    }
    assert max(edges["train"]) < min(edges["val"]) and max(edges["val"]) < min(edges["test"])
    assert len({tuple(line["window"]) for line in lines}) == 24


def test_a_stopped_build_goes_on(dates, tmp_path, monkeypatch):
    wish, written = bitemporal.PairConfig(64, register=False), bitemporal.files.written
    calls = []

    def stop(pixels, path):
        calls.append(path)
        if len(calls) == 9:
            raise KeyboardInterrupt
        written(pixels, path)

    monkeypatch.setattr(bitemporal.files, "written", stop)
    with pytest.raises(KeyboardInterrupt):
        bitemporal.tiles(*dates, tmp_path / "out", wish)
    monkeypatch.setattr(bitemporal.files, "written", written)
    assert len(layouts.read(tmp_path / "out")) == 4
    assert sum(bitemporal.tiles(*dates, tmp_path / "out", wish).values()) == 24
    lines = journal.lines(tmp_path / "out" / "pairs.jsonl")
    assert all(
        hashlib.sha256((tmp_path / "out" / line["after"]).read_bytes()).hexdigest()
        == line["tile_sha256"]["after"]
        for line in lines
    )


def test_the_same_pair_is_not_made_twice_and_nodata_is_left_out(dates, tmp_path):
    wish = bitemporal.PairConfig(64, register=False)
    first = bitemporal.tiles(*dates, tmp_path / "out", wish)
    assert bitemporal.tiles(*dates, tmp_path / "out", wish) == first
    values = rasterio.open(dates[1]).read()
    values[:, :, :200] = 0
    holed = write(tmp_path / "holed.tif", values, colorinterp=RGB, nodata=0)
    counts = bitemporal.tiles(dates[0], holed, tmp_path / "other", wish)
    assert sum(counts.values()) == 8
    with pytest.raises(BadRequest, match="holds tiles of 64 pixels"):
        bitemporal.tiles(*dates, tmp_path / "out", bitemporal.PairConfig(32, register=False))
    # A raster that begins elsewhere has its parts elsewhere: what would be tested and trained on
    # both is left out.
    with rasterio.open(dates[0]) as source:
        window = rasterio.windows.Window(140, 0, 260, 200)
        part = write(
            tmp_path / "part.tif",
            source.read(window=window),
            colorinterp=RGB,
            crs=source.crs,
            transform=source.window_transform(window),
        )
    bitemporal.tiles(part, dates[1], tmp_path / "out", wish)
    lines = journal.lines(tmp_path / "out" / "pairs.jsonl")
    assert len(lines) > 24
    for line in lines:
        mine = bitemporal._footprint(line)
        for other in lines:
            theirs = bitemporal._footprint(other)
            if other["part"] != line["part"]:
                assert not (
                    mine[0] < theirs[2]
                    and theirs[0] < mine[2]
                    and mine[1] < theirs[3]
                    and theirs[1] < mine[3]
                )
    black = write(tmp_path / "black.tif", values, colorinterp=RGB)
    assert sum(bitemporal.tiles(dates[0], black, tmp_path / "third", wish).values()) == 8
    far = write(
        tmp_path / "far.tif",
        values,
        colorinterp=RGB,
        transform=rasterio.Affine(1, 0, 9e5, 0, -1, 100),
    )
    with pytest.raises(BadRequest, match="share no square"):
        bitemporal.tiles(dates[0], far, tmp_path / "none", wish)


def test_the_command_and_what_it_refuses(dates, tmp_path, capsys):
    assert (
        __main__.main(
            [
                "dataset",
                "bitemporal",
                "--before",
                str(dates[0]),
                "--after",
                str(dates[1]),
                "--side",
                "96",
                "--output",
                str(tmp_path / "out"),
                "--caption",
                "x",
            ]
        )
        == 0
    )
    assert "to train" in capsys.readouterr().out
    assert len(layouts.read(tmp_path / "out")) == 12
    assert (
        __main__.main(
            ["dataset", "bitemporal", "--before", str(dates[0]), "--output", str(tmp_path / "out")]
        )
        == 1
    )
    assert "--before and --after, or --abcd" in capsys.readouterr().err
    assert (
        __main__.main(
            [
                "dataset",
                "bitemporal",
                "--before",
                str(dates[0]),
                "--after",
                str(dates[1]),
                "--val",
                "0.6",
                "--test",
                "0.5",
                "--output",
                str(tmp_path / "out"),
            ]
        )
        == 1
    )


def test_abcds_patches(tmp_path):
    (tmp_path / "patch-pairs").mkdir()
    for name in ("a", "b", "c"):
        write(
            tmp_path / "patch-pairs" / f"{name}.tif",
            np.concatenate([in_type(scene(3, 40, 40, n), "uint8") for n in (1, 2)]),
        )
    (tmp_path / "5fold-list").mkdir()
    (tmp_path / "5fold-list" / "cv1-train.csv").write_text("a.tif,1\nb.tif,0\n")
    (tmp_path / "5fold-list" / "cv1-test.csv").write_text("c.tif, 1\n")
    assert (
        __main__.main(
            ["dataset", "bitemporal", "--abcd", str(tmp_path), "--output", str(tmp_path / "out")]
        )
        == 0
    )
    found = layouts.read(tmp_path / "out")
    told = [(pair.caption.split()[2], pair.part) for pair in found]
    assert told == [("washed", "train"), ("left", "train"), ("washed", "test")]
    assert np.array_equal(
        np.asarray(Image.open(found[0].path)),
        in_type(scene(3, 40, 40, 2), "uint8").transpose(1, 2, 0),
    )
