"""The judge refuses every wrong file, whoever wrote it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from landbrush.server.contract.requests import EditRequest
from landbrush.server.ground.errors import NoSpace, PromiseBroken
from landbrush.server.promise.asked import _joined
from landbrush.server.promise.case import Case
from landbrush.server.promise.judge import judge
from landbrush.server.promise.pixels import Ground, Window
from landbrush.server.raster.geotiff import Mosaic, WriteOptions, write_geotiff
from landbrush.server.raster.grid import Box
from landbrush.server.raster.raster import opened
from rasterio.features import rasterize
from rasterio.warp import Resampling, calculate_default_transform, reproject

from tests.server.conftest import RGB, in_type, ring, scene, square, write

PATCH = square(70, 70, 90, 90)


def request_for(path, pixels=PATCH, **more):
    polygons = {"geometry": ring(path, pixels), **more.pop("polygons", {})}
    return EditRequest.from_json({"raster": {"path": str(path)}, "polygons": polygons, **more})


def disclose(path, *shapes):
    """What a result must say of where it was edited."""
    with rasterio.open(path, "r+") as dataset:
        area = shapely.union_all([shapely.geometry.shape(one) for one in shapes])
        dataset.update_tags(LANDBRUSH_MASK_WKB=shapely.to_wkb(area, hex=True))


@pytest.fixture
def pair(rgb, tmp_path):
    """A source, and a faithful copy of it that says it was edited in the middle."""
    copy = tmp_path / "copy.tif"
    with opened(rgb) as source:
        write_geotiff(source, Mosaic(Box(0, 0, 160, 160)), copy, WriteOptions())
    disclose(copy, ring(rgb, PATCH))
    return rgb, copy


def verify(pair, path=None, **more):
    source, copy = pair
    request = more.pop("request", None) or request_for(source)
    with rasterio.open(source) as dataset:
        window = (0, 0, dataset.width, dataset.height)
        return judge(Case(dataset, path or copy, window, request, **more)).report


def change(path, **profile):
    with rasterio.open(path) as dataset:
        values, settings = dataset.read(), {**dataset.profile, **profile}
    with rasterio.open(path, "w", **settings) as out:
        out.write(values.astype(settings["dtype"]))
        out.colorinterp = RGB
    disclose(path, ring(path, PATCH))


def test_a_faithful_file_passes(pair):
    report = verify(pair)
    assert report.pixels_outside == 160 * 160 - 400 and report.pixels_outside_different == 0
    assert report.affine_equal and report.sha256_source_window == report.sha256_result


def test_inside_may_change_and_outside_not_one_bit(pair):
    _, copy = pair
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
    _, copy = pair
    with rasterio.open(copy) as dataset:
        moved = dataset.transform @ Affine.translation(shift, 0)
    change(copy, transform=moved)
    with pytest.raises(PromiseBroken, match="affine"):
        verify(pair)


def test_a_reprojected_file_is_refused(pair, tmp_path):
    _, copy = pair
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
    disclose(copy, ring(path, PATCH))
    assert verify((path, copy)).pixels_outside_different == 0
    with rasterio.open(copy, "r+") as dataset:
        values[0, 5, 3] = -0.0
        dataset.write(values)
    with pytest.raises(PromiseBroken, match="1 of 25200"):
        verify((path, copy))


def changed(path, rows, cols):
    with rasterio.open(path, "r+") as dataset:
        values = dataset.read()
        values[:, rows, cols] ^= 1
        dataset.write(values)


def test_what_is_not_disclosed_is_refused(pair):
    """Ground that changed, or was to be edited, and of which the file does not say so."""
    source, copy = pair
    disclose(copy, ring(source, square(70, 70, 90, 80)))
    with pytest.raises(PromiseBroken, match="200 pixels inside the polygons are not disclosed"):
        verify(pair)
    with rasterio.open(copy, "r+") as dataset:
        dataset.update_tags(LANDBRUSH_MASK_WKB="")
    with pytest.raises(PromiseBroken, match="not disclosed"):
        verify(pair)


def test_protected_ground_stays(pair):
    source, copy = pair
    request = request_for(source, protect={"geometry": ring(source, square(72, 72, 80, 80))})
    changed(copy, slice(82, 88), slice(82, 88))
    assert verify(pair, request=request).pixels_inside_changed == 36
    changed(copy, slice(74, 76), slice(74, 78))
    with pytest.raises(PromiseBroken, match="8 of 25264 pixels outside"):
        verify(pair, request=request)


def test_nothing_changes_outside_the_extent(pair):
    source, copy = pair
    with rasterio.open(source) as dataset:
        left, top = dataset.transform @ (75, 75)
        right, bottom = dataset.transform @ (160, 160)
    box = {"xmin": left, "xmax": right, "ymin": bottom, "ymax": top}
    request = request_for(source, extent=box)
    changed(copy, slice(76, 80), slice(76, 80))
    assert verify(pair, request=request).pixels_inside == 15 * 15
    changed(copy, slice(71, 72), slice(80, 84))
    with pytest.raises(PromiseBroken, match="4 of"):
        verify(pair, request=request)


def test_widened_polygons_reach_so_far_and_no_farther(pair):
    source, copy = pair
    disclose(copy, ring(source, square(60, 60, 100, 100)))
    changed(copy, slice(66, 70), slice(75, 80))
    with pytest.raises(PromiseBroken, match="20 of"):
        verify(pair)
    assert verify(pair, grow_px=4).pixels_inside_changed == 20
    changed(copy, slice(64, 65), slice(75, 80))
    with pytest.raises(PromiseBroken, match="5 of"):
        verify(pair, grow_px=4)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:26917"])
def test_polygons_in_another_crs_lie_where_proj_says(pair, crs):
    source, copy = pair
    with rasterio.open(source) as dataset:
        there = rasterio.warp.transform_geom(dataset.crs, crs, ring(source, PATCH), precision=-1)
    request = EditRequest.from_json(
        {"raster": {"path": str(source)}, "polygons": {"geometry": there, "crs": crs}}
    )
    changed(copy, slice(71, 89), slice(71, 89))
    assert abs(verify(pair, request=request).pixels_inside - 400) <= 24
    changed(copy, slice(71, 89), slice(92, 93))
    with pytest.raises(PromiseBroken, match="18 of"):
        verify(pair, request=request)


def test_nodata_and_masks_are_judged(tmp_path):
    path = write(tmp_path / "f.tif", in_type(scene(1, 160, 160), "uint8"), nodata=0)
    copy = shutil.copy(path, tmp_path / "g.tif")
    disclose(copy, ring(path, PATCH))
    with rasterio.open(copy, "r+") as dataset:
        values = dataset.read()
        values[0, 75, 75:79] = 0
        dataset.write(values)
    with pytest.raises(PromiseBroken, match="4 became nodata"):
        verify((path, copy))


def test_a_lost_mask_is_refused(rgb, tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(rgb, "r+") as dataset:
        mask = np.full((160, 160), 255, "uint8")
        mask[:9] = 0
        dataset.write_mask(mask)
    copy = tmp_path / "copy.tif"
    with rasterio.open(rgb) as dataset, rasterio.open(copy, "w", **dataset.profile) as out:
        out.write(dataset.read())
        out.colorinterp = RGB
    disclose(copy, ring(rgb, PATCH))
    with pytest.raises(PromiseBroken, match="mask"):
        verify((rgb, copy))


def test_bands_that_were_there_stay(tmp_path):
    values = in_type(scene(3, 160, 160), "uint8")
    path = write(tmp_path / "a.tif", values, nodata=0)
    more = np.concatenate([values, np.zeros_like(values[:1])])
    more[3, 70:90, 70:90] = 9
    good = write(tmp_path / "good.tif", more, nodata=0)
    disclose(good, ring(path, PATCH))
    assert verify((path, good), made=1).pixels_inside_changed == 400
    more[3, 3, 3] = 9
    bad = write(tmp_path / "outside.tif", more, nodata=0)
    disclose(bad, ring(path, PATCH))
    with pytest.raises(PromiseBroken, match="1 of 25200"):
        verify((path, bad), made=1)
    more[3, 3, 3], more[1, 75, 75] = 0, more[1, 75, 75] ^ 1
    bad = write(tmp_path / "bad.tif", more, nodata=0)
    disclose(bad, ring(path, PATCH))
    with pytest.raises(PromiseBroken, match="not what they were"):
        verify((path, bad), made=1)


@pytest.mark.parametrize("seed", range(12))
def test_the_judges_pixels_are_those_of_another_way(seed):
    """Random polygons with holes, over one another and with themselves, against GDAL's fill of what
    GEOS repairs."""
    rng = np.random.default_rng(seed)
    rings, shapes = [], []
    for _ in range(rng.integers(1, 6)):
        outer = rng.uniform(-20, 180, (rng.integers(3, 9), 2))
        inner = outer.mean(axis=0) + rng.uniform(-15, 15, (3, 2))
        rings.append([np.vstack([one, one[:1]]) for one in (outer, inner)])
        shapes.append(shapely.make_valid(shapely.Polygon(outer, [inner])))
    ground = Ground(*_joined(rings, lambda xy: xy, False))
    flat = [g for s in shapes for p in shapely.get_parts(s) for g in shapely.get_parts(p)]
    flat = [g for g in flat if g.geom_type == "Polygon" and g.area > 0]
    wanted = rasterize([(g, 1) for g in flat], out_shape=(160, 150)) > 0
    found = np.vstack([ground.held(Window(0, top, 150, 40)) for top in range(0, 160, 40)])
    assert (found == wanted).all()


def test_tables_and_names_that_are_gone_are_named(tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(1, 160, 160), "uint8"))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="SURVEY", FLIGHT="7")
        dataset.update_tags(AREA="north", STATISTICS_MEAN="3")
    aside = tmp_path / "a.tif.aux.xml"
    aside.write_text(
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category>x</Category></CategoryNames>"
        "</PAMRasterBand></PAMDataset>"
    )
    copy = tmp_path / "copy.tif"
    write(copy, in_type(scene(1, 160, 160), "uint8"))
    disclose(copy, ring(path, PATCH))
    with rasterio.open(path) as dataset:
        gone = judge(Case(dataset, copy, (0, 0, 160, 160), request_for(path))).lost
    assert set(gone) == {
        "metadata SURVEY",
        "metadata AREA",
        "the names of classes of band 1",
    }


def test_a_failed_write_leaves_nothing_behind(rgb, tmp_path):
    with opened(rgb) as source, pytest.raises(NoSpace, match="could not be written"):
        write_geotiff(
            source, Mosaic(Box(0, 0, 160, 160)), tmp_path / "missing" / "a.tif", WriteOptions()
        )
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_overviews_of_other_pixels_are_refused(tmp_path, dtype):
    values = in_type(scene(1, 600, 600), dtype)
    path = write(tmp_path / "a.tif", values)
    copy = shutil.copy(path, tmp_path / "b.tif")
    with rasterio.open(copy, "r+") as dataset:
        dataset.build_overviews([2, 4], rasterio.enums.Resampling.average)
    patch = square(100, 100, 400, 400)
    disclose(copy, ring(path, patch))
    request = request_for(path, patch)
    assert verify((path, copy), request=request).pixels_inside == 90_000
    with rasterio.open(copy, "r+") as dataset:
        edited = dataset.read()
        edited[:, 100:400, 100:400] = edited.max()
        dataset.write(edited)
    with pytest.raises(PromiseBroken, match="overviews are not made of its pixels"):
        verify((path, copy), request=request)


def test_statistics_of_other_pixels_are_refused(pair):
    with rasterio.open(pair[1], "r+") as dataset:
        dataset.update_tags(2, STATISTICS_MEAN="77")
    with pytest.raises(PromiseBroken, match="statistics of the pixels before"):
        verify(pair)
