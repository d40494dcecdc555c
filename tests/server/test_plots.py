"""Car parks, houses and vineyards by plan, and when words get them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job
from landbrush.server.editing.tries import edit_well
from landbrush.server.ground.errors import CannotEdit
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.on_plan import frames
from landbrush.server.operators.plots import HOUSES, PARKING, VINES, Plots, lay_out
from landbrush.server.raster.rasters import Rasters
from scipy import ndimage

from tests.server.conftest import in_type, ring, scene, square, write
from tests.server.edits import made
from tests.server.towns import ROLES, told

SHAPE = (240, 260)


def field(gsd=0.5, seed=0, mask=None, **classes):
    """A meadow with a polygon in it."""
    rng = np.random.default_rng(seed)
    image = np.array([0.3, 0.4, 0.24])[:, None, None] + 0.01 * rng.standard_normal((3, *SHAPE))
    if mask is None:
        mask = np.zeros(SHAPE, bool)
        mask[30:210, 20:240] = True
    return Ground(image.astype(np.float32), mask, ROLES[:3], gsd, parse=told(SHAPE, **classes))


@pytest.mark.parametrize("thing", [PARKING, HOUSES, VINES])
def test_nothing_outside_changes_and_the_same_seed_gives_the_same(thing):
    ground = field()
    done = lay_out(ground, Plots(thing), 3)
    assert done.count > 3 and np.isfinite(done.image).all()
    assert np.array_equal(done.image[:, ~ground.mask], ground.image[:, ~ground.mask])
    assert np.array_equal(done.image, lay_out(ground, Plots(thing), 3).image)
    assert not np.array_equal(done.image, lay_out(ground, Plots(thing), 4).image)
    inner = ndimage.binary_erosion(ground.mask, iterations=4)
    assert (np.abs(done.image - ground.image).max(axis=0) > 0.02)[inner].mean() > 0.5


@pytest.mark.parametrize("gsd", [0.2, 0.4, 0.8])
def test_bays_have_their_size_whatever_a_pixel_is(gsd):
    """44 m by 22 m holds one module of 16.5 m with bays of 2.5 m on both sides."""
    mask = np.zeros(SHAPE, bool)
    mask[10 : 10 + round(22 / gsd), 10 : 10 + round(44 / gsd)] = True
    assert 28 <= lay_out(field(gsd, mask=mask), Plots(PARKING), 1).count <= 34


def test_cars_as_full_as_is_asked_for():
    def bright(full):
        made = lay_out(field(), Plots(PARKING, full=full), 2).image
        apart = np.abs(made - np.median(made[:, 60:180, 60:200], axis=(1, 2))[:, None, None])
        return (apart.max(axis=0) > 0.12)[40:200, 30:230].mean()

    assert bright(0.0) < bright(0.4) < bright(1.0) and bright(1.0) > 0.15


def test_roofs_have_the_colours_of_roofs_around_and_a_lit_and_a_dark_side():
    ground = field()
    roofs = np.zeros(SHAPE, bool)
    for col in (10, 90, 170):
        roofs[4:24, col : col + 24] = True
    ground.image[:, roofs] = np.array([0.7, 0.25, 0.2])[:, None]
    ground = Ground(ground.image, ground.mask, ROLES[:3], 0.5, parse=told(SHAPE, roof=roofs))
    done = lay_out(ground, Plots(HOUSES), 5).image
    red = (done[0] - done[2] > 0.3) & ground.mask
    parts, count = ndimage.label(ndimage.binary_opening(red))
    assert count >= 3
    spread = [np.ptp(np.percentile(done[0][parts == n], (10, 90))) for n in range(1, count + 1)]
    assert max(spread) > 0.06


def test_rows_run_along_the_longest_side():
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    turned = (np.abs((rows - 120) * 0.8 - (cols - 130) * 0.6) < 40) & (
        np.abs((rows - 120) * 0.6 + (cols - 130) * 0.8) < 95
    )
    frame = next(frames(field(mask=turned)))
    assert abs(abs(frame.along @ np.array([0.6, 0.8])) - 1) < 0.02
    assert next(frames(field(mask=rows + cols > -1))).along[1] == pytest.approx(1, abs=0.01)


def test_polygons_that_are_too_small_and_pixels_that_are_too_large(tmp_path):
    path = write(tmp_path / "l.tif", in_type(scene(3, 128, 128, 3), "uint8"))
    body = {"polygons": {"geometry": ring(path, square(20, 20, 26, 26))}}
    with rasterio.open(path) as source:
        size = source.res[0]
    options = {"thing": HOUSES if size <= 1 else VINES}
    with pytest.raises(CannotEdit, match="no room|shows up to"):
        made(path, tmp_path / "out", "plots", **body, options=options)


def test_words_get_a_plan_where_the_layer_shows_nothing_of_the_kind(editors, tmp_path):
    values = np.full((3, 200, 200), 0.4) + 0.02 * np.random.default_rng(1).standard_normal(
        (3, 200, 200)
    )
    values[1] += 0.06
    path = write(tmp_path / "meadow.tif", in_type(values, "uint8"))
    body = {"polygons": {"geometry": ring(path, square(30, 30, 170, 170))}}

    def well(name, prompt, chosen="", **options):
        folder = tmp_path / name
        folder.mkdir()
        asked = {**body, "raster": {"path": str(path)}, "prompt": prompt, "options": options}
        asked["operation"] = chosen
        job = Job(EditRequest.from_json(asked), "auto", Rasters(path))
        return edit_well(job, editors, folder, lambda *_: None)

    park = well("park", "a car park")
    assert park.editor == "plots" and any("by plan" in note for note in park.notes)
    assert any(note.endswith(" bays were laid out.") for note in park.notes)
    panels = well("panels", "solar farm")
    assert panels.editor == "rows" and panels.options["thing"] == "solar panels"
    chosen = well("chosen", "somewhere to put it", "parking")
    assert chosen.editor == "plots"
    chips = well("chips", "a car park", look_in="library")
    assert chips.editor == "fill" and chips.search.chips


def test_a_speck_beside_the_polygon_loses_nothing():
    ground = field()
    ground.mask[29, 19] = True  # touches at a corner
    for thing in (PARKING, HOUSES, VINES):
        assert lay_out(ground, Plots(thing), 1).count > 3
    speck = np.zeros(SHAPE, bool)
    speck[50, 40:90] = True
    assert lay_out(field(mask=speck), Plots(HOUSES), 1).count == 0


def test_pixels_that_are_higher_than_wide_hold_as_many_bays():
    square_ = lay_out(field(), Plots(PARKING), 1).count
    tall = field()
    mask = np.zeros(SHAPE, bool)
    mask[30 : 30 + round(180 / 1.414), 5 : 5 + round(220 * 1.414) - 60] = True
    ground = Ground(tall.image, mask, ROLES[:3], 0.5, parse=tall.parse, aspect=2.0)
    area = mask.sum() / tall.mask.sum()
    assert lay_out(ground, Plots(PARKING), 1).count == pytest.approx(square_ * area, rel=0.25)


@pytest.mark.parametrize(
    "prompt", ["a vineyard, but keep the houses", "turn the meadow into a vineyard"]
)
def test_no_plan_where_something_is_to_stay_or_to_go_alone(editors, tmp_path, prompt):
    values = np.full((3, 120, 120), 0.4) + 0.02 * np.random.default_rng(1).standard_normal(
        (3, 120, 120)
    )
    path = write(tmp_path / "m.tif", in_type(values, "uint8"))
    asked = {
        "raster": {"path": str(path)},
        "prompt": prompt,
        "polygons": {"geometry": ring(path, square(30, 30, 90, 90))},
    }
    job = Job(EditRequest.from_json(asked), "auto", Rasters(path))
    try:
        made_by = edit_well(job, editors, tmp_path, lambda *_: None).editor
    except CannotEdit:
        return
    assert made_by != "plots"
