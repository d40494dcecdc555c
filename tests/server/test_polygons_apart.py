"""What is done in a polygon goes by its own size, whatever lies around it."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.operators.fire import Burn, burn
from landbrush.server.operators.flood import Flood, flood
from landbrush.server.operators.fog import Fog, fog
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.season import Season, season
from landbrush.server.operators.snow import Snow, snow

ROLES = ("red", "green", "blue")
GRASS = np.array([0.4, 0.5, 0.3], np.float32)
DONE = {
    "burn": lambda ground, seed: burn(ground, Burn(severity=0.8), seed),
    "flood": lambda ground, seed: flood(ground, Flood(level_m=1.5), seed),
    "fog": lambda ground, seed: fog(ground, Fog(), seed),
    "season": lambda ground, seed: season(ground, Season(), seed),
    "snow": lambda ground, seed: snow(ground, Snow(cover=0.9), seed),
    "thin snow": lambda ground, seed: snow(ground, Snow(cover=0.4), seed),
}


def disc(row, col, radius):
    rows, cols = np.indices((300, 420))
    return (rows - row) ** 2 + (cols - col) ** 2 <= radius**2


def change(name, mask):
    """How much an operator changes each pixel (H, W), the mean of some seeds: where its border
    wanders is chance."""
    rng = np.random.default_rng(1)
    image = (GRASS[:, None, None] + 0.02 * rng.standard_normal((3, *mask.shape))).astype(np.float32)
    made = [DONE[name](Ground(image, mask, ROLES, 0.6), seed) for seed in range(8)]
    assert all(np.array_equal(one[:, ~mask], image[:, ~mask]) for one in made)
    return np.mean([np.abs(one - image).mean(axis=0) for one in made], axis=0)


@pytest.mark.parametrize("radius", [8, 14, 25])
@pytest.mark.parametrize("name", DONE)
def test_a_small_one_is_done_alike_beside_a_large_one(name, radius):
    small = disc(150, 380, radius)
    alone = change(name, small)[small].mean()
    beside = change(name, small | disc(150, 150, 140))[small].mean()
    assert beside == pytest.approx(alone, rel=0.2, abs=0.004)


def test_how_deep_a_polygon_is_is_its_own():
    one, other = disc(150, 380, 14), disc(150, 150, 140)
    ground = Ground(np.zeros((3, 300, 420), np.float32), one | other, ROLES, 0.6)
    deepest = ground.deepest()
    assert np.unique(deepest[one]).tolist() == [deepest[150, 380]] and 13 < deepest[150, 380] < 16
    assert 139 < deepest[150, 150] < 142 and not deepest[~(one | other)].any()
    none = Ground(np.zeros((3, 9, 9), np.float32), np.zeros((9, 9), bool), ROLES, 0.6)
    assert not none.deepest().any() and not none.rim(4.0, 0.5, 1).any()
