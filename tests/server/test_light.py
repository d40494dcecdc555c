"""The air that a picture is seen through."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.operators.fire import Burn, burn
from landbrush.server.operators.flood import Flood
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.light import PLAIN, veil
from landbrush.server.operators.snow import CLEARED, Snow, snow

from tests.server.towns import ROLES, told


def field(bright, dark=0.0, share=0.02, gsd=0.5):
    """Bright ground, on a part of which lies shadow of some brightness."""
    image = np.full((3, 120, 120), bright, np.float32)
    shade = np.zeros((120, 120), bool)
    if dark:
        shade[:, : round(120 * share)] = True
        image[:, shade] = dark
    whole = np.ones_like(shade)
    return Ground(image, whole, ROLES[:3], gsd, parse=told(shade.shape, shadow=shade))


@pytest.mark.parametrize("bright", [0.25, 0.45, 0.8])
def test_bright_ground_is_not_taken_for_haze(bright):
    assert veil(field(bright), 0) <= PLAIN


@pytest.mark.parametrize(("dark", "least", "most"), [(0.2, 0.1, 0.2), (0.02, 0.0, 0.03)])
def test_shadows_tell_how_thick_the_air_is(dark, least, most):
    assert least <= veil(field(0.6, dark), 0) <= most


@pytest.mark.parametrize("bright", [0.3, 0.5])
def test_burnt_ground_is_as_dark_without_a_shadow_in_sight_as_with_one(bright):
    made = [
        np.median(burn(ground, Burn(severity=1.0), 0)[:, 30:90, 30:90])
        for ground in (field(bright), field(bright, 0.03))
    ]
    assert abs(made[0] - made[1]) < 0.06 and made[0] < 0.6 * bright


@pytest.mark.parametrize(("gsd", "seam_px"), [(0.25, 2), (0.5, 1), (2.0, 0)])
def test_beside_a_cleared_road_no_seam_is_left_and_at_coarse_pixels_none_is_taken(gsd, seam_px):
    road = np.zeros((120, 120), bool)
    road[55:65] = True
    image = np.full((3, 120, 120), 0.35, np.float32)
    parse = told(road.shape, paved=road)
    ground = Ground(image, np.ones_like(road), ROLES[:3], gsd, parse=parse)
    image = snow(ground, Snow(roads=CLEARED, cover=1.0), 0)[1]
    white = np.median(image[:30])
    dark = np.median(image, axis=1) < 0.75 * white
    assert abs(int(dark.sum()) - (10 + 2 * seam_px)) <= 2


def test_debris_that_is_too_small_to_be_seen_is_told(editors):
    from landbrush.server.editors.base import Scene

    editor = editors.get("flood")
    whole = np.ones((40, 40), bool)
    for gsd, said in ((10.0, True), (0.5, False)):
        scene = Scene(np.full((3, 40, 40), 0.4, np.float32), whole, whole, ROLES[:3], gsd)
        notes = editor.notes(scene, Flood(debris=0.5))
        assert any("debris" in note for note in notes) == said
