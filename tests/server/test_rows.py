"""Trees, panels and objects that are set out in rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.ground.errors import CannotEdit
from landbrush.server.operators import rows
from landbrush.server.operators.crowns import crowns_of
from landbrush.server.operators.ground import Ground
from landbrush.server.raster.rasters import Rasters
from landbrush.server.words.interpreter import interpret
from scipy import ndimage

from tests.server.conftest import RGB, in_type, inputs, ring, square, write
from tests.server.towns import ROLES, told, town

LAWN = (slice(60, 108), slice(20, 220))
"""Of a town: lawn between the first row of houses and the road."""


def lawn(bands=3, gsd=0.5, mask=LAWN, **where):
    image, roof, road, shadow = town()
    if bands == 4:
        image = np.concatenate([image, np.full((1, *roof.shape), 0.4, np.float32)])
    inside = np.zeros_like(roof)
    inside[mask] = True
    parse = told(roof.shape, roof=roof, paved=road, shadow=shadow, **where)
    return replace(Ground(image, inside, ROLES[:bands], gsd), parse=parse)


def test_trees_stand_in_the_mask_in_rows_at_their_distance():
    ground = lawn()
    done = rows.set_out(ground, rows.Rows(irregular=0.0), 3)
    assert done.count == 3 * 13 and not done.own
    changed = (done.image != ground.image).any(axis=0)
    assert changed.any() and not changed[~ground.mask].any()
    places = np.array(rows._places(ground, rows.Rows(irregular=0.0), np.random.default_rng(0)))
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    assert np.allclose(apart.min(axis=1), 16.0)  # 8 m


@pytest.mark.parametrize(("spacing", "rows_every"), [(5.0, 12.0), (20.0, 6.0)])
def test_spaces_are_as_asked_for(spacing, rows_every):
    how = rows.Rows(spacing_m=spacing, row_m=rows_every, irregular=0.0)
    places = np.array(rows._places(lawn(), how, np.random.default_rng(0)))
    for axis, wanted in ((1, spacing), (0, rows_every)):
        steps = np.diff(np.unique(np.round(places[:, axis], 3)))
        assert np.allclose(steps[steps > 0.1], wanted / 0.5)


def test_a_row_follows_the_middle_of_a_bent_street():
    bent = np.zeros((240, 240), bool)
    bent[100:112, 20:140] = True
    bent[100:220, 128:140] = True
    found, _ = rows._along_middle(bent, np.zeros_like(bent), (16.0, 0.5))
    places = np.array(found)
    depth = ndimage.distance_transform_edt(bent)
    at = places.astype(int)
    assert depth[at[:, 0], at[:, 1]].min() >= 4 and 11 <= len(places) <= 18
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    assert apart.min() >= 15.9 and apart.min(axis=1).max() < 26
    assert (places[:, 0] > 200).any() and (places[:, 1] < 35).any(), "from end to end"


def test_trees_along_a_street_stand_beside_it():
    """They once stood in its lanes."""
    part, way = np.zeros((2, 120, 240), bool)
    part[30:90, 10:230] = way[50:70, :] = True
    found, may = rows._along_middle(part, way, (20.0, 0.5))
    at = np.array(found).astype(int)
    assert len(at) > 15 and not way[at[:, 0], at[:, 1]].any() and not (may & way & part).any()
    assert {row < 60 for row in at[:, 0]} == {True, False}, "on both sides"
    narrow = way & part
    middle, _ = rows._along_middle(narrow, way, (20.0, 0.5))
    assert len(middle) > 5, "where there is nothing beside it, along its middle"


def test_nothing_stands_on_roofs_and_every_tree_has_its_shadow():
    everywhere = (slice(10, 110), slice(10, 230))
    ground = lawn(mask=everywhere)
    places = rows._places(ground, rows.Rows(), np.random.default_rng(1))
    roof = ground.cover.share("roof") > 0.5
    assert places and not any(roof[round(row), round(col)] for row, col in places)
    one = lawn(mask=(slice(70, 100), slice(100, 130)))
    done = rows.set_out(one, rows.Rows(spacing_m=40, row_m=40, irregular=0), 0)
    assert done.count == 1
    darker = (one.image - done.image).mean(axis=0) > 0.08
    # The sun stands in the lower left, so that the shadow falls to the upper right.
    rows_, cols = np.nonzero(darker)
    assert darker.sum() > 60 and rows_.mean() < 85 and cols.mean() > 115


def test_the_crowns_of_the_layer_are_taken_where_single_ones_stand():
    ground = lawn()
    crowns = np.zeros_like(ground.mask)
    down, across = np.indices(crowns.shape)
    for middle in (40, 110, 190):
        crowns |= np.hypot(down - 210, across - middle) < 7
    image = ground.image.copy()
    image[:, crowns] = np.array([0.9, 0.1, 0.9])[:, None]  # trees that nobody would draw
    with_trees = replace(lawn(tree=crowns), image=image)
    assert len(crowns_of(with_trees)) == 3
    done = rows.set_out(with_trees, rows.Rows(), 0)
    assert done.own
    pink = (done.image[0] > 0.7) & (done.image[1] < 0.3) & ground.mask
    assert pink.sum() > 20 * done.count


def test_panels_stand_in_rows_and_are_dark_in_every_band():
    ground = lawn(bands=4)
    done = rows.set_out(ground, rows.Rows(thing=rows.PANELS, row_m=8.0), 0)
    panel = (np.abs(done.image - ground.image)[3] > 0.12) & ground.mask
    assert 0.25 < panel.sum() / ground.mask.sum() < 0.6 and done.count >= 6
    profile = panel[:, 40:200].mean(axis=1)[60:108]
    edges = np.nonzero(np.diff((profile > 0.5).astype(int)) == 1)[0]
    assert len(edges) >= 2 and np.allclose(np.diff(edges[1:]), 16, atol=1)
    assert not (done.image != ground.image).any(axis=0)[~ground.mask].any()


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        ("plant trees along the street", {"layout": rows.MIDDLE}),
        ("street trees every 12 m", {"layout": rows.MIDDLE, "spacing_m": 12.0}),
        ("an avenue of lime trees", {"layout": rows.MIDDLE}),
        ("rows of trees", {}),
        ("rows of solar panels", {"thing": rows.PANELS}),
        ("line the canal with trees", {"layout": rows.MIDDLE}),
        ("turn this field into rows of solar panels", {"thing": rows.PANELS}),
        ("replace the car park with rows of trees", {}),
        ("plant trees along the street in front of the houses", {"layout": rows.MIDDLE}),
        ("street trees between the houses", {"layout": rows.MIDDLE}),
    ],
)
def test_words_for_rows(prompt, options):
    found = interpret(prompt, lambda text: {})
    assert found.sure and found.editor == "rows" and found.options == options


@pytest.mark.parametrize(
    "prompt",
    [
        "remove the row of trees",
        "cut down the trees along the street",
        "the trees along the road were uprooted",
        "solar farm",
    ],
)
def test_words_that_only_sound_like_rows(prompt):
    assert interpret(prompt, lambda text: {}).editor != "rows"


def edited(editors, tmp_path, gsd=0.5, **more):
    image, *_ = town()
    transform = rasterio.Affine(gsd, 0, 400000, 0, -gsd, 3285000)
    path = write(
        tmp_path / f"t{gsd}.tif", in_type(image, "uint8"), colorinterp=RGB, transform=transform
    )
    wanted = inputs(path, square(20, 60, 220, 108), output={"area": "layer"}, **more)
    if "exemplar" in more:
        wanted["exemplar"] = {"polygons": {"geometry": ring(path, more["exemplar"])}}
    folder = tmp_path / "out"
    folder.mkdir(exist_ok=True)
    job = Job(EditRequest.from_json(wanted), "rows", Rasters(path))
    return edit(job, editors, folder, lambda *_: None)


def test_an_object_of_the_exemplar_is_set_out(editors, tmp_path):
    manifest = edited(
        editors,
        tmp_path,
        options={"thing": rows.OBJECT, "spacing_m": 22.0, "row_m": 15.0, "irregular": 0.0},
        exemplar=square(16, 26, 54, 58),
    )
    assert manifest.editor_facts["counts"]["set_out"] >= 4
    assert manifest.gate.pixels_outside_different == 0
    with rasterio.open(tmp_path / "out" / "result.tif") as source:
        red, _, blue = source.read()
    reddish = (red.astype(int) - blue > 35)[60:108, 20:220]
    assert reddish.sum() > 300, "roofs stand on the lawn"


def test_what_cannot_be_set_out_is_said(editors, tmp_path):
    with pytest.raises(CannotEdit, match="do not show from 1.5 m on"):
        edited(editors, tmp_path, gsd=2.0)
    with pytest.raises(CannotEdit, match="as the exemplar"):
        edited(editors, tmp_path, options={"thing": rows.OBJECT})


@pytest.mark.parametrize(
    "prompt",
    [
        "replace the row of trees by a meadow",
        "turn the row of trees into water",
        "convert the tree rows to a meadow",
        "swap the row of trees for a road",
        "snow on the rows of trees",
        "flood the row of trees",
        "rows of solar panels destroyed by hail",
        "make this a tree lined street at night",
        "solar row houses",
        "die Allee durch Wiese ersetzen",
        "repair the rows of solar panels",
    ],
)
def test_rows_that_are_there_are_not_set_out(prompt):
    assert interpret(prompt, lambda text: {}).editor != "rows"


def test_spaces_of_words_and_options_are_bounded(editors, tmp_path):
    for said, spacing in (("0.001", 1.0), ("1000", 500.0)):
        found = interpret(f"trees along the street every {said} m", lambda text: {})
        assert found.options["spacing_m"] == spacing
    with pytest.raises(CannotEdit, match="more than the 20,000"):
        edited(editors, tmp_path, options={"spacing_m": 0.002, "row_m": 0.002})


def test_many_small_polygons_are_set_out_and_one_without_room_stops_nothing():
    mask = np.zeros((600, 600), bool)
    for row in range(0, 600, 20):
        for col in range(0, 600, 20):
            mask[row : row + 12, col : col + 12] = True
    ground = Ground(np.full((3, 600, 600), 0.4, np.float32), mask, ROLES[:3], 0.5)
    ground = replace(ground, parse=told(mask.shape))
    for how in (rows.Rows(spacing_m=6.0, row_m=6.0, irregular=0), rows.Rows(thing=rows.PANELS)):
        done = rows.set_out(ground, how, 0)
        assert not (done.image != ground.image).any(axis=0)[~mask].any()
        assert done.count == (900 if how.thing == rows.TREES else done.count)


def test_counts_of_windows_are_summed_and_none_at_all_is_refused(editors):
    editor = editors.get("rows")
    assert editor.summary({"counts": {"set_out": 3}}) == ()
    with pytest.raises(CannotEdit, match="no room in the polygon"):
        editor.summary({"counts": {"set_out": 0}})


@pytest.mark.parametrize("thing", [rows.TREES, rows.PANELS])
@pytest.mark.parametrize("whole", [False, True])
def test_nothing_stands_in_a_street_unless_that_was_drawn(thing, whole):
    road = town()[2]
    where = (slice(112, 128) if whole else slice(70, 150), slice(20, 220))
    ground = lawn(mask=where)
    made = rows.set_out(ground, rows.Rows(thing=thing, irregular=0.0), 3)
    if thing == rows.TREES:
        places = rows._places(ground, rows.Rows(irregular=0.0), np.random.default_rng(3))
        assert places and any(road[round(row), round(col)] for row, col in places) == whole
    else:
        dark = (made.image.max(axis=0) < 0.33) & ground.mask & ~town()[3]
        assert (dark & road).any() == whole and dark.any()
    along = rows._places(ground, rows.Rows(layout=rows.MIDDLE), np.random.default_rng(3))
    assert along, "the middle of a street that is drawn is what is asked for"
