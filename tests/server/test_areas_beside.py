"""Edited areas that are too many for a tag lie beside the result, each with what made it."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from landbrush.server.contract.bundle import AREAS_END
from landbrush.server.contract.jobs import AREAS_FILE
from landbrush.server.raster import disclosure
from landbrush.server.raster.inspection import inspected
from landbrush.server.raster.vectors import read_vectors
from rasterio.features import rasterize

from tests.server.conftest import finished, inputs, ring, square
from tests.server.edits import made, many
from tests.server.test_bundle import result_of, sent, zipped

SQUARES = [square(c, r, c + 6, r + 6) for c in (20, 40, 60, 80) for r in (20, 40, 60)]


@pytest.fixture
def short_tags(monkeypatch):
    monkeypatch.setattr(disclosure, "LONGEST_TAG", 600)


def covered(shapes, dataset):
    found = rasterize(list(shapes), out_shape=dataset.shape, transform=dataset.transform)
    return found > 0


def first_edit(rgb, folder, **more):
    layer = {"area": "layer", **more.pop("output", {})}
    return made(
        rgb, folder, polygons={"geometry": many(rgb, *SQUARES)}, prompt="snow", output=layer, **more
    )


def test_exactly_what_was_edited_lies_beside(rgb, tmp_path, short_tags):
    first_edit(rgb, tmp_path / "1")
    found = read_vectors(tmp_path / "1" / AREAS_FILE, fields=True)
    assert len(found.shapes) == len(SQUARES)
    assert set(found.fields["editor"]) == {"snow"} and set(found.fields["prompt"]) == {""}
    with rasterio.open(rgb) as before, rasterio.open(tmp_path / "1" / "result.tif") as after:
        changed = (before.read() != after.read()).any(axis=0)
        inside = covered(found.shapes, after)
        assert changed.any() and not (changed & ~inside).any() and inside.sum() == 12 * 36
        # Whoever has the file alone is told of more ground, never of less.
        tags = after.tags()
        assert tags["LANDBRUSH_MASK_FILE"].endswith(f"{AREAS_END} behind it")
        assert not (inside & ~covered([shapely.from_wkb(tags["LANDBRUSH_MASK_WKB"])], after)).any()


def test_a_short_mask_stays_in_the_tag(rgb, tmp_path):
    first_edit(rgb, tmp_path / "1")
    assert not (tmp_path / "1" / AREAS_FILE).exists()
    with rasterio.open(tmp_path / "1" / "result.tif") as after:
        assert "LANDBRUSH_MASK_FILE" not in after.tags()


@pytest.mark.parametrize("lost", [False, True])
def test_a_second_edit_keeps_the_areas_of_the_first(rgb, tmp_path, short_tags, lost):
    first_edit(rgb, tmp_path / "1", output={"keep_request": True})
    if lost:
        (tmp_path / "1" / AREAS_FILE).unlink()
    made(
        tmp_path / "1" / "result.tif",
        tmp_path / "2",
        "burn",
        polygons={"geometry": ring(rgb, square(100, 90, 130, 110))},
        output={"area": "layer", "keep_request": True},
    )
    told = inspected(tmp_path / "2" / "result.tif")
    assert [edit["editor"] for edit in told.edits] == ["snow", "burn"] and told.synthetic
    with rasterio.open(rgb) as before, rasterio.open(tmp_path / "2" / "result.tif") as after:
        changed = (before.read() != after.read()).any(axis=0)
        area = covered([shapely.geometry.shape(told.area)], after)
        assert not (changed & ~area).any()
    if not lost:
        found = read_vectors(tmp_path / "2" / AREAS_FILE, fields=True)
        assert list(zip(found.fields["edit"], found.fields["editor"], strict=True)).count(
            ("1", "snow")
        ) == len(SQUARES)
        assert ("2", "burn") in zip(found.fields["edit"], found.fields["editor"], strict=True)
        assert "snow" in found.fields["prompt"]


def test_areas_of_another_crs_are_not_taken(rgb, tmp_path, short_tags):
    first_edit(rgb, tmp_path / "1")
    with rasterio.open(tmp_path / "1" / "result.tif", "r+") as dataset:
        dataset.crs = "EPSG:32618"
    told = inspected(tmp_path / "1" / "result.tif")
    assert told.area["type"] == "Polygon"  # the tag's


@pytest.mark.in_process
def test_areas_come_over_http_and_go_back_in_a_zip(client, rgb, tmp_path, short_tags):
    body = {**inputs(rgb), "polygons": {"geometry": many(rgb, *SQUARES)}}
    body["output"] = {"area": "layer"}
    started = client.post("/processes/snow/execution", json={"inputs": body}).get_json()
    info = finished(client, started["jobID"])
    assert info["status"] == "successful", info["message"]
    links = client.get(f"/jobs/{info['jobID']}/results").get_json()
    assert links["areas"]["href"].endswith(f"/{AREAS_FILE}")
    for name in ("result.tif", AREAS_FILE):
        answer = client.get(f"/jobs/{info['jobID']}/results/{name}")
        assert answer.status_code == 200
        (tmp_path / name).write_bytes(answer.data)
    upload = sent(client, zipped(tmp_path / "result.tif", "result.tif", AREAS_FILE)).get_json()
    wanted = {
        "raster": upload,
        "polygons": {"geometry": ring(rgb, square(100, 90, 130, 110))},
        "output": {"area": "layer"},
    }
    result_of(client, wanted, tmp_path)
    job = client.get("/jobs?limit=1").get_json()["jobs"][0]["jobID"]
    links = client.get(f"/jobs/{job}/results").get_json()
    (tmp_path / "again.fgb").write_bytes(client.get(f"/jobs/{job}/results/{AREAS_FILE}").data)
    assert "areas" in links
    assert len(read_vectors(tmp_path / "again.fgb").shapes) == len(SQUARES) + 1


def test_names_of_classes_sent_in_a_zip_stay(client, grey, tmp_path):
    values = np.repeat(np.arange(4, dtype="uint8"), 40 * 160).reshape(1, 160, 160)
    with rasterio.open(grey, "r+") as dataset:
        dataset.write(values)
    names = "".join(f"<Category>{name}</Category>" for name in ("none", "wood", "water", "road"))
    (tmp_path / "grey.tif.aux.xml").write_text(
        f"<PAMDataset><PAMRasterBand band='1'><CategoryNames>{names}</CategoryNames>"
        "</PAMRasterBand></PAMDataset>"
    )
    upload = sent(client, zipped(grey)).get_json()
    wanted = {"raster": upload, "polygons": {"geometry": ring(grey, square(60, 60, 80, 80))}}
    started = client.post("/processes/remove/execution", json={"inputs": wanted}).get_json()
    info = finished(client, started["jobID"])
    assert info["status"] == "successful", info["message"]
    text = client.get(f"/jobs/{info['jobID']}/results/result.tif.aux.xml").data.decode()
    assert "water" in text


def test_widened_polygons_are_disclosed_as_widened(rgb, tmp_path):
    made(
        rgb,
        tmp_path / "1",
        polygons={"geometry": ring(rgb, square(60, 60, 90, 90))},
        blend={"feather_px": 0, "grow_px": 7},
        output={"area": "layer"},
    )
    with rasterio.open(rgb) as before, rasterio.open(tmp_path / "1" / "result.tif") as after:
        changed = (before.read() != after.read()).any(axis=0)
        told = covered([shapely.from_wkb(after.tags()["LANDBRUSH_MASK_WKB"])], after)
    rows, _ = np.nonzero(changed)
    assert rows.min() < 55 and not (changed & ~told).any()


def test_a_manifest_is_json(rgb, tmp_path, short_tags):
    first_edit(rgb, tmp_path / "1")
    kept = json.loads((tmp_path / "1" / "manifest.json").read_text())
    assert len(kept["request"]["polygons"]["geometry"]["coordinates"]) == len(SQUARES)
