"""Thin polygons: slivers, specks, lobes of outlines that cross themselves; grown, protected, beside
thick ones, in another CRS. The judge must neither refuse what is right nor pass what is wrong."""

import json
import os

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from landbrush.server.ground.errors import OutsideRaster
from scipy import ndimage

from tests.server.conftest import in_type, ring, scene, square, write
from tests.server.edits import made, many

EXAMPLES = int(os.environ.get("LANDBRUSH_EXAMPLES", "40"))
ROAD = [(20, 20), (140, 110), (140, 110.4), (20, 20.4)]
SPECK = [(100.05, 60.05), (100.15, 60.05), (100.15, 60.15), (100.05, 60.15)]


def changed(before, after):
    with rasterio.open(before) as one, rasterio.open(after) as other:
        return (one.read() != other.read()).any(axis=0)


@pytest.mark.parametrize("grow", [0, 1, 3, 7])
@pytest.mark.parametrize("pixels", [ROAD, SPECK])
def test_thin_ones_are_widened(rgb, tmp_path, pixels, grow):
    report = made(
        rgb,
        tmp_path / "out",
        "burn",
        polygons={"geometry": ring(rgb, pixels)},
        blend={"feather_px": 0, "grow_px": grow},
        output={"area": "layer"},
    )
    assert report["gate"]["pixels_inside"] >= 1 + 2.8 * grow**2


def test_a_narrow_road_is_edited_in_one_piece(rgb, tmp_path):
    report = made(
        rgb,
        tmp_path / "out",
        "low-light",
        polygons={"geometry": ring(rgb, ROAD)},
        output={"area": "layer"},
    )
    assert report["gate"]["pixels_inside"] >= 120
    found = changed(rgb, tmp_path / "out" / "result.tif")
    _, pieces = ndimage.label(found, np.ones((3, 3)))
    assert pieces <= 3 and found.sum() > 100  # dark pixels may have nothing to lose


@pytest.mark.parametrize(
    "protect",
    [
        [[(60, 60), (140, 140), (140, 140.4), (60, 60.4)], square(80, 70, 110, 90)],
        [square(80, 70, 130, 90), [(80, 100.6), (130, 100.6), (130, 100.9), (80, 100.9)]],
        [[(80, 90.0), (130, 90.0), (130, 90.3), (80, 90.3)], square(80, 70, 130, 90)],
    ],
)
def test_thin_protected_ground_beside_thick_stays(rgb, tmp_path, protect):
    report = made(
        rgb,
        tmp_path / "out",
        "low-light",
        polygons={"geometry": ring(rgb, square(30, 30, 150, 150))},
        protect={"geometry": many(rgb, *protect)},
        output={"area": "layer"},
    )
    assert report["gate"]["pixels_protected_changed"] == 0
    found = changed(rgb, tmp_path / "out" / "result.tif")
    assert found[32:58, 32:148].mean() > 0.9
    for shape in protect:
        start, end = np.mean([shape[:2], shape[2:][::-1]], axis=0)
        for share in np.linspace(0.002, 0.998, 60):
            x, y = start + share * (end - start)
            assert not found[int(y), int(x)]


@pytest.mark.parametrize("grow", [0, 1])
@pytest.mark.parametrize(
    "target, spared",
    [
        (square(20, 20, 22, 21), square(20, 20, 20.5, 20.5)),
        (square(40, 40, 60, 60), square(45, 50, 45.5, 50.5)),
        (square(40, 40, 60, 60), square(42, 50, 58, 50.3)),
        ([(40, 50), (90, 50), (90, 50.3), (40, 50.3)], square(60, 49, 60.4, 49.4)),
        (square(40.5, 40, 41, 90), square(41, 60, 41.2, 80)),
    ],
)
def test_thin_ones_along_the_edges_of_pixels(rgb, tmp_path, target, spared, grow):
    """Which side such an outline is on no two programs agree: neither side may be refused."""
    made(
        rgb,
        tmp_path / "out",
        "low-light",
        polygons={"geometry": ring(rgb, target)},
        protect={"geometry": ring(rgb, spared)},
        blend={"feather_px": 0, "grow_px": grow},
        output={"area": "layer"},
    )


@pytest.mark.parametrize(
    "pixels",
    [
        [(47.9, 49.9), (47.9, 50.15), (120, 20), (120, 90)],
        [(40, 40), (100, 100), (100, 40), (40, 100)],
        [(30, 30), (130, 31), (30, 31.2), (130, 30.2)],
    ],
)
def test_lobes_of_a_crossing_outline(rgb, tmp_path, pixels):
    made(rgb, tmp_path / "out", "burn", polygons={"geometry": ring(rgb, pixels)})


def test_far_polygons_do_not_move_an_edge(tmp_path):
    """Long edges in degrees bend on the map; how they do is a matter of that polygon alone."""
    size = 0.5
    at = Affine(size, 0, 600_000, 0, -size, 8_000_000)
    path = write(
        tmp_path / "a.tif", in_type(scene(3, 40, 4000), "uint8"), crs="EPSG:32632", transform=at
    )
    with rasterio.open(path) as dataset:
        near = rasterio.warp.transform_geom(
            dataset.crs, "EPSG:4326", ring(path, square(20, 10, 3980, 30)), precision=-1
        )
    left, bottom = near["coordinates"][0][0]
    far = [[left + x, bottom - 20 + y] for x, y in ((0, 0), (0.001, 0), (0.001, 0.001), (0, 0))]
    alone = {"type": "MultiPolygon", "coordinates": [near["coordinates"]]}
    both = {"type": "MultiPolygon", "coordinates": [near["coordinates"], [far]]}
    found = []
    for geometry in (alone, both):
        made(
            path,
            tmp_path / "out",
            "burn",
            polygons={"geometry": geometry, "crs": "EPSG:4326"},
            output={"area": "layer"},
        )
        found.append(changed(path, tmp_path / "out" / "result.tif"))
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize("size", [0.001, 0.003])
def test_tiny_pixels_far_from_the_origin(tmp_path, size):
    at = Affine(size, 0, 9_123_456.789, 0, -size, 13_123_456.123)
    path = write(
        tmp_path / "a.tif", in_type(scene(3, 160, 160), "uint8"), crs="EPSG:3857", transform=at
    )
    made(path, tmp_path / "out", polygons={"geometry": ring(path, square(40, 40, 90, 90))})


