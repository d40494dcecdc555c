"""What is copied keeps its own tone, in any type; what comes from another date of the same ground
gets the layer's."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server.contract.requests import Blend, EditRequest, Exemplar, Polygons, RasterRef
from landbrush.server.editing.path import Job, edit
from landbrush.server.raster.rasters import Rasters

from tests.server.conftest import ring, square, write

HERE = Affine(0.5, 0, 400000, 0, -0.5, 3285000)


def layer(tmp_path, dtype, name="a.tif", gain=1.0, shift=0.0, transform=HERE, seed=0):
    """Bright ground with a dark lake in its upper left corner; as an analyst would have it, in its
    own units."""
    rng = np.random.default_rng(seed)
    values = np.full((3, 240, 240), 3000.0) + rng.normal(0, 150, (3, 240, 240))
    values[:, 20:110, 20:110] = 400 + rng.normal(0, 20, (3, 90, 90))
    values = values * gain + shift
    values = values / 16 if dtype == "uint8" else values
    return write(tmp_path / name, values.astype(dtype), transform=transform)


def edited(editors, tmp_path, path, editor, other=None, **blend):
    area = Polygons(ring(path, square(150, 150, 200, 200)))
    source = Exemplar(
        Polygons(ring(other or path, square(30, 30, 100, 100))),
        RasterRef(path=str(other)) if other else None,
    )
    request = EditRequest(RasterRef(path=str(path)), area, exemplar=source, blend=Blend(**blend))
    report = edit(
        Job(request, editor, Rasters(path, other)), editors, tmp_path, lambda *_: None
    ).to_json()
    col, row, _, _ = report["window"]
    with rasterio.open(tmp_path / "result.tif") as dataset:
        return dataset.read()[:, 165 - row : 185 - row, 165 - col : 185 - col].mean()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("editor", ["fill", "copy"])
def test_a_dark_lake_stays_dark(editors, tmp_path, dtype, editor):
    path = layer(tmp_path, dtype)
    lake = 25 if dtype == "uint8" else 400
    found = edited(editors, tmp_path, path, editor)
    assert abs(found - lake) < (0.2 * lake if editor == "fill" else lake)


def test_another_date_of_the_same_ground_gets_the_layers_tone(editors, tmp_path):
    path = layer(tmp_path, "uint16")
    other = layer(tmp_path, "uint16", "b.tif", gain=1.8, shift=900, seed=1)
    assert abs(edited(editors, tmp_path, path, "fill", other) - 400) < 60
    assert abs(edited(editors, tmp_path, path, "fill", other, radiometric_match=False) - 1620) < 100


def test_other_ground_keeps_its_tone(editors, tmp_path):
    path = layer(tmp_path, "uint16")
    far = layer(
        tmp_path,
        "uint16",
        "b.tif",
        gain=1.8,
        shift=900,
        transform=Affine(0.5, 0, 410000, 0, -0.5, 3285000),
    )
    assert abs(edited(editors, tmp_path, path, "fill", far) - 1620) < 100


def test_another_type_is_stretched_to_the_layers_range(editors, tmp_path):
    path, other = layer(tmp_path, "uint16"), layer(tmp_path, "uint8", "b.tif", seed=1)
    assert 300 < edited(editors, tmp_path, path, "fill", other) < 3600


def test_a_turned_raster_is_copied_from_without_matching(editors, tmp_path):
    path = layer(tmp_path, "uint16")
    turned = layer(
        tmp_path,
        "uint16",
        "b.tif",
        gain=1.8,
        shift=900,
        transform=Affine.translation(400000, 3285000)
        @ Affine.rotation(20)
        @ Affine.scale(0.5, -0.5),
    )
    assert abs(edited(editors, tmp_path, path, "fill", turned) - 1620) < 100


def test_a_band_without_contrast_is_not_blown_up(editors, tmp_path):
    """The other date has one band that is the same everywhere: it is shifted, not divided by
    nothing."""
    path = layer(tmp_path, "uint16")
    with rasterio.open(layer(tmp_path, "uint16", "b.tif", seed=1)) as dataset:
        values = dataset.read()
    values[1] = 700
    other = write(tmp_path / "c.tif", values, transform=HERE)
    edited(editors, tmp_path, path, "fill", other)
    with rasterio.open(tmp_path / "result.tif") as result, rasterio.open(path) as source:
        assert abs(result.read(2).mean() - source.read(2).mean()) < 600
