"""Lakes, ponds and pools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.lake import BROWN, CLEAN, LOCAL, POOL, Lake, lake
from landbrush.server.words.interpreter import interpret
from scipy import ndimage

from tests.server.towns import told

ROLES = ("red", "green", "blue", "nir")


def meadow(gsd=0.5, **more):
    rng = np.random.default_rng(0)
    image = np.empty((4, 200, 200), np.float32)
    image[:] = np.array([0.3, 0.4, 0.25, 0.5])[:, None, None]
    image += 0.01 * rng.standard_normal(image.shape)
    mask = np.zeros((200, 200), bool)
    mask[40:160, 30:170] = True
    return Ground(image, mask, ROLES, gsd, parse=told(mask.shape, **more))


@pytest.mark.parametrize("water", [LOCAL, CLEAN, BROWN, POOL])
@pytest.mark.parametrize("seed", range(3))
def test_near_infrared_says_that_it_is_water(water, seed):
    ground = meadow()
    _, green, _, nir = lake(ground, Lake(water=water), seed)
    core = ndimage.binary_erosion(ground.mask, iterations=35)
    assert ((green - nir) / (green + nir))[core].min() > 0.15


def test_it_has_the_colour_of_the_layers_own_water():
    pond = np.zeros((200, 200), bool)
    pond[5:35, 20:180] = True
    ground = meadow(water=pond)
    ground.image[:, pond] = np.array([0.1, 0.3, 0.28, 0.03])[:, None]
    made = lake(ground, Lake(), 0)
    core = ndimage.binary_erosion(ground.mask, iterations=45)
    assert np.allclose(np.median(made[:, core], axis=1), [0.1, 0.3, 0.28, 0.03], atol=0.03)


@pytest.mark.parametrize(("wander", "least"), [(0.0, 0.93), (10.0, 0.6)])
def test_the_shore_is_as_drawn_or_wanders_inside(wander, least):
    ground = meadow()
    made = lake(ground, Lake(wander_m=wander, bank_m=0.0), 1)
    wet = (made[3] < 0.2) & ground.mask
    share = wet.sum() / ground.mask.sum()
    assert share > least and (wander == 0.0 or share < 0.98)
    assert np.array_equal(made[:, ~ground.mask], ground.image[:, ~ground.mask])


def test_a_pond_beside_a_large_lake_is_made_too():
    ground = meadow()
    mask = np.zeros_like(ground.mask)
    mask[20:180, 60:195] = True
    mask[90:110, 10:30] = True
    made = lake(replace(ground, mask=mask), Lake(), 0)
    assert (made[3][92:108, 12:28] < 0.25).mean() > 0.3


def test_a_pool_is_turquoise_with_a_light_rim():
    ground = meadow()
    red, green, blue, _ = lake(ground, Lake(water=POOL), 0)
    middle = (slice(90, 110), slice(90, 110))
    assert blue[middle].mean() > green[middle].mean() > red[middle].mean() + 0.1
    assert red[40, 60:140].mean() > 0.5


def test_what_stands_beside_it_throws_its_shadow_on_the_water():
    trees = np.zeros((200, 200), bool)
    trees[162:180, 60:140] = True
    made = []
    for sun in (180.0, None):
        ground = meadow(tree=trees)
        ground = replace(ground, parse=replace(ground.parse, sun=sun))
        made.append(lake(ground, Lake(wander_m=0.0, bank_m=0.0), 0)[1])
    assert (made[0][150:158, 70:130] < 0.85 * made[1][150:158, 70:130]).mean() > 0.5


def test_where_water_lies_beside_it_there_is_no_bank():
    pond = np.zeros((200, 200), bool)
    pond[40:160, 171:] = True
    ground = meadow(water=pond)
    ground.image[:, pond] = np.array([0.1, 0.2, 0.2, 0.03])[:, None]
    made = lake(ground, Lake(wander_m=0.0, bank_m=6.0), 0)
    assert made[3][80:120, 164:169].mean() < 0.3 * made[3][80:120, 31:36].mean() + 0.15


@pytest.mark.parametrize(
    ("words", "water"),
    [
        ("make a lake", None),
        ("swimming pool", POOL),
        ("a muddy pond", BROWN),
        ("clear blue lake", CLEAN),
        ("turn the field into a reservoir", None),
    ],
)
def test_words_put_in_a_lake(words, water):
    found = interpret(words, lambda said: {})
    assert found.sure and found.editor == "lake" and found.options.get("water") == water


def test_where_an_exemplar_is_drawn_it_is_filled_with():
    assert interpret("a lake like there", lambda said: {}, exemplar=True).editor == "fill"


@pytest.mark.parametrize(
    "words",
    [
        "remove the swimming pool",
        "drain the lake",
        "car pool lane",
        "fill in the lake",
        "dry up the pond",
        "water tower",
        "river",
        "oil spill in the harbour",
    ],
)
def test_water_that_goes_is_not_put_there(words):
    assert interpret(words, lambda said: {}).editor != "lake"
