"""The raster promise on odd files: sidecars, bits of floats, 12 bits, the date line, specks, many
polygons."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.ground.errors import CannotEdit, OutsideRaster, RasterUnreadable
from landbrush.server.raster import masks
from landbrush.server.raster.raster import opened, profile_of
from landbrush.server.raster.rasters import Rasters
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from tests.server.conftest import RGB, in_type, ring, scene, square, write
from tests.server.test_matrix import BLOCK, compare, inside_only, run


def test_sidecar_mask(editors, tmp_path):
    """A .msk beside the file is the file's own mask."""
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    mask = np.full((160, 160), 255, "uint8")
    mask[:78] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    assert (tmp_path / "a.tif.msk").exists()
    report, result = run(editors, path, tmp_path)
    changed, *_ = compare(path, result, report)
    assert changed.any()
    with rasterio.open(result) as dataset:
        assert (dataset.dataset_mask() == 0).any()


def test_sidecar_metadata_and_world_file(editors, tmp_path):
    from PIL import Image

    path = tmp_path / "p.png"
    Image.fromarray(in_type(scene(3, 160, 160), "uint8").transpose(1, 2, 0)).save(path)
    (tmp_path / "p.pgw").write_text("0.5\n0\n0\n-0.5\n400000.25\n3284999.75\n")
    (tmp_path / "p.png.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32617</SRS><PAMRasterBand "
        "band='1'><Description>Red</Description><NoDataValue>7</NoDataValue>"
        "</PAMRasterBand><PAMRasterBand band='2'><NoDataValue>7</NoDataValue></PAMRasterBand>"
        "<PAMRasterBand band='3'><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>"
    )
    report, result = run(editors, path, tmp_path)
    changed, *_ = compare(path, result, report)
    inside_only(changed, report, BLOCK)
    with rasterio.open(result) as dataset:
        assert (
            dataset.crs.to_epsg() == 32617
            and dataset.nodata == 7
            and dataset.descriptions[0] == "Red"
        )
        assert dataset.transform.c == 400000 + 0.5 * report["window"][0]


@pytest.mark.parametrize(
    "value", [np.float32(-0.0), np.frombuffer(np.uint32(0xFFC00000).tobytes(), "f4")[0]]
)
def test_blocks_of_odd_floats_keep_their_bits(editors, tmp_path, value):
    values = in_type(scene(1, 700, 700), "float32")
    values[:, 300:, 300:] = value
    path = write(tmp_path / "a.tif", values)
    report, result = run(editors, path, tmp_path, output={"area": "layer"})
    compare(path, result, report)
    assert report["gate"]["pixels_outside_different"] == 0


def test_twelve_bit_cog_and_white_is_zero(editors, tmp_path):
    path = write(tmp_path / "a.tif", (scene(1, 160, 160) * 4000).astype("uint16"), nbits=12)
    report, result = run(editors, path, tmp_path, output={"area": "layer", "cog": True})
    compare(path, result, report)
    path = write(tmp_path / "w.tif", in_type(scene(1, 160, 160), "uint8"), photometric="MINISWHITE")
    report, result = run(editors, path, tmp_path)
    compare(path, result, report)


def test_polygons_across_the_date_line(editors, tmp_path):
    """A 0 ... 360 raster, polygons in -180 ... 180."""
    path = write(
        tmp_path / "a.tif",
        in_type(scene(3, 160, 160), "uint8"),
        crs="EPSG:4326",
        colorinterp=RGB,
        transform=Affine(0.01, 0, 299.5, 0, -0.01, 10),
    )
    geometry = ring(path, BLOCK)
    geometry["coordinates"] = [[[x - 360, y] for x, y in geometry["coordinates"][0]]]
    for crs in ("", "EPSG:4326"):
        report, result = run(editors, path, tmp_path, polygons={"geometry": geometry, "crs": crs})
        changed, *_ = compare(path, result, report)
        inside_only(changed, report, BLOCK)


def test_mixed_types_are_refused(editors, tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(1, 50, 50), "uint8"))
    other = write(tmp_path / "b.tif", in_type(scene(1, 50, 50), "int16"))
    bands = "".join(
        f"<VRTRasterBand dataType='{kind}' "
        f"band='{i}'><SimpleSource><SourceFilename>{p}</SourceFilename>"
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (p, kind) in enumerate(((path, "Byte"), (other, "Int16")), 1)
    )
    (tmp_path / "m.vrt").write_text(
        f"<VRTDataset rasterXSize='50' rasterYSize='50'>{bands}</VRTDataset>"
    )
    with pytest.raises(RasterUnreadable, match="mixes types"):
        edit(
            Job(
                EditRequest.from_json(
                    {
                        "raster": {"path": "x"},
                        "polygons": {"geometry": ring(path, square(10, 10, 20, 20))},
                    }
                ),
                "remove",
                Rasters(tmp_path / "m.vrt"),
            ),
            editors,
            tmp_path,
            lambda *a: None,
        )


