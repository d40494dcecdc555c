"""Things that are set down on the ground: pixels of their own with soft edges, and heights that
throw shadows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Thing:
    """What is set down. `image` (C, h, w), `alpha` (h, w): its pixels, and how much of each it
    covers."""

    image: np.ndarray
    alpha: np.ndarray


def resized(thing: Thing, grow: float) -> Thing:
    """It, so many times as large."""
    if abs(grow - 1) < 0.02:
        return thing
    image = np.stack([ndimage.zoom(band, grow, order=1) for band in thing.image])
    return Thing(image, np.clip(ndimage.zoom(thing.alpha, grow, order=1), 0, 1))


def _window(
    shape: tuple[int, int], size: tuple[int, int], at: tuple[float, float]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a thing of a size lies whose middle is at a place: in the picture, and what of it."""
    there, own = [], []
    for axis in (0, 1):
        first = round(at[axis] - size[axis] / 2)
        start, stop = max(first, 0), min(first + size[axis], shape[axis])
        there.append(slice(start, max(stop, start)))
        own.append(slice(start - first, max(stop, start) - first))
    return (there[0], there[1]), (own[0], own[1])


def lay(
    image: np.ndarray,
    shown: np.ndarray,
    thing: Thing,
    at: tuple[float, float],
    mask: np.ndarray,
) -> None:
    """Put a thing on top of an image (C, H, W) that is `shown` so far (H, W); in place."""
    there, own = _window(shown.shape, thing.alpha.shape, at)
    alpha = thing.alpha[own] * mask[there]
    before = shown[there]
    both = alpha + before * (1 - alpha)
    share = np.divide(alpha, both, out=np.zeros_like(alpha), where=both > 0)
    image[:, there[0], there[1]] += share * (
        thing.image[:, own[0], own[1]] - image[:, there[0], there[1]]
    )
    shown[there] = both


def raise_to(tall: np.ndarray, alpha: np.ndarray, at: tuple[float, float], height_m: float) -> None:
    """Heights (H, W) in metres with a thing at a place; in place."""
    there, own = _window(tall.shape, alpha.shape, at)
    tall[there] = np.maximum(tall[there], height_m * (alpha[own] > 0.5))


def covered(off_m: np.ndarray, gsd_m: float) -> np.ndarray:
    """Share of a pixel that is on the near side of an edge it lies `off_m` beyond."""
    return np.clip(0.5 - off_m / gsd_m, 0, 1)
