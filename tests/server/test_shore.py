"""Where a flood ends: at an edge of the picture that lies near; as before where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from landbrush.server.operators.ground import Ground
from landbrush.server.operators.shore import along_edges, differences, pieces

ROLES = ("red", "green", "blue")


def ground(image: np.ndarray, origin: tuple[int, int] = (0, 0)) -> Ground:
    return Ground(image.astype(np.float32), np.ones(image.shape[1:], bool), ROLES, 0.5, origin)


def kerb(at: int, size: int = 80) -> np.ndarray:
    """A lawn and a brighter street that begins at a column."""
    rng = np.random.default_rng(0)
    return (
        np.full((3, size, size), 0.3)
        + 0.3 * (np.arange(size) >= at)
        + (0.004 * rng.standard_normal((3, size, size)))
    )


def shore(hollow: np.ndarray) -> np.ndarray:
    """The column at which each row comes out of the hollow."""
    return (hollow > 0.5).argmax(axis=1)


@pytest.mark.parametrize("at", [37, 40, 44])
def test_it_moves_to_a_kerb_that_lies_near(at):
    seen = ground(kerb(at))
    hollow = np.clip((np.arange(80.0) - 30) / 20, 0, 1) * np.ones((80, 1))  # half of it at 40
    moved = np.abs(shore(along_edges(seen, hollow, 14.0, 1)) - at)
    assert np.median(moved) <= 3


def test_without_an_edge_it_stays_where_it_was():
    hollow = np.clip((np.arange(80.0) - 30) / 20, 0, 1) * np.ones((80, 1))
    flat = ground(np.full((3, 80, 80), 0.4))
    assert np.allclose(along_edges(flat, hollow, 14.0, 1), hollow, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 2), (65, 33)])
def test_every_pixel_belongs_to_a_piece(shape):
    rng = np.random.default_rng(1)
    seen = ground(rng.random((3, *shape)), (1000, 77))
    names = pieces(seen, differences(seen), 9.0, 5)
    assert names.shape == shape and names.min() >= 1
    low = along_edges(seen, np.ones(shape), 9.0, 5)
    assert np.allclose(low, 1.0, atol=1e-5)


def test_the_lattice_lies_on_the_raster():
    """Two windows that overlap see the same pieces away from their edges."""
    rng = np.random.default_rng(2)
    image = rng.random((3, 120, 120))
    whole = ground(image)
    part = ground(image[:, 30:, 20:], (30, 20))
    steps = differences(whole)
    first = pieces(whole, steps, 12.0, 3)[60:90, 50:90]
    second = pieces(part, steps[30:, 20:], 12.0, 3)[30:60, 30:70]
    pairs = {(a, b) for a, b in zip(first.ravel(), second.ravel(), strict=True)}
    same = np.mean([first[r, c] == first[r, c + 1] for r in range(30) for c in range(39)])
    alike = np.mean((first[:, 1:] == first[:, :-1]) == (second[:, 1:] == second[:, :-1]))
    assert alike > 0.98 and 0.5 < same < 1 and len(pairs) >= 6
