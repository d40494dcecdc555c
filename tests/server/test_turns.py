"""Dateline, poles, rasters that count from 0 to 360: every part of every polygon is edited where
it lies, and the judge finds so by its own way."""

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine

from tests.server.conftest import in_type, scene, write
from tests.server.edits import made


def world(path, left, bottom, top, size=0.5, width=720):
    """A strip around the Earth, or a part of it, in degrees."""
    height = round((top - bottom) / size)
    values = in_type(scene(3, height, width), "uint8")
    return write(path, values, crs="EPSG:4326", transform=Affine(size, 0, left, 0, -size, top))


def edited(path, folder, rings, crs, **more):
    """Which pixels changed, and what the judge counted; `rings`: one a polygon, or with its
    holes."""
    parts = [ring if isinstance(ring[0][0], list) else [ring] for ring in rings]
    polygons = {"geometry": {"type": "MultiPolygon", "coordinates": parts}, "crs": crs}
    report = made(path, folder, "snow", polygons=polygons, output={"area": "layer"}, **more)
    with rasterio.open(path) as before, rasterio.open(folder / "result.tif") as after:
        return (before.read() != after.read()).any(axis=0), report["gate"]


def box(left, bottom, right, top):
    return [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]


def centres(path):
    with rasterio.open(path) as dataset:
        rows, cols = np.mgrid[: dataset.height, : dataset.width] + 0.5
        return dataset.transform @ (cols, rows)


@pytest.mark.parametrize("left", [-180.0, 0.0, -90.0])
@pytest.mark.parametrize(("code", "sign"), [("EPSG:3413", 1), ("EPSG:3031", -1)])
def test_a_polygon_around_a_pole(tmp_path, left, code, sign):
    bottom, top = (75.0, 90.0) if sign > 0 else (-90.0, -75.0)
    path = world(tmp_path / "strip.tif", left, bottom, top)
    half = 700_000
    changed, gate = edited(path, tmp_path / "out", [box(-half, -half, half, half)], code)
    lon, lat = centres(path)
    x, y = pyproj.Transformer.from_crs(4326, code, always_xy=True).transform(lon, lat)
    inside = (abs(x) < half) & (abs(y) < half)
    # The square's edges are bent on that map: to a pixel.
    assert not (changed & ((abs(x) > half * 1.08) | (abs(y) > half * 1.08))).any()
    assert changed[inside & (abs(x) < half * 0.92) & (abs(y) < half * 0.92)].mean() > 0.6
    assert abs(gate["pixels_inside"] - inside.sum()) < 0.05 * inside.sum()


@pytest.mark.parametrize("code", ["EPSG:3413", "EPSG:3031"])
def test_a_cap_in_degrees_on_a_polar_raster(tmp_path, code):
    size = 10_000
    values = in_type(scene(3, 200, 200), "uint8")
    at = Affine(size, 0, -100 * size, 0, -size, 100 * size)
    path = write(tmp_path / "polar.tif", values, crs=code, transform=at)
    south, north = (85.0, 90.0) if code == "EPSG:3413" else (-90.0, -85.0)
    changed, gate = edited(path, tmp_path / "out", [box(-180, south, 180, north)], "EPSG:4326")
    x, y = centres(path)
    _, lat = pyproj.Transformer.from_crs(code, 4326, always_xy=True).transform(x, y)
    inside = abs(lat) > 85
    assert abs(gate["pixels_inside"] - inside.sum()) < 0.03 * inside.sum()
    assert not (changed & (abs(lat) < 84.8)).any()


@pytest.mark.parametrize(
    ("left", "rings"),
    [
        (0.0, [box(-20, 10, -10, 15), box(170, 10, 175, 15), box(-175, 10, -170, 15)]),
        (-180.0, [box(350, 10, 358, 15), box(190, 10, 200, 15)]),
        (100.0, [box(-150, 10, -140, 15), box(179, 10, 181, 15), box(-200, 12, -190, 14)]),
    ],
)
def test_each_part_is_turned_for_itself(tmp_path, left, rings):
    path = world(tmp_path / "strip.tif", left, 0.0, 20.0)
    changed, gate = edited(path, tmp_path / "out", rings, "EPSG:4326")
    lon, lat = centres(path)
    inside = np.zeros(lon.shape, bool)
    for ring in rings:
        (west, south), (east, north) = ring[0], ring[2]
        for turn in (-360, 0, 360):
            held = (lon > west + turn) & (lon < east + turn)
            inside |= held & (lat > south) & (lat < north)
    assert not (changed & ~inside).any() and gate["pixels_inside"] == inside.sum()


