"""The raster promise over kinds of rasters and polygons, through the whole main path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.ground.errors import BadRequest, CannotEdit, OutsideRaster, RasterUnreadable
from landbrush.server.raster.rasters import Rasters
from rasterio.enums import ColorInterp
from rasterio.features import rasterize

from tests.server.conftest import RGB, in_type, ring, scene, square, write

BLOCK = square(66, 66, 94, 94)


def run(editors, path, tmp_path, process="remove", pixels=BLOCK, polygons=None, **more):
    """Edit; returns (report, source values of the window, result values, result profile)."""
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    geometry = polygons or {"geometry": ring(path, pixels)}
    request = EditRequest.from_json({"raster": {"path": str(path)}, "polygons": geometry, **more})
    report = edit(
        Job(request, process, Rasters(Path(path))), editors, out, lambda *a: None
    ).to_json()
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json", "preview.png", "result.tif"]
    return report, out / "result.tif"


def compare(path, result, report):
    """The promise, checked here without the gate's code."""
    col, row, width, height = report["window"]
    with rasterio.open(path) as a, rasterio.open(result) as b:
        window = rasterio.windows.Window(col, row, width, height)
        old, new = a.read(window=window), b.read()
        assert a.crs == b.crs and a.dtypes == b.dtypes and a.count == b.count
        assert repr(a.nodata) == repr(b.nodata)
        first = {
            ColorInterp.undefined: ColorInterp.gray
        }  # a GeoTIFF reads an uncoloured first band as grey
        assert first.get(a.colorinterp[0], a.colorinterp[0]) == first.get(
            b.colorinterp[0], b.colorinterp[0]
        )
        assert a.colorinterp[1:] == b.colorinterp[1:] and a.descriptions == b.descriptions
        assert a.scales == b.scales and a.offsets == b.offsets
        assert np.allclose(
            np.array(rasterio.windows.transform(window, a.transform)),
            np.array(b.transform),
            rtol=1e-14,
        )
        assert (a.dataset_mask(window=window) == b.dataset_mask()).all()
        assert b.tags()["AI_GENERATED"] == "TRUE"
        bits = f"u{old.dtype.itemsize}"
        return (
            (np.ascontiguousarray(old).view(bits) != np.ascontiguousarray(new).view(bits)).any(
                axis=0
            ),
            old,
            new,
        )


def inside_only(changed, report, pixels):
    """Nothing outside the pixel box of the polygon changed, and something inside did."""
    col, row, *_ = report["window"]
    xs, ys = [p[0] - col for p in pixels], [p[1] - row for p in pixels]
    hole = np.zeros_like(changed)
    hole[int(min(ys)) : int(np.ceil(max(ys))), int(min(xs)) : int(np.ceil(max(xs)))] = True
    assert not (changed & ~hole).any()
    assert (changed & hole).sum() > 0.5 * hole.sum()


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_types_and_bands(editors, tmp_path, dtype, bands):
    values = (
        (scene(bands, 160, 160) * 120).astype("int8")
        if dtype == "int8"
        else in_type(scene(bands, 160, 160), dtype)
    )
    path = write(tmp_path / "a.tif", values)
    report, result = run(editors, path, tmp_path)
    changed, old, new = compare(path, result, report)
    inside_only(changed, report, BLOCK)
    assert np.isfinite(new).all()


@pytest.mark.parametrize("bands", [6, 13])
@pytest.mark.parametrize("process", ["remove", "flood"])
def test_many_bands(editors, tmp_path, bands, process):
    path = write(
        tmp_path / "a.tif",
        in_type(scene(bands, 160, 160), "int16"),
        descriptions=[f"band {i}" for i in range(bands)],
    )
    # What looks like roofs and crowns in noise would stay dry.
    options = {"keep_tall": False} if process == "flood" else {}
    report, result = run(editors, path, tmp_path, process, options=options)
    changed, *_ = compare(path, result, report)
    inside_only(changed, report, BLOCK)
    assert report["band_roles"]["roles"].count("nir") == 1


