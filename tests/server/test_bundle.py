"""A raster sent with the files beside it gives what it gives by path."""

import io
import zipfile

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.bundle import is_beside
from PIL import Image

from tests.server.conftest import finished, in_type, inputs, scene, square, write

SEVEN = (
    "<PAMRasterBand band='1'><NoDataValue>7</NoDataValue><Description>Blue</Description>"
    "</PAMRasterBand>"
)
PIXELS = square(40, 60, 100, 100)


def with_mask(folder):
    path = write(folder / "m.tif", in_type(scene(3, 160, 160), "uint8"))
    mask = np.full((160, 160), 255, "uint8")
    mask[:78] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    assert (folder / "m.tif.msk").is_file()
    return path


def with_names(folder):
    path = write(folder / "n.tif", in_type(scene(1, 160, 160), "uint8"))
    (folder / "n.tif.aux.xml").write_text(f"<PAMDataset>{SEVEN}</PAMDataset>")
    return path


def with_world_file(folder):
    values = in_type(scene(3, 160, 160), "uint8")
    Image.fromarray(values.transpose(1, 2, 0)).save(folder / "p.png")
    (folder / "p.pgw").write_text("0.5\n0\n0\n-0.5\n400000.25\n3284999.75\n")
    (folder / "p.png.aux.xml").write_text("<PAMDataset><SRS>EPSG:32617</SRS></PAMDataset>")
    return folder / "p.png"


def zipped(path, *names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names or (
            path.name,
            *(p.name for p in sorted(path.parent.iterdir()) if is_beside(p.name, path.name)),
        ):
            archive.write(path.parent / name, name)
    return stream.getvalue()


def sent(client, data):
    return client.post("/rasters", data=data, content_type="application/zip")


def result_of(client, wanted, folder):
    started = client.post("/processes/snow/execution", json={"inputs": wanted}).get_json()
    info = finished(client, started["jobID"])
    assert info["status"] == "successful", info["message"]
    path = folder / f"{info['jobID']}.tif"
    path.write_bytes(client.get(f"/jobs/{info['jobID']}/results/result.tif").data)
    with rasterio.open(path) as dataset:
        about = dataset.crs, dataset.transform, dataset.nodata, dataset.descriptions
        return about, dataset.read(), dataset.dataset_mask()


@pytest.mark.parametrize("make", [with_mask, with_names, with_world_file])
def test_the_same_by_path_and_as_a_zip(client, tmp_path, make):
    path = make(tmp_path)
    wanted = inputs(path, PIXELS)
    answer = sent(client, zipped(path))
    assert answer.status_code == 201, answer.get_json()
    first = result_of(client, wanted, tmp_path)
    second = result_of(
        client, {**wanted, "raster": {"upload": answer.get_json()["upload"]}}, tmp_path
    )
    assert first[0] == second[0]
    assert np.array_equal(first[1], second[1]) and np.array_equal(first[2], second[2])


def test_a_zip_of_a_raster_alone_is_taken(client, tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"))
    assert sent(client, zipped(path)).status_code == 201


@pytest.mark.parametrize(
    "members, sentence",
    [
        ({"a.tif": b"II*\0", "b.txt": b""}, "not one of the files beside 'a.tif'"),
        ({"../a.tif": b"II*\0"}, "no plain file name"),
        ({"x/a.tif": b"II*\0"}, "no plain file name"),
        ({"/etc/a.tif": b"II*\0"}, "no plain file name"),
        ({"a.tif": b"nothing"}, "cannot be read"),
        ({f"a{n}.tif": b"" for n in range(13)}, "13 files"),
        ({}, "0 files"),
        ({"a.tif": b"\0" * 30_000_000}, "more than 20,000,000 bytes"),
    ],
)
def test_other_zips_are_refused_and_leave_nothing(
    client, settings, tmp_path, members, sentence, app
):
    services = app.extensions["landbrush"]
    object.__setattr__(services.settings, "upload_limit_mb", 20)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    answer = sent(client, stream.getvalue())
    assert answer.status_code in (400, 413, 422), answer.get_json()
    left = list(settings.uploads.iterdir()) if settings.uploads.is_dir() else []
    assert not left
    if members:
        assert sentence in answer.get_json()["detail"]


def test_what_lies_beside_cannot_point_elsewhere(client, tmp_path, settings):
    secret = write(tmp_path / "secret.tif", in_type(scene(1, 160, 160), "uint8"))
    path = write(tmp_path / "a.tif", in_type(scene(1, 160, 160), "uint8"))
    (tmp_path / "a.tif.aux.xml").write_text(
        f"<PAMDataset><Metadata domain='OVERVIEWS'><MDI key='OVERVIEW_FILE'>{secret}</MDI>"
        "</Metadata></PAMDataset>"
    )
    answer = sent(client, zipped(path))
    assert answer.status_code in (403, 422) and not list(settings.uploads.iterdir())


@pytest.mark.parametrize(
    "name, beside",
    [
        ("a.tif.msk", True), ("a.tif.aux.xml", True), ("a.tfw", True), ("A.TFW", True),
        ("a.prj", True), ("a.tif.prj", True), ("b.tfw", False), ("a.tif", False), ("a.txt", False),
        ("a.tif.ovr", False), ("aa.tif.msk", False),
    ],
)  # fmt: skip
def test_what_lies_beside(name, beside):
    assert is_beside(name, "a.tif") is beside