def test_a_hole_is_turned_with_its_polygon(tmp_path):
    """Across 180 degrees, in a CRS of the Pacific."""
    path = world(tmp_path / "strip.tif", -180.0, 0.0, 20.0)
    change = pyproj.Transformer.from_crs(4326, 3832, always_xy=True)

    def there(ring):
        return [list(change.transform(x, y)) for x, y in ring]

    rings = [[there(box(170, 5, 190, 15)), there(box(183, 8, 187, 12))]]
    changed, gate = edited(path, tmp_path / "out", rings, "EPSG:3832")
    lon, lat = centres(path)
    hole = (lon > -177) & (lon < -173) & (lat > 8) & (lat < 12)
    assert not changed[hole].any() and changed[(lon > 171) & (lat > 6) & (lat < 14)].any()
    wanted = 40 * 20 - 8 * 8
    assert abs(gate["pixels_inside"] - wanted) <= 30


@pytest.mark.parametrize(
    ("left", "ring", "extent", "wanted"),
    [
        (0.0, box(-10, 5, 10, 15), (-5, 0, 5, 20), [(0, 5), (355, 360)]),
        (-180.0, box(-10, 5, 10, 15), (-5, 0, 5, 20), [(-5, 5)]),
        (-180.0, box(170, 5, 190, 15), (175, 0, 185, 20), [(175, 180), (-180, -175)]),
    ],
)
def test_an_extent_is_turned_too(tmp_path, left, ring, extent, wanted):
    path = world(tmp_path / "strip.tif", left, 0.0, 20.0)
    limit = dict(zip(("xmin", "ymin", "xmax", "ymax"), extent, strict=True))
    changed, gate = edited(path, tmp_path / "out", [ring], "EPSG:4326", extent=limit)
    lon, lat = centres(path)
    inside = np.zeros(lon.shape, bool)
    for west, east in wanted:
        inside |= (lon > west) & (lon < east) & (lat > 5) & (lat < 15)
    assert not (changed & ~inside).any() and gate["pixels_inside"] == inside.sum()


def test_an_extent_elsewhere_leaves_nothing_to_edit(tmp_path):
    from landbrush.server.ground.errors import OutsideRaster

    path = world(tmp_path / "strip.tif", -180.0, 0.0, 20.0)
    limit = {"xmin": 175, "ymin": 0, "xmax": 185, "ymax": 20}
    with pytest.raises(OutsideRaster):
        edited(path, tmp_path / "out", [box(-10, 5, 10, 15)], "EPSG:4326", extent=limit)


@pytest.mark.parametrize("roll", [0, 1, 3])
def test_a_hole_around_a_pole_stays(tmp_path, roll):
    path = world(tmp_path / "strip.tif", -180.0, 60.0, 90.0)

    def square(half, roll=0):
        corners = [[-half, -half], [half, -half], [half, half], [-half, half]]
        corners = corners[roll:] + corners[:roll]
        return [*corners, corners[0]]

    hole = square(1e6, roll)[:: -1 if roll else 1]
    changed, gate = edited(path, tmp_path / "out", [[square(2e6), hole]], "EPSG:3995")
    lon, lat = centres(path)
    x, y = pyproj.Transformer.from_crs(4326, 3995, always_xy=True).transform(lon, lat)
    outer = (abs(x) < 2e6) & (abs(y) < 2e6)
    inside = outer & ~((abs(x) < 1e6) & (abs(y) < 1e6))
    assert abs(gate["pixels_inside"] - inside.sum()) < 0.02 * inside.sum()
    assert not changed[(abs(x) < 0.9e6) & (abs(y) < 0.9e6)].any()
