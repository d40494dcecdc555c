"""Polygons from vector files of other kinds than GeoJSON, and for pictures without a place on the
ground."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from landbrush.server.ground.errors import BadRequest
from landbrush.server.raster import vectors
from landbrush.server.raster.polygon_files import polygons_for
from landbrush.server.raster.polygons import pixel_polygons
from landbrush.server.raster.raster import opened, profile_of

UTM = "EPSG:32617"
SQUARES = (shapely.box(400_010, 3_284_960, 400_030, 3_284_980), shapely.box(0, 0, 1, 1))


@pytest.fixture
def raster(tmp_path):
    path = tmp_path / "r.tif"
    place = {"crs": UTM, "transform": Affine(0.5, 0, 400_000, 0, -0.5, 3_285_000)}
    profile = {"driver": "GTiff", "width": 120, "height": 100, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, **place) as out:
        out.write(np.full((3, 100, 120), 90, "uint8"))
    return path


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "photo.png"
    rng = np.random.default_rng(1)
    values = rng.integers(20, 220, (3, 100, 120)).astype("uint8")
    profile = {"driver": "PNG", "width": 120, "height": 100, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile) as out:
        out.write(values)
    return path


def written(path, shapes, driver, crs=UTM, layer="areas", kind="Polygon", append=False):
    vectors._library().raw.write(
        str(path),
        np.array([None if s is None else shapely.to_wkb(s) for s in shapes], object),
        [],
        np.array([], object),
        driver=driver,
        geometry_type=kind,
        crs=crs,
        layer=layer,
        append=append,
    )
    return path


def area_px(path, raster, crs=""):
    polygons = polygons_for(path, raster, crs)
    with opened(raster) as dataset:
        return sum(s.area for s in pixel_polygons(polygons, profile_of(dataset)))


@pytest.mark.parametrize(
    ("name", "driver"),
    [("a.shp", "ESRI Shapefile"), ("a.gpkg", "GPKG"), ("a.fgb", "FlatGeobuf")],
)
def test_a_file_is_read_in_the_crs_it_states(tmp_path, raster, name, driver):
    empty = [] if driver == "FlatGeobuf" else [None]  # which holds none
    path = written(tmp_path / name, [SQUARES[0], *empty], driver)
    assert area_px(path, raster) == pytest.approx(1600)


def test_kml_is_in_degrees(tmp_path, raster):
    import pyproj

    move = pyproj.Transformer.from_crs(UTM, 4326, always_xy=True).transform
    degrees = shapely.transform(SQUARES[0], lambda xy: np.column_stack(move(xy[:, 0], xy[:, 1])))
    path = written(tmp_path / "a.kml", [degrees], "KML", "EPSG:4326")
    assert area_px(path, raster) == pytest.approx(1600, rel=1e-4)


def test_a_zipped_shapefile_is_read(tmp_path, raster):
    inner = tmp_path / "inner"
    inner.mkdir()
    written(inner / "a.shp", [SQUARES[0]], "ESRI Shapefile")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for part in inner.iterdir():
            packed.write(part, f"folder/{part.name}")
    assert area_px(tmp_path / "a.zip", raster) == pytest.approx(1600)


def test_heights_and_collections_are_flattened(tmp_path, raster):
    high = shapely.force_3d(SQUARES[0], 12.0)
    both = shapely.multipolygons([high, shapely.force_3d(shapely.box(0, 0, 1, 1), 1.0)])
    path = written(tmp_path / "a.gpkg", [both], "GPKG", kind="MultiPolygon Z")
    assert area_px(path, raster) == pytest.approx(1600 + 4)


def test_a_shapefile_without_prj_is_not_taken_for_degrees(tmp_path, raster):
    path = written(tmp_path / "a.shp", [SQUARES[0]], "ESRI Shapefile")
    (tmp_path / "a.prj").unlink()
    with pytest.raises(BadRequest, match="names no CRS"):
        polygons_for(path, raster)
    assert area_px(path, raster, UTM) == pytest.approx(1600)


def test_of_several_layers_one_is_named(tmp_path, raster):
    path = written(tmp_path / "a.gpkg", [SQUARES[1]], "GPKG", layer="small")
    written(path, [SQUARES[0]], "GPKG", layer="large", append=True)
    with pytest.raises(BadRequest, match=r"2 layers .*\|layername="):
        polygons_for(path, raster)
    assert area_px(f"{path}|layername=large", raster) == pytest.approx(1600)
    with pytest.raises(BadRequest, match="cannot be read"):
        polygons_for(f"{path}|layername=none", raster)


def test_lines_alone_are_no_area(tmp_path, raster):
    path = written(
        tmp_path / "a.gpkg", [shapely.linestrings([[0, 0], [5, 5]])], "GPKG", kind="LineString"
    )
    with pytest.raises(BadRequest, match="holds no polygon"):
        polygons_for(path, raster)


def test_a_broken_file_is_a_sentence(tmp_path, raster):
    path = written(tmp_path / "a.fgb", [SQUARES[0]], "FlatGeobuf")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadRequest, match=r"a\.fgb"):
        polygons_for(path, raster)


def test_other_drivers_are_not_registered(tmp_path):
    drivers = set(vectors._library().list_drivers())
    assert not drivers & {"OGR_VRT", "CSV", "WFS", "PostgreSQL", "HTTP", "SQLite", "GeoJSON"}
    assert {"ESRI Shapefile", "GPKG", "FlatGeobuf"} <= drivers


@pytest.mark.parametrize(("more", "sign"), [((), 1), (("--crs", "pixels-up"), -1)])
def test_a_picture_is_edited_by_columns_and_rows(tmp_path, picture, more, sign):
    ring = [[30, 20 * sign], [70, 20 * sign], [70, 60 * sign], [30, 60 * sign], [30, 20 * sign]]
    (tmp_path / "p.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    target = tmp_path / "o.tif"
    command = (
        f"edit {picture} --polygons {tmp_path}/p.geojson --editor fog --output {target}".split()
    )
    done = subprocess.run(
        [sys.executable, "-m", "landbrush.server", *command, *more], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with rasterio.open(picture) as before, rasterio.open(target) as after:
        # All of it: a part could not say where it lies.
        assert after.shape == before.shape and after.crs is None
        assert after.transform == Affine.identity()
        changed = (before.read() != after.read()).any(axis=0)
    rows, cols = np.nonzero(changed)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (20, 59, 30, 69)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
def test_any_path_is_printed_on_any_console(tmp_path, raster, encoding):
    folder = tmp_path / "規劃 é"
    folder.mkdir()
    path = raster.rename(folder / "圖.tif")
    written(folder / "區.gpkg", [SQUARES[0]], "GPKG")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    commands = (
        (
            "edit",
            path,
            "--polygons",
            folder / "區.gpkg",
            "--editor",
            "snow",
            "--output",
            folder / "出.tif",
        ),
        ("inspect", folder / "出.tif"),
    )
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "landbrush.server", *map(str, command)],
            capture_output=True,
            env=environment,
        )
        assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    missing = subprocess.run(
        [sys.executable, "-m", "landbrush.server", "inspect", str(folder / "無.tif")],
        capture_output=True,
        env=environment,
    )
    assert missing.returncode == 1 and b"There is no file" in missing.stderr


def test_what_is_left_out_or_taken_otherwise_is_said(tmp_path, raster, caplog):
    line = shapely.linestrings([[0, 0], [5, 5]])
    path = written(tmp_path / "a.gpkg", [SQUARES[0], line, None], "GPKG", kind="Unknown")
    polygons_for(path, raster, "EPSG:32618")
    assert "2 features without a polygon were left out" in caplog.text
    assert "states EPSG:32617; its positions are taken for EPSG:32618" in caplog.text
