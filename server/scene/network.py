"""The scene parser's network: colours and shapes to class probabilities.

EfficientNet-Lite0's early blocks with a small decoder, trained by scripts/train_scene.py on open
labelled imagery and on chips labelled by hand; see LICENSES beside the weights. It runs in
onnxruntime on one thread, so that the same picture always gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..synthesis.windows import ramp, starts
from .classes import CLASSES
from .onnx import Network

WEIGHTS = Path(__file__).resolve().parents[2] / "resources" / "models" / "scene.onnx"
GROUND_M = 0.5
"""Ground size at which pictures are shown to it: it was trained on 0.28 to 0.85 m."""
COARSEST_M = 1.3
"""Coarser pictures hold too little of a house to be told from anything."""
MULTIPLE = 32
TILE_PX = 768
OVERLAP_PX = 192
DARK = 0.5
CLEAR = 0.2
THICKEST = 0.6
FAINT = 0.02
SEA = (0.1, 0.3)
"""Percentile that is as dark as a picture gets, how bright that may be where the air is clear, and
the most light of haze that is taken off before the network looks: through it, roofs are roads. Not
where it is hardly any, and less the more of the picture is water without it, of these shares."""
BLACK = 0.08
SURE = (0.05, 0.15)
"""How bright the darkest is below haze that is plainly there, and how much haze that is, from where
on, and in full."""
MIDDLE = (0.3, 0.5)
"""Median brightness that it is used to; darker and brighter pictures are brought there by a
gain."""


def _haze_of(rgb: np.ndarray) -> np.ndarray:
    """How bright the air itself is in a picture (3, H, W), by band (3,)."""
    darkest = np.percentile(rgb.reshape(3, -1), DARK, axis=1)
    # Air scatters no light more than blue: what is dark green or brown at most is no haze.
    least, most = (
        np.minimum(one, one[2])
        for one in (np.clip(darkest - clear, 0, THICKEST) for clear in (CLEAR, BLACK))
    )
    sure = float(np.clip((least.mean() - SURE[0]) / (SURE[1] - SURE[0]), 0, 1))
    return np.asarray(least + sure * (most - least), np.float32)


class SceneNetwork:
    """The network, loaded when it is first asked."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._network = Network(weights)

    def probabilities(self, rgb: np.ndarray, gsd_m: float, aspect: float = 1.0) -> np.ndarray:
        """Class probabilities (classes, H, W) of a picture (3, H, W) in about [0, 1]. `gsd_m`: root
        of a pixel's area in metres, at most COARSEST_M; `aspect`: its height by its width.

        Seen in overlapping tiles that fade into each other, so that no seam shows, each brought to
        the network's ground size and back by itself, so that memory is bounded.
        """
        plain = self._probabilities(rgb, gsd_m, aspect)
        haze = _haze_of(rgb).reshape(3, 1, 1)
        if haze.max() < FAINT:
            return plain
        cleared = self._probabilities((rgb - haze) / (1 - haze), gsd_m, aspect)
        # A wide sea is the darkest of its picture without any haze, and is sea without it, too;
        # land in thick haze is taken for sea until that is off.
        water = float(cleared[CLASSES.index("water")].mean())
        share = np.float32(np.clip((SEA[1] - water) / (SEA[1] - SEA[0]), 0, 1))
        cleared *= share
        plain *= 1 - share
        cleared += plain
        return cleared

    def _probabilities(self, rgb: np.ndarray, gsd_m: float, aspect: float) -> np.ndarray:
        height, width = rgb.shape[1:]
        metres = gsd_m * aspect**0.5, gsd_m / aspect**0.5
        sides = [max(MULTIPLE, round(TILE_PX * GROUND_M / one)) for one in metres]
        laps = [round(OVERLAP_PX * GROUND_M / one) for one in metres]
        median = float(np.median(rgb))
        gain = min(float(np.clip(median, *MIDDLE)) / max(median, 0.02), 3.0)
        total = np.zeros((len(CLASSES), height, width), np.float32)
        weights = np.zeros((height, width), np.float32)
        for top in starts(height, sides[0], laps[0]):
            for left in starts(width, sides[1], laps[1]):
                tile = rgb[:, top : top + sides[0], left : left + sides[1]]
                tall, wide = tile.shape[1:]
                weight = np.outer(
                    ramp(tall, top > 0, top + tall < height, laps[0]),
                    ramp(wide, left > 0, left + wide < width, laps[1]),
                ).astype(np.float32)
                seen = [
                    max(MULTIPLE, round(side * one / GROUND_M))
                    for side, one in zip((tall, wide), metres, strict=True)
                ]
                shown = np.clip(resized(tile, seen) * gain, 0, 1)
                here = slice(top, top + tall), slice(left, left + wide)
                total[:, here[0], here[1]] += resized(self._asked(shown), (tall, wide)) * weight
                weights[here] += weight
        total /= weights
        total -= total.max(axis=0)
        np.exp(total, out=total)
        total /= total.sum(axis=0)
        return total

    def _asked(self, picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[1:]
        # What is beside a picture is like what is in it: a smear of its edge looks like streets.
        beyond = ((0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE))
        padded = np.pad(picture, beyond, mode="symmetric")
        logits = self._network.run(padded[None].astype(np.float32))
        return np.asarray(logits[0, :, :height, :width], np.float32)


def resized(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """An image (C, H, W) on another grid of the same ground: linear, averaged first where it gets
    coarser."""
    sides = image.shape[1:]
    if tuple(size) == tuple(sides):
        return image.astype(np.float32, copy=True)
    shrink = [old / new for old, new in zip(sides, size, strict=True)]
    if max(shrink) > 1.2:
        image = ndimage.gaussian_filter(image, (0, *(0.35 * max(s, 0) for s in shrink)))
    at = [(np.arange(new) + 0.5) * old / new - 0.5 for old, new in zip(sides, size, strict=True)]
    out = image
    for axis, places in enumerate(at, 1):
        low = np.clip(np.floor(places).astype(int), 0, sides[axis - 1] - 1)
        high = np.clip(low + 1, 0, sides[axis - 1] - 1)
        share = np.clip(places - low, 0, 1).astype(np.float32)
        share = share.reshape([-1 if one == axis else 1 for one in range(3)])
        out = np.take(out, low, axis) * (1 - share) + np.take(out, high, axis) * share
    return np.asarray(out, np.float32)
