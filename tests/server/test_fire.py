"""Where fire ends: by each polygon's own size, at every severity and ground size."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.operators.fire import Burn, burn
from landbrush.server.operators.ground import Ground

ROLES = ("red", "green", "blue")
GRASS = np.array([0.4, 0.5, 0.3], np.float32)


def disc(shape, row, col, radius):
    rows, cols = np.indices(shape)
    return (rows - row) ** 2 + (cols - col) ** 2 <= radius**2


def burnt(mask, gsd_m, severity, origin=(0, 0)):
    """Where grass is changed by more than a twentieth (H, W, bool)."""
    rng = np.random.default_rng(1)
    image = GRASS[:, None, None] + 0.02 * rng.standard_normal((3, *mask.shape))
    ground = Ground(image.astype(np.float32), mask, ROLES, gsd_m, origin)
    made = burn(ground, Burn(severity=severity), 3)
    assert np.array_equal(made[:, ~mask], ground.image[:, ~mask])
    return np.abs(made - ground.image).max(axis=0) > 0.05


@pytest.mark.parametrize("radius", [6, 10, 15])
def test_a_small_polygon_burns_alike_beside_a_large_one(radius):
    shape = (260, 320)
    small = disc(shape, 130, 290, radius)
    alone = burnt(small, 1.0, 0.7)[small].mean()
    beside = burnt(small | disc(shape, 130, 120, 100), 1.0, 0.7)[small].mean()
    assert abs(alone - beside) < 0.02 and alone > 0.4


@pytest.mark.parametrize("gsd_m", [0.1, 0.6, 10.0])
@pytest.mark.parametrize("radius", [4, 20, 60])
def test_more_burns_the_severer_it_is(gsd_m, radius):
    mask = disc((140, 140), 70, 70, radius)
    shares = [burnt(mask, gsd_m, severity)[mask].mean() for severity in (0.3, 0.5, 0.7, 1.0)]
    assert shares == sorted(shares)
    assert shares[2] > 0.6 and shares[3] > 0.8
    if gsd_m == 0.6:  # finer, all of it may lie in one patch that is spared; coarser, it is a few
        assert shares[0] > 0.3 and shares[1] > 0.7


def test_its_edge_is_not_the_polygons():
    mask = disc((220, 220), 110, 110, 100)
    found = burnt(mask, 0.6, 0.9)
    rows, cols = np.indices(mask.shape)
    far = np.hypot(rows - 110, cols - 110)
    turn = (np.degrees(np.arctan2(rows - 110, cols - 110)) // 20).astype(int)
    reach = [np.percentile(far[found & (turn == one)], 95) for one in np.unique(turn)]
    assert np.std(reach) > 4 and max(reach) > 90
