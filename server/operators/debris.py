"""Splinters: boards, sheets, trunks and rubble that lie about, as pieces with a length, a width and
a colour of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..scene.evidence import towards
from .ground import Ground, hashed
from .light import aired, brightness, veil

LONGEST_PX = 90
QUANTILES = (np.arange(32) + 0.5) / 32
DUST = 0.6
"""Share of their own colour that pieces have lost to dust."""
MIDDLING = 0.42
"""Brightness between grass and streets beside which materials are as bright as they are said here.
"""
LENS_PX = 0.75
"""Blur by which a picture shows what is small."""
WOOD = {"red": 0.56, "green": 0.47, "blue": 0.4, "pan": 0.5, "nir": 0.58, "swir1": 0.55}
PLASTER = {"red": 0.8, "green": 0.78, "blue": 0.77, "pan": 0.79, "nir": 0.78, "swir1": 0.7}
BRICK = {"red": 0.5, "green": 0.33, "blue": 0.29, "pan": 0.4, "nir": 0.45, "swir1": 0.5}
FELT = {"red": 0.24, "green": 0.22, "blue": 0.22, "pan": 0.23, "nir": 0.2, "swir1": 0.22}
METAL = {"red": 0.62, "green": 0.66, "blue": 0.72, "pan": 0.65, "nir": 0.6, "swir1": 0.55}
CONCRETE = {"red": 0.58, "green": 0.56, "blue": 0.53, "pan": 0.56, "nir": 0.55, "swir1": 0.5}
TRUNK = {"red": 0.33, "green": 0.28, "blue": 0.25, "pan": 0.29, "nir": 0.38, "swir1": 0.36}
TWIG = {"red": 0.25, "green": 0.23, "blue": 0.18, "pan": 0.23, "nir": 0.3, "swir1": 0.3}
"""Display brightness of materials, by role, in a picture of middling exposure."""


@dataclass(frozen=True)
class Kind:
    """Pieces of one kind. `material`: brightness by role. `share`: of all pieces. `length_m`,
    `width_m`: shortest and longest, least and most. `seen`: brightness by band as the picture shows
    it, instead of the material."""

    material: dict[str, float]
    share: float
    length_m: tuple[float, float]
    width_m: tuple[float, float]
    seen: tuple[float, ...] = ()

    def tone(self, ground: Ground, band: int, light: float) -> float:
        """How bright it is in a band of the picture, by its number."""
        if self.seen:
            return self.seen[band]
        # Bands without a role are taken for a mean of the visible ones.
        role = ground.roles[band] if ground.roles else ""
        return float(aired(ground, band, self.material.get(role, self.material["pan"]) * light))

    def area_px(self, metre: float) -> float:
        """Mean area of a piece as it is drawn, in pixels, of which a metre has `metre`."""
        length, width = self.sides_px(metre, *np.meshgrid(QUANTILES, QUANTILES))
        return float(((2 * (length // 2) + 1) * (2 * (width // 2) + 1)).mean())

    def sides_px(
        self, metre: float, draw: np.ndarray, other: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Length and width of pieces by two draws in 0 ... 1, in pixels: more are small than
        large."""
        (least, longest), (thin, wide) = self.length_m, self.width_m
        length = np.clip((least + (longest - least) * draw**2) * metre, 1.0, LONGEST_PX)
        return length, np.maximum((thin + (wide - thin) * other**2) * metre, 1.0)


HOUSE = (
    Kind(WOOD, 0.46, (0.6, 3.6), (0.1, 0.4)),
    Kind(PLASTER, 0.2, (0.3, 2.2), (0.2, 1.1)),
    Kind(FELT, 0.18, (0.4, 2.6), (0.2, 1.3)),
    Kind(BRICK, 0.1, (0.3, 1.3), (0.2, 0.7)),
    Kind(METAL, 0.06, (0.5, 3.0), (0.3, 1.1)),
)
"""What a timber house breaks into."""
MASONRY = (
    Kind(CONCRETE, 0.45, (0.3, 3.2), (0.2, 1.8)),
    Kind(BRICK, 0.18, (0.3, 1.2), (0.2, 0.7)),
    Kind(PLASTER, 0.15, (0.3, 1.8), (0.2, 0.9)),
    Kind(WOOD, 0.16, (0.6, 3.4), (0.1, 0.35)),
    Kind(FELT, 0.06, (0.4, 2.0), (0.2, 1.0)),
)
"""What a house of stone or concrete breaks into."""
WOODLAND = (
    Kind(TRUNK, 0.5, (3.0, 9.0), (0.3, 0.6)),
    Kind(TWIG, 0.5, (1.0, 3.0), (0.4, 1.2)),
)
"""What a storm makes of trees."""


