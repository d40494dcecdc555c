"""The scene parser: what it sees, what it is told, and what operators and the land-cover layer make
of it."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
from landbrush.server.operators.fire import Burn, burn
from landbrush.server.operators.flood import Flood, depth_of, flood
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.low_light import LowLight, low_light
from landbrush.server.operators.season import (
    AUTUMN,
    DROUGHT,
    GREEN,
    LEAFLESS,
    LOW_WATER,
    Season,
    season,
)
from landbrush.server.operators.snow import CLEARED, SNOWED_IN, Snow, snow
from landbrush.server.scene import evidence
from landbrush.server.scene.known import fitted
from landbrush.server.scene.network import SceneNetwork
from landbrush.server.scene.parse import Understanding, by_rules, straightened, understood
from scipy import ndimage

from tests.server.towns import NETWORK, ROLES, told, town


@pytest.mark.parametrize("sun", [35.0, 120.0, 225.0, 300.0])
def test_shadows_tell_where_the_sun_stands(sun):
    _, roof, _, shadow = town(sun=sun)
    found = evidence.sun_azimuth(roof.astype(np.float32), shadow.astype(np.float32), 0.5)
    assert found is not None and abs((found - sun + 180) % 360 - 180) <= 15


def test_where_nothing_throws_a_shadow_the_sun_is_not_guessed():
    _, roof, _, _ = town()
    rng = np.random.default_rng(1)
    noise = (rng.random(roof.shape) < 0.05).astype(np.float32)
    assert (
        evidence.sun_azimuth(roof.astype(np.float32), np.zeros(roof.shape, np.float32), 0.5) is None
    )
    assert evidence.sun_azimuth(np.zeros(roof.shape, np.float32), noise, 0.5) is None


@pytest.mark.parametrize(("slope", "length"), [(1.0, 6.0), (0.5, 12.0), (2.0, 3.0)])
def test_a_cast_shadow_is_as_long_as_the_sun_is_low(slope, length):
    height = np.zeros((80, 80), np.float32)
    height[40:44, 40:44] = 6
    dark = evidence.cast(height, 180.0, slope, 1.0)
    rows = np.nonzero(dark[:, 41] > 0.5)[0]
    assert rows.max() < 40 and abs((40 - rows.min()) - length) <= 1.5


@pytest.mark.parametrize("shift", [(0, 0), (5, -4), (-7, 3)])
def test_footprints_are_moved_to_where_the_picture_shows_houses(shift):
    _, roof, _, _ = town()
    off = np.roll(roof, shift, (0, 1))
    share = 0.1 + 0.7 * roof.astype(np.float32)
    found = fitted(off, share, 0.5) > 0.5
    assert (found & roof).sum() / (found | roof).sum() > 0.93


def test_what_the_picture_does_not_show_stays_where_the_layer_has_it():
    _, roof, _, _ = town()
    flat = np.full(roof.shape, 0.2, np.float32)
    assert ((fitted(roof, flat, 0.5) > 0.5) == roof).mean() > 0.99


def test_the_users_layers_win():
    image, roof, road, _ = town()
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    found = understood(ground, NETWORK, {"roof": roof, "paved": road})
    assert found.sources[0] == "layers of the user"
    assert found.share("roof")[roof].mean() > 0.85 and found.share("paved")[road].mean() > 0.85
    assert found.share("roof")[~roof].mean() < 0.2


def test_near_infrared_tells_leaves():
    image, roof, road, _ = town()
    near = np.where(roof | road, 0.3, 0.75).astype(np.float32)
    image = np.concatenate([image, near[None]])
    found = understood(Ground(image, np.ones(roof.shape, bool), ROLES, 0.5), NETWORK)
    green = found.share("low", "tree")
    assert "near infrared" in found.sources
    assert green[~roof & ~road].mean() > 0.7 > 0.3 > green[roof].mean()


def test_the_same_picture_gives_the_same_numbers_and_tiles_leave_no_seam(monkeypatch):
    image, *_ = town(1000)
    first, second = (NETWORK.probabilities(image, 0.5) for _ in range(2))
    assert (first == second).all() and np.allclose(first.sum(axis=0), 1, atol=1e-4)
    monkeypatch.setattr("landbrush.server.scene.network.TILE_PX", 4096)
    apart = first - NETWORK.probabilities(image, 0.5)
    assert np.abs(apart).mean() < 0.02
    # What tiles change, they change gently: no jump along a row or a column.
    for axis in (1, 2):
        assert np.abs(np.diff(apart, axis=axis)).mean(axis=(0, 3 - axis)).max() < 0.04


@pytest.mark.parametrize("gsd", [5.0, 10.0, 30.0])
def test_coarse_pixels_are_told_by_rules_and_nothing_tall_is_claimed(gsd):
    image, roof, _, _ = town()
    near = np.where(roof, 0.02, 0.7).astype(np.float32)
    ground = Ground(np.concatenate([image, near[None]]), np.ones(roof.shape, bool), ROLES, gsd)
    found = understood(ground, NETWORK)
    assert found.sources == ("index rules",) and found.sun is None
    assert not found.share("roof", "tree", "vehicle").any()
    assert found.shares.sum(axis=0).max() <= 1 + 1e-5


def test_without_colours_rules_have_to_do():
    ground = Ground(np.full((1, 40, 40), 0.4, np.float32), np.ones((40, 40), bool), ("pan",), 0.5)
    assert understood(ground, NETWORK).sources == by_rules(ground).sources


def test_flood_leaves_roofs_dry_and_takes_the_road_first():
    image, roof, road, shadow = town()
    mask = np.ones(roof.shape, bool)
    mask[:10] = mask[-10:] = mask[:, :10] = mask[:, -10:] = False
    ground = Ground(image, mask, ROLES[:3], 0.5)
    ground = replace(ground, parse=told(roof.shape, roof=roof, paved=road, shadow=shadow))
    depth = depth_of(ground, Flood(level_m=0.6), 0)
    inner = np.zeros_like(mask)
    inner[60:-60, 60:-60] = True
    assert depth[road & inner].mean() > depth[~road & ~roof & inner].mean() + 0.08
    brown, clear = (flood(ground, Flood(level_m=0.6, mud=mud), 0) for mud in (0.9, 0.2))
    wet = np.abs(brown - clear).max(axis=0) > 0.04
    assert wet[road & inner].mean() > 0.98 and wet[roof & inner].mean() < 0.05
    deep = flood(ground, Flood(level_m=8.0, mud=0.9), 0)
    assert np.abs(deep - image).max(axis=0)[roof & inner].mean() > 0.1


def test_snow_goes_by_what_lies_under_it():
    image, roof, road, shadow = town()
    pond = np.zeros_like(roof)
    pond[200:230, 100:200] = True
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    parse = told(roof.shape, roof=roof, paved=road, shadow=shadow, water=pond)
    ground = replace(ground, parse=parse)
    made = {how: snow(ground, Snow(roads=how), 0).mean(axis=0) for how in (SNOWED_IN, CLEARED)}
    open_ground = ~(roof | road | shadow | pond)
    for one in made.values():
        assert one[open_ground].mean() > 0.8 and one[roof].mean() > 0.8
        assert abs(one[pond].mean() - image.mean(axis=0)[pond].mean()) < 0.03
    assert made[SNOWED_IN][road].mean() > 0.75 > 0.6 > made[CLEARED][road].mean()
    # What lies in the shade is blue and darker, by no more than shade is.
    blue = snow(ground, Snow(), 0)
    assert blue[2][shadow].mean() > blue[0][shadow].mean() + 0.08
    assert 0.4 < blue.mean(axis=0)[shadow].mean() < 0.75


def test_fire_takes_what_burns():
    image, roof, road, _ = town()
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    ground = replace(ground, parse=told(roof.shape, roof=roof, paved=road))
    grass = ~roof & ~road
    for severity, houses in ((0.7, False), (1.0, True)):
        change = np.abs(burn(ground, Burn(severity=severity), 0) - image).max(axis=0)
        assert change[grass].mean() > 0.15 and change[road].mean() < 0.04
        assert (change[roof].mean() > 0.1) == houses


def test_at_night_lamps_stand_along_the_road_and_no_shadow_is_cast():
    image, roof, road, shadow = town()
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    ground = replace(ground, parse=told(roof.shape, roof=roof, paved=road, shadow=shadow))
    dark, lit = (
        low_light(ground, LowLight(light=0.02, lamps=lamps, noise_electrons=0.0), 0)
        for lamps in (0.0, 1.0)
    )
    glow = (lit - dark).mean(axis=0)
    grass = ~roof & ~road & ~shadow
    assert glow[road].mean() > 3 * glow[grass].mean() > 0
    dusk = low_light(ground, LowLight(light=0.1, lamps=0.0, noise_electrons=0.0), 0).mean(axis=0)
    before = image.mean(axis=0)
    assert (
        dusk[shadow].mean() / dusk[grass].mean()
        > 1.5 * before[shadow].mean() / before[grass].mean()
    )


@pytest.mark.parametrize("what", [AUTUMN, LEAFLESS, DROUGHT, GREEN, LOW_WATER])
def test_seasons_change_what_grows_or_flows_and_nothing_built(what):
    image, roof, road, _ = town()
    wood, pond = np.zeros_like(roof), np.zeros_like(roof)
    wood[70:100, 20:220] = True
    pond[195:235, 60:200] = True
    image[:, wood] = np.array([0.2, 0.28, 0.16])[:, None]
    image[:, pond] = np.array([0.1, 0.16, 0.2])[:, None]
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    parse = told(roof.shape, roof=roof, paved=road, tree=wood, water=pond)
    made = season(replace(ground, parse=parse), Season(what, 0.9), 0)
    change = np.abs(made - image).max(axis=0)
    built = ndimage.binary_erosion(roof | road, iterations=3)
    grass = ndimage.binary_erosion(~(roof | road | wood | pond), iterations=3)
    assert change[built].max() < 0.02
    red, green, blue = (band[wood].mean() for band in made)
    if what == AUTUMN:
        assert red > green + 0.03 > blue
    elif what == LEAFLESS:
        assert abs(red - green) < 0.06 and abs(green - blue) < 0.08
    elif what == GREEN:
        assert made[1][grass].mean() > 1.2 * made[0][grass].mean()
    elif what == DROUGHT:
        assert made[0][grass].mean() > made[1][grass].mean() > made[2][grass].mean()
    else:
        assert change[grass].max() < 0.02 and change[pond].mean() > 0.1
        middle = ndimage.binary_erosion(pond, iterations=19)
        assert change[pond & ~ndimage.binary_erosion(pond, iterations=5)].mean() > 0.15
        assert change[middle].mean() < 0.12


def test_the_runtime_of_the_network_reports_to_nobody():
    """onnxruntime has told its makers what runs, on all systems, since 1.29."""
    assert NETWORK.probabilities(np.zeros((3, 32, 32), np.float32), 0.5).shape[1:] == (32, 32)
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert tuple(int(part) for part in version("onnxruntime").split(".")[:2]) < (1, 29)


@pytest.mark.parametrize("level", [0.0, -1.0, -5.0])
def test_no_water_is_no_flood(level):
    image, roof, _, _ = town()
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    assert (flood(ground, Flood(level_m=level), 0) == image).all()


def test_in_the_middle_of_a_lake_low_water_has_no_shore():
    sea = np.full((3, 120, 120), 0.15, np.float32)
    ground = Ground(sea, np.ones((120, 120), bool), ROLES[:3], 0.5)
    parse = told((120, 120), water=np.ones((120, 120), bool))
    assert (season(replace(ground, parse=parse), Season(LOW_WATER), 0) == sea).all()


def test_roofs_have_straight_sides():
    rows, cols = np.mgrid[:80, :80]
    turned = (np.abs((rows - 40) * 0.8 + (cols - 40) * 0.6) < 20) & (
        np.abs((cols - 40) * 0.8 - (rows - 40) * 0.6) < 12
    )
    rng = np.random.default_rng(0)
    ragged = turned & ~(ndimage.gaussian_filter(rng.random(turned.shape), 2) > 0.56)
    found = straightened(ndimage.binary_opening(ragged))
    assert (found & turned).sum() / (found | turned).sum() > 0.9
    bent = np.zeros((80, 80), bool)
    bent[10:70, 10:20] = bent[60:70, 10:70] = True
    assert (straightened(bent) == bent).all(), "an L keeps its shape"


def test_pixels_of_degrees_are_seen_as_they_lie():
    """At 60 degrees a pixel of degrees is twice as tall as wide."""
    image, *_ = town()
    squeezed = image[:, ::2]
    plain = NETWORK.probabilities(image, 0.5)
    found = NETWORK.probabilities(squeezed, 0.5 * 2**0.5, 2.0)
    same = found.argmax(axis=0) == plain[:, ::2].argmax(axis=0)
    assert same.mean() > 0.9


def test_a_window_is_understood_once_for_all_its_variants(monkeypatch):
    image, roof, _, _ = town()
    asked = []
    network = SceneNetwork()
    plain = network.probabilities
    monkeypatch.setattr(network, "probabilities", lambda *a: asked.append(1) or plain(*a))
    ground = Ground(image, np.ones(roof.shape, bool), ROLES[:3], 0.5)
    understanding = Understanding(network)
    first = understanding.of(ground, {})
    assert understanding.of(replace(ground), {}) is first and len(asked) == 1
    assert understanding.of(ground, {"roof": roof}) is not first
    other = replace(ground, image=image * 0.9)
    assert understanding.of(other, {}) is not first and len(asked) == 3
