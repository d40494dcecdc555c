"""Near infrared from red, green and blue: a small network over what each pixel and its surroundings
look like.

Colour alone does not tell green water from a meadow; smoothness does. So a pixel is described by
its colours and by means and roughness around it at four scales, all relative to the picture's own
brightness and contrast, and two hidden layers make of that the near infrared in the same units.
Trained by scripts/train_near_infrared.py on NAIP (USDA, public domain) at 5 m and its coarser
copies; the weights are shipped with the project. An estimate, not a measurement: docs/mmm.md has
its errors.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from . import pixel_network
from .pixel_network import OnProgress, contrast, log, mean

WEIGHTS = "near_infrared"
FINEST_GSD_M = 4.0
COARSEST_GSD_M = 12.0
"""Ground sizes of a pixel it knows: finer pictures are averaged to the first."""
RADII = (1, 3, 8, 20)
ROUGHNESS_RADII = (2, 5, 12)
HALO = 2 * max(RADII[-1] // 2, ROUGHNESS_RADII[-1]) + 2
"""Pixels around one that its description reaches to."""
FEATURES = 5 + 7 * len(RADII) + 3 * len(ROUGHNESS_RADII)


def levels(rgb: np.ndarray, valid: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Mean and spread of brightness, and the mean shares of red and green, of a picture (3, H,
    W)."""
    light = rgb[:, valid].mean(axis=0)
    shares = rgb[:2, valid] / (rgb[:, valid].sum(axis=0) + 1e-3)
    return float(light.mean()), float(light.std()) + 1e-3, shares.mean(axis=1)


def described(rgb: np.ndarray, known: tuple[float, float, np.ndarray]) -> np.ndarray:
    """What the network is told of each pixel (H, W, FEATURES); `known`: the whole picture's
    `levels`."""
    middle, spread, shares = known
    light = rgb.mean(axis=0)
    tone = (rgb - middle) / spread
    colour = (rgb[:2] / (rgb.sum(axis=0) + 1e-3) - 1 / 3) * 10
    found = [*tone, *(colour - (shares[:, None, None] - 1 / 3) * 10)]
    for radius in RADII:
        found += [mean(band, radius) for band in (*tone, *colour)]
        rough = contrast(light, radius)
        found += [log(rough / spread), log(rough)]
    fine = (light - mean(light, 1)) ** 2
    for radius in ROUGHNESS_RADII:
        rough = np.sqrt(mean(fine, radius))
        # The least around it: the middle of a lake is smooth, and so is what lies near it, its
        # shore is not.
        found += [
            log(rough / spread),
            log(rough),
            ndimage.minimum_filter(log(rough), 2 * radius + 1),
        ]
    return np.stack(found, axis=-1).astype(np.float32)


def forward(features: np.ndarray, net: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
    """The network's output (...) for features (..., FEATURES): near infrared less mean brightness,
    in spreads of it."""
    return pixel_network.forward(features, net or pixel_network.shipped(WEIGHTS))[..., 0]


def near_infrared(
    rgb: np.ndarray, valid: np.ndarray, told: OnProgress = lambda done, total: None
) -> np.ndarray:
    """(H, W) in the units of a picture (3, H, W), where 0 is black; in strips, of which `told(done,
    total)` hears."""
    known = levels(rgb, valid)
    out = pixel_network.in_strips(
        rgb, HALO, lambda part: forward(described(part, known))[..., None], told
    )[..., 0]
    return np.maximum(out * known[1] + known[0], 0)
