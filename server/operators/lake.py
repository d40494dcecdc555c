"""A lake, pond, reservoir or pool in place of what is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from ..scene.evidence import cast
from ..scene.parse import HEIGHT_M
from ..scene.rules import smoothstep
from .flood import CLEAR, MUDDY, local_water, streaks
from .ground import Ground
from .light import aired, exposure, grain

LOCAL = "as in the layer"
CLEAN = "clear"
BROWN = "muddy"
POOL = "swimming pool"
WATERS = (LOCAL, CLEAN, BROWN, POOL)
"""What the water is like."""


@dataclass(frozen=True)
class Lake:
    """`water`: its colour, that of the layer's own lakes, or what is usual. `wander_m`: how far the
    shore stays inside the polygon in its bays. `bank_m`: width of the wet, trodden or reedy
    bank."""

    water: str = option(
        "Water",
        LOCAL,
        "The colour of lakes that the layer shows, else clear; a swimming pool is turquoise, with "
        "a light rim and the outline as drawn.",
        choices=WATERS,
    )
    wander_m: float = option(
        "Natural shore",
        10.0,
        "How far the shore may stay inside the polygon; 0: the outline as drawn.",
        unit="m",
        minimum=0.0,
        maximum=200.0,
    )
    bank_m: float = option("Bank", 2.0, "Width of the bank.", unit="m", minimum=0.0, maximum=50.0)


TURQUOISE = {"red": 0.36, "green": 0.66, "blue": 0.74, "pan": 0.6, "nir": 0.06, "swir1": 0.02}
STONE = {"red": 0.74, "green": 0.72, "blue": 0.68, "pan": 0.72, "nir": 0.7, "swir1": 0.6}
REED = {"red": 0.3, "green": 0.31, "blue": 0.2, "pan": 0.3, "nir": 0.42, "swir1": 0.25}
MUD = {"red": 0.38, "green": 0.34, "blue": 0.28, "pan": 0.34, "nir": 0.24, "swir1": 0.15}
STONE_M = 0.7
CALM_GRAIN = 0.9
SHALLOW_M = 7.0
"""Distance from the shore within which the bed shows through."""
DEEPEST_SHARE = 0.35
"""Of the polygon's own half width that the shore may stay inside it."""
SUN_SLOPE = 1.0
STANDS = ("roof", "tree")


def lake(ground: Ground, how: Lake, seed: int) -> np.ndarray:
    """The image (C, H, W) with water in the polygon: a shore with bays, a bank, the bed showing
    through where it is shallow, shadows of what stands around."""
    pool = how.water == POOL
    # Half its width in metres: a pond beside a large lake is as small as it is.
    deepest = np.minimum(ground.deepest() * ground.gsd_m, 1e6).astype(np.float32)
    wander = np.minimum(0.0 if pool else how.wander_m, DEEPEST_SHARE * deepest)
    shore = _shore(ground, wander, seed)
    bank_m = np.minimum(STONE_M if pool else how.bank_m, 0.25 * deepest)
    soft = max(0.6 * ground.gsd_m, 0.15)
    water = smoothstep((shore - bank_m + soft) / (2 * soft)) * ground.mask
    bank = smoothstep((shore + soft) / (2 * soft)) * ground.mask
    surface = _surface(ground, how, shore - bank_m, seed)
    light = exposure(ground)
    # Where water lies beside it already there is no shore.
    near = max(4.0, 1.5 * float(bank_m.max())) / ground.gsd_m
    open_water = ndimage.gaussian_filter(ground.cover.sure("water"), near) > 0.15
    water = np.where(open_water, bank, water)
    bank = bank * (1 - 0.25 * (not pool))
    reeds = smoothstep((ground.noise(9.0, seed + 5, 3) - 0.45) / 0.2)
    fine = 0.8 + 0.4 * ground.noise(max(0.8, 2 * ground.gsd_m), seed + 6, 2)
    specks = grain(ground, seed + 9)
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        if pool:
            edge = aired(ground, band, STONE.get(role, 0.7) * light)
        else:
            tone = REED.get(role, 0.3) * reeds + MUD.get(role, 0.34) * (1 - reeds)
            edge = aired(ground, band, tone * light * fine)
        out[band] += (edge + specks[band] - out[band]) * bank
        out[band] += (surface[band] + CALM_GRAIN * specks[band] - out[band]) * water
    return np.clip(out, 0, None).astype(np.float32)


def _shore(ground: Ground, wander_m: np.ndarray, seed: int) -> np.ndarray:
    """Distance (H, W) in metres to the shore, above 0 inside; `wander_m` (H, W): how far it stays
    inside at most."""
    inside = np.minimum(ground.depth() * ground.gsd_m, 1e4)
    widest = float(wander_m.max())
    if widest <= 0:
        return np.asarray(inside - 0.5 * ground.gsd_m, np.float32)
    bays = 0.7 * ground.noise(3.4 * widest, seed + 1, 2)
    bays = bays + 0.3 * ground.noise(1.2 * widest, seed + 2, 2)
    found = inside - wander_m * np.clip(2.2 * bays - 0.6, 0, 1.4)
    return np.asarray(ndimage.gaussian_filter(found, 0.8), np.float32)


def _surface(ground: Ground, how: Lake, from_shore: np.ndarray, seed: int) -> np.ndarray:
    """The water as seen from above (C, H, W), without grain."""
    local = local_water(ground) if how.water == LOCAL else None
    light = exposure(ground)
    shallow = np.exp(-np.clip(from_shore, 0, None) / SHALLOW_M)
    wide = 1 + 0.08 * (ground.noise(max(40.0, 14 * ground.gsd_m), seed + 3, 2) - 0.5)
    texture = wide + 0.6 * streaks(ground, seed + 4)
    shade = _shade(ground)
    out = np.empty_like(ground.image)
    for band, role in enumerate(ground.roles):
        clear, brown = CLEAR.get(role, 0.16), MUDDY.get(role, 0.38)
        if how.water == POOL:
            deep = bed = aired(ground, band, TURQUOISE.get(role, 0.5) * light)
        else:
            plain = {BROWN: brown}.get(how.water, 0.85 * clear + 0.08 * brown)
            deep = local[band] if local is not None else aired(ground, band, plain * light)
            bed = 0.6 * deep + 0.4 * aired(ground, band, 0.8 * MUD.get(role, 0.3) * light)
        tone = deep + (bed - deep) * 0.6 * shallow
        out[band] = np.clip(tone * texture, 0.003, None) * (1 - 0.4 * shade)
    return out


def _shade(ground: Ground) -> np.ndarray:
    """Shadows (H, W) of what stands around the polygon on the water."""
    cover = ground.cover
    if cover.sun is None:
        return np.zeros(ground.mask.shape, np.float32)
    heights = np.zeros(ground.mask.shape, np.float32)
    for name in STANDS:
        heights = np.where((cover.share(name) > 0.5) & ~ground.mask, HEIGHT_M[name], heights)
    dark = cast(heights, cover.sun, SUN_SLOPE, ground.gsd_m)
    return np.asarray(ndimage.gaussian_filter(dark, 0.6), np.float32)
