"""Results of earlier edits over the raster: the next edit is made of what is seen then, in one file
on the same grid, and says what all of them changed."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely
from landbrush.server.contract.message import ContractError
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.editors.models import Models
from landbrush.server.editors.registry import Editors
from landbrush.server.ground.errors import BadRequest, PromiseBroken
from landbrush.server.promise import layers
from landbrush.server.raster import composed
from landbrush.server.raster.rasters import Rasters

from tests.server.conftest import finished, in_type, inputs, ring, scene, square, write

FIRST, SECOND, THIRD = (20, 20, 60, 60), (70, 30, 110, 70), (50, 80, 90, 110)


def made(path, folder, pixels, over=(), editor="snow", **output):
    folder.mkdir()
    request = EditRequest.from_json(
        {
            "raster": {"path": str(path)},
            "polygons": {"geometry": ring(path, square(*pixels))},
            "over": [{"path": str(one)} for one in over],
            "output": output,
        }
    )
    job = Job(request, editor, Rasters(path, over=tuple(over)))
    manifest = edit(job, Editors(Models(folder / "home")), folder, lambda *_: None)
    assert not (folder / composed.COMPOSED).exists()
    return folder / "result.tif", manifest


def window_of(base, result):
    col, row = ~base.transform @ (result.transform.c, result.transform.f)
    return rasterio.windows.Window(round(col), round(row), result.width, result.height)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_edits_add_up_in_one_layer(tmp_path, kind):
    path = write(tmp_path / "base.tif", in_type(scene(3, 150, 160), kind))
    first, _ = made(path, tmp_path / "a", FIRST)
    second, _ = made(path, tmp_path / "b", SECOND, [first], "fog")
    third, manifest = made(path, tmp_path / "c", THIRD, [first, second], "burn", area="layer")
    gate = manifest.gate
    assert gate.pixels_outside_different == 0 and gate.affine_equal and gate.crs_equal
    with rasterio.open(path) as base, rasterio.open(third) as whole:
        assert whole.transform == base.transform and whole.shape == base.shape
        wanted = base.read()
        for one in (first, second):
            with rasterio.open(one) as result:
                rows, cols = window_of(base, result).toslices()
                wanted[:, rows, cols] = result.read()
        found = whole.read()
        inside = np.zeros(base.shape, bool)
        inside[80:110, 50:90] = True
        assert (found[:, ~inside] == wanted[:, ~inside]).all()
        assert (found[:, inside] != wanted[:, inside]).any()
        # Each of the three is told, with its place.
        mask = shapely.from_wkb(whole.tags()["LANDBRUSH_MASK_WKB"])
        for pixels in (FIRST, SECOND, THIRD):
            corner = base.transform @ ((pixels[0] + pixels[2]) / 2, (pixels[1] + pixels[3]) / 2)
            assert mask.contains(shapely.Point(corner))
        assert "snow" in whole.tags()["LANDBRUSH_HISTORY"]
        assert "fog" in whole.tags()["LANDBRUSH_HISTORY"]


def test_without_earlier_results_nothing_is_composed(tmp_path, rgb):
    plain, _ = made(rgb, tmp_path / "a", FIRST)
    with composed.composed(Rasters(rgb), tmp_path) as rasters:
        assert rasters.raster == rgb and rasters.beneath is None
    with rasterio.open(plain) as result:
        assert "LANDBRUSH_HISTORY" not in result.tags() or result.tags()["LANDBRUSH_HISTORY"]


def test_a_result_of_another_raster_is_refused(tmp_path, rgb):
    def refused(path):
        with pytest.raises(BadRequest, match="was not made from this raster") as error:
            made(rgb, tmp_path / path.stem, FIRST, [path])
        return str(error.value)

    with rasterio.open(rgb) as base:
        whole, profile, affine = base.read(), base.profile, base.transform
    small = {"width": 40, "height": 40, "driver": "GTiff"}
    odd = {
        "bands": ({"count": 1}, whole[:1, :40, :40]),
        "type": ({"dtype": "uint16"}, whole[:, :40, :40].astype("uint16")),
        "crs": ({"crs": "EPSG:32618"}, whole[:, :40, :40]),
        "size": ({"transform": affine * affine.scale(2)}, whole[:, :40, :40]),
        "grid": ({"transform": affine * affine.translation(0.5, 0)}, whole[:, :40, :40]),
        "extent": ({"transform": affine * affine.translation(-3, 0)}, whole[:, :40, :40]),
    }
    said = {}
    for name, (change, pixels) in odd.items():
        path = tmp_path / f"{name}.tif"
        with rasterio.open(path, "w", **{**profile, **small, **change}) as out:
            out.write(pixels)
        said[name] = refused(path)
    assert "number of bands (1 instead of 3)" in said["bands"]
    assert "type of pixels" in said["type"] and "CRS" in said["crs"]
    assert "size of a pixel" in said["size"] and "grid" in said["grid"]
    assert "reaches out" in said["extent"]


def test_the_judge_reads_the_files_for_itself(tmp_path, rgb, monkeypatch):
    first, _ = made(rgb, tmp_path / "a", FIRST)
    real = composed._source

    def wrong(path, band, box):
        return real(path, band, type(box)(box.col + 1, box.row, box.width, box.height))

    monkeypatch.setattr(composed, "_source", wrong)
    with pytest.raises(PromiseBroken, match="are not those of the files"):
        made(rgb, tmp_path / "b", SECOND, [first])
    assert not (tmp_path / "b" / "result.tif").exists()


def test_what_is_composed_is_counted_by_bits(tmp_path):
    values = np.full((1, 40, 40), np.nan, "float32")
    base, over = write(tmp_path / "a.tif", values), write(tmp_path / "b.tif", values)
    with rasterio.open(base) as same:
        assert layers.composition_faults(same, base, [over], (0, 0, 40, 40)) == []
    other = write(tmp_path / "c.tif", np.where(np.arange(40) < 3, 0.0, values).astype("float32"))
    with rasterio.open(other) as wrong:
        said = layers.composition_faults(wrong, base, [over], (0, 0, 40, 40))
    assert said and said[0].startswith("120 pixels")


def test_over_http(client, tmp_path, rgb):
    """By path and by upload, in workers; the manifest's request makes the same again."""
    first, _ = made(rgb, tmp_path / "a", FIRST)
    sent = client.post("/rasters", data=first.read_bytes(), content_type="image/tiff")
    over = [{"upload": sent.get_json()["upload"]}]
    digests = []
    for named in (over, [{"path": str(first)}]):
        body = {"inputs": inputs(rgb, square(*SECOND), over=named)}
        job = client.post("/processes/snow/execution", json=body)
        assert job.status_code == 201, job.get_json()
        job_id = job.get_json()["jobID"]
        assert finished(client, job_id)["status"] == "successful"
        manifest = client.get(f"/jobs/{job_id}/results/manifest.json").get_json()
        digests.append(manifest["gate"]["sha256_result"])
        assert manifest["request"]["over"] == named
    assert digests[0] == digests[1]
    body["inputs"]["over"] = [{"path": "/etc/hostname"}]
    assert client.post("/processes/snow/execution", json=body).status_code == 403


def test_too_many_are_refused():
    body = {
        "raster": {"path": "a"},
        "polygons": {
            "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
        },
        "over": [{"path": str(k)} for k in range(501)],
    }
    with pytest.raises(ContractError, match="501 results"):
        EditRequest.from_json(body)
