"""How a fill looks beside the ground around it: measured on the picture alone, whatever made it.

Four numbers that eyes agree with: patches like none of the ground, grain, the rim, and the same
ground again and again (stripes, repeats, smears).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from . import pyramid
from .features import PatchBasis, centres
from .pyramid import Level
from .repeats import OFTEN

PATCH = 7
RING_PX = 16
"""Ground around the hole whose grain a fill should have."""
HOLE = 2500
KNOWN = 10_000
"""Most pixels of the hole and of the ground at the size at which patches are compared."""
FEWEST = 60
FLAT = 2e-3
"""Differences in units of [-1, 1] below which there is nothing to see: steps of 8 bits."""


@dataclass(frozen=True)
class Verdict:
    """`unlike`: distance of the fill's patches to the likest of the ground, over what such ground
    has to its own likest; 1: as natural as the rest, more: something that is nowhere else.
    `grain`: Laplacian inside over that of the ground within some pixels; 1: as sharp. `blur`: the
    same over the very ground it looks like; less than 1: a blurred copy. `rim`: jump across
    the rim over jumps near it; 1: none shows. `repeated`: share of the fill, 0 to 1, that looks
    like one and the same piece of ground as four or more others do, less what such ground itself
    has of that."""

    unlike: float
    grain: float
    blur: float
    rim: float
    repeated: float

    @property
    def fault(self) -> float:
        """One number to choose by, the less the better; 0: cannot be told from the ground."""
        return float(
            max(np.log(self.unlike), 0)
            + 0.8 * abs(np.log(self.grain))
            + 0.8 * abs(np.log(self.blur))
            + max(np.log(self.rim), 0)
            + 2.0 * self.repeated
        )


def judged(image: np.ndarray, hole: np.ndarray, known: np.ndarray, usable: np.ndarray) -> Verdict:
    """The verdict on `image` (C, H, W), scaled to about [-1, 1], filled in `hole` (H, W); `known`:
    true ground; `usable`: ground that belongs there, which the fill should look like."""
    unlike, blur, repeated = patches_of(image, hole, usable)
    ring = known & ndimage.binary_dilation(hole, iterations=RING_PX)
    return Verdict(unlike, _grain(image, hole, ring), blur, _rim(image, hole, known), repeated)


def _grain(image: np.ndarray, hole: np.ndarray, ring: np.ndarray) -> float:
    inner = ndimage.binary_erosion(hole)
    outer = ndimage.binary_erosion(ring)
    if not inner.any() or not outer.any():
        return 1.0
    rough = _laplacian(image)
    return _ratio(rough[inner].mean(), rough[outer].mean())


def _ratio(value: float, other: float) -> float:
    """One by the other, near 1 where there is nothing to see of both; never 0."""
    return float((value + FLAT) / (other + FLAT))


def _laplacian(image: np.ndarray) -> np.ndarray:
    return np.mean([np.abs(ndimage.laplace(band)) for band in image], axis=0)


def _rough(image: np.ndarray, factor: int) -> np.ndarray:
    """Strength of the Laplacian at full size, meant over `factor` and 5 pixels of the result."""
    rough = _laplacian(image)
    height, width = rough.shape
    small = rough.reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    return ndimage.uniform_filter(small, 5)


def _rim(image: np.ndarray, hole: np.ndarray, known: np.ndarray) -> float:
    """Mean step between a pixel of the hole and true ground, over steps within 8 px of the rim."""
    near = ndimage.binary_dilation(hole, iterations=8) & ~ndimage.binary_erosion(hole, iterations=8)
    across = []
    beside = []
    for axis in (0, 1):
        step = np.abs(np.diff(image, axis=axis + 1)).mean(axis=0)
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in (0, 1))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in (0, 1))
        crosses = (hole[low] & known[high]) | (known[low] & hole[high])
        same = (near[low] & near[high]) & ~crosses & (known | hole)[low] & (known | hole)[high]
        across.append(step[crosses])
        beside.append(step[same])
    jumps = np.concatenate(across)
    usual = np.concatenate(beside)
    if not len(jumps) or not len(usual):
        return 1.0
    return _ratio(jumps.mean(), usual.mean())


def patches_of(
    image: np.ndarray, hole: np.ndarray, usable: np.ndarray
) -> tuple[float, float, float]:
    """`unlike`, `blur` and `repeated` of a Verdict: what fills `hole` beside `usable` ground."""
    factor = 1
    while (hole.sum() / factor**2 > HOLE or usable.sum() / factor**2 > KNOWN) and min(
        hole.shape
    ) // (2 * factor) >= 24:
        factor *= 2
    fine = pyramid.padded(Level(image, hole, usable), factor)
    level = pyramid.build(fine, factor.bit_length())[-1]
    ok, patch = centres(level.usable, PATCH, FEWEST)
    # What is long and thin is not made smaller: then a sample has to do.
    places = _sampled(np.stack(np.nonzero(ok), axis=1), KNOWN)
    inside = _sampled(np.stack(np.nonzero(level.hole), axis=1), HOLE)
    if ok.sum() < FEWEST or not level.hole.any():
        return 1.0, 1.0, 0.0
    rng = np.random.default_rng(0)
    features = PatchBasis.fit(level.image, ok, patch, rng).project(level.image)
    bank = features[places[:, 0], places[:, 1]]
    found, source = _nearest(features[inside[:, 0], inside[:, 1]], inside, bank, places)
    alike = _beside(places[source], ok, rng)
    usual, usual_source = _nearest(features[alike[:, 0], alike[:, 1]], alike, bank, places)
    rough = _rough(fine.image, factor)
    core = ndimage.binary_erosion(level.hole)[inside[:, 0], inside[:, 1]]
    if not core.any():
        core[:] = True
    own = inside[core]
    theirs = places[source[core]]
    blur = _ratio(rough[own[:, 0], own[:, 1]].mean(), rough[theirs[:, 0], theirs[:, 1]].mean())
    return (
        _ratio(found.mean(), usual.mean()),
        blur,
        max(_shared(source) - _shared(usual_source), 0.0),
    )


def _sampled(places: np.ndarray, most: int) -> np.ndarray:
    """So many of the places (n, 2), always the same; all where there are not four times as many."""
    if len(places) <= 4 * most:
        return places
    return places[np.sort(np.random.default_rng(1).permutation(len(places))[:most])]


def _beside(places: np.ndarray, ok: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each of the places (n, 2) one a few pixels from it that is `ok`, else itself."""
    moved = places + rng.integers(-PATCH, PATCH + 1, places.shape)
    moved = np.clip(moved, 0, np.array(ok.shape) - 1)
    return np.where(ok[moved[:, 0], moved[:, 1]][:, None], moved, places)


