"""An object cut out of the ground that was drawn around it.

Rother, Kolmogorov and Blake, "GrabCut": Interactive Foreground Extraction using Iterated Graph
Cuts, 2004: what lies at the drawn outline is ground, what is unlike it is the object, and the cut
between both follows edges. What cannot be reached from the outline without crossing an edge counts
as unlike it, whatever its colour.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import scipy
import shapely
from scipy import ndimage

from .graph_cut import cut
from .nearest import filled
from .scaling import Scaling

RIM_PX = 2
"""Pixels inside of the drawn outline that are ground."""
COLOURS = 5
ROUNDS = 4
EDGES = 2.0
"""Weight of a cut between like pixels beside a pixel's own colour."""
BEHIND = 3.0
"""Weight of lying behind an edge all around, and of a class that is a thing, beside a pixel's own
colour."""
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
GAPS = 0.04
"""Gaps within an object that are closed, by the side of what was drawn."""
SOLID = 0.5
"""Share of its convex hull that an object fills; less is a shore or a line that was cut through."""
CUT_THROUGH = 0.2
"""Share of the drawn outline that an object touches from which on it goes on beyond it."""
ROUGH = 1.5
HIGH = 3.0
"""Times the ground's own steps from pixel to pixel from which on one is an edge; and times that
from which on edges set a thing apart."""
SEEN, UNLIKE = 0.25, 0.5
"""Share of an object that is unlike its ground or set apart from it, and the same with what is of
the class of a thing; less is ground itself."""
AT_EDGE, CUT_OFF = 0.04, 0.1
"""Share of the drawn outline that an object touches from which on it may go on beyond it; and
surely does."""
RAGGED = 0.1
"""Share of its hull by which a thing may fill less where it is looked at beyond what was drawn:
more, and something else hangs on it."""
WITHIN, PARTLY = 0.65, 0.3
"""Share of a thing, and of a part of it, that lies in what was drawn, where it is looked at beyond
that."""


@dataclass(frozen=True)
class Hints:
    """What else is known of what was drawn (h, w, bool). `ground`: is none of the object, such as
    its shadow. `likely`: is of a class whose pieces are things."""

    ground: np.ndarray
    likely: np.ndarray

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Hints:
        """Where nothing is known of what was drawn (h, w)."""
        return cls(np.zeros(shape, bool), np.zeros(shape, bool))


@dataclass(frozen=True)
class CutOut:
    """An object cut out. `alpha` (h, w): how much of each pixel it is, 0 to 1. `solid`: share of
    its convex hull that it fills. `touches`: share of the drawn outline that it lies at."""

    alpha: np.ndarray
    solid: float
    touches: float

    @property
    def clear(self) -> bool:
        """Whether it is one whole thing with ground around it."""
        return self.solid >= SOLID and self.touches <= CUT_THROUGH


def whole_object(
    image: np.ndarray, usable: np.ndarray, around: np.ndarray, hints: Hints
) -> CutOut | None:
    """The object in what was drawn (`usable`: h, w), with what of it lies a little beyond the
    outline (`around`: h, w, pixels that may be looked at too), as where a box cuts a corner off."""
    found = object_in(image, usable, hints)
    if found is None or not around.any():
        return found
    wide = object_in(image, usable | around, hints, usable)
    if wide is None or not wide.clear:
        return found
    inside = wide.alpha[usable].sum()
    if inside < max(LEAST * usable.sum(), WITHIN * wide.alpha.sum()):
        return found
    if not found.clear:
        return wide
    more = inside >= found.alpha.sum()
    whole = found.touches > CUT_OFF and wide.touches < found.touches / 2
    whole |= found.touches > AT_EDGE and wide.solid >= found.solid - RAGGED
    return wide if more and whole else found


def object_in(
    image: np.ndarray, usable: np.ndarray, hints: Hints, meant: np.ndarray | None = None
) -> CutOut | None:
    """The object that stands out of the ground at the outline of what was drawn, with its shadow
    unless the hints name that as ground; None where none does.

    `image` (C, h, w), `usable` (h, w): as drawn. `meant` (h, w): where it lies for the most part;
    None: anywhere.
    """
    if usable.sum() > MOST_PX:
        return _at_half_size(image, usable, hints, meant)
    inner = ndimage.binary_erosion(usable, iterations=RIM_PX)
    if inner.sum() < FEWEST:
        return None
    scaled = Scaling.of(image, usable).scaled(image)
    rows, cols = np.nonzero(usable)
    colours = scaled[:, rows, cols].T.astype(np.float64)
    sure = (~inner | hints.ground)[rows, cols]
    if sure.sum() < COLOURS * 4 or (~sure).sum() < FEWEST:
        return None
    pairs, weights = _edges(usable, colours)
    ends, both = np.concatenate([pairs, pairs[:, ::-1]]), np.concatenate([weights, weights])
    unlike = _distance(colours, colours[sure])
    behind = _behind_edges(scaled, usable, usable & ~inner)[rows, cols]
    evidence = BEHIND * (behind.astype(float) + hints.likely[rows, cols])
    apart = (unlike > np.quantile(unlike[sure], 0.95)) | behind
    is_object = ~sure & (apart | (evidence > 0))
    for _ in range(ROUNDS):
        if is_object.sum() < COLOURS * 4:
            return None
        gain = _distance(colours, colours[is_object]) - _distance(colours, colours[~is_object])
        gain = np.clip(gain, -20, 20) - evidence
        gain[sure] = 1000.0
        is_object = cut(gain, ends[:, 0], ends[:, 1], both)
    found = np.zeros_like(usable)
    found[rows, cols] = is_object
    if meant is not None:  # before parts are joined, so that none brings its neighbour along
        parts, count = ndimage.label(found)
        within = np.atleast_1d(ndimage.mean(meant, parts, np.arange(1, count + 1)))
        found = np.concatenate([[False], within >= PARTLY])[parts]
    found = _joined(found, inner & ~hints.ground)
    if not LEAST * usable.sum() <= found.sum() <= MOST * usable.sum():
        return None
    own = found[rows, cols]
    if apart[own].mean() < SEEN or (apart | (evidence > 0))[own].mean() < UNLIKE:
        return None
    soft = ndimage.gaussian_filter(found.astype(np.float32), SOFT_PX)
    rim = usable & ~inner
    touches = (ndimage.binary_dilation(found) & rim).sum() / max(int(rim.sum()), 1)
    alpha = np.where(usable, soft, 0).astype(np.float32)
    return CutOut(alpha, _solid(found), float(touches))


