"""Ankle-deep, knee-deep and roof-deep water differ, and what hardly shows is told."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.ground.errors import CannotEdit
from landbrush.server.operators.flood import Flood, depth_of
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.standing import standing
from landbrush.server.raster.rasters import Rasters
from landbrush.server.scene.classes import CLASSES
from landbrush.server.scene.parse import understood
from scipy import ndimage

from tests.conftest import DATA
from tests.server.conftest import in_type, ring, scene, square, write
from tests.server.edits import made
from tests.server.towns import NETWORK, ROLES, told


def lawn(side=200):
    """A lawn with a street across it, and where the street is."""
    rng = np.random.default_rng(1)
    image = np.full((3, side, side), 0.3, np.float32)
    image[1] = 0.42
    image += 0.02 * rng.standard_normal(image.shape).astype(np.float32)
    street = np.zeros((side, side), bool)
    street[90:106] = True
    image[:, street] = 0.2
    mask = np.zeros((side, side), bool)
    mask[12:-12, 12:-12] = True
    return image, street, mask


def wet(level_m):
    """Shares of the street and of the lawns that water lies on."""
    image, street, mask = lawn()
    ground = Ground(image, mask, ROLES[:3], 0.5, parse=told(street.shape, paved=street))
    deep = depth_of(ground, Flood(level_m=level_m), 3) > 0.02
    inner = ndimage.binary_erosion(mask, iterations=20)
    return deep[inner & street].mean(), deep[inner & ~street].mean()


def test_a_hands_breadth_lies_in_the_streets_and_leaves_lawns():
    street, grass = wet(0.08)
    assert street > 0.9 and grass < 0.4
    assert wet(0.08)[1] < wet(0.2)[1] < wet(0.6)[1] and wet(0.6)[1] > 0.95


def test_where_there_is_no_street_it_lies_in_hollows():
    image, street, mask = lawn()
    ground = Ground(image, mask, ROLES[:3], 0.5, parse=told(street.shape))
    inner = ndimage.binary_erosion(mask, iterations=20)
    shares = [
        (depth_of(ground, Flood(level_m=level), 3) > 0.02)[inner].mean()
        for level in (0.05, 0.15, 0.6)
    ]
    assert 0.15 < shares[0] < shares[1] < shares[2] and shares[2] > 0.95


def test_houses_drown_one_after_the_other_and_hedges_before_trees():
    shape = (240, 240)
    roofs, hedge, tree = (np.zeros(shape, bool) for _ in range(3))
    for row in range(20, 120, 40):
        for col in range(20, 220, 40):
            roofs[row : row + 20, col : col + 24] = True
    hedge[150:152, 20:200] = True
    tree[180:210, 100:130] = True
    image = np.full((3, *shape), 0.4, np.float32)
    parse = told(shape, roof=roofs, tree=hedge | tree)
    ground = Ground(image, np.ones(shape, bool), ROLES[:3], 0.5, parse=parse)
    shares = [
        standing(ground, 3.0, np.full(shape, depth, np.float32))[roofs].mean()
        for depth in (1.0, 2.6, 3.2, 5.0)
    ]
    assert shares[0] > 0.9 and shares[3] < 0.02 and shares[0] > shares[1] > shares[2] > shares[3]
    deep = standing(ground, 3.0, np.full(shape, 2.2, np.float32))
    assert deep[hedge].mean() < 0.3 and deep[185:205, 105:125].mean() > 0.7


@pytest.mark.parametrize("prompt", ["flooded", "snow"])
def test_heights_are_no_picture(tmp_path, prompt):
    values = (scene(1, 96, 96, 2) * 40 + 300).astype(np.float32)
    path = write(tmp_path / "dsm.tif", values)
    body = {"polygons": {"geometry": ring(path, square(20, 20, 70, 70))}, "prompt": prompt}
    with pytest.raises(CannotEdit, match="may be heights"):
        made(path, tmp_path, "auto", **body)
    made(path, tmp_path / "stated", "auto", **body, band_roles={"pan": 1})


def test_one_band_tells_nothing_tall(tmp_path):
    path = write(tmp_path / "pan.tif", in_type(scene(1, 96, 96, 2), "uint8"))
    body = {"polygons": {"geometry": ring(path, square(20, 20, 70, 70))}, "prompt": "flooded"}
    report = made(path, tmp_path / "out", "auto", **body)
    assert any("roofs and crowns" in note for note in report["notes"])


def test_a_flood_that_hardly_shows_is_told(editors, tmp_path):
    values = np.zeros((3, 120, 120))
    values[1] = 0.3
    path = write(tmp_path / "w.tif", in_type(values + 0.2, "uint8"))
    heights = write(tmp_path / "h.tif", np.full((1, 120, 120), 10, np.float32))
    with rasterio.open(heights, "r+") as dataset:
        data = dataset.read()
        data[:, 50:60, 50:60] = 4
        dataset.write(data)
    body = {
        "raster": {"path": str(path)},
        "polygons": {"geometry": ring(path, square(20, 20, 100, 100))},
        "elevation": {"path": str(heights)},
        "options": {"level_m": 1.0},
    }
    job = Job(EditRequest.from_json(body), "flood", Rasters(path, None, heights))
    notes = edit(job, editors, tmp_path, lambda *_: None).notes
    assert any("of the polygons came under water" in note for note in notes), notes


PLOT = DATA / "small_geotiffs" / "OSBS_029.tif"


@pytest.mark.skipif(not PLOT.is_file(), reason=f"needs {PLOT}")
def test_sand_between_leafy_crowns_is_none_of_them():
    """At 0.1 m a pixel the network's crowns ran over all the sand between them."""
    with rasterio.open(PLOT) as source:
        image = (source.read([1, 2, 3]) / 255).astype(np.float32)
    parse = understood(Ground(image, np.ones(image.shape[1:], bool), ROLES[:3], 0.1), NETWORK)
    green = 2 * image[1] - image[0] - image[2]
    sand = (ndimage.gaussian_filter(green, 2) < 0.05) & (
        ndimage.gaussian_filter(image.mean(axis=0), 2) > 0.65
    )
    leaves = ndimage.gaussian_filter(green, 2) > 0.3
    tree = parse.shares[CLASSES.index("tree")]
    assert tree[sand].mean() < 0.3 < 0.5 < tree[leaves].mean()
