"""A click instead of a polygon: the outline of what lies at a place."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from affine import Affine
from landbrush.server.contract.requests import PIXELS_UP
from landbrush.server.ground.errors import NotFoundInLayer, OutsideRaster
from landbrush.server.raster.bands import Layer
from landbrush.server.raster.raster import opened
from landbrush.server.search.thing import thing_at
from PIL import Image

from tests.conftest import DATA
from tests.server.conftest import MODELS, RGB, in_type, ring, square, write

PRE = DATA / "joplin_tornado_geotiff" / "input" / "pre"


def meadow(height=260, width=300, seed=0):
    rng = np.random.default_rng(seed)
    base = np.array([0.30, 0.36, 0.22])[:, None, None]
    return base + 0.01 * rng.standard_normal((3, height, width))


def at(path, column, row, **roles):
    with opened(path, None) as dataset:
        return thing_at(MODELS, Layer.of(dataset, roles), column, row)


def likeness(found, wanted):
    return found.intersection(wanted).area / found.union(wanted).area


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_ground_that_is_alike_up_to_its_edges(tmp_path, kind):
    image = meadow()
    image[:, 90:150, 120:200] = np.array([0.55, 0.50, 0.40])[:, None, None]
    path = write(tmp_path / "a.tif", in_type(image, kind), colorinterp=RGB)
    found = at(path, 160, 120)
    assert likeness(found.polygon, shapely.box(120, 90, 200, 150)) > 0.85
    assert found.polygon.is_valid and not found.polygon.interiors


def test_one_band_and_a_picture_without_a_place(tmp_path):
    image = meadow()[:1]
    image[:, 40:100, 30:110] = 0.8
    plain = write(tmp_path / "b.tif", in_type(image, "uint8"), crs=None)
    found = at(plain, 60, 70)
    assert likeness(found.polygon, shapely.box(30, 40, 110, 100)) > 0.85 and found.what == ""


GRIDS = {
    "rotated": Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(2, -2),
    "south up": Affine.translation(500_000, 5_000_000) @ Affine.scale(2, 2),
    "not square": Affine.translation(500_000, 5_000_000) @ Affine.scale(2, -3),
}


@pytest.mark.parametrize("grid", sorted(GRIDS))
def test_every_grid_over_http(client, tmp_path, grid):
    image = meadow()
    image[:, 90:150, 120:200] = 0.7
    colours = in_type(image, "uint8")
    path = write(tmp_path / "g.tif", colours, colorinterp=RGB, transform=GRIDS[grid])
    place = {"geometry": ring(path, square(158, 118, 162, 122))}
    answer = client.post("/outlines", json={"raster": {"path": str(path)}, "place": place})
    found = shapely.geometry.shape(answer.get_json()["polygons"]["geometry"])
    wanted = shapely.geometry.shape(ring(path, square(120, 90, 200, 150)))
    assert likeness(found, wanted) > 0.85


def test_a_picture_of_pixels_that_count_upwards(client, tmp_path):
    image = np.full((160, 200, 3), (90, 110, 70), np.uint8)
    image[40:90, 60:120] = 200
    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path)
    corners = [[88, -63], [92, -63], [92, -67], [88, -67], [88, -63]]
    place = {"geometry": {"type": "Polygon", "coordinates": [corners]}, "crs": PIXELS_UP}
    answer = client.post("/outlines", json={"raster": {"path": str(path)}, "place": place})
    found = shapely.geometry.shape(answer.get_json()["polygons"]["geometry"])
    assert likeness(found, shapely.box(60, 40, 120, 90)) > 0.85


def test_a_layer_in_units_that_nobody_knows_takes_no_longer(tmp_path):
    image = meadow()
    image[:, 90:150, 120:200] = 0.7
    tiny = Affine.translation(7, 46) @ Affine.scale(1e-6, -1e-6)
    path = write(tmp_path / "w.tif", in_type(image, "uint8"), crs=None, transform=tiny)
    found = at(path, 160, 120)
    assert likeness(found.polygon, shapely.box(120, 90, 200, 150)) > 0.85 and found.what == ""


def test_places_with_nothing_to_outline(tmp_path):
    image = in_type(meadow(), "uint8")
    image[:, :60] = 0
    path = write(tmp_path / "c.tif", image, colorinterp=RGB, nodata=0)
    with pytest.raises(NotFoundInLayer, match="no data there"):
        at(path, 100, 20)
    with pytest.raises(OutsideRaster, match="outside of the layer"):
        at(path, 400, 20)
    with pytest.raises(OutsideRaster):
        at(path, 10, -1)


def test_over_http(client, tmp_path):
    image = meadow()
    image[:, 90:150, 120:200] = 0.7
    path = write(tmp_path / "d.tif", in_type(image, "uint8"), colorinterp=RGB)
    place = {"geometry": ring(path, square(158, 118, 162, 122))}
    asked = {"raster": {"path": str(path)}, "place": place}
    answer = client.post("/outlines", json=asked)
    assert answer.status_code == 200
    wanted = shapely.geometry.shape(ring(path, square(120, 90, 200, 150)))
    found = shapely.geometry.shape(answer.get_json()["polygons"]["geometry"])
    assert likeness(found, wanted) > 0.85 and "32617" in answer.get_json()["polygons"]["crs"]
    empty = {**asked, "raster": {"extent": {"bbox": [0, 0, 9, 9], "crs": "EPSG:32617"}, "gsd_m": 1}}
    assert client.post("/outlines", json=empty).status_code == 400
    away = {**asked, "place": {"geometry": ring(path, square(900, 900, 904, 904))}}
    assert client.post("/outlines", json=away).status_code == 422
    elsewhere = {**asked, "raster": {"path": "/etc/passwd"}}
    assert client.post("/outlines", json=elsewhere).status_code == 403


@pytest.mark.skipif(not PRE.is_dir(), reason=f"{PRE} is not there")
@pytest.mark.parametrize(
    ("place", "least_m2", "most_m2"),
    [
        ((433, 150), 250, 600),
        ((820, 600), 500, 1100),
        ((600, 670), 200, 550),
        ((35, 165), 200, 550),
    ],
)
def test_roofs_of_a_town(place, least_m2, most_m2):
    path = sorted(PRE.glob("*.tif"))[0]
    found = at(path, *place)
    with opened(path, None) as dataset:
        layer = Layer.of(dataset, {})
        area = found.polygon.area * layer.profile.gsd_m**2 * layer.profile.aspect
    assert found.what == "Roof" and found.polygon.contains(shapely.Point(place))
    assert least_m2 < area < most_m2


def test_an_unfinished_picture_tells_its_corners(tmp_path):
    from landbrush.server.raster.display import CORNERS, Preview, write_picture
    from landbrush.server.raster.grid import Box
    from landbrush.server.raster.raster import profile_of

    turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(2, -2)
    path = write(tmp_path / "e.tif", in_type(meadow(40, 50), "uint8"), transform=turned)
    with opened(path, None) as dataset:
        made = Preview.of(np.zeros((8, 9, 3), np.uint8), Box(10, 5, 20, 16), profile_of(dataset))
    write_picture(made.pixels, tmp_path / "p.png", made.corners)
    with Image.open(tmp_path / "p.png") as picture:
        told = json.loads(picture.text[CORNERS])
        assert picture.size == (9, 8)
    wanted = [turned @ at for at in ((10, 5), (30, 5), (30, 21), (10, 21))]
    assert np.allclose(told, wanted)
