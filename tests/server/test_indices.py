"""NDVI and NDWI before and after an edit, where the bands are there."""

import numpy as np
import pytest
import rasterio
from landbrush.server.evaluation.indices import changes, together
from rasterio.enums import ColorInterp

from tests.server.conftest import RGB, finished, in_type, scene, start, write

ROLES = ("red", "green", "blue", "nir")


def bands(**values):
    return np.stack([np.full((4, 4), values.get(role, 0), np.uint16) for role in ROLES])


def test_means_of_native_values_inside_the_mask():
    before = bands(red=500, green=700, nir=2500)
    after = bands(red=600, green=900, nir=300)
    after[:, 0] = 9  # outside of the mask
    mask = np.ones((4, 4), bool)
    mask[0] = False
    found = changes(before, after, mask, ROLES)
    assert found["ndvi"].pixels == 12
    assert found["ndvi"].before == pytest.approx(2000 / 3000)
    assert found["ndvi"].after == pytest.approx(-300 / 900)
    assert found["ndwi"].before == pytest.approx(-1800 / 3200)
    assert found["ndwi"].after == pytest.approx(600 / 1200)
    # Unsigned numbers do not run over: 600 - 2500 is no large number.
    assert all(-1 <= value <= 1 for one in found.values() for value in (one.before, one.after))


def test_without_the_bands_or_without_values_there_is_none():
    before = bands(red=5, green=6, nir=7)
    mask = np.ones((4, 4), bool)
    assert changes(before, before, mask, ("red", "green", "blue", "")) == {}
    assert set(changes(before, before, mask, ("", "green", "", "nir"))) == {"ndwi"}
    assert changes(bands(), bands(), mask, ROLES) == {}
    assert changes(before, before, np.zeros((4, 4), bool), ROLES) == {}
    gaps = before.astype(np.float32)
    gaps[3, :2] = np.nan
    assert changes(gaps, before.astype(np.float32), mask, ROLES)["ndvi"].pixels == 8


def test_regions_weigh_by_their_pixels():
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    one = changes(bands(red=1, nir=3), bands(red=1, nir=1), mask, ROLES)
    other = changes(bands(red=1, nir=1), bands(red=3, nir=1), ~mask, ROLES)
    found = together([one, {}, other])
    assert found["ndvi"] == (round(0.5 / 16, 4), round(-0.5 * 15 / 16, 4))
    assert together([{}, {}]) == {}


def test_a_manifest_holds_them_where_the_bands_are_there(client, tmp_path, rgb):
    values = in_type(scene(4, 120, 120), "uint16")
    values[3] = values[0] * 3
    path = write(tmp_path / "four.tif", values, descriptions=("red", "green", "blue", "nir"))

    def told(raster):
        job = start(client, raster, "snow")
        assert finished(client, job)["status"] == "successful"
        found = client.get(f"/jobs/{job}/results/manifest.json").get_json()
        data = client.get(f"/jobs/{job}/results/result.tif").data
        with rasterio.MemoryFile(data) as memory, memory.open() as result:
            return found["quality"]["indices"], found["window"], result.read()

    indices, (col, row, wide, high), made = told(path)
    # The polygon is 60 to 100 each way.
    rows, cols = slice(60 - row, 100 - row), slice(60 - col, 100 - col)
    before = values[:, 60:100, 60:100].astype(float)
    after = made[:, rows, cols].astype(float)
    for name, (one, other) in {"ndvi": (3, 0), "ndwi": (1, 3)}.items():
        for side, value in zip((before, after), indices[name], strict=True):
            mean = ((side[one] - side[other]) / (side[one] + side[other])).mean()
            assert value == pytest.approx(mean, abs=2e-4)
    assert indices["ndvi"][0] == pytest.approx(0.5, abs=1e-3)
    assert indices["ndvi"][1] < indices["ndvi"][0] - 0.1
    assert told(rgb)[0] == {}


def test_the_bands_are_told_apart_where_alpha_is_not_the_last(client, tmp_path):
    values = in_type(scene(5, 120, 120), "uint16")
    values[4], values[3] = values[0] * 3, 65535
    path = write(
        tmp_path / "five.tif",
        values,
        descriptions=("red", "green", "blue", "alpha", "nir"),
        colorinterp=(*RGB, ColorInterp.alpha, ColorInterp.undefined),
    )
    job = start(client, path, "snow")
    info = finished(client, job)
    assert info["status"] == "successful", info["message"]
    found = client.get(f"/jobs/{job}/results/manifest.json").get_json()
    assert found["quality"]["indices"]["ndvi"][0] == pytest.approx(0.5, abs=1e-3)