@pytest.mark.parametrize("colours", [2, 5, 16, 200])
@pytest.mark.parametrize("driver", ["PNG", "HFA"])
def test_palettes_of_any_length(tmp_path, colours, driver):
    values = np.random.default_rng(0).integers(0, min(colours, 40), (1, 120, 140)).astype("uint8")
    path = tmp_path / ("a.png" if driver == "PNG" else "a.img")
    profile = {"driver": driver, "width": 140, "height": 120, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "t.tif", "w", **{**profile, "driver": "GTiff"}) as out:
        out.write(values)
        out.write_colormap(1, {n: (n, 255 - n, 3 * n % 256, 255) for n in range(colours)})
    rasterio.shutil.copy(tmp_path / "t.tif", path, driver=driver)
    geometry = {
        "type": "Polygon",
        "coordinates": [[[30, 30], [60, 30], [60, 60], [30, 60], [30, 30]]],
    }
    made(path, tmp_path / "out", "remove", polygons={"geometry": geometry, "crs": "pixels"})
    with rasterio.open(tmp_path / "out" / "result.tif") as after:
        palette = after.colormap(1)
    assert all(palette[n][:3] == (n, 255 - n, 3 * n % 256) for n in range(colours))


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("tile", [64, 512])
def test_tiles_and_the_order_of_bands_come_back(tmp_path, interleave, tile):
    values = in_type(scene(3, 600, 700), "uint8")
    profile = {"driver": "GTiff", "width": 700, "height": 600, "count": 3, "dtype": "uint8"}
    layout = {"tiled": True, "blockxsize": tile, "blockysize": tile, "interleave": interleave}
    at = Affine(0.5, 0, 400_000, 0, -0.5, 3_285_000)
    with rasterio.open(
        tmp_path / "a.tif", "w", **profile, **layout, crs="EPSG:32617", transform=at
    ) as out:
        out.write(values)
    made(
        tmp_path / "a.tif",
        tmp_path / "out",
        polygons={"geometry": ring(tmp_path / "a.tif", square(100, 100, 200, 200))},
        output={"area": "layer"},
    )
    with rasterio.open(tmp_path / "out" / "result.tif") as after:
        assert after.block_shapes[0] == (tile, tile)
        assert after.interleaving.value.lower() == interleave


@pytest.mark.parametrize(
    "pixels",
    [
        [(-0.09, 100.18), (0.62, 100.18), (0.62, 100.58), (-0.09, 100.58)],
        [(42.2, -2.6), (41.3, 0.52), (40.8, 0.36), (41.7, -2.7)],
        [(150, 158.6), (159.2, 160.9), (150, 160.9)],
    ],
)
@pytest.mark.parametrize("grow", [0, 4])
def test_thin_ones_across_the_rasters_edge(rgb, tmp_path, pixels, grow):
    blend = {"feather_px": 0, "grow_px": grow}
    made(rgb, tmp_path / "out", "burn", polygons={"geometry": ring(rgb, pixels)}, blend=blend)


@st.composite
def shapes(draw):
    """Specks, slivers, crossing outlines and blocks, near to and over one another."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(("speck", "sliver", "crossing", "block")))
        x, y = draw(st.floats(20, 100)), draw(st.floats(20, 100))
        a, b = draw(st.floats(0.05, 40)), draw(st.floats(0.05, 1.2))
        if kind == "speck":
            found.append([(x, y), (x + b, y), (x + b, y + b), (x, y + b)])
        elif kind == "sliver":
            found.append([(x, y), (x + a, y + a / 2), (x + a, y + a / 2 + b), (x, y + b)])
        elif kind == "crossing":
            found.append([(x, y), (x + a, y + 3), (x, y + b), (x + a, y - 4)])
        else:
            found.append([(x, y), (x + a, y), (x + a, y + a), (x, y + a)])
    return found


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(targets=shapes(), spared=shapes(), protect=st.booleans(), grow=st.sampled_from((0, 0, 1, 4)))
def test_nothing_right_is_refused(tmp_path_factory, targets, spared, protect, grow):
    folder = tmp_path_factory.mktemp("thin")
    path = write(folder / "a.tif", in_type(scene(3, 160, 160), "uint8"))
    body = {
        "polygons": {"geometry": many(path, *targets)},
        "blend": {"feather_px": 0, "grow_px": grow},
        "output": {"area": "layer"},
    }
    if protect:
        body["protect"] = {"geometry": many(path, *spared)}
    try:
        made(path, folder / "out", "burn", **body)
    except OutsideRaster:
        assume(False)
    # By another way: nothing changed farther than a pixel from what may change.
    found = changed(path, folder / "out" / "result.tif")
    meant = shapely.union_all([shapely.make_valid(shapely.Polygon(one)) for one in targets])
    rows, cols = np.nonzero(found)
    away = shapely.distance(meant, shapely.points(cols + 0.5, rows + 0.5))
    assert (away <= grow + 0.75).all(), json.dumps(targets)
