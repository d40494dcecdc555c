"""Words to windows: on made pictures by rule, on real imagery by the network, and when to
refuse."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.ground.errors import BadRequest
from landbrush.server.raster.bands import Layer
from landbrush.server.raster.raster import opened
from landbrush.server.raster.rasters import Rasters
from landbrush.server.search.find import find_word, sources
from landbrush.server.search.heads import MARGIN
from landbrush.server.search.windows import Hit, Method, Search
from rasterio.enums import ColorInterp

from tests.server.conftest import MODELS, RGB, in_type, inputs, scene, square, write


def look(path, word, **roles):
    with opened(path) as dataset:
        layer = Layer.of(dataset, roles)
        return find_word(MODELS, layer, word, layer.profile.box)


@pytest.fixture
def lake(tmp_path):
    image = scene(4, 240, 240) * 0.3
    image[3] = 0.6 + 0.05 * np.random.default_rng(0).standard_normal((240, 240))
    image[:, 20:120, 20:120] = np.array([0.1, 0.25, 0.2, 0.02])[:, None, None]
    return write(
        tmp_path / "lake.tif",
        in_type(np.clip(image, 0, 1), "uint8"),
        colorinterp=(*RGB, ColorInterp.undefined),
        transform=Affine(5, 0, 4e5, 0, -5, 3e6),
    )


def test_water_by_ndwi(lake):
    found = look(lake, "pond")
    assert found.word == "water" and found.rule == "index rule" and found.hits
    best = found.hits[0].box
    assert 15 <= best.col <= 75 and 15 <= best.row <= 75


def test_a_fill_from_little_says_that_it_repeats(editors, lake, tmp_path):
    body = inputs(lake, square(135, 5, 150, 20), options={"word": "water"})
    few = edit(
        Job(EditRequest.from_json(body), "fill", Rasters(lake)), editors, tmp_path, lambda *a: None
    ).to_json()
    assert few["search"]["word"] == "water" and few["search"]["pixels"] > 0 and not few.get("notes")
    many = inputs(lake, square(126, 2, 238, 238), options={"word": "water"})
    many = edit(
        Job(EditRequest.from_json(many), "fill", Rasters(lake)), editors, tmp_path, lambda *a: None
    ).to_json()
    assert many["gate"]["pixels_inside"] > 4 * many["search"]["pixels"]
    assert [note for note in many["notes"] if "it repeats" in note]


def test_what_is_not_there_is_not_found(lake):
    found = look(lake, "bare soil")
    assert not found.hits and "bare" in found.reason


def test_words_that_need_detail_are_refused_on_coarse_layers(lake):
    assert "cannot be told apart" in look(lake, "residential").reason


def test_unknown_words(lake):
    with pytest.raises(BadRequest, match="known: forest"):
        look(lake, "dragon")


def test_too_small_and_empty_layers(tmp_path):
    small = write(tmp_path / "s.tif", in_type(scene(3, 40, 40), "uint8"), colorinterp=RGB)
    assert "too small" in look(small, "forest").reason
    empty = write(tmp_path / "e.tif", np.zeros((3, 200, 200), "uint8"), nodata=0, colorinterp=RGB)
    assert "nodata" in look(empty, "forest").reason


@pytest.mark.parametrize(
    ("chip", "word", "expected"),
    [(0, "houses", True), (2, "houses", True), (0, "farmland", False), (2, "beach", False)],
)
def test_real_imagery(data, chip, word, expected):
    found = look(data / f"joplin_tornado_geotiff/output/chips/pre/{chip}_pre.tif", word)
    assert bool(found.hits) == expected
    assert all(hit.agreement >= MARGIN for hit in found.hits)


def test_a_neon_scene_is_forest_and_nothing_else(data):
    path = data / "small_geotiffs/OSBS_029.tif"
    assert look(path, "forest").hits and not look(path, "parking").hits


def test_naip_water_windows_are_water(data):
    path = data / "naip_landsat_timeseries/naip/m_4709963_se_14_1_20200831.tif"
    with opened(path) as dataset:
        layer = Layer.of(dataset, {})
        found = find_word(MODELS, layer, "lake", layer.profile.box)
        for hit in found.hits[:5]:
            values = dataset.read(window=hit.box.window).astype(float)
            assert (values[1] > values[3]).mean() > 0.95
    assert len(found.hits) >= 5


def test_sources_are_not_far_behind_the_best():
    from landbrush.server.raster.grid import Box

    hits = tuple(Hit(Box(0, 0, 64, 64), a) for a in (6.0, 5.0, 4.0, 2.6))
    kept = sources(Search("forest", Method.HEADS, hits))
    assert [h.agreement for h in kept] == [6.0, 5.0]
