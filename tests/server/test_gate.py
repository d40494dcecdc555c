"""The gate refuses every wrong file, whoever wrote it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server.editing import gate
from landbrush.server.ground.errors import NoSpace, PromiseBroken
from landbrush.server.raster.geotiff import Mosaic, WriteOptions, write_geotiff
from landbrush.server.raster.grid import Box
from landbrush.server.raster.masks import Region
from landbrush.server.raster.raster import opened
from rasterio.warp import Resampling, calculate_default_transform, reproject

from tests.server.conftest import RGB, in_type, scene, write


@pytest.fixture
def pair(rgb, tmp_path):
    """A source, a faithful copy of it, and a region in its middle."""
    copy = tmp_path / "copy.tif"
    with opened(rgb) as source:
        write_geotiff(source, Mosaic(Box(0, 0, 160, 160)), copy, WriteOptions())
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    return rgb, copy, [Region(Box(60, 60, 40, 40), mask)]


def verify(pair, path=None):
    source, copy, regions = pair
    with opened(source) as dataset:
        return gate.verify(dataset, Box(0, 0, 160, 160), path or copy, gate.Edited(regions))


def change(path, **profile):
    with rasterio.open(path) as dataset:
        values, settings = dataset.read(), {**dataset.profile, **profile}
    with rasterio.open(path, "w", **settings) as out:
        out.write(values.astype(settings["dtype"]))
        out.colorinterp = RGB


def test_a_faithful_file_passes(pair):
    report = verify(pair)
    assert report.pixels_outside == 160 * 160 - 400 and report.pixels_outside_different == 0
    assert report.affine_equal and report.sha256_source_window == report.sha256_result


def test_inside_may_change_and_outside_not_one_bit(pair):
    _, copy, _ = pair
    with rasterio.open(copy, "r+") as dataset:
        values = dataset.read()
        values[:, 75:80, 75:80] ^= 1
        dataset.write(values)
    assert verify(pair).pixels_inside_changed == 25
    with rasterio.open(copy, "r+") as dataset:
        values[2, 0, 159] ^= 1
        dataset.write(values)
    with pytest.raises(PromiseBroken, match="1 of 25200 pixels outside"):
        verify(pair)


@pytest.mark.parametrize("shift", [1.0, 0.25, 1e-4])
def test_a_shifted_file_is_refused(pair, shift):
    _, copy, _ = pair
    with rasterio.open(copy) as dataset:
        moved = dataset.transform @ Affine.translation(shift, 0)
    change(copy, transform=moved)
    with pytest.raises(PromiseBroken, match="affine"):
        verify(pair)


def test_a_reprojected_file_is_refused(pair, tmp_path):
    _, copy, _ = pair
    target = tmp_path / "reprojected.tif"
    with rasterio.open(copy) as source:
        transform, width, height = calculate_default_transform(
            source.crs, "EPSG:3857", 160, 160, *source.bounds
        )
        with rasterio.open(
            target,
            "w",
            **{
                **source.profile,
                "crs": "EPSG:3857",
                "transform": transform,
                "width": width,
                "height": height,
            },
        ) as out:
            for band in (1, 2, 3):
                reproject(
                    rasterio.band(source, band),
                    rasterio.band(out, band),
                    resampling=Resampling.nearest,
                )
    with pytest.raises(PromiseBroken, match="CRS"):
        verify(pair, target)


def test_a_file_with_the_right_grid_and_the_wrong_crs_is_refused(pair):
    change(pair[1], crs="EPSG:32618")
    with pytest.raises(PromiseBroken, match="CRS is EPSG:32618"):
        verify(pair)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_a_retyped_file_is_refused(pair, dtype):
    change(pair[1], dtype=dtype)
    with pytest.raises(PromiseBroken, match="dtype"):
        verify(pair)


def test_a_file_with_another_nodata_value_is_refused(pair):
    change(pair[1], nodata=7)
    with pytest.raises(PromiseBroken, match="nodata"):
        verify(pair)


def test_a_truncated_file_is_refused(pair):
    content = pair[1].read_bytes()
    pair[1].write_bytes(content[: len(content) // 2])
    with pytest.raises(PromiseBroken):
        verify(pair)


def test_nan_equals_itself_and_minus_zero_is_not_zero(tmp_path):
    values = in_type(scene(1, 160, 160), "float32")
    values[0, :5] = np.nan
    values[0, 5] = 0.0
    path = write(tmp_path / "f.tif", values)
    copy = shutil.copy(path, tmp_path / "g.tif")
    with opened(path) as dataset:
        assert (
            gate.verify(
                dataset, Box(0, 0, 160, 160), copy, gate.Edited([])
            ).pixels_outside_different
            == 0
        )
    with rasterio.open(copy, "r+") as dataset:
        values[0, 5, 3] = -0.0
        dataset.write(values)
    with opened(path) as dataset, pytest.raises(PromiseBroken):
        gate.verify(dataset, Box(0, 0, 160, 160), copy, gate.Edited([]))


def test_a_failed_write_leaves_nothing_behind(rgb, tmp_path):
    with opened(rgb) as source, pytest.raises(NoSpace, match="could not be written"):
        write_geotiff(
            source, Mosaic(Box(0, 0, 160, 160)), tmp_path / "missing" / "a.tif", WriteOptions()
        )
    assert not (tmp_path / "missing").exists()
