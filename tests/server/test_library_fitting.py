"""Exemplars of another sensor, brought to the light and the ground size of a scene."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.library import chips, shelf
from landbrush.server.library.fitting import (
    Exemplar,
    Surroundings,
    calm,
    edge_ratio,
    fitted,
    toned,
)
from scipy import ndimage


def ground(size=200, seed=0):
    """Ground with grain, edges and bright and dark parts, as a picture (3, H, W)."""
    rng = np.random.default_rng(seed)
    image = np.full((3, size, size), 0.35, np.float32) * np.array([1.0, 1.1, 0.8])[:, None, None]
    for _ in range(40):
        row, col = rng.integers(0, size - 30, 2)
        image[:, row : row + 24, col : col + 18] = rng.uniform(0.15, 0.8)
    image += 0.01 * rng.standard_normal(image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def scene(image=None, roles=("red", "green", "blue"), gsd=0.5, sun=None, tones=None):
    image = ground() if image is None else image
    valid = np.ones(image.shape[1:], bool)
    return Surroundings(image, valid, roles, gsd, sun, tones or {})


def exemplar(image, gsd=0.5, sun=None, tones=None):
    bands = dict(zip(("red", "green", "blue"), image, strict=True))
    return Exemplar(bands, np.ones(image.shape[1:], bool), gsd, sun, tones or {})


@pytest.mark.parametrize(("sun", "scene_sun"), [(135, 135), (135, 315), (90, 200), (300, 45)])
def test_shadows_come_to_lie_as_those_of_the_scene(sun, scene_sun):
    """A post with its shadow away from the sun."""
    image = np.full((3, 61, 61), 0.5, np.float32)
    turn = np.deg2rad(sun + 180)
    for far in range(4, 20):
        row, col = round(30 - far * np.cos(turn)), round(30 + far * np.sin(turn))
        image[:, row - 1 : row + 2, col - 1 : col + 2] = 0.1
    made, _ = fitted(exemplar(image, sun=sun), scene(sun=float(scene_sun)), 0)
    dark = made.mean(axis=0) < np.percentile(made.mean(axis=0), 1)
    rows, cols = np.nonzero(dark)
    middle = np.array(made.shape[1:]) / 2
    lies = np.degrees(np.arctan2(cols.mean() - middle[1], middle[0] - rows.mean())) % 360
    apart = abs((lies - (scene_sun + 180) + 180) % 360 - 180)
    assert apart <= 50


@pytest.mark.parametrize(("mine", "theirs"), [(0.3, 0.6), (0.6, 0.3), (0.5, 0.5)])
def test_the_ground_size_is_that_of_the_layer(mine, theirs):
    made, usable = fitted(exemplar(ground(), gsd=mine), scene(gsd=theirs), 0)
    assert made.shape[1:] == usable.shape
    assert abs(made.shape[1] - 200 * mine / theirs) <= 1


@pytest.mark.parametrize(("gain", "offset"), [((1.3, 1.0, 0.8), 0.0), ((0.7, 0.8, 0.9), 0.1)])
def test_the_tone_follows_the_ground_that_both_show(gain, offset):
    plain = {"low": (0.4, 0.33, 0.42, 0.24), "paved": (0.3, 0.5, 0.5, 0.5),
             "shadow": (0.1, 0.12, 0.13, 0.15), "tree": (0.2, 0.2, 0.27, 0.17)}  # fmt: skip
    tinted = {
        name: (tone[0], *(value * by + offset for value, by in zip(tone[1:], gain, strict=True)))
        for name, tone in plain.items()
    }
    image = ground()
    wanted = image * np.array(gain, np.float32)[:, None, None] + offset
    made = toned(image, plain, scene(wanted, tones=tinted))
    assert np.abs(made - wanted).mean() < 0.35 * np.abs(image - wanted).mean()


@pytest.mark.parametrize("blur", [0.0, 0.8, 1.5])
def test_sharpness_and_grain_are_those_of_the_scene(blur):
    there = ndimage.gaussian_filter(ground(seed=1), (0, blur, blur))
    rng = np.random.default_rng(2)
    there = (there + 0.008 * rng.standard_normal(there.shape)).astype(np.float32)
    image = ndimage.gaussian_filter(ground(seed=3), (0, 0.5, 0.5))
    made, _ = fitted(exemplar(image), scene(there), 0)
    assert abs(np.log(calm(made) / calm(there))) < 0.5
    before = abs(np.log(edge_ratio(image) / edge_ratio(there)))
    assert abs(np.log(edge_ratio(made) / edge_ratio(there))) < max(0.8 * before, 0.25)


def test_bands_that_the_exemplar_lacks_come_from_the_scenes_own_pixels():
    image = ground()
    near = np.clip(1.6 * image[1] - 0.4 * image[0], 0, 1)
    layer = np.concatenate([image, near[None]])
    made, _ = fitted(exemplar(ground(seed=5)), scene(layer, ("red", "green", "blue", "nir")), 0)
    expected = np.clip(1.6 * made[1] - 0.4 * made[0], 0, 1)
    assert made.shape[0] == 4 and np.abs(made[3] - expected).mean() < 0.06
    assert made[3].min() >= near.min() - 1e-6 and made[3].max() <= near.max() + 1e-6


def test_another_seed_may_bring_another_chip_and_coarse_layers_bring_none():
    having = shelf.Library(chips.SHIPPED / "nothing").having("parking")
    first = {shelf.fitting(having, scene(), "parking", seed)[0].id for seed in range(12)}
    assert len(first) > 1
    assert not shelf.fitting(having, scene(gsd=10.0), "parking", 0)
