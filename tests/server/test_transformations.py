"""How polygons came to the raster's CRS is told, and that a better way lacks its grid."""

import pytest
import rasterio
from affine import Affine

from tests.server.conftest import in_type, ring, scene, square, write
from tests.server.edits import made


def edited(tmp_path, raster_crs, corner, crs):
    at = Affine(0.5, 0, corner[0], 0, -0.5, corner[1])
    path = write(
        tmp_path / "r.tif", in_type(scene(3, 160, 160), "uint8"), crs=raster_crs, transform=at
    )
    geometry = ring(path, square(60, 60, 100, 100))
    if crs:
        geometry = rasterio.warp.transform_geom(raster_crs, crs, geometry, precision=-1)
    polygons = {"geometry": geometry, **({"crs": crs} if crs else {})}
    return made(path, tmp_path / "out", polygons=polygons)


def test_none_is_told_where_none_was_used(tmp_path):
    report = edited(tmp_path, "EPSG:32617", (400_000, 3_285_000), "")
    assert not report.get("transformation")
    report = edited(tmp_path, "EPSG:32617", (400_000, 3_285_000), "EPSG:32617")
    assert not report.get("transformation")


def test_an_exact_one_is_named_without_a_note(tmp_path):
    report = edited(tmp_path, "EPSG:32617", (400_000, 3_285_000), "EPSG:4326")
    assert (
        "UTM zone 17N" in report["transformation"] and "accurate to 0 m" in report["transformation"]
    )
    assert not any("A better way" in note for note in report.get("notes", ()))


@pytest.mark.parametrize(
    ("raster_crs", "corner", "crs", "grid"),
    [
        ("EPSG:25830", (699_300, 5_710_100), "EPSG:27700", "OSTN15"),
        ("EPSG:25832", (512_900, 5_402_400), "EPSG:31467", "tif"),
    ],
)
def test_a_grid_that_is_not_there_is_named(tmp_path, raster_crs, corner, crs, grid):
    report = edited(tmp_path, raster_crs, corner, crs)
    (note,) = (note for note in report["notes"] if "A better way" in note)
    assert grid in note and "accurate to" in note and report["transformation"] in note