def scattered(
    ground: Ground, cover: np.ndarray, kinds: Sequence[Kind], seed: int, dust: float = DUST
) -> tuple[np.ndarray, np.ndarray]:
    """Pieces that lie over `cover` (H, W) of the ground, 0 ... 1: their colour (C, H, W), and where
    there are any (H, W, bool). Each is drawn from its own pixel of the raster, so a window shows
    what its neighbour goes on with. `dust`: share of their own colour that they have
    lost."""
    metre = 1 / max(ground.gsd_m, 0.02)
    pad = min(LONGEST_PX, int(np.ceil(max(kind.length_m[1] for kind in kinds) * metre / 2)) + 1)
    rows = ground.origin[0] + np.arange(-pad, cover.shape[0] + pad)
    cols = ground.origin[1] + np.arange(-pad, cover.shape[1] + pad)
    wanted = np.pad(cover, pad, mode="edge")
    size = sum(kind.share * kind.area_px(metre) for kind in kinds) / sum(k.share for k in kinds)
    # So many seeds leave just the wanted share of ground without a piece.
    chance = -np.expm1(np.log1p(-np.clip(wanted, 0, 0.985)) / size)
    at = np.nonzero(hashed(rows, cols, seed) < chance)
    draw = [hashed(rows, cols, seed + 11 * (n + 1))[at] for n in range(5)]
    bounds = np.cumsum([kind.share for kind in kinds])
    which = np.searchsorted(bounds, draw[0] * bounds[-1], side="right").clip(0, len(kinds) - 1)
    piece = np.full(wanted.shape, -1, np.int64)
    for number, kind in enumerate(kinds):
        _drawn(piece, _Seeds(at[0], at[1], draw).of(which == number), kind, metre)
    piece = piece[pad:-pad, pad:-pad]
    there = piece >= 0
    light = brightness(ground, MIDDLING)
    out = np.zeros_like(ground.image)
    bright = 0.86 + 0.26 * draw[4]
    dusty = 1 - dust
    for band in range(len(out)):
        tones = np.array([kind.tone(ground, band, light) for kind in kinds])
        mean = float(np.average(tones, weights=[kind.share for kind in kinds]))
        air = veil(ground, band)
        tone = air + (mean + dusty * (tones[which] - mean) - air) * bright
        out[band][there] = tone[piece[there]]
    return out, there


@dataclass(frozen=True)
class _Seeds:
    """Where pieces lie (`rows`, `cols`: N), and five draws in 0 ... 1 for each (`draw`). `numbers`:
    of each, None: counted from 0."""

    rows: np.ndarray
    cols: np.ndarray
    draw: list[np.ndarray]
    numbers: np.ndarray | None = None

    def of(self, some: np.ndarray) -> _Seeds:
        """Those (N, bool) alone."""
        draw = [one[some] for one in self.draw]
        return _Seeds(self.rows[some], self.cols[some], draw, np.flatnonzero(some))


def _drawn(piece: np.ndarray, seeds: _Seeds, kind: Kind, metre: float) -> None:
    """Write the numbers of pieces to where they lie in `piece` (H, W)."""
    ones = seeds.numbers
    assert ones is not None
    if not ones.size:
        return
    angle = np.pi * seeds.draw[1]
    length, width = kind.sides_px(metre, seeds.draw[2], seeds.draw[3])
    along = np.arange(-int(length.max() // 2) - 1, int(length.max() // 2) + 2) * 1.0
    across = np.arange(-int(width.max() // 2), int(width.max() // 2) + 1) * 1.0
    for side in across:
        fits = np.abs(side) <= width / 2
        for step in along:
            here = fits & (np.abs(step) <= length / 2)
            if not here.any():
                continue
            some = ones[here]
            down, right = np.sin(angle[here]), np.cos(angle[here])
            row = np.round(seeds.rows[here] + step * down + side * right).astype(int)
            col = np.round(seeds.cols[here] + step * right - side * down).astype(int)
            inside = (row >= 0) & (col >= 0) & (row < piece.shape[0]) & (col < piece.shape[1])
            np.maximum.at(piece, (row[inside], col[inside]), some[inside])


def laid(
    image: np.ndarray, pieces: tuple[np.ndarray, np.ndarray], where: np.ndarray, sun: float | None
) -> np.ndarray:
    """An image (C, H, W) with pieces laid on it where `where` (H, W) lets them, each with the edge
    of shadow that it throws away from the sun."""
    colour, there = pieces
    shown = there & (where > 0.5)
    down, right = towards(135.0 if sun is None else sun + 180.0)
    beside = ndimage.shift(shown.astype(np.uint8), (round(down), round(right)), order=0) > 0
    shade = beside & ~shown & (where > 0.5)
    # A lens shows a board that is narrower than a pixel as a paler, wider one.
    soft = ndimage.gaussian_filter(shown.astype(np.float32), LENS_PX)
    tone = ndimage.gaussian_filter(np.where(shown, colour, 0), (0, LENS_PX, LENS_PX))
    tone /= np.maximum(soft, 1e-3)
    dark = image * (1 - 0.22 * ndimage.gaussian_filter(shade.astype(np.float32), 0.4))
    share = np.where(where > 0.5, soft, 0)
    return np.asarray(dark * (1 - share) + tone * share, np.float32)