@pytest.mark.parametrize("nodata", [0, 255])
def test_nodata_pixels_stay_and_no_pixel_becomes_nodata(editors, tmp_path, nodata):
    values = in_type(scene(3, 160, 160), "uint8")
    values[:, :, 70:76] = nodata
    path = write(tmp_path / "a.tif", values, nodata=nodata, colorinterp=RGB)
    report, result = run(editors, path, tmp_path)
    changed, old, new = compare(path, result, report)
    gone = (old == nodata).all(axis=0)
    assert gone.any() and not (changed & gone).any()
    assert not ((new == nodata).all(axis=0) & ~gone).any()


def test_an_edit_that_paints_the_nodata_value_keeps_its_pixels(editors, tmp_path):
    values = np.full((3, 160, 160), 128, "uint8")
    values += np.random.default_rng(0).integers(0, 3, values.shape, dtype=np.uint8)
    path = write(tmp_path / "a.tif", values, nodata=223, colorinterp=RGB)
    report, result = run(
        editors,
        path,
        tmp_path,
        "fog",
        options={"visibility_m": 10, "patchiness": 0},
        blend={"feather_px": 0},
    )
    with rasterio.open(result) as dataset:
        assert (dataset.dataset_mask() > 0).all()
    assert report["gate"]["validity_different"] == 0


def test_nan_nodata(editors, tmp_path):
    values = in_type(scene(2, 160, 160), "float32")
    values[:, 70:74, :] = np.nan
    path = write(tmp_path / "a.tif", values, nodata=np.nan)
    report, result = run(editors, path, tmp_path)
    changed, old, new = compare(path, result, report)
    assert np.isnan(new[:, np.isnan(old).any(axis=0)]).all()
    assert np.isfinite(new[:, ~np.isnan(old).any(axis=0)]).all()


def test_alpha_band_is_kept(editors, tmp_path):
    values = in_type(scene(4, 160, 160), "uint8")
    values[3] = 255
    values[3, :, 80:] = 0
    path = write(
        tmp_path / "a.tif",
        values,
        colorinterp=(*RGB, ColorInterp.alpha),
        photometric="RGB",
        alpha="YES",
    )
    report, result = run(editors, path, tmp_path)
    changed, old, new = compare(path, result, report)
    assert (old[3] == new[3]).all()
    assert changed.any() and not (changed & (old[3] == 0)).any()


def test_internal_mask_is_kept(editors, tmp_path):
    mask = np.full((160, 160), 255, "uint8")
    mask[:78] = 0
    path = write(
        tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), mask=mask, colorinterp=RGB
    )
    report, result = run(editors, path, tmp_path)
    changed, *_ = compare(path, result, report)
    assert changed.any()
    assert not (tmp_path / "out" / "result.tif.msk").exists()