def _at_half_size(
    image: np.ndarray, usable: np.ndarray, hints: Hints, meant: np.ndarray | None
) -> CutOut | None:
    half = (slice(None, None, 2), slice(None, None, 2))
    few = Hints(hints.ground[half], hints.likely[half])
    there = None if meant is None else meant[half]
    small = object_in(image[(slice(None), *half)], usable[half], few, there)
    if small is None:
        return None
    whole = np.kron(small.alpha, np.ones((2, 2), np.float32))
    whole = whole[: usable.shape[0], : usable.shape[1]]
    alpha = np.where(usable, ndimage.gaussian_filter(whole, SOFT_PX), 0).astype(np.float32)
    return replace(small, alpha=alpha)


def _joined(found: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """An object's parts as one: narrow gaps closed, holes filled, specks left out."""
    reach = _reach(inner)
    padded = ndimage.binary_closing(np.pad(found, 2 * reach), _disc(reach))
    closed = ndimage.binary_fill_holes(padded)[2 * reach : -2 * reach, 2 * reach : -2 * reach]
    return _largest(ndimage.binary_opening(closed & inner))


def _reach(drawn: np.ndarray) -> int:
    """Half the width of gaps that are closed, in pixels, by the size of what was drawn (h, w)."""
    return max(2, round(GAPS * float(np.sqrt(drawn.sum()))))


def _disc(reach: int) -> np.ndarray:
    return np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach + 0.3


def _solid(found: np.ndarray) -> float:
    """Share of its convex hull that a mask (h, w) fills."""
    rows, cols = np.nonzero(found)
    hull = shapely.convex_hull(shapely.multipoints(np.column_stack([cols, rows]))).buffer(0.5)
    return float(found.sum() / max(hull.area, 1.0))


def _behind_edges(scaled: np.ndarray, usable: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """Pixels (h, w) that cannot be reached from the rim of what was drawn without crossing an edge.

    The least sum of steps on a way from the rim, those as small as the ground's own left out, falls
    into two groups where something stands there (Otsu's threshold).
    """
    smooth = ndimage.gaussian_filter(filled(scaled, usable), (0, 0.7, 0.7))
    number = np.full(usable.shape, -1, np.int64)
    number[usable] = np.arange(int(usable.sum()))
    froms, tos, steps, at_rim = [], [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        first = _shifted(usable.shape, 0, max(0, -right), down, abs(right))
        second = _shifted(usable.shape, down, max(0, right), down, abs(right))
        has = (number[first] >= 0) & (number[second] >= 0)
        apart = smooth[(slice(None), *first)] - smooth[(slice(None), *second)]
        froms.append(number[first][has])
        tos.append(number[second][has])
        steps.append(np.sqrt((apart**2).sum(axis=0))[has])
        at_rim.append((rim[first] & rim[second])[has])
    step, own = np.concatenate(steps), np.concatenate(at_rim)
    floor = ROUGH * float(np.median(step[own])) if own.any() else 0.0
    count = int(usable.sum())
    edge = np.full(int(rim.sum()), count)
    weight = np.concatenate([np.maximum(step - floor, 0) + 1e-4, np.full(len(edge), 1e-6)])
    ends = np.concatenate([*froms, edge]), np.concatenate([*tos, number[rim]])
    graph = scipy.sparse.coo_array((weight, ends), shape=(count + 1, count + 1)).tocsr()
    far = scipy.sparse.csgraph.dijkstra(graph, directed=False, indices=count)[:count]
    far = np.where(np.isfinite(far), far, 0)
    out = np.zeros_like(usable)
    out[usable] = far > max(_otsu(far), HIGH * floor)
    return out


def _shifted(
    shape: tuple[int, ...], top: int, left: int, rows: int, cols: int
) -> tuple[slice, slice]:
    """A window of an array that is so many rows and columns smaller, from a corner on."""
    return slice(top, top + shape[0] - rows), slice(left, left + shape[1] - cols)


def _otsu(values: np.ndarray) -> float:
    """What parts values (n,) into two groups of least spread (Otsu 1979)."""
    counts, edges = np.histogram(values, 128)
    middles = (edges[1:] + edges[:-1]) / 2
    below, sums = counts.cumsum().astype(float), (counts * middles).cumsum()
    total, whole = below[-1], sums[-1]
    spread = (whole * below / total - sums) ** 2 / np.maximum(below * (total - below), 1e-9)
    return float(middles[spread.argmax()])


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