def _shared(source: np.ndarray) -> float:
    _, counts = np.unique(source, return_counts=True)
    return float(counts[counts >= OFTEN].sum() / max(len(source), 1))


def _nearest(
    features: np.ndarray, at: np.ndarray, bank: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance (n,) to the likest patch of the bank that does not overlap, and its number."""
    norms = np.einsum("nd,nd->n", bank, bank)
    best = np.zeros(len(features), np.float32)
    source = np.zeros(len(features), np.int64)
    numbers = _numbers(at, places)
    around = np.arange(1 - PATCH, PATCH)
    for start in range(0, len(features), 512):
        part = slice(start, start + 512)
        distance = norms - 2 * features[part] @ bank.T
        rows = at[part, 0, None, None] + around[:, None] + PATCH
        cols = at[part, 1, None, None] + around + PATCH
        overlapping = numbers[rows, cols].reshape(len(distance), -1)
        row, which = np.nonzero(overlapping >= 0)
        distance[row, overlapping[row, which]] = np.inf
        source[part] = distance.argmin(axis=1)
        least = distance[np.arange(len(distance)), source[part]]
        best[part] = least + np.einsum("nd,nd->n", features[part], features[part])
    return np.sqrt(np.maximum(best, 0)), source


def _numbers(at: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A map with the number of each of the places (n, 2), else -1, and PATCH pixels around what
    is asked about."""
    height, width = np.maximum(at.max(axis=0), places.max(axis=0)) + 1 + 2 * PATCH
    numbers = np.full((height, width), -1)
    numbers[places[:, 0] + PATCH, places[:, 1] + PATCH] = np.arange(len(places))
    return numbers
