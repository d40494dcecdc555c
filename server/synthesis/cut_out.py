"""An object cut out of the ground that was drawn around it.

Rother, Kolmogorov and Blake, "GrabCut": Interactive Foreground Extraction using Iterated Graph
Cuts, 2004: what lies at the drawn outline is ground, what is unlike it is the object, and the cut
between both follows edges.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy
from scipy import ndimage

from .graph_cut import cut
from .scaling import Scaling

RIM_PX = 2
"""Pixels inside of the drawn outline that are ground."""
COLOURS = 5
ROUNDS = 4
EDGES = 2.0
"""Weight of a cut between like pixels beside a pixel's own colour."""
NEAR = 0.02
"""Least variance of a colour, in units of [-1, 1] squared."""
JITTER = 1e-3
FEWEST = 60
MOST_PX = 200_000
"""Pixels up to which an object is cut out at full size."""
LEAST, MOST = 0.04, 0.97
"""Shares of the drawn polygon that an object has; less or more is none."""
SOFT_PX = 0.6
"""Blur of the object's outline, as of the picture's own edges."""


def alpha_of(image: np.ndarray, usable: np.ndarray, ground: np.ndarray) -> np.ndarray | None:
    """How much of each pixel (h, w) is the object, 0 to 1; None where none stands out.

    `image` (C, h, w), `usable` (h, w): as drawn. `ground` (h, w): what is known to be none of it,
    such as its shadow.
    """
    if usable.sum() > MOST_PX:
        small = alpha_of(image[:, ::2, ::2], usable[::2, ::2], ground[::2, ::2])
        if small is None:
            return None
        whole = np.kron(small, np.ones((2, 2), np.float32))
        whole = whole[: usable.shape[0], : usable.shape[1]]
        return np.where(usable, ndimage.gaussian_filter(whole, SOFT_PX), 0).astype(np.float32)
    inner = ndimage.binary_erosion(usable, iterations=RIM_PX)
    if inner.sum() < FEWEST:
        return None
    scaled = Scaling.of(image, usable).scaled(image)
    rows, cols = np.nonzero(usable)
    colours = scaled[:, rows, cols].T.astype(np.float64)
    sure = (~inner | ground)[rows, cols]
    if sure.sum() < COLOURS * 4 or (~sure).sum() < FEWEST:
        return None
    pairs, weights = _edges(usable, colours)
    unlike = _distance(colours, colours[sure])
    is_object = ~sure & (unlike > np.quantile(unlike[sure], 0.95))
    for _ in range(ROUNDS):
        if is_object.sum() < COLOURS * 4:
            return None
        gain = _distance(colours, colours[is_object]) - _distance(colours, colours[~is_object])
        gain = np.clip(gain, -20, 20)
        gain[sure] = 1000.0
        both = np.concatenate([weights, weights])
        ends = np.concatenate([pairs, pairs[:, ::-1]])
        is_object = cut(gain, ends[:, 0], ends[:, 1], both)
    found = np.zeros_like(usable)
    found[rows, cols] = is_object
    found = _largest(ndimage.binary_fill_holes(ndimage.binary_opening(found)))
    if not LEAST * usable.sum() <= found.sum() <= MOST * usable.sum():
        return None
    soft = ndimage.gaussian_filter(found.astype(np.float32), SOFT_PX)
    return np.where(usable, soft, 0).astype(np.float32)


def _edges(usable: np.ndarray, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (m, 2) of touching pixels, and what a cut between them costs."""
    number = np.full(usable.shape, -1, np.int64)
    number[usable] = np.arange(len(colours))
    pairs = []
    for first, second in ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:])):
        has = (first >= 0) & (second >= 0)
        pairs.append(np.stack([first[has], second[has]], axis=1))
    joined = np.concatenate(pairs)
    apart = ((colours[joined[:, 0]] - colours[joined[:, 1]]) ** 2).sum(axis=1)
    return joined, EDGES * np.exp(-apart / max(2 * float(apart.mean()), 1e-6))


def _distance(colours: np.ndarray, of: np.ndarray) -> np.ndarray:
    """From each colour (n, C) to the nearest of a few that sum up others, in their spreads."""
    few = min(COLOURS, max(1, len(of) // 8))
    # What is the same to the last bit has no colours to choose apart.
    apart = of + np.random.default_rng(0).normal(0, JITTER, of.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an empty cluster, which is left out
        centres, member = scipy.cluster.vq.kmeans2(apart, few, seed=0, minit="++")
    best = np.full(len(colours), np.inf)
    for number in range(few):
        own = of[member == number]
        if len(own) < 2:
            continue
        spread = own.var(axis=0) + NEAR
        cost = ((colours - centres[number]) ** 2 / spread).sum(axis=1) + np.log(spread).sum()
        best = np.minimum(best, 0.5 * (cost - 2 * np.log(len(own) / len(of))))
    return best


def _largest(found: np.ndarray) -> np.ndarray:
    """The largest part of a mask, and others that are a fifth of it or more."""
    parts, count = ndimage.label(found)
    if not count:
        return found
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return (sizes >= max(sizes.max() / 5, 1))[parts]
