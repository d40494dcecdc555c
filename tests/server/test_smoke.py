"""Fires that still burn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from landbrush.server.operators.fire import Burn, burn
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.smoke import with_smoke
from landbrush.server.words.interpreter import interpret

from tests.server.towns import told

ROLES = ("red", "green", "blue", "nir", "swir1")


def woods(gsd=0.6, size=260):
    """Ground that is all trees, in five bands."""
    image = np.tile(np.array([0.2, 0.27, 0.17, 0.5, 0.3], np.float32)[:, None, None], (size, size))
    image += 0.02 * np.random.default_rng(0).standard_normal(image.shape).astype(np.float32)
    mask = np.zeros((size, size), bool)
    mask[20:-20, 20:-20] = True
    whole = np.ones_like(mask)
    return Ground(image, mask, ROLES, gsd, parse=told(mask.shape, tree=whole))


def smoky(ground, much=0.6, seed=1):
    out = burn(ground, Burn(severity=0.8, smoke=0.0), seed)
    return out, burn(ground, Burn(severity=0.8, smoke=much), seed)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_smoke_is_bright_and_longer_waves_see_through_it(seed):
    out, smoke = smoky(woods(), seed=seed)
    lit = (smoke - out)[2] > 0.15
    assert 0.01 < lit.mean() < 0.6
    # Flames are hot in all bands; beside them short-wave infrared hardly sees the smoke.
    beside = lit & (smoke[0] < 0.8)
    assert np.median((smoke - out)[4][beside]) < 0.3 * np.median((smoke - out)[2][beside])


@pytest.mark.parametrize(("less", "more"), [(0.1, 0.5), (0.3, 0.9)])
def test_more_of_it_hides_more(less, more):
    shares = []
    for much in (less, more):
        out, smoke = smoky(woods(), much)
        shares.append(float(np.abs(smoke - out)[:3].mean()))
    assert shares[0] < shares[1]


def test_it_stays_in_the_polygon_and_where_nothing_burned_nothing_smokes():
    ground = woods()
    out, smoke = smoky(ground)
    assert (out[:, ~ground.mask] == smoke[:, ~ground.mask]).all()
    nothing = with_smoke(ground, ground.image, np.zeros(ground.mask.shape, np.float32), 1.0, 0)
    assert (nothing == ground.image).all()


@pytest.mark.parametrize("side", [8, 12, 30])
@pytest.mark.parametrize("seed", range(3))
def test_however_small_the_place_something_smokes(side, seed):
    ground = woods()
    mask = np.zeros_like(ground.mask)
    mask[100 : 100 + side, 120 : 120 + side] = True
    ground = replace(ground, mask=mask)
    both = [burn(ground, Burn(severity=0.9, smoke=smoke), seed) for smoke in (0.0, 0.6)]
    apart = np.abs(both[0] - both[1]).max(axis=0)
    assert apart[mask].max() > 0.02 and not apart[~mask].any()


@pytest.mark.parametrize("gsd", [0.1, 2.5, 10.0])
def test_at_every_ground_size_something_is_seen(gsd):
    out, smoke = smoky(woods(gsd), 0.9, 4)
    assert np.isfinite(smoke).all() and smoke.min() >= 0
    if gsd > 1:
        assert (np.abs(smoke - out).max(axis=0) > 0.05).any()


def test_the_wind_is_the_seeds():
    one, two, other = (smoky(woods(), seed=s)[1] for s in (5, 5, 6))
    assert (one == two).all() and (one != other).any()


def test_without_its_classes_it_smokes_too():
    ground = replace(woods(), parse=None, roles=ROLES[:3])
    ground = replace(ground, image=ground.image[:3])
    out, smoke = smoky(ground)
    assert (out != smoke).any()


@pytest.mark.parametrize(
    ("words", "smoke"),
    [("forest on fire", True), ("burning field", True), ("burnt forest", False), ("ablaze", True)],
)
def test_words_say_whether_it_still_burns(words, smoke):
    found = interpret(words, lambda said: {})
    assert found.editor == "burn" and ("smoke" in found.options) == smoke
