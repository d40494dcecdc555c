"""Shadows of what is copied in, and of what is taken away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from landbrush.server.editors.base import Patch, Scene
from landbrush.server.operators.cast_shadow import Light, heights, left_shadow, with_shadow
from landbrush.server.operators.ground import Ground
from landbrush.server.scene import evidence
from scipy import ndimage

from tests.server.towns import ROLES, told, town


def lit(sun=225.0, mask=None, **more):
    """A town of which all is told, with a sun."""
    image, roof, road, shadow = town(sun=sun)
    whole = np.ones(roof.shape, bool) if mask is None else mask
    parse = replace(told(roof.shape, shadow=shadow, roof=roof, paved=road, **more), sun=sun)
    return Ground(image, whole, ROLES[:3], 0.5, parse=parse), roof, shadow


@pytest.mark.parametrize("slope", [0.6, 1.0, 1.8])
@pytest.mark.parametrize("sun", [40.0, 135.0, 225.0])
def test_the_length_of_shadows_is_measured(sun, slope):
    _, roof, _, _ = town(sun=sun)
    dark = evidence.cast(np.where(roof, 5.0, 0).astype(np.float32), sun, slope, 0.5) > 0.5
    found = evidence.shadow_length_m(roof, dark & ~roof, sun, 0.5)
    assert found is not None and abs(found - 5.0 / slope) < 1.6


def test_where_there_is_no_shadow_its_length_is_not_told():
    _, roof, _, _ = town()
    assert evidence.shadow_length_m(roof, np.zeros_like(roof), 225.0, 0.5) is None
    none = np.zeros_like(roof)
    assert evidence.shadow_length_m(none, none, 225.0, 0.5) is None


@pytest.mark.parametrize("sun", [45.0, 135.0, 225.0, 315.0])
def test_what_is_put_in_throws_its_shadow_away_from_the_sun(sun):
    ground, roof, _ = lit(sun)
    light = Light.of(ground)
    placed = np.zeros_like(roof)
    placed[84:100, 100:124] = True
    image = ground.image.copy()
    image[:, placed] = 0.8
    parse = told(roof.shape, roof=roof | placed)
    laid = replace(ground, image=image, parse=replace(parse, sun=sun))
    shaded = with_shadow(laid, light, placed)
    darker = (image - shaded.image).max(axis=0) > 0.05
    assert shaded.tall and darker.sum() > 60 and not darker[placed].any()
    rows, cols = np.nonzero(darker)
    down, right = evidence.towards((sun + 180) % 360)
    assert (rows.mean() - 91.5) * down > 0 and (cols.mean() - 111.5) * right > 0
    lower = with_shadow(laid, light, placed, height_m=2.0)
    assert ((image - lower.image).max(axis=0) > 0.05).sum() < darker.sum()


def test_a_shadow_keeps_to_the_polygon_and_what_has_no_room_is_counted():
    mask = np.zeros((240, 240), bool)
    mask[84:100, 100:124] = True
    ground, roof, _ = lit(mask=mask)
    image = ground.image.copy()
    image[:, mask] = 0.8
    laid = replace(ground, image=image, parse=told(roof.shape, roof=roof | mask))
    shaded = with_shadow(laid, Light.of(ground), mask)
    assert (shaded.image[:, ~mask] == image[:, ~mask]).all() and shaded.outside > 0.9


def test_what_lies_flat_throws_none_unless_a_height_is_stated():
    ground, roof, _ = lit()
    placed = np.zeros_like(roof)
    placed[84:100, 100:124] = True
    flat = with_shadow(ground, Light.of(ground), placed)
    assert not flat.tall and (flat.image == ground.image).all()
    assert heights(ground.cover, placed, 8.0).max() == 8.0
    assert with_shadow(ground, Light.of(ground), placed, height_m=8.0).tall


def test_without_a_sun_nobody_knows_where_shadows_lie():
    ground, *_ = lit()
    blind = replace(ground, parse=replace(ground.cover, sun=None))
    assert Light.of(blind) is None and left_shadow(blind) == ""


@pytest.mark.parametrize(("sun", "side"), [(225.0, "upper right"), (135.0, "upper left")])
def test_a_shadow_that_is_left_behind_is_told(sun, side):
    mask = np.zeros((240, 240), bool)
    mask[30:54, 80:110] = True
    ground, _, shadow = lit(sun, mask)
    assert left_shadow(ground) == side
    both = np.zeros_like(mask)
    both[15:60, 65:130] = True
    assert left_shadow(replace(ground, mask=both)) == ""


def copied(editors, **options):
    """A house of a town copied to a meadow, and what was said."""
    image, roof, road, shadow = town()
    mask = np.zeros_like(roof)
    mask[66:104, 120:170] = True
    valid = np.ones_like(roof)
    patch = Patch(image[:, 30:54, 20:50], np.ones((24, 30), bool))
    scene = Scene(image, valid, mask, ROLES[:3], 0.5, exemplars=(patch,))
    editor = editors.get("copy")
    said = []
    made = editor.edit(scene, "", editor.parse(options), 0, lambda *a: said.extend(a[4:]))
    return made, image, mask, said


def test_copy_casts_it_where_the_scene_shows_its_sun(editors):
    with_it, image, mask, _ = copied(editors, height_m=6.0)
    without, *_ = copied(editors, shadow=False)
    assert ((without - with_it).max(axis=0) > 0.04).sum() > 40
    assert (with_it[:, ~mask] == image[:, ~mask]).all()


def test_patch_diffusion_keeps_the_shadow_beside_what_it_draws(editors):
    with_it, image, mask, _ = copied(editors, height_m=6.0, method="patch diffusion")
    without, *_ = copied(editors, shadow=False, method="patch diffusion")
    assert ((without - with_it).max(axis=0) > 0.04).sum() > 40


@pytest.mark.parametrize(("turn", "other"), [(0.0, False), (90.0, True), (180.0, True)])
def test_what_brings_a_shadow_gets_no_second_one(turn, other):
    """A house with a shadow as under the scene's sun, or under one that stands elsewhere."""
    roof = np.zeros((120, 120), bool)
    roof[50:70, 50:70] = True
    height = np.where(roof, 5.0, 0).astype(np.float32)
    shade = (evidence.cast(height, 225.0 + turn, 1.0, 0.5) > 0.5) & ~roof
    image = np.full((3, 120, 120), 0.5, np.float32)
    image[:, shade] = 0.2
    parse = told(roof.shape, roof=roof, shadow=shade)
    ground = Ground(image, np.ones_like(roof), ROLES[:3], 0.5, parse=parse)
    light = Light(225.0, 1.0, np.full(3, 0.45, np.float32))
    made = with_shadow(ground, light, ndimage.binary_dilation(roof | shade, iterations=2))
    assert made.other == other
    darker = (image - made.image).max(axis=0) > 0.1
    assert darker.sum() < 0.25 * shade.sum()


@pytest.mark.parametrize("metres", [80.0, 160.0])
def test_a_tower_throws_as_long_a_shadow_as_it_is_high(metres):
    height = np.zeros((400, 40), np.float32)
    height[380:384, 18:22] = metres
    dark = evidence.cast(height, 180.0, 1.0, 0.5)
    rows = np.nonzero(dark[:, 20] > 0.5)[0]
    assert abs((380 - rows.min()) * 0.5 - metres) <= 1.5
