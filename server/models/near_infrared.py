"""Near infrared from red, green and blue: a small network over what each pixel and its surroundings look like.

Colour alone does not tell green water from a meadow; smoothness does. So a pixel is described by its colours and by
means and roughness around it at four scales, all relative to the picture's own brightness and contrast, and two
hidden layers make of that the near infrared in the same units. Trained by scripts/train_near_infrared.py on NAIP (USDA,
public domain) at 5 m and its coarser copies; the weights are shipped with the project. An estimate, not a measurement:
docs/mmm.md has its errors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

WEIGHTS = Path(__file__).resolve().parents[2] / "resources" / "models" / "near_infrared.npz"
FINEST_GSD_M, COARSEST_GSD_M = 4.0, 12.0
"""Ground sizes of a pixel it knows: finer pictures are averaged to the first."""
RADII = (1, 3, 8, 20)
ROUGHNESS_RADII = (2, 5, 12)
HALO = 2 * max(RADII[-1] // 2, ROUGHNESS_RADII[-1]) + 2
"""Pixels around one that its description reaches to."""
STRIP = 256
FEATURES = 5 + 7 * len(RADII) + 3 * len(ROUGHNESS_RADII)


def levels(rgb: np.ndarray, valid: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Mean and spread of brightness, and the mean shares of red and green, of a picture (3, H, W)."""
    light = rgb[:, valid].mean(axis=0)
    shares = rgb[:2, valid] / (rgb[:, valid].sum(axis=0) + 1e-3)
    return float(light.mean()), float(light.std()) + 1e-3, shares.mean(axis=1)


def described(rgb: np.ndarray, known: tuple[float, float, np.ndarray]) -> np.ndarray:
    """What the network is told of each pixel (H, W, FEATURES); `known`: the whole picture's `levels`."""
    mean, spread, shares = known
    light = rgb.mean(axis=0)
    tone = (rgb - mean) / spread
    colour = (rgb[:2] / (rgb.sum(axis=0) + 1e-3) - 1 / 3) * 10
    found = [*tone, *(colour - (shares[:, None, None] - 1 / 3) * 10)]
    for radius in RADII:
        found += [_mean(band, radius) for band in (*tone, *colour)]
        contrast = np.sqrt(np.maximum(_mean(light**2, radius) - _mean(light, radius) ** 2, 0))
        found += [_log(contrast / spread), _log(contrast)]
    fine = (light - _mean(light, 1)) ** 2
    for radius in ROUGHNESS_RADII:
        rough = np.sqrt(_mean(fine, radius))
        # The least around it: the middle of a lake is smooth, and so is what lies near it, its shore is not.
        found += [_log(rough / spread), _log(rough), ndimage.minimum_filter(_log(rough), 2 * radius + 1)]
    return np.stack(found, axis=-1).astype(np.float32)


def _mean(band: np.ndarray, radius: int) -> np.ndarray:
    return ndimage.uniform_filter(band, 2 * radius + 1, mode="reflect")


def _log(share: np.ndarray) -> np.ndarray:
    return np.log(share + 0.001) + 5


@functools.lru_cache(maxsize=1)
def _network() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS, allow_pickle=False) as data:
        return {name: data[name].astype(np.float32) for name in data.files}


def answered(features: np.ndarray, net: dict[str, np.ndarray] | None = None) -> np.ndarray:
    """The network's output (...) for features (..., FEATURES): near infrared less mean brightness, in spreads of it."""
    net = net or _network()
    x = (features - net["mean"]) / net["deviation"]
    for layer in ("1", "2"):
        x = x @ net[f"weight{layer}"] + net[f"bias{layer}"]
        x = x / (1 + np.exp(-np.clip(x, -60, None)))
    return (x @ net["weight3"] + net["bias3"])[..., 0]


def near_infrared(rgb: np.ndarray, valid: np.ndarray, told: Callable[[int, int], None] = lambda done, total: None) -> np.ndarray:
    """(H, W) in the units of a picture (3, H, W), where 0 is black; in strips, of which `told(done, total)` hears."""
    known = levels(rgb, valid)
    out = np.empty(rgb.shape[1:], np.float32)
    for top in range(0, len(out), STRIP):
        told(top, len(out))
        first, last = max(top - HALO, 0), min(top + STRIP + HALO, len(out))
        made = answered(described(rgb[:, first:last], known))
        out[top : top + STRIP] = made[top - first : top - first + STRIP]
    return np.maximum(out * known[1] + known[0], 0)
