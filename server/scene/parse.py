"""The scene parser: from a picture to what the ground is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from . import evidence, rules
from .classes import CLASSES
from .known import fitted
from .network import COARSEST_M, SceneNetwork
from .rules import Picture, smoothstep

HEIGHT_M = {"roof": 5.0, "tree": 7.0, "vehicle": 1.6}
"""What is so high above the ground, where nobody says: a house of one to two storeys, a garden
tree, a car."""
NDVI_GREEN = 0.1
NDVI_SPREAD = 0.08
"""Where vegetation and the rest part, and how sharply (bytes of aerial cameras)."""
LEAST = 0.004
KNOWN_ORDER = ("water", "bare", "low", "paved", "tree", "roof")
"""What a layer tells later counts over what one tells before."""
PIECE_FROM = 0.2
PIECE_MEAN = 0.3
PIECE_ALONE = 0.5
"""Probability from which pixels may belong to a piece, that a whole piece needs in the mean, and
that one needs which throws no shadow although the sun is known."""
GRASS = 0.7
"""Probability of grass or water from which on no corner of a roof is completed there."""
SHADOW_SAYS = 0.45
"""Logarithm of the odds by which the sunward side of a shadow is rather a roof than not, and rather
not paved: the network has seen shadows too, so they may not say all they know once more."""


@dataclass(frozen=True)
class Parse:
    """What the ground is. `shares` (classes, H, W): probabilities, in the order of CLASSES; what is
    missing to 1 is unknown. `sun`: where it stands in degrees clockwise from the picture's up, None
    where shadows do not tell. `sources`: what was gone by, best first."""

    shares: np.ndarray
    sun: float | None
    sources: tuple[str, ...]

    def share(self, *names: str) -> np.ndarray:
        """Probability (H, W) that a pixel is one of these classes."""
        return np.asarray(
            np.sum([self.shares[CLASSES.index(name)] for name in names], axis=0), np.float32
        )

    def sure(self, *names: str) -> np.ndarray:
        """The same as a decision with soft edges (H, W): 0 where it is rather something else."""
        return smoothstep((ndimage.gaussian_filter(self.share(*names), 0.8) - 0.33) / 0.34)

    def pieces(self, name: str, least_m2: float, gsd_m: float) -> np.ndarray:
        """Where a class is (H, W) in [0, 1], decided a connected piece at a time: a piece is the
        class or is not, holes in it are filled, and what is smaller than `least_m2` is left out."""
        share = self.share(name)
        likely = ndimage.binary_fill_holes(ndimage.gaussian_filter(share, 0.5) > PIECE_FROM)
        thin = min(max(0, round(0.7 / gsd_m)), 6)
        core = ndimage.binary_opening(likely, iterations=thin) if thin else likely
        parts, count = ndimage.label(core)
        if not count:
            return np.zeros(share.shape, np.float32)
        numbers = np.arange(count + 1)
        area = np.bincount(parts.ravel(), minlength=count + 1) * gsd_m**2
        sure = ndimage.mean(share, parts, numbers)
        keep = (area >= least_m2) & (sure > PIECE_MEAN)
        if self.sun is not None:
            # What throws no shadow has to look the more like it: sand and courts are bright too.
            beside = evidence.sunward_votes(self.share("shadow"), self.sun, gsd_m)
            keep &= (ndimage.maximum(beside, parts, numbers) > 0.25) | (sure > PIECE_ALONE)
        keep[0] = False
        # What opening took off the corners comes back.
        whole = ndimage.binary_dilation(keep[parts], iterations=thin + 1, mask=likely)
        if name == "roof":
            # A corner that is plainly grass is none, as beside a tank.
            whole |= straightened(whole) & (self.share("low", "water") < GRASS)
        return np.asarray(ndimage.gaussian_filter(whole.astype(np.float32), 0.45), np.float32)


RECTANGLE = 0.74
SQUARE = 0.84
HULL = 0.88
ROUND = 0.92
"""Share of the smallest rectangle around a roof, or of its hull, that it must fill to be taken for
all of it."""


def straightened(pieces: np.ndarray) -> np.ndarray:
    """Pieces (H, W, bool) with straight sides: those that nearly fill a rectangle or their convex
    hull become it, as houses do."""
    parts, _ = ndimage.label(pieces)
    out = pieces.copy()
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        rows, cols = np.nonzero(parts[box] == number)
        if len(rows) < 12:
            continue
        corners = np.concatenate(
            [np.stack([cols + a, rows + b], 1) for a in (0, 1) for b in (0, 1)]
        )
        hull = shapely.convex_hull(shapely.multipoints(corners))
        frame = shapely.minimum_rotated_rectangle(hull)
        fills = len(rows) / frame.area
        # A tank fills most of its square, too, but more of its hull than a house does.
        round_one = fills < SQUARE and len(rows) > ROUND * hull.area
        shape = frame if fills > RECTANGLE and not round_one else hull
        if len(rows) < HULL * shape.area and shape is hull:
            continue
        top, left = box[0].start, box[1].start
        x0, y0, x1, y1 = (int(v) for v in np.floor(shape.bounds))
        down, right = np.mgrid[y0 : y1 + 1, x0 : x1 + 1]
        inside = shapely.contains_xy(shape, right + 0.5, down + 0.5)
        down, right = down[inside] + top, right[inside] + left
        there = (down >= 0) & (down < out.shape[0]) & (right >= 0) & (right < out.shape[1])
        out[down[there], right[there]] = True
    return out


def understood(
    picture: Picture, network: SceneNetwork, known: Mapping[str, np.ndarray] | None = None
) -> Parse:
    """What the ground of a picture is.

    `known`: by class, where the user's own layers have it (H, W, bool); they win, moved to where
    the picture shows it. Then near infrared where there is a band of it, then the network and
    shadows.
    """
    known = known or {}
    sun = None
    if picture.gsd_m > COARSEST_M or picture.band("red") is None:
        plain = by_rules(picture)
        shares, sources = plain.shares, list(plain.sources)
    else:
        rgb = np.stack([_band(picture, role) for role in ("red", "green", "blue")])
        shares, sources = network.probabilities(rgb, picture.gsd_m, picture.aspect), ["network"]
        shares = _refined(shares, picture.luminance, picture.gsd_m)
        if _nir(picture):
            shares = _with_near_infrared(shares, picture)
            sources.insert(0, "near infrared")
        elif picture.gsd_m <= LEAVES_M:
            shares = _with_leaves(shares, rgb, picture.gsd_m)
        tall = np.clip(_of(shares, "roof") + _of(shares, "tree"), 0, 1)
        sun = evidence.sun_azimuth(tall, _of(shares, "shadow"), picture.gsd_m)
        if sun is not None:
            shares = _with_shadows(shares, sun, picture.gsd_m)
            sources.append("shadows")
    if known:
        shares = _with_known(shares, known, picture.gsd_m)
        sources.insert(0, "layers of the user")
    return Parse(shares, sun, tuple(sources))


KEPT_BYTES = 64_000_000
"""A larger parse is not kept for the next edit of the same window."""


class Understanding:
    """What understands pictures, and remembers the last one: variants and further seeds look at the
    same window again.

    `network`: that of the scene parser.
    """

    def __init__(self, network: SceneNetwork) -> None:
        self.network = network
        self._last: tuple[str, Parse] | None = None

    def of(self, picture: Picture, known: Mapping[str, np.ndarray]) -> Parse:
        """See `understood`."""
        key = _key(picture, known)
        last = self._last
        if last is not None and last[0] == key:
            return last[1]
        found = understood(picture, self.network, known)
        if found.shares.nbytes <= KEPT_BYTES:
            self._last = (key, found)
        return found


def _key(picture: Picture, known: Mapping[str, np.ndarray]) -> str:
    """All that a parse depends on, as a hash."""
    told = hashlib.blake2b(
        repr((picture.gsd_m, picture.aspect, picture.roles, picture.image.shape)).encode()
    )
    told.update(np.ascontiguousarray(picture.image).tobytes())
    for name in sorted(known):
        told.update(name.encode())
        told.update(np.packbits(known[name]).tobytes())
    return told.hexdigest()


SIZES_M = (0.15, 0.2, 0.3, 0.42, 0.6, 0.85)
"""Ground sizes among which that of a picture without a place is guessed."""
USUAL_M = 0.4
OFTEN = 0.3
"""Of aerial photographs; and how much entropy a factor of two from it has to save (nats)."""
ENOUGH_PX = 320


def guessed_gsd_m(rgb: np.ndarray, network: SceneNetwork) -> float:
    """Ground size at which a picture (3, H, W) makes most sense to the network, for one that does
    not state it: right to about a factor of two where houses, cars or trees are seen."""
    height, width = rgb.shape[1:]
    top, left = max(0, (height - ENOUGH_PX) // 2), max(0, (width - ENOUGH_PX) // 2)
    part = rgb[:, top : top + ENOUGH_PX, left : left + ENOUGH_PX]
    doubt = []
    for size in SIZES_M:
        shares = network.probabilities(part, size)
        entropy = -float((shares * np.log(shares + 1e-6)).sum(axis=0).mean())
        doubt.append(entropy + OFTEN * abs(np.log2(size / USUAL_M)))
    return SIZES_M[int(np.argmin(doubt))]


def by_rules(picture: Picture) -> Parse:
    """Water, vegetation and sealed ground by indices or colours; what is tall is not told."""
    shares = np.zeros((len(CLASSES), *picture.luminance.shape), np.float32)
    source = "index rules" if _nir(picture) else "colour rules"
    if picture.band("red") is None:
        return Parse(shares, None, ("nothing: no colours",))
    wet = rules.water(picture)
    green = rules.vegetation(picture) * (1 - wet)
    paved = rules.sealed(picture) * (1 - wet) * (1 - green)
    for name, share in (("water", wet), ("low", green), ("paved", paved)):
        shares[CLASSES.index(name)] = share
    shares[CLASSES.index("bare")] = 0.6 * np.clip(1 - wet - green - paved, 0, 1)
    return Parse(shares, None, (source,))


def _of(shares: np.ndarray, name: str) -> np.ndarray:
    return np.asarray(shares[CLASSES.index(name)])


def _band(picture: Picture, role: str) -> np.ndarray:
    found = picture.band(role)
    return picture.luminance if found is None else found


def _nir(picture: Picture) -> bool:
    return picture.band("nir") is not None


def _refined(shares: np.ndarray, guide: np.ndarray, gsd_m: float) -> np.ndarray:
    """Shares that follow the edges of the picture (guided filter, He, Sun and Tang 2013): the
    network sees at a metre, roofs end within a pixel."""
    side = 2 * max(1, round(1.2 / gsd_m)) + 1
    mean = ndimage.uniform_filter(guide, side, mode="nearest")
    spread = ndimage.uniform_filter(guide * guide, side, mode="nearest") - mean * mean + 6e-4
    out = np.empty_like(shares)
    for number, share in enumerate(shares):
        middle = ndimage.uniform_filter(share, side, mode="nearest")
        both = ndimage.uniform_filter(share * guide, side, mode="nearest") - mean * middle
        slope = both / spread
        level = middle - slope * mean
        out[number] = ndimage.uniform_filter(slope, side, mode="nearest") * guide
        out[number] += ndimage.uniform_filter(level, side, mode="nearest")
    np.clip(out, 0, 1, out=out)
    return np.asarray(out / np.maximum(out.sum(axis=0), LEAST), np.float32)


def _weighed(shares: np.ndarray, odds: Mapping[str, np.ndarray]) -> np.ndarray:
    """Shares after evidence: each class times its likelihood ratio (Bayes), summing to 1."""
    out = shares.copy()
    for name, ratio in odds.items():
        out[CLASSES.index(name)] *= ratio
    return np.asarray(out / np.maximum(out.sum(axis=0), LEAST), np.float32)


def _with_near_infrared(shares: np.ndarray, picture: Picture) -> np.ndarray:
    """Chlorophyll tells vegetation from all else; water takes near infrared in."""
    ndvi = rules.index(picture, "nir", "red")
    near = _band(picture, "nir")
    assert ndvi is not None
    green = np.exp(np.clip((ndvi - NDVI_GREEN) / NDVI_SPREAD, -2.5, 2.5))
    dull = 1 / green
    # Black water reflects next to nothing there; grey roofs and asphalt do.
    wet = np.exp(np.clip((0.13 - near) / 0.05, -2.0, 1.2))
    leafless = np.maximum(green, 0.6)
    return _weighed(
        shares,
        {
            "low": green,
            "tree": leafless,
            "roof": dull,
            "paved": dull,
            "vehicle": dull,
            "water": wet * np.minimum(dull, 1.5),
        },
    )


LEAVES_M = 0.2
LEAFY = 0.06
FEWEST_LEAVES = 400
BETWEEN = 3.0
"""Ground size up to which single crowns show their outline; how green leaves are at least (2g - r -
b by their sum); pixels of crowns that tell; and the logarithm of the odds by which what is bright
or dark and not green is no crown among leafy ones, but ground or shade."""
SHADED_M, SHADED, OPEN = 4.0, 0.06, 2.0
"""How far about a crown shade is looked for; its share there, below which it is rather a lawn; and
the logarithm of the odds."""


def _with_leaves(shares: np.ndarray, rgb: np.ndarray, gsd_m: float) -> np.ndarray:
    """In fine pictures the network's crowns, seen at half a metre, run over the ground between
    them and over rough meadows: where crowns are in leaf, what is not green is none of them, nor is
    what has no shade about it."""
    crowns = _of(shares, "tree") > 0.5
    if crowns.sum() < FEWEST_LEAVES:
        return shares
    light = np.maximum(rgb.sum(axis=0), 1e-3)
    green = ndimage.gaussian_filter((2 * rgb[1] - rgb[0] - rgb[2]) / light, 1.0)
    leaf = float(np.percentile(green[crowns], 80))
    if leaf < LEAFY:
        return shares
    lit = float(np.median(light[crowns & (green > 0.6 * leaf)]))
    shown = ndimage.gaussian_filter(light, 1.0) / lit
    dull = smoothstep((0.6 * leaf - green) / (0.4 * leaf))
    ground = dull * smoothstep((shown - 0.85) / 0.25)
    shade = dull * smoothstep((0.6 - shown) / 0.2)
    # Crowns are dark on one side and shade what is beside them; a meadow is lit all over.
    darkest = float(np.percentile(shown, 1))  # haze lifts it
    dark = (shown < darkest + 0.4 * (1 - darkest)).astype(np.float32)
    about = ndimage.gaussian_filter(dark, SHADED_M / 2 / gsd_m, mode="nearest")
    lawn = (1 - smoothstep(about / SHADED)) * (dark.mean() > SHADED / 2)
    none = BETWEEN * np.maximum(ground, 0.6 * shade) + OPEN * lawn
    odds = {"tree": np.exp(-none), "low": np.exp(OPEN * lawn)}
    return _weighed(shares, {**odds, "bare": np.exp(ground), "shadow": np.exp(shade)})


def _with_shadows(shares: np.ndarray, sun: float, gsd_m: float) -> np.ndarray:
    """What lies sunward of a shadow rather stands up than lies."""
    votes = evidence.sunward_votes(_of(shares, "shadow"), sun, gsd_m)
    up = np.exp(SHADOW_SAYS * votes * np.clip(1 - 2 * _of(shares, "shadow"), 0, 1))
    return _weighed(shares, {"roof": up, "paved": 1 / up})


def _with_known(shares: np.ndarray, known: Mapping[str, np.ndarray], gsd_m: float) -> np.ndarray:
    """The user's layers, laid where the picture shows what they mean; a class that a layer tells
    of is less likely beside it."""
    out = shares
    # Where layers lie over one another, what stands on the ground counts before the ground.
    for name in sorted(known, key=KNOWN_ORDER.index):
        where = known[name]
        if not where.any():
            continue
        number = CLASSES.index(name)
        share = fitted(where, _of(out, name), gsd_m)
        out = out.copy()
        out[number] *= 0.35
        out /= np.maximum(out.sum(axis=0), LEAST)
        out *= 1 - 0.97 * share
        out[number] += 0.97 * share
    return np.asarray(out, np.float32)
