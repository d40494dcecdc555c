"""Dominant shifts, the graph cut, and the verdict on a fill."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from landbrush.server.synthesis import graph_cut, shifts
from landbrush.server.synthesis.pyramid import Level
from landbrush.server.synthesis.remove import Removal, RemoveSettings
from landbrush.server.synthesis.verdict import judged
from scipy import ndimage

SIDE = 120


def lattice(down=12, across=17, slant=0, seed=0, noise=0.03):
    """Marks that come again every `down` rows and `across` columns, (3, SIDE, SIDE)."""
    rows, cols = np.mgrid[:SIDE, :SIDE]
    rng = np.random.default_rng(seed)
    cell = ndimage.gaussian_filter(rng.standard_normal((down, across)), 1.5, mode="wrap")
    cell /= cell.std()
    picture = 0.4 * cell[rows % down, (cols + slant * (rows // down)) % across]
    bands = np.stack([picture, 0.8 * picture, 0.6 * picture])
    return (bands + noise * rng.standard_normal(bands.shape)).astype(np.float32)


def hole(top=45, left=42, height=30, width=36):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize(("down", "across", "slant"), [(12, 17, 0), (20, 9, 0), (11, 24, 5)])
def test_the_dominant_shifts_are_those_at_which_the_ground_repeats(down, across, slant):
    mask = hole()
    level = Level(lattice(down, across, slant), mask, ~ndimage.binary_dilation(mask, iterations=2))
    found = shifts.dominant(level, np.random.default_rng(0))[:6]
    assert len(found) == 6
    for rows, cols in found:
        assert rows % down == 0 and (cols + slant * (rows // down)) % across == 0, (rows, cols)


def test_too_little_ground_has_no_shifts():
    mask = np.ones((40, 40), bool)
    level = Level(np.zeros((1, 40, 40), np.float32), mask, ~mask)
    assert len(shifts.dominant(level, np.random.default_rng(0))) == 0


def energy(seen, labels):
    own = seen.rim[labels, np.arange(len(labels))].sum()
    first, second = seen.pairs.T
    return own + seen.seam(seen.pairs, labels[first], labels[second]).sum()


@pytest.mark.parametrize("seed", range(6))
def test_with_two_shifts_the_cut_is_the_best_there_is(seed):
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((2, 12, 20)).astype(np.float32)
    mask = np.zeros((12, 20), bool)
    mask[4:7, 8:11] = True
    known = ~mask
    seen = graph_cut.offered(Level(image, mask, known), known, np.array([[0, -6], [4, 3]]))
    assert seen.usable.all()
    labels = graph_cut.start(seen)
    found = graph_cut.expanded(seen, labels, np.ones(len(labels), bool), 6)
    least = min(
        energy(seen, np.array(choice)) for choice in itertools.product((0, 1), repeat=len(labels))
    )
    assert energy(seen, found) == pytest.approx(least, abs=1e-2)


def test_more_shifts_never_cost_more_and_what_is_not_free_stays():
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.standard_normal((2, 40, 40)), (0, 1, 1)).astype(np.float32)
    mask = np.zeros((40, 40), bool)
    mask[15:25, 15:25] = True
    known = ~mask
    offers = np.array([[12, 0], [-12, 0], [0, 12], [0, -12], [11, 11]])
    seen = graph_cut.offered(Level(image, mask, known), known, offers)
    labels = graph_cut.start(seen)
    free = seen.cols >= 20
    some = graph_cut.expanded(seen, labels, free)
    everyone = graph_cut.expanded(seen, labels, np.ones(len(labels), bool))
    assert (some[~free] == labels[~free]).all()
    assert energy(seen, everyone) <= energy(seen, some) <= energy(seen, labels)
    assert energy(seen, everyone) < energy(seen, labels)


def test_rows_go_on_through_a_hole_filled_in_whole_pieces():
    true = lattice(noise=0.01)
    mask = hole()
    image = true.copy()
    image[:, mask] = 5.0
    made = Removal(Level(image, mask, np.ones_like(mask)), RemoveSettings(guard=False)).in_pieces(0)
    assert np.array_equal(made.image[:, ~mask], image[:, ~mask])
    assert np.abs(made.image - true)[:, mask].mean() < 0.1 * true.std()


def test_pieces_are_never_copied_from_invalid_pixels():
    image = lattice()
    mask = hole()
    valid = np.ones_like(mask)
    valid[:, :30] = False
    image[:, ~valid] = 99.0
    made = Removal(Level(image, mask, valid)).in_pieces(0)
    assert made is not None and made.image[:, mask].max() < 5


def verdict(image, mask):
    usable = ~ndimage.binary_dilation(mask, iterations=2)
    return judged(image, mask, ~mask, usable)


def ground(seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal((3, SIDE, SIDE)), (0, size, size))
    return (noise / noise.std() * 0.3).astype(np.float32)


@pytest.mark.parametrize("size", [0.7, 1.0, 2.0])
def test_what_was_not_filled_has_no_fault(size):
    seen = verdict(ground(4, size), hole())
    assert seen.fault < 0.3, seen


def test_blur_stripes_edges_and_what_is_nowhere_else_are_told_apart():
    mask = hole()
    image = ground()
    true = verdict(image, mask)
    blurred = np.where(mask, ndimage.gaussian_filter(image, (0, 3, 3)), image)
    assert verdict(blurred, mask).grain < 0.5
    striped = image.copy()
    striped[:, mask] = np.repeat(image[:, 45:75, 36:37], 36, axis=2).reshape(3, -1)
    assert verdict(striped, mask).unlike > true.unlike * 1.1
    again = image.copy()
    again[:, mask] = np.tile(image[:, 10:16, 10:16], (1, 5, 6)).reshape(3, -1)
    assert verdict(again, mask).repeated > 0.3 > true.repeated
    brighter = np.where(mask, image + 1.5, image)
    assert verdict(brighter, mask).rim > 2 and verdict(brighter, mask).unlike > 1.5
    for worse in (blurred, striped, again, brighter):
        assert verdict(worse, mask).fault > true.fault + 0.3


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_flat_ground_that_is_filled_with_itself_has_no_fault(value):
    """Classes, calm water and clouds have no grain to compare."""
    image = np.full((3, SIDE, SIDE), value, np.float32)
    assert verdict(image, hole()).fault < 0.1
    image[:, hole()] += 0.5
    assert verdict(image, hole()).fault > 1


def test_shifts_keep_their_order_and_are_exact_at_full_size():
    side = 360
    rows, cols = np.mgrid[:side, :side]
    rng = np.random.default_rng(0)
    cell = ndimage.gaussian_filter(rng.standard_normal((36, 44)), 2, mode="wrap")
    image = np.repeat((cell / cell.std() * 0.4)[rows % 36, cols % 44][None], 3, axis=0)
    image = (image + 0.01 * rng.standard_normal(image.shape)).astype(np.float32)
    mask = np.zeros((side, side), bool)
    mask[150:210, 150:210] = True
    found = shifts.dominant(Level(image, mask, ~mask), np.random.default_rng(0))
    assert len({tuple(one) for one in found}) == len(found)
    for down, across in found[:6]:
        assert down % 36 == 0 and across % 44 == 0, (down, across)


def test_long_thin_ground_is_judged_by_a_sample():
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.standard_normal((3, 40, 4000)), (0, 1, 1)).astype(
        np.float32
    )
    mask = np.zeros((40, 4000), bool)
    mask[:, 2000:] = True
    seen = judged(image, mask, ~mask, ~mask)
    assert seen.fault < 0.5
