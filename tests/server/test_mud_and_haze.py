"""What a wave leaves, what stands out of a flood, what snow lies on, and land seen through haze."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from landbrush.server.operators.damage import TSUNAMI, Damage, damage, hit_by
from landbrush.server.operators.flood import Flood, flood
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.mud import wave_end, wrack
from landbrush.server.operators.season import AUTUMN, Season, season
from landbrush.server.operators.snow import CLEARED, TRACKED, Snow, snow
from landbrush.server.operators.standing import standing
from landbrush.server.scene.classes import CLASSES
from landbrush.server.scene.network import SceneNetwork
from scipy import ndimage

from tests.conftest import DATA
from tests.server.towns import ROLES, told

PRE = DATA / "joplin_tornado_geotiff" / "input" / "pre"


def grounds(shape, image, **classes):
    mask = np.zeros(shape, bool)
    mask[10:-10, 10:-10] = True
    return Ground(image, mask, ROLES[:3], 0.5, parse=told(shape, **classes))


def lot(side=200):
    """A car park of grey asphalt with rows of white cars (pixels of half a metre), and its cars."""
    rng = np.random.default_rng(0)
    image = 0.4 + 0.004 * rng.standard_normal((3, side, side)).astype(np.float32)
    cars = np.zeros((side, side), bool)
    for row in range(24, side - 24, 16):
        for col in range(24, side - 24, 7):
            cars[row : row + 9, col : col + 4] = True
    image[:, cars] = 0.9
    return image, cars


def run(severity):
    image, cars = lot()
    ground = grounds(cars.shape, image, paved=np.ones(cars.shape, bool))
    how = Damage(cause=TSUNAMI, severity=severity)
    made = damage(ground, how, 3, hit_by(ground, how, 3))
    return image, cars, ground, made


def test_cars_float_and_lie_otherwise_than_they_stood():
    image, cars, ground, made = run(0.9)
    inner = np.zeros(cars.shape, bool)
    inner[60:-60, 60:-60] = True
    bright = made.mean(axis=0) > 0.62
    stood, bare = cars & inner, ~cars & inner
    # No longer where they stood rather than anywhere else, but still cars about.
    assert bright[stood].mean() < 0.45
    assert 0.02 < bright[bare].mean() < 0.45
    weak = run(0.15)[3].mean(axis=0) > 0.62
    assert weak[stood].mean() > 0.8, "they stay where the wave was weak"
    outside = ~ground.mask
    assert np.array_equal(made[:, outside], image[:, outside])


def test_where_the_wave_ended_lies_a_line():
    image, cars, ground, _ = run(0.5)
    ended, line = wave_end(ground, 3), wrack(ground, 3)
    assert ended[~ground.mask].max() == 0 and ended[80:-80, 80:-80].min() > 0.95
    assert line[~ground.mask].max() == 0
    edge = (ended > 0.3) & (ended < 0.97)
    assert line[edge].mean() > 3 * line[80:-80, 80:-80].mean()
    again = wave_end(ground, 3)
    assert np.array_equal(ended, again) and not np.array_equal(ended, wave_end(ground, 4))


def test_a_gangway_between_roofs_stands_out_of_a_flood():
    shape = (200, 200)
    image = np.full((3, *shape), 0.35, np.float32)
    roofs, gangway, sand, drive = (np.zeros(shape, bool) for _ in range(4))
    roofs[60:100, 40:80] = roofs[60:100, 120:160] = True
    gangway[78:82, 80:120] = True
    sand[130:136, 60:110] = True  # as bright, but by itself
    drive[100:124, 52:60] = True  # of concrete, from one house to the street
    image[:, roofs] = 0.6
    image[:, gangway | sand | drive] = 0.95
    paved = ~roofs & ~sand & ~gangway
    ground = grounds(shape, image, roof=roofs, paved=paved, bare=sand)
    change = np.abs(flood(ground, Flood(level_m=1.0), 0) - image).max(axis=0)
    assert change[gangway].mean() < 0.1 and change[sand].mean() > 0.2
    assert change[drive].mean() > 0.2
    # Nor where nobody is sure that it is paved: it joins no two roofs.
    unsure = grounds(shape, image, roof=roofs, paved=paved & ~drive, bare=sand)
    assert np.abs(flood(unsure, Flood(level_m=1.0), 0) - image).max(axis=0)[drive].mean() > 0.2
    assert change[105:125, 60:140].mean() > 0.02


@pytest.mark.parametrize("roofs", ["paved", "bare"])
def test_seen_from_afar_a_town_stands_out_of_a_flood_whatever_its_roofs_are_of(roofs):
    rng = np.random.default_rng(4)
    shape = (120, 120)
    image = np.full((3, *shape), 0.3, np.float32)
    town, field = np.zeros(shape, bool), np.zeros(shape, bool)
    rocks, streets = np.zeros(shape, bool), np.zeros(shape, bool)
    town[30:60, 30:60] = field[70:100, 30:60] = True
    rocks[30:100, 90:118] = True  # as rough as a town, but without a street
    streets[30:60:5, 30:60] = True
    rough = town | rocks
    image[:, rough] += 0.15 * rng.standard_normal(rough.sum()).astype(np.float32)
    bare = (rocks | field | town) & ~streets if roofs == "bare" else rocks
    parse = told(shape, bare=bare, paved=streets if roofs == "bare" else town | field)
    mask = np.zeros(shape, bool)
    mask[10:-10, 10:-10] = True
    ground = Ground(np.clip(image, 0, 1), mask, ROLES[:3], 10.0, parse=parse)
    stands = standing(ground, 3.0, np.full(shape, 2.0))
    assert stands[35:55, 35:55].mean() > 0.4 > 0.2 > stands[75:95, 35:55].mean()
    assert stands[30:100, 70:85].max() < 0.05 and stands[35:95, 92:108].mean() < 0.15


@pytest.mark.parametrize("share", [0.9, 0.45])
def test_a_lawn_that_may_be_water_is_no_hole_in_the_snow(share):
    shape = (160, 160)
    image = np.full((3, *shape), 0.3, np.float32)
    pond = np.zeros(shape, bool)
    pond[60:100, 60:100] = True
    image[:, pond] = 0.15
    ground = grounds(shape, image, low=~pond, water=pond)
    shares = ground.parse.shares
    shares[CLASSES.index("water")][pond] = share
    shares[CLASSES.index("low")][pond] = 0.95 - share
    made = snow(ground, Snow(cover=1.0), 0)[1][70:90, 70:90]
    assert (made.mean() < 0.25) == (share > 0.5)


def test_a_court_keeps_its_snow_where_roads_are_cleared_and_a_lot_most_of_it_where_they_are_not():
    shape = (240, 240)
    image = np.full((3, *shape), 0.35, np.float32)
    road, court, big = (np.zeros(shape, bool) for _ in range(3))
    road[20:32] = True
    court[60:90, 40:70] = True  # 15 m by 15 m
    big[120:210, 60:190] = True
    paved = road | court | big
    ground = grounds(shape, image, paved=paved, low=~paved)
    inner = slice(14, 226)
    cleared = snow(ground, Snow(cover=1.0, roads=CLEARED), 0).mean(axis=0)
    assert cleared[24:28, inner].mean() < 0.5 < 0.75 < cleared[66:84, 46:64].mean()
    tracked = snow(ground, Snow(cover=1.0, roads=TRACKED), 0).mean(axis=0)
    assert tracked[150:180, 100:150].mean() > tracked[24:28, inner].mean() + 0.05


def test_thin_snow_lets_more_of_the_ground_through():
    rng = np.random.default_rng(1)
    shape = (200, 200)
    image = (0.35 + 0.03 * rng.standard_normal((3, *shape))).astype(np.float32)
    ground = grounds(shape, image, low=np.ones(shape, bool))
    inner = (slice(30, 170), slice(30, 170))
    thin, deep = (
        snow(ground, Snow(cover=0.5, depth_cm=depth), 0).mean(axis=0)[inner] for depth in (2, 40)
    )
    # Hard edges of patches in deep snow, few in thin snow.
    steps = [np.abs(np.diff(one, axis=1)) for one in (thin, deep)]
    assert thin.max() < deep.max() and (steps[0] > 0.2).mean() < 0.2 * (steps[1] > 0.2).mean()
    assert 0.37 < thin.mean() < deep.mean()


def test_crowns_of_autumn_are_mixed_and_none_stays_as_it_was():
    rng = np.random.default_rng(2)
    shape = (200, 200)
    image = np.array([0.2, 0.28, 0.18], np.float32)[:, None, None] + 0.02 * rng.standard_normal(
        (3, *shape)
    ).astype(np.float32)
    ground = grounds(shape, image, tree=np.ones(shape, bool))
    made = season(ground, Season(AUTUMN, 1.0), 0)[:, 40:160, 40:160]
    turned = made[0] - made[1] > -0.03
    assert turned.mean() > 0.85
    # Between yellow, brown and red, of whole crowns: more than the ground's own grain.
    hue = ndimage.gaussian_filter(made[0] - made[2], 3)
    assert hue.std() > 2 * ndimage.gaussian_filter(image[0] - image[2], 3).std()


@pytest.mark.skipif(not PRE.is_dir(), reason=f"{PRE} is not there")
def test_land_in_thick_haze_is_no_sea_and_its_houses_are_still_found():
    with rasterio.open(sorted(PRE.glob("*.tif"))[0]) as source:
        clear = source.read([1, 2, 3])[:, 200:520, 200:520].astype(np.float32) / 255
    air = np.array([0.72, 0.82, 0.92], np.float32)[:, None, None]
    network = SceneNetwork()
    plain, hazy = (network.probabilities(one, 0.636) for one in (clear, 0.42 * clear + 0.58 * air))
    water, roof = CLASSES.index("water"), CLASSES.index("roof")
    assert hazy[water].mean() < 0.1
    both = (plain[roof] > 0.5) & (hazy[roof] > 0.5)
    assert both.sum() > 0.5 * (plain[roof] > 0.5).sum()
