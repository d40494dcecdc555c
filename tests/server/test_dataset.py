"""The dataset builder: Algorithm 1's counts and ground sizes, prompts, provenance, and that a
stopped build goes on."""

from __future__ import annotations

import hashlib
import json
import tarfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server import __main__
from landbrush.server.dataset.build import DatasetConfig, build
from landbrush.server.dataset.cuts import SIDE, nested, tiles
from landbrush.server.dataset.shards import tars
from landbrush.server.ground.errors import BadRequest, ServerError
from landbrush.server.raster.raster import profile_of
from landbrush.server.training import captioned
from PIL import Image

from tests.conftest import DATA
from tests.server.conftest import RGB, in_type, scene, write


def listed(output):
    return [json.loads(line) for line in (output / "metadata.jsonl").read_text().splitlines()]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    write(
        folder / "large.tif",
        in_type(scene(3, 1100, 1300), "uint8"),
        colorinterp=RGB,
        transform=Affine(0.3, 0, 4e5, 0, -0.3, 3.2e6),
    )
    write(
        folder / "small.tif",
        in_type(scene(3, 260, 300), "uint16"),
        colorinterp=RGB,
        transform=Affine(10, 0, 4e5, 0, -10, 3.2e6),
    )
    Image.fromarray(np.full((256, 320, 3), 90, np.uint8)).save(folder / "deep" / "plain.png")
    (folder / "deep" / "plain.txt").write_text("an empty field")
    return folder


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ((512, 512), 1),
        ((1024, 1024), 4),
        ((1300, 1100), 4),
        ((5000, 5000), 81),
        ((511, 4000), 1),
        ((256, 256), 1),
    ],
)
def test_counts_of_algorithm_one(size, count):
    cuts = tiles(*size)
    assert len(cuts) == count
    seen = np.zeros((size[1], size[0]), int)
    for cut in cuts:
        rows, cols = cut.box.slices
        seen[rows, cols] += 1
    assert seen.max() == 1 and all(
        cut.box.width == cut.box.height == min(SIDE, *size) for cut in cuts
    )


def test_nested_crops_have_the_papers_ground_sizes():
    """5000 px at 0.3 m: 4096, 2048, 1024, 512 pixels, so 2.4, 1.2, 0.6, 0.3 m (MMM-RS, section
    3.5)."""
    cuts = nested(5000, 5000)
    assert [cut.box.width for cut in cuts] == [4096, 2048, 1024, 512]
    assert [round(0.3 * cut.scale, 6) for cut in cuts] == [2.4, 1.2, 0.6, 0.3]
    for outer, inner in zip(cuts, cuts[1:], strict=False):
        assert inner.box.clipped(outer.box) == inner.box
    assert nested(600, 600) == []


def test_what_is_built_and_where_it_came_from(source, tmp_path):
    output = tmp_path / "out"
    counts = build(
        source,
        output,
        DatasetConfig(
            gsd_m=2.0, licence="public domain", parts={"modality": "RGB", "satellite": "GF2"}
        ),
    )
    assert (counts.sources, counts.samples, counts.refused) == (3, 4 + 1 + 1, 0)
    rows = {row["file_name"]: row for row in listed(output)}
    assert len(rows) == 6
    for row in rows.values():
        with Image.open(output / row["file_name"]) as picture:
            assert picture.size == (SIDE, SIDE) and picture.mode == "RGB"
        assert (
            row["source_sha256"]
            == hashlib.sha256((source / row["source"]).read_bytes()).hexdigest()
        )
        assert row["licence"] == "public domain"
    large = [row for row in rows.values() if row["source"] == "large.tif"]
    with rasterio.open(source / "large.tif") as dataset_:
        gsd = profile_of(dataset_).gsd_m
        for row in large:
            assert (
                row["gsd_m"] == pytest.approx(gsd)
                and row["crs"] == "EPSG:32617"
                and not row["enlarged_by"]
            )
            col, line, width, height = row["window"]
            assert Affine(*row["transform"]) @ (0, 0) == pytest.approx(
                dataset_.transform @ (col, line)
            )
            pixels = dataset_.read(
                window=rasterio.windows.Window(col, line, width, height)
            ).transpose(1, 2, 0)
            with Image.open(output / row["file_name"]) as picture:
                assert np.abs(np.asarray(picture).astype(int) - pixels).max() <= 1
    small = next(row for row in rows.values() if row["source"] == "small.tif")
    assert (
        small["gsd_m"] == pytest.approx(10 * 260 / 512, rel=2e-3)
        and small["enlarged_by"] == "bicubic"
    )
    assert Affine(*small["transform"]).a == pytest.approx(10 * 260 / 512)
    plain = next(row for row in rows.values() if row["source"] == "deep/plain.png")
    assert (
        plain["text"] == "RGB, High precision resolution, an empty field, GF2"
        and plain["crs"] is None
    )
    assert plain["gsd_m"] == 1.0 and plain["window"] == [32, 0, 256, 256]


