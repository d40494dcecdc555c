"""Files and wishes that would cost too much end in a sentence before they do."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server.ground import memory
from landbrush.server.ground.errors import CannotEdit, RasterUnreadable
from landbrush.server.raster import doors
from landbrush.server.raster.doors import LARGEST_BLOCK
from landbrush.server.raster.raster import opened, part_side, profile_of
from PIL import Image

from tests.server.conftest import RGB, finished, in_type, inputs, scene, square, write
from tests.server.test_doors import refused, vrt

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "hostile-files"


def huge_tile(path):
    """A GeoTIFF of a few kilobytes whose one tile holds 4 GB."""
    write(path, np.ones((1, 64, 64), np.uint8), tiled=True, blockxsize=64, blockysize=64)
    data = bytearray(path.read_bytes())
    offset = struct.unpack_from("<I", data, 4)[0]
    for entry in range(struct.unpack_from("<H", data, offset)[0]):
        at = offset + 2 + 12 * entry
        tag, kind = struct.unpack_from("<HH", data, at)
        if tag in (322, 323):
            struct.pack_into("<HI" if kind == 3 else "<HI", data, at + 2, 4, 1)
            struct.pack_into("<I", data, at + 8, 65536)
    path.write_bytes(data)
    return path


def test_a_block_of_gigabytes_is_refused_before_it_is_read(client, tmp_path):
    path = huge_tile(tmp_path / "tile.tif")
    assert "blocks of 65,536 x 65,536" in refused(client, path) and LARGEST_BLOCK < 1 << 30
    assert client.post("/rasters", data=path.read_bytes()).status_code == 422


@pytest.mark.parametrize(("count", "place"), [(20_000, "tag"), (20_000, "sidecar")])
def test_a_multitude_of_metadata_is_refused(client, grey, count, place):
    if place == "tag":
        with rasterio.open(grey, "r+") as dataset:
            dataset.update_tags(**{f"K{n}": "v" for n in range(count)})
    else:
        items = "".join(f'<MDI key="K{n}">v</MDI>' for n in range(count))
        Path(f"{grey}.aux.xml").write_text(f"<PAMDataset><Metadata>{items}</Metadata></PAMDataset>")
    assert "items of metadata" in refused(client, grey)


def test_a_multitude_of_bands_is_refused(client, tmp_path):
    path = tmp_path / "bands.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=8,
        height=8,
        count=6000,
        dtype="uint8",
        sparse_ok=True,
        crs="EPSG:32617",
        transform=Affine(0.5, 0, 400000, 0, -0.5, 3285000),
    ):
        pass
    assert "6,000 bands" in refused(client, path)


def test_many_bands_are_copied_in_small_squares(tmp_path):
    path = write(tmp_path / "many.tif", np.ones((420, 8, 8), np.uint16))
    with opened(path) as dataset:
        assert part_side(dataset) == 256


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_that_was_cut_short_is_refused_every_time(client, tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(in_type(scene(3, 160, 160), "uint8").transpose(1, 2, 0)).save(path)
    (tmp_path / f"picture.{'pgw' if suffix == 'png' else 'jgw'}").write_text(
        "0.5\n0\n0\n-0.5\n400000.25\n3284999.75\n"
    )
    with opened(path) as dataset:
        assert dataset.count == 3
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    for _ in range(3):
        assert "cannot be decoded whole" in refused(client, path)
    assert client.post("/rasters", data=path.read_bytes()).status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"transform": Affine(0, 0, 0, 0, 0, 0)},
        {"transform": Affine(float("nan"), 0, 0, 0, -1, 0)},
        {"transform": Affine(1, 1, 0, 1, 1, 0)},
        {"scales": (float("nan"),)},
        {"offsets": (float("inf"),)},
    ],
)
def test_numbers_that_make_no_grid_are_told(tmp_path, change):
    path = write(tmp_path / "n.tif", in_type(scene(1, 64, 64), "uint8"), **change)
    with opened(path) as dataset:
        if (
            dataset.transform == Affine.identity()
            and dataset.scales == (1.0,)
            and dataset.offsets == (0.0,)
        ):
            pytest.skip("GDAL wrote another number")
        with pytest.raises(RasterUnreadable, match=r"pixel grid|scale|offset"):
            profile_of(dataset)


def test_an_edit_above_the_limit_of_memory_is_refused_with_a_sentence(
    client, tmp_path, monkeypatch
):
    path = write(tmp_path / "large.tif", np.zeros((3, 2400, 2400), np.uint8), colorinterp=RGB)
    monkeypatch.setenv(memory.LIMIT, "700")
    big = square(100, 100, 2300, 2300)
    for process in ("snow", "remove"):
        answer = client.post(f"/processes/{process}/execution", json={"inputs": inputs(path, big)})
        said = answer.get_json()["detail"]
        assert (
            answer.status_code == 422
            and "GB of memory" in said
            and "0.7 GB here" in said
            and "Divide" in said
        ), said
    small = client.post(
        "/processes/snow/execution", json={"inputs": inputs(path, square(100, 100, 300, 300))}
    )
    assert (
        small.status_code == 201
        and finished(client, small.get_json()["jobID"])["status"] == "successful"
    )
    monkeypatch.setenv(memory.LIMIT, "plenty")
    assert (
        "not a number of megabytes"
        in client.post("/processes/snow/execution", json={"inputs": inputs(path, big)}).get_json()[
            "detail"
        ]
    )


def test_what_is_allowed_follows_from_the_machine(monkeypatch):
    monkeypatch.delenv(memory.LIMIT, raising=False)
    assert 100_000_000 < memory.limit_bytes() < memory.psutil.virtual_memory().total
    with pytest.raises(CannotEdit, match="This editor needs about"):
        memory.check(memory.limit_bytes(), "This editor")


@pytest.mark.skipif(
    not CASES.is_dir(), reason="the collected hostile files are not on this machine"
)
@pytest.mark.parametrize(
    "name", sorted(p.name for p in CASES.iterdir() if p.suffix != ".md") if CASES.is_dir() else []
)
def test_collected_hostile_files_end_in_a_sentence(client, tmp_path, name):
    path = Path(shutil.copy(CASES / name, tmp_path))
    ways = [{"path": str(path)}]
    answer = client.post("/rasters", data=path.read_bytes())
    assert answer.status_code in (201, 400, 422), answer.get_json()
    if answer.status_code == 201:
        ways.append({"upload": answer.get_json()["upload"]})
    geometry = {"type": "Polygon", "coordinates": [[[10, -10], [30, -10], [30, -30], [10, -10]]]}
    for way in ways:
        answer = client.post(
            "/processes/snow/execution",
            json={"inputs": {"raster": way, "polygons": {"geometry": geometry}}},
        )
        told = answer.get_json()
        if answer.status_code == 201:
            told = finished(client, told["jobID"])
            assert told["status"] == "failed"
        assert "fault of Landbrush" not in str(told) and answer.status_code < 500, told
    assert client.get("/jobs").status_code == 200


@pytest.mark.parametrize(
    "change", ["type of samples", "far offset", "far metadata", "cut", "endless"]
)
def test_headers_that_lie_end_in_a_sentence(client, tmp_path, change):
    """Of a BigTIFF, whose offsets may point anywhere."""
    path = write(tmp_path / "big.tif", np.ones((1, 64, 64), np.uint8), BIGTIFF="YES")
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(A="b")
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<Q", data, 8)[0]
    entries = {
        struct.unpack_from("<H", data, at)[0]: at
        for at in range(first + 8, first + 8 + 20 * struct.unpack_from("<Q", data, first)[0], 20)
    }
    if change == "type of samples":
        struct.pack_into("<H", data, entries[277] + 2, 2)
    elif change == "far offset":
        struct.pack_into("<Q", data, 8, 2**64 - 1)
    elif change == "far metadata":
        struct.pack_into("<Q", data, entries[42112] + 12, 2**63 - 1)
    elif change == "endless":
        struct.pack_into("<Q", data, first + 8 + 20 * len(entries), first)
    path.write_bytes(data[: len(data) // 3] if change == "cut" else data)
    answer = client.post("/rasters", data=path.read_bytes())
    assert answer.status_code in (201, 422), answer.get_json()


def test_each_file_of_a_mosaic_is_looked_at_once(tmp_path, grey, monkeypatch):
    """Six small files, each naming the next five times, are six looks and not fifteen thousand."""
    from landbrush.server.raster import references

    looks = []
    plain = references.named_in
    monkeypatch.setattr(doors, "named_in", lambda path: looks.append(path.name) or plain(path))
    (tmp_path / "c0.vrt").write_text(vrt("grey.tif", "1"))
    for number in range(1, 6):
        text = vrt(f"c{number - 1}.vrt", "1")
        source = text[
            text.index("<SimpleSource>") : text.index("</SimpleSource>") + len("</SimpleSource>")
        ]
        (tmp_path / f"c{number}.vrt").write_text(text.replace(source, source * 5))
    with opened(tmp_path / "c5.vrt", (tmp_path,)) as dataset:
        assert dataset.shape == (160, 160)
    assert sorted(looks) == ["c0.vrt", "c1.vrt", "c2.vrt", "c3.vrt", "c4.vrt", "c5.vrt", "grey.tif"]


@pytest.mark.parametrize(
    "name", ["grey.IMD", "grey.RPB", "grey_RPC.TXT", "grey.aux", "grey.tif.aux"]
)
def test_what_never_ends_beside_a_raster_is_not_opened(grey, name):
    os.mkfifo(grey.parent / name)
    with pytest.raises(RasterUnreadable, match="neither a file nor a folder"), opened(grey):
        pass


def test_of_two_tags_the_first_counts_as_for_gdal(tmp_path):
    path = write(tmp_path / "two.tif", np.ones((1, 64, 64), np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**{f"K{n}": "v" for n in range(20_000)})
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    entries = bytes(data[first + 2 : first + 2 + 12 * count])
    at = next(n for n in range(count) if struct.unpack_from("<H", entries, 12 * n)[0] == 42112)
    extra = struct.pack("<HHII", 42112, 2, 4, 0x00006100)
    block = (
        struct.pack("<H", count + 1)
        + entries[: 12 * (at + 1)]
        + extra
        + entries[12 * (at + 1) :]
        + bytes(4)
    )
    struct.pack_into("<I", data, 4, len(data))
    path.write_bytes(data + block)
    with pytest.raises(RasterUnreadable, match="items of metadata"), opened(path):
        pass
