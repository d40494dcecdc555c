"""Exemplar synthesis on pictures whose right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.synthesis import poisson
from landbrush.server.synthesis.copying import Source, copy
from landbrush.server.synthesis.features import PatchBasis, eroded
from landbrush.server.synthesis.field import Bank, Field, Targets
from landbrush.server.synthesis.fill import FillSettings, fill
from landbrush.server.synthesis.pyramid import Level
from landbrush.server.synthesis.remove import RemoveSettings, remove
from landbrush.server.synthesis.scaling import Scaling
from scipy import ndimage


def stripes(height=128, width=128, bands=3):
    rows = np.mgrid[:height, :width][0]
    image = np.stack([0.5 + 0.3 * np.sin(rows / 3 + b) for b in range(bands)])
    return (image + 0.01 * np.random.default_rng(0).standard_normal(image.shape)).astype(np.float32)


def disk(shape, row, col, radius):
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (cols - col) ** 2 <= radius**2


def test_stripes_go_on_through_a_removed_object():
    truth = stripes()
    hole = disk(truth.shape[1:], 64, 64, 14)
    image = truth.copy()
    image[:, disk(truth.shape[1:], 64, 64, 10)] = 0.95
    out = remove(Level(image, hole, np.ones_like(hole)), 0)
    assert (out[:, ~hole] == image[:, ~hole]).all()
    error = np.sqrt(((out - truth)[:, hole] ** 2).mean())
    assert error < 0.09  # stripes have a standard deviation of 0.21


def test_invalid_pixels_are_never_copied():
    image = stripes()
    valid = np.ones(image.shape[1:], bool)
    valid[:, :50] = False
    image[:, ~valid] = 50.0
    hole = disk(valid.shape, 64, 80, 12)
    out = remove(Level(image, hole, valid), 0)
    assert out[:, hole].max() < 1.2


@pytest.mark.parametrize("bands", [1, 2, 5, 13])
@pytest.mark.parametrize("scale", [1.0, 3e-4, 8000.0])
def test_any_number_of_bands_and_any_range(bands, scale):
    image = stripes(96, 96, bands) * scale
    hole = disk(image.shape[1:], 48, 48, 10)
    out = remove(Level(image, hole, np.ones_like(hole)), 1)
    assert np.isfinite(out).all()
    assert 0.1 * scale < out[:, hole].min() and out[:, hole].max() < 0.9 * scale


def test_seeds_are_variants_and_repeatable():
    image = stripes() + 0.1 * np.random.default_rng(1).standard_normal((3, 128, 128)).astype(
        np.float32
    )
    hole = disk(image.shape[1:], 64, 64, 14)
    valid = np.ones_like(hole)
    first = remove(Level(image, hole, valid), 0)
    assert (first == remove(Level(image, hole, valid), 0)).all() and (
        first != remove(Level(image, hole, valid), 1)
    ).any()


def test_a_hole_at_the_window_border():
    image = stripes()
    hole = np.zeros(image.shape[1:], bool)
    hole[:30, 100:] = True
    out = remove(Level(image, hole, np.ones_like(hole)), 0)
    assert np.isfinite(out).all() and out[:, hole].std() > 0.1


def test_the_guard_keeps_look_alikes_out():
    rng = np.random.default_rng(0)
    image = (0.4 + 0.05 * rng.standard_normal((3, 160, 160))).astype(np.float32)
    objects = disk((160, 160), 80, 60, 12) | disk((160, 160), 80, 110, 12)
    image[:, objects] = 0.9
    hole = disk((160, 160), 80, 60, 16)
    out = remove(Level(image, hole, np.ones_like(hole)), 0, RemoveSettings(guard=True))
    assert (out[:, hole].mean(axis=0) > 0.7).mean() < 0.02


def test_fill_takes_its_colours_from_the_exemplar():
    image = stripes()
    rng = np.random.default_rng(2)
    exemplar = (0.2 + 0.05 * rng.standard_normal((3, 60, 70))).astype(np.float32)
    mask = disk(image.shape[1:], 64, 64, 30)
    for keep in (False, True):
        out = fill(
            Level(image, mask, np.ones_like(mask)),
            [(exemplar, np.ones((60, 70), bool))],
            0,
            FillSettings(keep),
        ).image
        core = disk(mask.shape, 64, 64, 14)
        assert abs(out[:, core].mean() - 0.2) < 0.03 and 0.03 < out[:, core].std() < 0.08
        assert (out[:, ~mask] == image[:, ~mask]).all()


def test_fill_never_copies_unusable_exemplar_pixels():
    image = stripes()
    exemplar = np.full((3, 60, 60), 0.3, np.float32) + 0.02 * np.random.default_rng(
        0
    ).standard_normal((3, 60, 60)).astype("f4")
    usable = np.ones((60, 60), bool)
    usable[20:30] = False
    exemplar[:, 20:30] = 9.0
    mask = disk(image.shape[1:], 64, 64, 26)
    out = fill(Level(image, mask, np.ones_like(mask)), [(exemplar, usable)], 0).image
    assert out[:, mask].max() < 1.3


def test_a_fill_knows_how_often_it_repeats_and_how_sharp_it_is():
    rng = np.random.default_rng(0)
    ground = ndimage.gaussian_filter(rng.standard_normal((3, 128, 128)), (0, 1, 1))
    mask = disk((128, 128), 64, 64, 28)
    window = Level(ground.astype(np.float32), mask, np.ones_like(mask))

    def made(side):
        exemplar = ground[:, :side, :side].astype(np.float32)
        return fill(window, [(exemplar, np.ones((side, side), bool))], 0)

    ample = made(100)
    small = made(20)
    assert ample.repeated < 0.4 and small.repeated > 0.8, (ample.repeated, small.repeated)
    assert 0.8 < ample.grain < 1.2 and ample.unlike < 1.2


def test_tiny_and_thin_exemplars_still_fill():
    image, mask = stripes(), disk((128, 128), 64, 64, 20)
    for shape in ((12, 14), (6, 60), (60, 5)):
        exemplar = np.random.default_rng(0).random((3, *shape)).astype(np.float32)
        whole = np.ones(shape, bool)
        out = fill(Level(image, mask, np.ones_like(mask)), [(exemplar, whole)], 0).image
        assert np.isfinite(out).all()


def test_copy_puts_the_source_in_the_middle_of_every_part():
    image = np.full((3, 100, 160), 0.4, np.float32)
    source = np.full((3, 21, 21), 0.4, np.float32)
    source[:, 7:14, 7:14] = 0.9
    mask = disk((100, 160), 50, 40, 18) | disk((100, 160), 50, 120, 18)
    out, laid = copy(
        Level(image, mask, np.ones_like(mask)), Source(source, np.ones((21, 21), bool))
    )
    assert abs(out[:, 50, 40] - 0.9).max() < 0.05 and abs(out[:, 50, 120] - 0.9).max() < 0.05
    assert abs(out[:, 50, 80] - 0.4).max() == 0 and (out[:, ~mask] == image[:, ~mask]).all()
    assert (laid <= mask).all() and 0 < laid.sum() <= 2 * 21 * 21


def test_field_exact_is_the_nearest_neighbour():
    rng = np.random.default_rng(0)
    image = rng.random((2, 30, 30)).astype(np.float32)
    ok = eroded(np.ones((30, 30), bool), 5)
    basis = PatchBasis.fit(image, ok, 5, rng)
    bank = Bank(image, ok, basis.project(image))
    targets = Targets(disk((30, 30), 15, 15, 4))
    field = Field(targets, bank, targets.rows.copy(), targets.cols.copy())
    query = rng.random((2, 30, 30)).astype(np.float32)
    field.look(basis.project(query))
    field.exact()
    asked, known = basis.project(query), bank.features
    for slot in range(0, len(targets), 7):
        distance = ((known - asked[targets.rows[slot], targets.cols[slot]]) ** 2).sum(axis=2)
        distance[~ok] = np.inf
        assert np.unravel_index(distance.argmin(), distance.shape) == (
            field.rows[slot],
            field.cols[slot],
        )


def test_poisson_absorbs_a_tone_step_and_keeps_an_edge():
    image = np.zeros((1, 40, 80), np.float32)
    image[:, :, 40:] = 0.1
    hole = np.zeros((40, 80), bool)
    hole[10:30, 50:70] = True
    bank = Bank(image, ~hole, np.zeros((40, 80, 1), np.float32))
    targets = Targets(hole)
    field = Field(targets, bank, targets.rows, targets.cols - 45)
    out = poisson.blended(field, image, hole, poisson.Lean(0.001), ~hole)
    assert abs(out[0, 20, 60] - 0.1) < 0.02
    image[:, :, 40:] = 3.0
    field = Field(
        targets,
        Bank(image, ~hole, np.zeros((40, 80, 1), np.float32)),
        targets.rows,
        targets.cols - 45,
    )
    assert abs(poisson.blended(field, image, hole, poisson.Lean(0.02), ~hole)[0, 20, 60]) < 0.1


def test_scaling_is_its_own_inverse():
    image = np.random.default_rng(0).random((3, 20, 20)).astype(np.float32) * 5000
    scaling = Scaling.of(image, np.ones((20, 20), bool))
    assert np.allclose(scaling.restored(scaling.scaled(image)), image, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("at", [(7, 7), (39, 39), (0, 21)])
def test_an_exemplar_of_a_single_pixel_between_cells_covers(at):
    from landbrush.server.synthesis.cover import cover

    rng = np.random.default_rng(0)
    admitted, rim = np.zeros((40, 40), bool), np.zeros((30, 30), bool)
    admitted[at], rim[0] = True, True
    rows, cols = cover(rng.random((3, 40, 40)).astype(np.float32), admitted, rim, rng)
    assert rows.shape == cols.shape == (30, 30)
