"""Bands made from those there are: a near-infrared band appended, and nothing else touched."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.editors import EditorInfo
from landbrush.server.ground.errors import CannotEdit, RasterUnreadable
from landbrush.server.models import near_infrared, pixel_network
from landbrush.server.raster.bands import Layer
from landbrush.server.raster.raster import opened, validity
from rasterio.enums import ColorInterp

from tests.conftest import DATA, ROOT
from tests.server.conftest import RGB, finished, in_type, inputs, scene, square, write

NAIP = DATA / "naip_landsat_timeseries" / "naip"


def made(client, path, **more):
    """(dataset bytes opened, manifest) of a near-infrared band for all of a layer."""
    with rasterio.open(path) as source:
        whole = square(0, 0, source.width, source.height)
    wanted = inputs(path, more.pop("ring", whole), **more)
    info = finished(
        client,
        client.post("/processes/near-infrared/execution", json={"inputs": wanted}).get_json()[
            "jobID"
        ],
    )
    assert info["status"] == "successful", info["message"]
    result = client.get(f"/jobs/{info['jobID']}/results/result.tif").data
    return result, client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("more", [{}, {"nodata": 7}, {"mask": True}])
def test_a_band_is_appended_and_the_others_stay_bit_for_bit(client, tmp_path, dtype, more):
    values = in_type(scene(3, 130, 150), dtype)
    if more.get("mask"):
        more = {"mask": np.where(np.arange(150) < 20, 0, 255).astype(np.uint8)[None].repeat(130, 0)}
    path = write(tmp_path / "a.tif", values, colorinterp=RGB, descriptions=("R", "G", "B"), **more)
    result, manifest = made(client, path)
    with (
        rasterio.MemoryFile(result) as memory,
        memory.open() as written,
        rasterio.open(path) as source,
    ):
        assert written.count == 4 and written.dtypes[3] == dtype and written.crs == source.crs
        assert written.transform == source.transform and written.nodata == source.nodata
        assert np.array_equal(written.read([1, 2, 3]), source.read())
        assert written.descriptions == ("R", "G", "B", "nir (synthetic)")
        assert (
            "LANDBRUSH_SYNTHETIC" in written.tags(4)
            and not written.tags(1)
            and written.tags()["AI_GENERATED"] == "TRUE"
        )
        band, valid = written.read(4), source.dataset_mask() > 0
        assert band[valid].std() > 0 and not (valid.any() and (band[valid] == 0).all())
        if "mask" in more:
            assert (
                np.array_equal(written.dataset_mask(), source.dataset_mask())
                and (band[~valid] == 0).all()
            )
    assert any("no measurements" in note for note in manifest["notes"])


def test_it_is_a_layer_with_near_infrared_afterwards(client, rgb, tmp_path):
    result, _ = made(client, rgb)
    path = tmp_path / "again.tif"
    path.write_bytes(result)
    wanted = inputs(path, square(0, 0, 50, 50))
    info = finished(
        client,
        client.post("/processes/near-infrared/execution", json={"inputs": wanted}).get_json()[
            "jobID"
        ],
    )
    assert info["status"] == "failed" and "nir (band 4) already" in info["message"]
    wanted = inputs(path, square(60, 60, 100, 100), options={"cover": 0.9})
    info = finished(
        client,
        client.post("/processes/snow/execution", json={"inputs": wanted}).get_json()["jobID"],
    )
    assert info["status"] == "successful"


def test_outside_the_polygons_the_band_is_empty(client, tmp_path):
    path = write(
        tmp_path / "a.tif", in_type(scene(3, 130, 150), "uint8"), colorinterp=RGB, nodata=0
    )
    result, _ = made(client, path, ring=square(30, 40, 80, 100), output={"area": "layer"})
    with rasterio.MemoryFile(result) as memory, memory.open() as written:
        band = written.read(4)
        assert (band[40:100, 30:80] > 0).all()
        band[40:100, 30:80] = 0
        assert not band.any()


def test_nodata_stays_what_it_was_and_the_layer_keeps_its_colours(client, tmp_path):
    """A fourth band is no mask: what it holds outside the polygons, or by chance inside, makes no
    ground of it invalid."""
    for nodata in (0, 100, 255):
        values = in_type(scene(3, 60, 70), "uint8")
        values[:, :, :12] = nodata
        path = write(tmp_path / f"{nodata}.tif", values, colorinterp=RGB, nodata=nodata)
        result, _ = made(client, path, ring=square(20, 10, 50, 40), output={"area": "layer"})
        after = tmp_path / f"after-{nodata}.tif"
        after.write_bytes(result)
        with rasterio.open(path) as source, rasterio.open(after) as written:
            window = rasterio.windows.Window(0, 0, 70, 60)
            assert np.array_equal(validity(source, window), validity(written, window))
            assert (written.read(4)[10:40, 20:50] != nodata).all()
            assert Layer.of(written, {}).roles.names == ("red", "green", "blue", "nir")


@pytest.mark.parametrize(("bands", "words"), [(4, "alpha band"), (1, "single band")])
def test_alpha_and_single_bands_are_refused(client, tmp_path, bands, words):
    colours = (*RGB, ColorInterp.alpha) if bands == 4 else None
    path = write(tmp_path / "a.tif", in_type(scene(bands, 60, 60), "uint8"), colorinterp=colours)
    wanted = inputs(path, square(0, 0, 60, 60))
    info = finished(
        client,
        client.post("/processes/near-infrared/execution", json={"inputs": wanted}).get_json()[
            "jobID"
        ],
    )
    assert info["status"] == "failed" and words in info["message"]


def test_a_picture_that_is_a_virtual_raster_too_is_not_read(tmp_path, rgb):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xfe\x00\x40<VRTDataset rasterXSize='1'>")
    with pytest.raises(RasterUnreadable, match="under another name"), opened(path):
        pass


def test_no_colours_no_band(client, tmp_path):
    path = write(
        tmp_path / "radar.tif", in_type(scene(2, 60, 60), "float32"), descriptions=("VV", "VH")
    )
    wanted = inputs(path, square(0, 0, 60, 60))
    info = finished(
        client,
        client.post("/processes/near-infrared/execution", json={"inputs": wanted}).get_json()[
            "jobID"
        ],
    )
    assert info["status"] == "failed" and "radar" in info["message"]


def test_strips_do_not_show(monkeypatch):
    rgb, valid = scene(3, 300, 120).astype(np.float32), np.ones((300, 120), bool)
    whole = near_infrared.near_infrared(rgb, valid)
    monkeypatch.setattr(pixel_network, "STRIP", 64)
    assert np.allclose(near_infrared.near_infrared(rgb, valid), whole, atol=1e-4)


@pytest.mark.skipif(not NAIP.is_dir(), reason="needs NAIP imagery (LANDBRUSH_DATA)")
def test_it_beats_colour_alone_on_a_date_and_ground_it_was_not_trained_on():
    """The shipped weights beside a regression on a pixel's own colours that learned from the same
    dates and ground."""
    spec = importlib.util.spec_from_file_location(
        "train_near_infrared", ROOT / "scripts" / "train_near_infrared.py"
    )
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    dates = train.dates(DATA)
    image = dates.pop(max(dates))
    plain = train.baseline([other[:, :, : train.WEST_PX] for other in dates.values()])
    valid = image.min(0) > 0
    east = valid & (np.arange(image.shape[2]) >= train.WEST_PX + train.GAP_PX)
    ours = train.scores(image, near_infrared.near_infrared(image[:3], valid), east)
    theirs = train.scores(image, train.per_pixel(image[:3]) @ plain, east)
    assert ours[0] > theirs[0] and ours[1] > theirs[1] and ours[2] < theirs[2], (ours, theirs)


def test_an_unknown_role_is_an_error_not_a_crash(rgb, tmp_path):
    from landbrush.server.editing.made_bands import with_made_bands

    info = EditorInfo("x", "x", "x", "x", makes=("red",))
    with (
        rasterio.open(rgb) as dataset,
        pytest.raises(CannotEdit, match="red .band 1. already"),
        with_made_bands(Layer.of(dataset, {}), info, tmp_path),
    ):
        pass
