"""Elevation models in the units that files state."""

import numpy as np
import pytest
import rasterio
from landbrush.server.ground.errors import CannotEdit
from landbrush.server.raster import heights
from landbrush.server.raster.grid import Box
from landbrush.server.raster.heights import SURVEY_FOOT_M, heights_on, unit_of
from landbrush.server.raster.raster import profile_of
from rasterio.crs import CRS

from tests.server.conftest import UTM, finished, in_type, inputs, scene, write

HEIGHTS = np.linspace(0, 60, 160, dtype="float32")[None, None, :].repeat(160, 1)


def model(path, crs=UTM, unit=None, **more):
    """An elevation model that rises to the east; `unit` is what its band says."""
    write(path, HEIGHTS, crs=crs, **more)
    if unit is not None:
        with rasterio.open(path, "r+") as dataset:
            dataset.units = (unit,)
    return path


def read(path, crs=UTM):
    """Heights on a layer's grid, and the unit that was found."""
    layer = write(path.parent / "layer.tif", in_type(scene(3, 160, 160), "uint8"), crs=crs)
    with rasterio.open(path) as elevation, rasterio.open(layer) as dataset:
        return heights_on(elevation, profile_of(dataset), Box(8, 8, 96, 64)), unit_of(elevation)


@pytest.mark.parametrize(
    "unit, metres",
    [
        ("m", 1), ("Metre", 1), ("meters", 1), ("ft", 0.3048), ("FEET", 0.3048), ("foot", 0.3048),
        ("US survey foot", SURVEY_FOOT_M), ("us-ft", SURVEY_FOOT_M), ("ftUS", SURVEY_FOOT_M),
        ("cm", 0.01), ("dm", 0.1), ("km", 1000),
    ],
)  # fmt: skip
def test_the_unit_of_the_band_counts(tmp_path, unit, metres):
    found, stated = read(model(tmp_path / "h.tif", unit=unit))
    assert np.allclose(found, HEIGHTS[0, 8:72, 8:104] * metres, rtol=1e-5)
    assert stated.metres == metres and unit in stated.stated_by
    assert bool(stated.note) == (metres != 1)


@pytest.mark.parametrize(
    "crs, metres",
    [
        ("EPSG:26917+5703", 1),  # NAVD88 height
        ("EPSG:26917+6360", SURVEY_FOOT_M),  # NAVD88 height (ftUS)
        ("EPSG:26917+8228", 0.3048),  # NAVD88 height (ft)
        ("EPSG:26917+5715", -1),  # MSL depth
    ],
)
def test_the_vertical_crs_counts(tmp_path, crs, metres):
    found, stated = read(model(tmp_path / "h.tif", crs), "EPSG:26917")
    assert stated.metres == pytest.approx(metres) and stated.stated_by
    assert np.allclose(found, HEIGHTS[0, 8:72, 8:104] * metres, rtol=1e-5)
    assert bool(stated.note) == (metres != 1)


@pytest.mark.parametrize("crs, metres", [("EPSG:26917+6360", SURVEY_FOOT_M), ("EPSG:4979", 1)])
def test_the_crs_is_read_where_the_band_says_nothing(crs, metres):
    found = heights.of_crs(CRS.from_user_input(crs))
    assert found.metres == pytest.approx(metres) and "its CRS says" in found.stated_by


def test_the_band_is_nearer_than_the_crs(tmp_path):
    found, stated = read(model(tmp_path / "h.tif", "EPSG:26917+6360", "m"), "EPSG:26917")
    assert stated.metres == 1 and np.allclose(found, HEIGHTS[0, 8:72, 8:104], rtol=1e-5)


def test_scale_and_offset_come_before_the_unit(tmp_path):
    path = model(tmp_path / "h.tif", unit="ft", scales=(0.5,), offsets=(100.0,))
    found, _ = read(path)
    assert np.allclose(found, (HEIGHTS[0, 8:72, 8:104] * 0.5 + 100) * 0.3048, rtol=1e-5)


def test_no_unit_is_metres_and_said(tmp_path):
    found, stated = read(model(tmp_path / "h.tif"))
    assert np.allclose(found, HEIGHTS[0, 8:72, 8:104]) and "metres were assumed" in stated.note


@pytest.mark.parametrize("unit", ["fathoms", "K", "dB", "hectopascal"])
def test_what_is_no_length_is_refused(tmp_path, unit):
    with pytest.raises(CannotEdit, match=f"'{unit}', which is no"):
        read(model(tmp_path / "h.tif", unit=unit))


def test_the_user_is_told(client, rgb, tmp_path):
    path = model(tmp_path / "feet.tif", unit="ft")
    wanted = inputs(rgb, elevation={"path": str(path)}, options={"level_m": 6.0})
    started = client.post("/processes/flood/execution", json={"inputs": wanted}).get_json()
    info = finished(client, started["jobID"])
    assert info["status"] == "successful"
    told = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    assert any("in feet (its band says 'ft')" in note for note in told["notes"])


def test_an_editor_without_heights_says_nothing_of_them(client, rgb, tmp_path):
    path = model(tmp_path / "feet.tif", unit="ft")
    started = client.post(
        "/processes/remove/execution", json={"inputs": inputs(rgb, elevation={"path": str(path)})}
    ).get_json()
    info = finished(client, started["jobID"])
    told = client.get(f"/jobs/{info['jobID']}/results/manifest.json").get_json()
    assert not any("elevation" in note for note in told["notes"])