def test_many_polygons_take_time_in_proportion(editors, tmp_path):
    """Counted in rasterisations, not in seconds: each region looks at its own polygons only."""
    from landbrush.server.raster import masks

    path = write(tmp_path / "a.tif", in_type(scene(1, 1200, 1200), "uint8"))
    squares = [square(c, r, c + 2, r + 2) for c in range(5, 1195, 40) for r in range(5, 1195, 40)]
    geometry = {
        "type": "MultiPolygon",
        "coordinates": [ring(path, s)["coordinates"] for s in squares],
    }
    seen, plain = [], masks.draw_mask
    masks.draw_mask = lambda shapes, box: (seen.append(len(shapes)), plain(shapes, box))[1]
    try:
        report, result = run(
            editors,
            path,
            tmp_path,
            "snow",
            polygons={"geometry": geometry},
            blend={"context_px": 4},
        )
    finally:
        masks.draw_mask = plain
    compare(path, result, report)
    assert sum(seen) < 3 * len(squares)


def test_nodata_specks_inside_do_not_poke_through(editors, tmp_path):
    """Saturated pixels that equal the nodata value are edited with the rest; holes are left and
    counted."""
    values = in_type(scene(3, 160, 160), "uint8")
    values[:, 75:77, 72:75] = 255
    values[:, 82:92, 82:92] = 255
    values[:, 20, 20] = 255
    path = write(tmp_path / "a.tif", values, nodata=255, colorinterp=RGB)
    report, result = run(editors, path, tmp_path, output={"area": "layer"})
    with rasterio.open(result) as dataset:
        valid = dataset.dataset_mask() > 0
    assert valid[75:77, 72:75].all() and not valid[82:92, 82:92].any() and not valid[20, 20]
    assert report["pixels_left_nodata"] == 100 and report["gate"]["pixels_outside_different"] == 0


def test_a_polygon_beside_the_raster_changes_nothing_however_much_it_grows(editors, tmp_path, rgb):
    """Its bounding box overlaps the raster's corner, itself it does not."""
    beside = [(-2, -60), (40, -60), (-2, -8)]
    for grow in (0, 3, 8):
        with pytest.raises(OutsideRaster):
            run(editors, rgb, tmp_path, "remove", beside, blend={"grow_px": grow})
    assert not masks.grown(np.zeros((50, 50), bool), 3).any()


@pytest.mark.parametrize("process", ["variation", "harmonise", "snow"])
@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_a_soft_edge_never_makes_nodata(editors, tmp_path, process, dtype):
    rng = np.random.default_rng(0)
    values = rng.integers(90, 111, (3, 160, 160))
    values[values == 100] = 101
    path = write(tmp_path / "a.tif", values.astype(dtype), nodata=100, colorinterp=RGB)
    report, result = run(editors, path, tmp_path, process, blend={"feather_px": 8})
    compare(path, result, report)
    assert (
        report["gate"]["validity_different"] == 0 and report["gate"]["pixels_inside_changed"] > 100
    )


def test_what_a_grid_or_a_geotiff_cannot_keep_is_refused(editors, tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), colorinterp=RGB)
    mask = np.full((160, 160), 255, "uint8")
    mask[:80] = 128
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    with pytest.raises(RasterUnreadable, match="between 0 and 255"):
        run(editors, path, tmp_path)
    gcps = [
        GroundControlPoint(r, c, 400000 + c / 2, 3285000 - r / 2)
        for r, c in ((0, 0), (0, 160), (160, 0), (160, 160))
    ]
    with rasterio.open(
        tmp_path / "g.tif",
        "w",
        driver="GTiff",
        width=160,
        height=160,
        count=1,
        dtype="uint8",
        gcps=gcps,
        crs="EPSG:32617",
    ) as out:
        out.write(np.ones((1, 160, 160), "uint8"))
    with pytest.raises(RasterUnreadable, match="ground control points"):
        run(editors, tmp_path / "g.tif", tmp_path)


@pytest.mark.parametrize("driver", ["ENVI", "AAIGrid", "HFA", "PNG"])
def test_other_formats(editors, tmp_path, driver):
    values = in_type(scene(1, 160, 160), "uint8")
    source = write(tmp_path / "a.tif", values)
    path = tmp_path / {"ENVI": "b.img", "AAIGrid": "b.asc", "HFA": "b.img", "PNG": "b.png"}[driver]
    rasterio.shutil.copy(source, path, driver=driver)
    report, result = run(editors, path, tmp_path)
    changed, *_ = compare(path, result, report)
    inside_only(changed, report, BLOCK)


