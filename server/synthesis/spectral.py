"""Further bands for new colours, from the window's own pixels: where does it look like this, and
what is in the others there?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from scipy import ndimage

KEPT = "kept"
FROM_IMAGE = "from the image"
"""What may become of further bands."""
MOST_PIXELS = 20_000
NEIGHBOURS = 5
NEAR_ENOUGH = 0.3
"""How much farther than the nearest a neighbour may be: looking for less is several times
faster."""
UNCHANGED = 2e-3
AT_ONCE = 20_000


@dataclass(frozen=True)
class Where:
    """Which pixels of a window count. `drawn`: (H, W), where colours may have changed. `valid`:
    (H, W), which are ground."""

    drawn: np.ndarray
    valid: np.ndarray


def carried(
    before: np.ndarray,
    others: np.ndarray,
    after: np.ndarray,
    where: Where,
    told: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Values (B, H, W) of the other bands that go with new colours.

    `before`, `after` (3, H, W): the colours; `others` (B, H, W): the further bands, as they were;
    `told(done, total)` is called in between and may raise. A pixel takes the mean of those whose
    own colour, mean colour and roughness around them are most like its own, nearer ones counting
    more; one whose colours stayed keeps its values.
    """
    drawn = where.drawn
    valid = where.valid
    shown = _features(before)
    wanted = _features(after)
    changed = drawn & (np.abs(after - before).max(axis=0) > UNCHANGED)
    ground = np.flatnonzero(valid)
    if not changed.any() or not ground.size:
        return others
    picked = ground[np.linspace(0, len(ground) - 1, min(len(ground), MOST_PIXELS)).astype(int)]
    tree = scipy.spatial.cKDTree(shown.reshape(len(shown), -1).T[picked])
    values = others.reshape(len(others), -1)[:, picked]
    out = others.copy()
    places = np.flatnonzero(changed)
    for start in range(0, len(places), AT_ONCE):
        if told:
            told(start, len(places))
        here = places[start : start + AT_ONCE]
        asked = wanted.reshape(len(wanted), -1)[:, here].T
        far, near = tree.query(asked, k=range(1, min(NEIGHBOURS, len(picked)) + 1), eps=NEAR_ENOUGH)
        weights = 1 / (far + 1e-3)
        weights /= weights.sum(axis=1, keepdims=True)
        out.reshape(len(out), -1)[:, here] = np.einsum("bnk,nk->bn", values[:, near], weights)
    return out


def _features(colours: np.ndarray) -> np.ndarray:
    """(7, H, W): the pixel's colour, the mean around it, how rough it is."""
    mean = np.stack([ndimage.uniform_filter(band, 3, mode="nearest") for band in colours])
    light = colours.mean(axis=0)
    spread = (
        ndimage.uniform_filter(light**2, 5, mode="nearest")
        - ndimage.uniform_filter(light, 5, mode="nearest") ** 2
    )
    return np.concatenate([colours, mean, 2 * np.sqrt(np.maximum(spread, 0))[None]]).astype(
        np.float32
    )
