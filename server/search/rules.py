"""Windows that look like a word by the indices of their bands: where near infrared is there, the
ground size is coarse, or a rule beats the network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ..raster.bands import Roles
from ..raster.grid import Box
from .windows import ELSEWHERE, MOST_SOURCES, Hit, Method, Search, View

RULE_WINDOW_PX = 48
RULE_SHARE = 0.9
FINEST_NETWORK_GSD_M = 1.0
"""Ground size of a pixel above which the network's heads cannot tell words apart."""

Rule = Callable[[View], np.ndarray]


def rule_for(name: str, roles: Roles, gsd_m: float) -> Rule | None:
    """The rule by which a word is looked for in such a layer; None where the network does better,
    or nothing can tell."""
    nir = roles.index("nir") is not None and roles.index("red") is not None
    if (
        nir
        and name in _NIR_RULES
        and (gsd_m > FINEST_NETWORK_GSD_M or name in ("water", "bare", "grass"))
    ):
        return _NIR_RULES[name]
    if name in ("bare", "asphalt", "grass") and roles.index("red") is not None and gsd_m <= 10:
        return _RGB_RULES[name]
    return None


def _deviation(view: View) -> np.ndarray:
    grey = view.rgb.mean(axis=-1)
    mean = ndimage.uniform_filter(grey, 7)
    return np.sqrt(np.maximum(ndimage.uniform_filter(grey**2, 7) - mean**2, 0))


def _ndvi(view: View) -> np.ndarray:
    nir = view.bands["nir"]
    red = view.bands["red"]
    return (nir - red) / np.maximum(nir + red, 1)


def _is_water(view: View) -> np.ndarray:
    green = view.bands["green"]
    nir = view.bands["nir"]
    ndwi = (green - nir) / np.maximum(green + nir, 1)
    return ndwi > np.clip(_otsu(ndwi[view.valid]), -0.05, 0.3)


def _otsu(values: np.ndarray) -> float:
    """The threshold that best parts two groups (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    first = np.cumsum(counts * middle) / np.maximum(below, 1)
    second = (np.sum(counts * middle) - np.cumsum(counts * middle)) / np.maximum(above, 1)
    return float(middle[np.argmax(below * above * (first - second) ** 2)])


def _brighter_than(view: View, share: float) -> np.ndarray:
    grey = view.rgb.mean(axis=-1)
    return grey > np.percentile(grey[view.valid], share)


def _farmland(view: View) -> np.ndarray:
    deviation = _deviation(view)
    return (
        (_ndvi(view) > 0.3)
        & ~_is_water(view)
        & (deviation < 0.7 * np.median(deviation[view.valid]))
    )


def _bare_rgb(view: View) -> np.ndarray:
    red = view.bands["red"]
    green = view.bands["green"]
    blue = view.bands["blue"]
    return (
        (red > 1.03 * green)
        & (green > 1.08 * blue)
        & _brighter_than(view, 70)
        & (_deviation(view) < 14)
    )


def _asphalt(view: View) -> np.ndarray:
    top = view.rgb.max(axis=-1)
    low = view.rgb.min(axis=-1)
    return (
        ((top - low) / np.maximum(top, 1) < 0.09)
        & (_deviation(view) < 7)
        & ~_brighter_than(view, 60)
    )


def _grass_rgb(view: View) -> np.ndarray:
    red = view.bands["red"]
    green = view.bands["green"]
    blue = view.bands["blue"]
    excess = (2 * green - red - blue) / np.maximum(red + green + blue, 1)
    return (excess > 0.05) & (_deviation(view) < 7)


_NIR_RULES: dict[str, Rule] = {
    "water": _is_water,
    "bare": lambda v: (_ndvi(v) < 0.2) & ~_is_water(v) & _brighter_than(v, 60),
    "farmland": _farmland,
    "grass": lambda v: (_ndvi(v) > 0.3) & ~_is_water(v),
}
_RGB_RULES: dict[str, Rule] = {"bare": _bare_rgb, "asphalt": _asphalt, "grass": _grass_rgb}


def by_rule(name: str, rule: Rule, view: View) -> Search:
    """The windows that are full of what the rule marks, fullest first."""
    if not view.valid.any():
        return Search(name, Method.RULE, (), "The layer holds no valid pixel here.")
    mask = ndimage.binary_opening(rule(view) & view.valid) & ~view.blocked
    side = min(RULE_WINDOW_PX, *view.valid.shape)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    share = ndimage.uniform_filter(mask.astype(np.float32), side, mode="constant")
    score = share + 0.01 * ndimage.maximum_filter(depth, side // 2) / side
    half = side // 2
    score[:half] = 0
    score[-half:] = 0
    score[:, :half] = 0
    score[:, -half:] = 0
    hits: list[Hit] = []
    while len(hits) < MOST_SOURCES:
        row, col = np.unravel_index(np.argmax(score), score.shape)
        if share[row, col] < RULE_SHARE or score[row, col] <= 0:
            break
        hits.append(
            Hit(
                view.native(Box(int(col) - half, int(row) - half, side, side)),
                float(share[row, col]),
            )
        )
        score[max(0, row - side) : row + side, max(0, col - side) : col + side] = 0
    reason = (
        ""
        if hits
        else f"No window of this layer is {RULE_SHARE:.0%} {name} by its index rule. {ELSEWHERE}"
    )
    return Search(name, Method.RULE, tuple(hits), reason)