@pytest.mark.parametrize(
    ("crs", "transform", "metres"),
    [
        ("EPSG:3857", Affine(1, 0, 1e6, 0, -1, 8399737.9), 0.5),
        ("EPSG:32617", Affine(0.5, 0, 5e5, 0, -0.5, 3285000), 0.4998),
        ("EPSG:2263", Affine(1, 0, 9.8e5, 0, -1, 2e5), 0.3048),
        ("EPSG:4326", Affine(1e-5, 0, 10, 0, -1e-5, 60), 0.788),
    ],
)
def test_the_ground_size_of_a_pixel(editors, tmp_path, crs, transform, metres):
    path = write(tmp_path / "a.tif", np.ones((1, 64, 64), "uint8"), crs=crs, transform=transform)
    with opened(path) as dataset:
        assert profile_of(dataset).gsd_m == pytest.approx(metres, rel=5e-3)


def test_a_polygon_of_the_whole_world_covers_the_raster(editors, tmp_path, rgb):
    world = {
        "type": "Polygon",
        "coordinates": [[[-180, -80], [180, -80], [180, 80], [-180, 80], [-180, -80]]],
    }
    report, result = run(
        editors, rgb, tmp_path, "snow", polygons={"geometry": world, "crs": "EPSG:4326"}
    )
    compare(rgb, result, report)
    assert report["gate"]["pixels_inside"] == 160 * 160


def test_an_elevation_model_has_a_place_and_a_scale(editors, tmp_path, rgb):
    heights = np.full((1, 160, 160), 1000, "int16")
    heights[:, :, 80:] = 2000
    scaled = write(tmp_path / "dem.tif", heights, scales=[0.01])
    with rasterio.open(rgb) as dataset:
        body = {
            "raster": {"path": str(rgb)},
            "polygons": {"geometry": ring(rgb, BLOCK)},
            "options": {"level_m": 12.0, "keep_tall": False},
        }
        assert dataset.crs is not None
    request = EditRequest.from_json(body)
    report = edit(
        Job(request, "flood", Rasters(rgb, None, scaled)), editors, tmp_path, lambda *a: None
    ).to_json()
    assert report["gate"]["pixels_inside_changed"] == pytest.approx(14 * 28, rel=0.2), (
        "only the left half lies below 12 m"
    )
    nowhere = write(tmp_path / "nowhere.tif", heights, crs=None)
    with pytest.raises(CannotEdit, match="has no CRS"):
        edit(Job(request, "flood", Rasters(rgb, None, nowhere)), editors, tmp_path, lambda *a: None)
    far = write(tmp_path / "far.tif", heights, transform=Affine(0.5, 0, 500000, 0, -0.5, 3285000))
    with pytest.raises(CannotEdit, match="no height"):
        edit(Job(request, "flood", Rasters(rgb, None, far)), editors, tmp_path, lambda *a: None)


def test_a_camera_model_goes_with_the_window(editors, tmp_path):
    zeros = [0.0] * 17
    model = RPC(
        height_off=5.0,
        height_scale=500.0,
        lat_off=29.7,
        lat_scale=0.1,
        line_off=80.0,
        line_scale=80.0,
        long_off=-82.0,
        long_scale=0.1,
        samp_off=81.0,
        samp_scale=80.0,
        line_num_coeff=[0.0, 0.0, 1.0, *zeros],
        line_den_coeff=[1.0, 0.0, 0.0, *zeros],
        samp_num_coeff=[0.0, 1.0, 0.0, *zeros],
        samp_den_coeff=[1.0, 0.0, 0.0, *zeros],
        err_bias=-1.0,
        err_rand=-1.0,
    )
    path = write(tmp_path / "a.tif", in_type(scene(1, 160, 160), "uint16"))
    with rasterio.open(path, "r+") as dataset:
        dataset.rpcs = model
    report, result = run(editors, path, tmp_path)
    col, row, *_ = report["window"]
    with rasterio.open(result) as dataset:
        assert (dataset.rpcs.line_off, dataset.rpcs.samp_off) == (
            80.0 - row,
            81.0 - col,
        ) and row > 0
        assert dataset.rpcs.lat_off == 29.7 and dataset.rpcs.line_num_coeff == model.line_num_coeff
    _, cog = run(editors, path, tmp_path, output={"area": "layer", "cog": True})
    with rasterio.open(cog) as dataset:
        assert dataset.rpcs.line_off == 80.0
