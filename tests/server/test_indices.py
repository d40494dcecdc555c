"""NDVI and NDWI before and after an edit, where the bands are there."""

import numpy as np
import pytest
from landbrush.server.evaluation.indices import changes, together

ROLES = ("red", "green", "blue", "nir")


def bands(**values):
    return np.stack([np.full((4, 4), values.get(role, 0), np.uint16) for role in ROLES])


def test_means_of_native_values_inside_the_mask():
    before = bands(red=500, green=700, nir=2500)
    after = bands(red=600, green=900, nir=300)
    after[:, 0] = 9  # outside of the mask
    mask = np.ones((4, 4), bool)
    mask[0] = False
    found = changes(before, after, mask, ROLES)
    assert found["ndvi"].pixels == 12
    assert found["ndvi"].before == pytest.approx(2000 / 3000)
    assert found["ndvi"].after == pytest.approx(-300 / 900)
    assert found["ndwi"].before == pytest.approx(-1800 / 3200)
    assert found["ndwi"].after == pytest.approx(600 / 1200)
    # Unsigned numbers do not run over: 600 - 2500 is no large number.
    assert all(-1 <= value <= 1 for one in found.values() for value in (one.before, one.after))


def test_without_the_bands_or_without_values_there_is_none():
    before = bands(red=5, green=6, nir=7)
    mask = np.ones((4, 4), bool)
    assert changes(before, before, mask, ("red", "green", "blue", "")) == {}
    assert set(changes(before, before, mask, ("", "green", "", "nir"))) == {"ndwi"}
    assert changes(bands(), bands(), mask, ROLES) == {}
    assert changes(before, before, np.zeros((4, 4), bool), ROLES) == {}
    gaps = before.astype(np.float32)
    gaps[3, :2] = np.nan
    assert changes(gaps, before.astype(np.float32), mask, ROLES)["ndvi"].pixels == 8


def test_regions_weigh_by_their_pixels():
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    one = changes(bands(red=1, nir=3), bands(red=1, nir=1), mask, ROLES)
    other = changes(bands(red=1, nir=1), bands(red=3, nir=1), ~mask, ROLES)
    found = together([one, {}, other])
    assert found["ndvi"] == (round(0.5 / 16, 4), round(-0.5 * 15 / 16, 4))
    assert together([{}, {}]) == {}