def test_a_stopped_build_goes_on_and_nothing_is_twice(source, tmp_path):
    output, said = tmp_path / "out", []

    def stop(text):
        said.append(text)
        if len(said) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(source, output, DatasetConfig(), stop)
    with (output / "metadata.jsonl").open("a") as out:  # as if it had ended between list and ledger
        out.write(json.dumps({"file_name": "images/x.png", "source_sha256": "half-done"}) + "\n")
    counts = build(source, output, DatasetConfig())
    assert counts.before > 0 and counts.before + counts.samples == 6
    names = [row["file_name"] for row in listed(output)]
    assert len(names) == len(set(names)) == 6
    assert build(source, output, DatasetConfig()).samples == 0
    with pytest.raises(BadRequest, match="other settings"):
        build(source, output, DatasetConfig(nested=True))


def test_a_line_cut_off_a_lost_picture_and_an_output_among_the_sources(source, tmp_path):
    output = source / "dataset"
    assert (
        build(source, output, DatasetConfig()).samples == 6
        and build(source, output, DatasetConfig()).sources == 3
    )
    for name in ("metadata.jsonl", "built.jsonl"):
        with (output / name).open("a") as out:
            out.write('{"file_name": "imag')
    (output / listed_whole(output)[0]["file_name"]).unlink()
    counts = build(source, output, DatasetConfig())
    assert counts.before + counts.samples == 6 and counts.samples >= 1
    assert all((output / row["file_name"]).is_file() for row in listed(output))
    assert len(tars(output, 1)) == 6 and len(tars(output, 4)) == 2
    assert len(list(output.glob("shard-*.tar"))) == 2


def test_what_lies_there_is_counted_again(source, tmp_path):
    output = tmp_path / "out"

    def disturb(text):
        if "4 samples" in text:
            next((output / "images").iterdir()).unlink()

    with pytest.raises(
        ServerError,
        match="6 samples were made or found, and there are 6 listed, 6 in the ledger, 5 pictures",
    ):
        build(source, output, DatasetConfig(), disturb)
    assert build(source, output, DatasetConfig()).samples in (
        1,
        4,
    )  # of the source whose picture was lost
    assert len(listed(output)) == 6


def listed_whole(output):
    return [json.loads(line) for line in (output / "metadata.jsonl").read_text().splitlines()[:-1]]


def test_a_float_raster_with_a_hole_keeps_its_tone(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    values = in_type(scene(3, 520, 520), "float32")
    values[1, 5, 7] = np.nan
    write(folder / "a.tif", values, colorinterp=RGB)
    build(folder, tmp_path / "out", DatasetConfig())
    with Image.open(tmp_path / "out" / listed(tmp_path / "out")[0]["file_name"]) as picture:
        assert np.asarray(picture).mean() > 60


def test_nodata_and_broken_sources_are_counted(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    values = in_type(scene(3, 512, 1024), "uint8")
    values[:, :, :512] = 0
    write(folder / "half.tif", values, nodata=0)
    (folder / "broken.tif").write_bytes(b"no raster")
    said = []
    counts = build(folder, tmp_path / "out", DatasetConfig(), said.append)
    assert (counts.samples, counts.empty, counts.refused) == (1, 1, 1) and any(
        "broken.tif: left out" in text for text in said
    )
    (tmp_path / "none").mkdir()
    with pytest.raises(BadRequest, match="holds neither rasters"):
        build(tmp_path / "none", tmp_path / "o", DatasetConfig())


def test_the_command_and_what_training_reads(source, tmp_path, capsys):
    output = tmp_path / "out"
    assert (
        __main__.main(
            [
                "dataset",
                "build",
                "--source",
                str(source),
                "--output",
                str(output),
                "--nested",
                "--gsd",
                "1",
                "--weather",
                "snow",
                "--webdataset",
                "4",
                "--enlarge",
                "bicubic",  # the network has a test of its own, and is slow
            ]
        )
        == 0
    )
    assert "3 sources: 8 samples made" in capsys.readouterr().out
    read = captioned.read(output)
    assert len(read) == 8 and all("snow" in one.caption for one in read)
    assert sorted({round(row["gsd_m"], 1) for row in listed(output) if row["nested"]}) == [0.3, 0.6]
    with tarfile.open(output / "shard-00000.tar") as tar:
        names = tar.getnames()
        assert len(names) == 12 and {name.split(".")[-1] for name in names} == {
            "png",
            "txt",
            "json",
        }
    assert (
        __main__.main(
            [
                "dataset",
                "build",
                "--source",
                str(source),
                "--output",
                str(output),
                "--most-nodata",
                "2",
            ]
        )
        == 1
    )


@pytest.mark.skipif(not DATA.is_dir(), reason="needs imagery (LANDBRUSH_DATA)")
def test_real_tiles_agree_with_a_hand_count(tmp_path):
    """Joplin before: four rasters of 1024 x 1024, so 16 tiles. UC Merced's tennis courts for
    testing: 20 pictures, most of 256 pixels, some of 247."""
    counts = build(
        DATA / "joplin_tornado_geotiff" / "input" / "pre",
        tmp_path / "joplin",
        DatasetConfig(most_nodata=1.0),
    )
    assert (counts.sources, counts.samples) == (4, 16)
    counts = build(
        DATA / "ucmerced_jpg" / "test" / "tenniscourt",
        tmp_path / "ucm",
        DatasetConfig(gsd_m=0.3048),
    )
    assert (counts.sources, counts.samples) == (20, 20)
    assert {round(row["gsd_m"], 4) for row in listed(tmp_path / "ucm")} == {0.147, 0.1524}
