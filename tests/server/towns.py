"""Pictures of towns that are made here, with where each thing stands in them."""

from __future__ import annotations

import numpy as np
from landbrush.server.scene import evidence
from landbrush.server.scene.classes import CLASSES
from landbrush.server.scene.network import SceneNetwork
from landbrush.server.scene.parse import Parse

ROLES = ("red", "green", "blue", "nir")
NETWORK = SceneNetwork()


def town(size=240, gsd=0.5, sun=225.0, seed=0):
    """A picture of houses with shadows on a meadow, a road across it, and where each of them
    is."""
    rng = np.random.default_rng(seed)
    image = np.empty((3, size, size), np.float32)
    image[:] = np.array([0.33, 0.42, 0.24])[:, None, None]
    road = np.zeros((size, size), bool)
    road[size // 2 - 6 : size // 2 + 6] = True
    image[:, road] = 0.45
    roof = np.zeros_like(road)
    for row in (30, 160):
        for col in range(20, size - 40, 60):
            roof[row : row + 24, col : col + 30] = True
    height = np.where(roof, 5.0, 0).astype(np.float32)
    shadow = (evidence.cast(height, sun, 1.0, gsd) > 0.5) & ~roof
    image[:, roof] = np.array([0.62, 0.45, 0.4])[:, None]
    image[:, shadow] *= 0.3
    image += 0.015 * rng.standard_normal(image.shape)
    return np.clip(image, 0, 1).astype(np.float32), roof, road, shadow


def told(shape, **where):
    """A parse that is sure of what it is told, and of low vegetation elsewhere."""
    shares = np.zeros((len(CLASSES), *shape), np.float32)
    shares[CLASSES.index("low")] = 1
    for name, here in where.items():
        shares[:, here] = 0
        shares[CLASSES.index(name), here] = 1
    return Parse(shares, 225.0, ("told",))
