"""A small network asked of every pixel, told what the pixel and its surroundings look like; weights
from an .npz."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from scipy import ndimage

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "models"
STRIP = 256
OnProgress = Callable[[int, int], None]


def mean(band: np.ndarray, radius: int) -> np.ndarray:
    """Of the square around each pixel."""
    return ndimage.uniform_filter(band, 2 * radius + 1, mode="reflect")


def contrast(band: np.ndarray, radius: int) -> np.ndarray:
    """Standard deviation in the square around each pixel."""
    return np.sqrt(np.maximum(mean(band**2, radius) - mean(band, radius) ** 2, 0))


def log(share: np.ndarray) -> np.ndarray:
    """Of a share, finite at 0."""
    return np.log(share + 0.001) + 5


def shipped(name: str) -> Mapping[str, np.ndarray]:
    """The project's own weights."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as data:
        return {key: data[key].astype(np.float32) for key in data.files}


def forward(features: np.ndarray, net: Mapping[str, np.ndarray]) -> np.ndarray:
    """The network's outputs (..., n) for features (..., f): two hidden layers with SiLU, the
    features standardised."""
    x = (features - net["mean"]) / net["deviation"]
    for layer in ("1", "2"):
        x = x @ net[f"weight{layer}"] + net[f"bias{layer}"]
        x = x / (1 + np.exp(-np.clip(x, -60, None)))
    return np.asarray(x @ net["weight3"] + net["bias3"])


def in_strips(
    image: np.ndarray,
    halo: int,
    ask: Callable[[np.ndarray], np.ndarray],
    told: OnProgress = lambda done, total: None,
) -> np.ndarray:
    """`ask` for an image (C, H, W) in strips, each with `halo` rows around; (H, W, n), of which
    `told(done, total)` hears."""
    height = image.shape[1]
    found = []
    for top in range(0, height, STRIP):
        told(top, height)
        first = max(top - halo, 0)
        last = min(top + STRIP + halo, height)
        found.append(ask(image[:, first:last])[top - first : top - first + STRIP])
    return np.concatenate(found)
