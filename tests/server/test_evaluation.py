"""Metrics on pairs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.evaluation.patch_statistics import (
    nearest_distance,
    patches,
    sliced_wasserstein,
)

from tests.server.conftest import scene


def test_patches_are_rows():
    image = np.arange(2 * 9 * 8, dtype=np.float32).reshape(2, 9, 8)
    found = patches(image)
    assert found.shape == (3 * 2, 2 * 49)
    assert (found[0, :7] == image[0, 0, :7]).all() and (found[-1, -7:] == image[1, -1, 1:]).all()


def test_an_image_is_at_no_distance_from_itself_and_its_shuffled_halves_near():
    image = scene(3, 96, 96)
    assert sliced_wasserstein(image, image) == [0, 0, 0] and nearest_distance(
        image, image
    ) == pytest.approx(0, abs=1e-6)
    swapped = np.concatenate([image[:, :, 48:], image[:, :, :48]], axis=2)
    smooth = np.stack([np.full((96, 96), band.mean(), np.float32) for band in image])
    near, far = sliced_wasserstein(swapped, image), sliced_wasserstein(smooth, image)
    assert all(a < b for a, b in zip(near, far, strict=True)) and near == sliced_wasserstein(
        swapped, image
    )


def test_the_distance_of_a_shift_in_brightness_is_known():
    """Every projection moves by the shift times the sum of its direction, whose mean size follows
    from the normal law."""
    image = scene(1, 80, 80)
    found = sliced_wasserstein(image + 0.1, image)[0]
    assert found == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.15)
    assert nearest_distance(
        np.full((1, 20, 20), 0.5, np.float32), np.zeros((1, 20, 20), np.float32)
    ) == pytest.approx(0.25)


def test_coherence_and_completeness_are_not_the_same():
    image = scene(3, 80, 80)
    half = np.concatenate([image[:, :, :40], image[:, :, :40]], axis=2)
    coherence, completeness = nearest_distance(half, image), nearest_distance(image, half)
    assert coherence < 0.5 * completeness