TRANSFORMS = {
    "north up": Affine(0.5, 0, 400000, 0, -0.5, 3285000),
    "south up": Affine(0.5, 0, 400000, 0, 0.5, 3285000),
    "not square": Affine(0.6, 0, 400000.3, 0, -0.674, 3285000.7),
    "rotated": Affine.translation(400000, 3285000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5),
    "rotated 90, mirrored": Affine(0, 0.5, 400000, 0.5, 0, 3285000),
    "sheared": Affine(0.5, 0.1, 400000, 0.05, -0.5, 3285000),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("area", ["window", "layer"])
def test_grids(editors, tmp_path, name, area):
    path = write(
        tmp_path / "a.tif",
        in_type(scene(3, 160, 160), "uint8"),
        transform=TRANSFORMS[name],
        colorinterp=RGB,
    )
    report, result = run(editors, path, tmp_path, output={"area": area})
    changed, *_ = compare(path, result, report)
    inside_only(changed, report, BLOCK)
    with rasterio.open(path) as a, rasterio.open(result) as b:
        if area == "layer":
            assert a.transform == b.transform and a.shape == b.shape


CUSTOM = "+proj=laea +lat_0=17.3 +lon_0=-42.1 +x_0=1000 +y_0=2000 +ellps=GRS80 +units=m +no_defs"
CRSS = {
    "projected": ("EPSG:26915", None),
    "feet": ("EPSG:2264", None),
    "geographic": ("EPSG:4326", Affine(6e-6, 0, -94.5, 0, -6e-6, 37.05)),
    "custom": (CUSTOM, None),
    "compound": ("EPSG:5972", None),
    "polar": ("EPSG:3031", Affine(10, 0, -500000, 0, -10, 500000)),
    "none": (None, None),
}


@pytest.mark.parametrize("name", CRSS)
def test_crss(editors, tmp_path, name):
    crs, transform = CRSS[name]
    path = write(
        tmp_path / "a.tif",
        in_type(scene(3, 160, 160), "uint8"),
        crs=crs,
        transform=transform,
        colorinterp=RGB,
    )
    report, result = run(editors, path, tmp_path)
    changed, *_ = compare(path, result, report)
    inside_only(changed, report, BLOCK)


def test_descriptions_units_scale_and_offset(editors, tmp_path):
    path = write(
        tmp_path / "a.tif",
        in_type(scene(4, 160, 160), "uint16"),
        scales=(1e-4,) * 4,
        offsets=(-0.1,) * 4,
        descriptions=("Blue", "Green", "Red", "NIR"),
    )
    report, result = run(editors, path, tmp_path)
    compare(path, result, report)
    assert report["band_roles"] == {
        "roles": ["blue", "green", "red", "nir"],
        "source": "band descriptions",
    }


def test_pixel_is_point(editors, tmp_path):
    path = write(tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")
    report, result = run(editors, path, tmp_path)
    compare(path, result, report)
    with rasterio.open(result) as dataset:
        assert dataset.tags()["AREA_OR_POINT"] == "Point"


def test_twelve_bit(editors, tmp_path):
    values = (scene(1, 160, 160) * 4000).astype("uint16")
    path = write(tmp_path / "a.tif", values, nbits=12)
    report, result = run(editors, path, tmp_path)
    compare(path, result, report)
    with rasterio.open(result) as dataset:
        assert (
            dataset.tags(1, ns="IMAGE_STRUCTURE")["NBITS"] == "12" and dataset.read().max() < 4096
        )


@pytest.mark.parametrize(
    ("compression", "cog"),
    [("deflate", False), ("zstd", False), ("none", False), ("deflate", True)],
)
def test_compression_and_cog(editors, tmp_path, compression, cog):
    values = in_type(scene(3, 700, 700), "uint16")
    path = write(tmp_path / "a.tif", values, transform=TRANSFORMS["north up"], nodata=0)
    report, result = run(
        editors,
        path,
        tmp_path,
        pixels=square(300, 300, 340, 340),
        output={"area": "layer", "compression": compression, "cog": cog},
    )
    compare(path, result, report)
    with rasterio.open(result) as dataset:
        assert dataset.overviews(1) and dataset.profile["tiled"]
    if cog:
        from rio_cogeo import cog_validate

        valid, errors, _ = cog_validate(str(result))
        assert valid, errors


def test_complex_and_mixed_are_refused_with_a_sentence(editors, tmp_path):
    path = write(tmp_path / "c.tif", np.zeros((1, 50, 50), "complex64"))
    with pytest.raises(RasterUnreadable, match="complex"):
        run(editors, path, tmp_path, pixels=square(10, 10, 20, 20))
    (tmp_path / "no.tif").write_text("not a raster")
    with pytest.raises(RasterUnreadable, match="cannot be read"):
        edit(
            Job(
                EditRequest.from_json(
                    {
                        "raster": {"path": "x"},
                        "polygons": {
                            "geometry": {
                                "type": "Polygon",
                                "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]],
                            }
                        },
                    }
                ),
                "remove",
                Rasters(tmp_path / "no.tif"),
            ),
            editors,
            tmp_path,
            lambda *a: None,
        )


def polygons_case(path, name):
    hole = [*square(60, 60, 100, 100)], [*square(70, 70, 90, 90)]
    with rasterio.open(path) as dataset:
        at = lambda pixels: [list(dataset.transform @ p) for p in [*pixels, pixels[0]]]
        return {
            "hole": {"type": "Polygon", "coordinates": [at(hole[0]), at(hole[1])]},
            "multi": {
                "type": "MultiPolygon",
                "coordinates": [[at(square(10, 10, 30, 30))], [at(square(120, 120, 150, 150))]],
            },
            "partly outside": {"type": "Polygon", "coordinates": [at(square(140, -30, 200, 40))]},
            "at the corner": {"type": "Polygon", "coordinates": [at(square(-5, -5, 20, 20))]},
            "bow tie": {
                "type": "Polygon",
                "coordinates": [at([(60, 60), (100, 100), (100, 60), (60, 100)])],
            },
            "one pixel": {"type": "Polygon", "coordinates": [at(square(30, 30, 31, 31))]},
            "smaller than a pixel": {
                "type": "Polygon",
                "coordinates": [at(square(30.1, 30.1, 30.3, 30.3))],
            },
            "sliver": {"type": "Polygon", "coordinates": [at(square(20, 30.1, 60, 30.2))]},
            "everything": {"type": "Polygon", "coordinates": [at(square(-9, -9, 170, 170))]},
        }[name]


@pytest.mark.parametrize(
    "name",
    [
        "hole",
        "multi",
        "partly outside",
        "at the corner",
        "bow tie",
        "one pixel",
        "smaller than a pixel",
        "sliver",
        "everything",
    ],
)
@pytest.mark.parametrize("process", ["snow", "remove", "variation"])
def test_polygons(editors, tmp_path, rgb, name, process):
    geometry = {"geometry": polygons_case(rgb, name)}
    if name == "everything" and process == "remove":
        with pytest.raises(CannotEdit, match="too little valid ground"):
            run(editors, rgb, tmp_path, process, polygons=geometry)
        return
    report, result = run(editors, rgb, tmp_path, process, polygons=geometry)
    changed, *_ = compare(rgb, result, report)
    assert report["gate"]["pixels_outside_different"] == 0
    with rasterio.open(result) as written:
        touched = (
            rasterize(
                [geometry["geometry"]],
                out_shape=written.shape,
                transform=written.transform,
                all_touched=True,
            )
            > 0
        )
    assert not (changed & ~touched).any()
    assert changed.any()
    if name == "hole":
        col, row, *_ = report["window"]
        assert not changed[70 - row : 90 - row, 70 - col : 90 - col].any()
    if name in ("one pixel", "smaller than a pixel"):
        assert report["gate"]["pixels_inside"] == 1 and changed.sum() == 1


def test_polygons_wholly_outside(editors, tmp_path, rgb):
    with pytest.raises(OutsideRaster, match="do not touch"):
        run(editors, rgb, tmp_path, pixels=square(500, 500, 510, 510))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32616"])
def test_polygons_in_another_crs(editors, tmp_path, rgb, crs):
    from rasterio.warp import transform_geom

    geometry = transform_geom("EPSG:32617", crs, ring(rgb, BLOCK))
    direct, _ = run(editors, rgb, tmp_path)
    report, result = run(editors, rgb, tmp_path, polygons={"geometry": geometry, "crs": crs})
    assert abs(report["gate"]["pixels_inside"] - direct["gate"]["pixels_inside"]) <= 4
    changed, *_ = compare(rgb, result, report)
    inside_only(changed, report, square(65, 65, 95, 95))


def test_unknown_crs_and_missing_crs(editors, tmp_path, rgb):
    with pytest.raises(BadRequest, match="not a CRS"):
        run(editors, rgb, tmp_path, polygons={"geometry": ring(rgb, BLOCK), "crs": "EPSG:999999"})
    bare = write(tmp_path / "bare.tif", in_type(scene(3, 160, 160), "uint8"), crs=None)
    with pytest.raises(BadRequest, match="no CRS"):
        run(editors, bare, tmp_path, polygons={"geometry": ring(bare, BLOCK), "crs": "EPSG:4326"})


def test_degrees_on_a_picture_without_a_place_are_not_taken_for_pixels(editors, tmp_path):
    """A block of houses in degrees was one pixel, edited with success."""
    bare = write(
        tmp_path / "bare.tif",
        in_type(scene(3, 160, 160), "uint8"),
        crs=None,
        transform=Affine.identity(),
    )
    block = [[85.521, 27.631], [85.522, 27.631], [85.522, 27.632], [85.521, 27.631]]
    degrees = {"type": "Polygon", "coordinates": [block]}
    with pytest.raises(CannotEdit, match="smaller than a pixel"):
        run(editors, bare, tmp_path, polygons={"geometry": degrees})
    report, _ = run(editors, bare, tmp_path, "snow", polygons={"geometry": ring(bare, BLOCK)})
    assert report["gate"]["pixels_inside"] > 100


def test_extent_protect_and_grow(editors, tmp_path, rgb):
    with rasterio.open(rgb) as dataset:
        x0, y0 = dataset.transform @ (60, 100)
        x1, y1 = dataset.transform @ (80, 60)
    report, result = run(
        editors,
        rgb,
        tmp_path,
        "snow",
        pixels=square(60, 60, 100, 100),
        extent={"xmin": x0, "ymin": y0, "xmax": x1, "ymax": y1},
        protect={"geometry": ring(rgb, square(60, 60, 70, 100))},
    )
    assert report["window"] == [60, 60, 20, 40]
    changed, *_ = compare(rgb, result, report)
    assert not changed[:, :10].any() and changed[:, 10:].any()
    assert report["gate"]["pixels_inside"] == 10 * 40
    grown, _ = run(
        editors, rgb, tmp_path, "snow", pixels=square(60, 60, 100, 100), blend={"grow_px": 3}
    )
    plain, _ = run(editors, rgb, tmp_path, "snow", pixels=square(60, 60, 100, 100))
    assert grown["gate"]["pixels_inside"] > plain["gate"]["pixels_inside"] + 400


@pytest.mark.parametrize(("left", "said"), [(60, False), (98, False), (120, True)])
def test_what_spares_nothing_is_told(editors, tmp_path, rgb, left, said):
    spared = {"geometry": ring(rgb, square(left, 60, left + 10, 100))}
    report, _ = run(editors, rgb, tmp_path, "snow", square(60, 60, 100, 100), protect=spared)
    assert any("spares nothing" in note for note in report["notes"]) == said


@pytest.mark.parametrize("process", ["remove", "snow", "harmonise"])
def test_what_is_drawn_beyond_the_polygon_is_not_kept(editors, tmp_path, rgb, process):
    plain, result = run(editors, rgb, tmp_path, process, seed=1)
    before = result.read_bytes()
    report, result = run(editors, rgb, tmp_path, process, seed=1, blend={"beyond_px": 12})
    compare(rgb, result, report)
    assert (
        report["gate"]["pixels_inside"] == plain["gate"]["pixels_inside"]
        and result.read_bytes() != before
    )


def test_radiometric_match_takes_out_the_drift_of_an_editor_that_redraws(
    editors, tmp_path, rgb, monkeypatch
):
    """An editor that brightens everything it draws is brought back to the ring, unless that is
    switched off."""

    editor = editors.get("harmonise")
    plain = editor.edit
    monkeypatch.setattr(editor, "edit", lambda *a: plain(*a) + np.float32(0.1))

    def brightness(match):
        _, result = run(
            editors, rgb, tmp_path, "harmonise", blend={"radiometric_match": match, "feather_px": 0}
        )
        with rasterio.open(result) as dataset:
            return float(dataset.read()[:, 12:-12, 12:-12].mean())

    assert brightness(False) - brightness(True) == pytest.approx(25.5, abs=3)


def test_same_request_same_bytes_another_seed_other_bytes(editors, tmp_path, rgb):
    def once(seed, process):
        _, result = run(editors, rgb, tmp_path, process, seed=seed)
        return result.read_bytes()

    for process in ("remove", "variation", "snow"):
        assert once(3, process) == once(3, process)
        assert once(3, process) != once(4, process)


def test_sparse_giant(editors, tmp_path):
    """A 30,000 x 30,000 file: only the edited window is read and written."""
    path = tmp_path / "giant.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=30000,
        height=30000,
        count=3,
        dtype="uint8",
        crs="EPSG:32617",
        transform=Affine(0.5, 0, 400000, 0, -0.5, 3285000),
        tiled=True,
        sparse_ok=True,
        bigtiff="YES",
        nodata=0,
    ) as out:
        out.write(
            in_type(scene(3, 256, 256), "uint8"),
            window=rasterio.windows.Window(20000, 25000, 256, 256),
        )
    report, result = run(editors, path, tmp_path, pixels=square(20114, 25114, 20142, 25142))
    compare(path, result, report)
    assert result.stat().st_size < 200_000
