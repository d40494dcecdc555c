"""Red, green and blue from near infrared alone: a small network over what each pixel and its
surroundings look like.

One band does not hold the colours: leaves and bare soil may be equally bright. Means, contrast and
roughness around a pixel at several scales tell fields, woods and water apart as far as they do.
Trained by scripts/train_colours.py on NAIP (USDA, public domain) at 5 m and its coarser copies; the
weights are shipped with the project. A guess at colours: docs/mmm.md has its errors.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from . import pixel_network
from .pixel_network import OnProgress, contrast, log, mean

WEIGHTS = "colours"
RADII = (1, 3, 8, 20, 40)
ROUGHNESS_RADII = (2, 5, 12)
EXTREME_RADII = (3, 8)
HALO = RADII[-1] + 2
FEATURES = 1 + 3 * len(RADII) + 2 * len(ROUGHNESS_RADII) + 2 * len(EXTREME_RADII)


def levels(band: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """Mean and spread of a band (H, W)."""
    return float(band[valid].mean()), float(band[valid].std()) + 1e-3


def described(band: np.ndarray, known: tuple[float, float]) -> np.ndarray:
    """What the network is told of each pixel (H, W, FEATURES); `known`: the whole picture's
    `levels`."""
    middle, spread = known
    tone = (band - middle) / spread
    found = [tone]
    for radius in RADII:
        rough = contrast(band, radius)
        found += [mean(tone, radius), log(rough / spread), log(rough / (mean(band, radius) + 0.02))]
    fine = (band - mean(band, 1)) ** 2
    for radius in ROUGHNESS_RADII:
        grain = log(np.sqrt(np.maximum(mean(fine, radius), 0)) / spread)
        found += [grain, ndimage.minimum_filter(grain, 2 * radius + 1)]
    for radius in EXTREME_RADII:
        near = mean(tone, 1)
        found += [
            ndimage.minimum_filter(near, 2 * radius + 1),
            ndimage.maximum_filter(near, 2 * radius + 1),
        ]
    return np.stack(found, axis=-1).astype(np.float32)


def colours(
    band: np.ndarray, valid: np.ndarray, told: OnProgress = lambda done, total: None
) -> np.ndarray:
    """(3, H, W) in 0 ... 1, as an aerial photograph shows them; in strips, of which `told(done,
    total)` hears."""
    known = levels(band, valid)
    net = pixel_network.shipped(WEIGHTS)

    def ask(part: np.ndarray) -> np.ndarray:
        return pixel_network.forward(described(part[0], known), net)

    return np.clip(pixel_network.in_strips(band[None], HALO, ask, told), 0, 1).transpose(2, 0, 1)
