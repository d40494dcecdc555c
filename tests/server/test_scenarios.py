"""Scenarios on real imagery: bands that nobody sees behave, and words put there what they say."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.requests import EditRequest, Output, Polygons, RasterRef
from landbrush.server.editing.path import Job, edit
from landbrush.server.raster.rasters import Rasters
from scipy import ndimage

from tests.server.conftest import ring, square

NAIP, SENTINEL2 = "naip_landsat_timeseries/naip", "sen1floods11_sample/S2"
PLACES = {NAIP: ((0, 1, 3), (331, 62)), SENTINEL2: ((3, 2, 7), (99, 353))}
"""Bands red, green and near infrared (from 0), and the corner of 96 vegetated pixels."""


def after(editors, path, editor, corner, folder, prompt=""):
    col, row = corner
    area = Polygons(ring(path, square(col, row, col + 96, row + 96)))
    request = EditRequest(
        RasterRef(path=str(path)), area, prompt=prompt, output=Output("layer", "none")
    )
    report = edit(Job(request, editor, Rasters(path)), editors, folder, lambda *_: None).to_json()
    assert report["gate"]["pixels_outside_different"] == 0
    with rasterio.open(folder / "result.tif") as dataset:
        values = dataset.read().astype(np.float32)
    hole = np.zeros(values.shape[1:], bool)
    hole[row + 8 : row + 88, col + 8 : col + 88] = True
    around = ndimage.binary_dilation(hole, iterations=60) & ~ndimage.binary_dilation(
        hole, iterations=10
    )
    return values, hole, around


def index(first, second):
    return (first - second) / np.maximum(first + second, 1)


@pytest.mark.parametrize("layer", [NAIP, SENTINEL2])
def test_flooded_ground_is_water_to_infrared_too(editors, data, tmp_path, layer):
    (_, green, nir), corner = PLACES[layer]
    values, inside, around = after(
        editors, sorted((data / layer).glob("*.tif"))[-1], "flood", corner, tmp_path
    )
    ndwi = index(values[green], values[nir])
    assert ndwi[inside].mean() > 0 > ndwi[around].mean()


@pytest.mark.parametrize("layer", [NAIP, SENTINEL2])
def test_burned_ground_has_lost_its_vegetation(editors, data, tmp_path, layer):
    (red, _, nir), corner = PLACES[layer]
    values, inside, around = after(
        editors, sorted((data / layer).glob("*.tif"))[-1], "burn", corner, tmp_path
    )
    ndvi = index(values[nir], values[red])
    assert ndvi[inside].mean() < 0.6 * ndvi[around].mean()


def test_a_lake_by_name_is_water_to_infrared_too(editors, data, tmp_path):
    (_, green, nir), corner = PLACES[NAIP]
    values, inside, around = after(
        editors, sorted((data / NAIP).glob("*.tif"))[-1], "text", corner, tmp_path, "a lake"
    )
    ndwi = index(values[green], values[nir])
    assert ndwi[inside].mean() > 0.1 > ndwi[around].mean()
