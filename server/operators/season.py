"""Seasons and dry years: leaves that turn or fall, straw and fresh green, rivers and shores without
their water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from ..scene.rules import smoothstep, vegetation, water
from .ground import Ground
from .light import aired, exposure, grain, smooth

AUTUMN = "autumn leaves"
LEAFLESS = "leafless trees"
DROUGHT = "drought"
GREEN = "fresh green"
LOW_WATER = "low water"
"""What may come."""

YELLOW = {"red": 0.49, "green": 0.4, "blue": 0.2, "pan": 0.45, "nir": 0.6}
RUST = {"red": 0.37, "green": 0.24, "blue": 0.16, "pan": 0.3, "nir": 0.5}
"""Leaves that have turned, at both ends of their range."""
TWIGS = {"red": 0.37, "green": 0.34, "blue": 0.31, "pan": 0.34, "nir": 0.33, "swir1": 0.36}
LITTER = {"red": 0.4, "green": 0.34, "blue": 0.27, "pan": 0.34, "nir": 0.36, "swir1": 0.42}
STRAW = {"red": 0.5, "green": 0.455, "blue": 0.35, "pan": 0.45, "nir": 0.5, "swir1": 0.58}
MEADOW = {"red": 0.27, "green": 0.36, "blue": 0.2, "pan": 0.3, "nir": 0.72, "swir1": 0.3}
FOLIAGE = {"red": 0.19, "green": 0.29, "blue": 0.12, "pan": 0.21, "nir": 0.7, "swir1": 0.22}
BED = {"red": 0.5, "green": 0.45, "blue": 0.37, "pan": 0.45, "nir": 0.45, "swir1": 0.4}
"""Display brightness, by role, in a picture of middling exposure."""


@dataclass(frozen=True)
class Season:
    """`season`: one of the constants above; `amount` 0 ... 1: how far it has come."""

    season: str = option(
        "What comes",
        AUTUMN,
        "Leaves that turn, trees without leaves, a drought, fresh green, or low water: a dry "
        "river, an ebb.",
        choices=(AUTUMN, LEAFLESS, DROUGHT, GREEN, LOW_WATER),
    )
    amount: float = option("How far", 0.85, "0 just begun, 1 all of it.", minimum=0.05, maximum=1.0)


def season(ground: Ground, how: Season, seed: int) -> np.ndarray:
    """The image (C, H, W) in another season: what grows changes its colour, keeps its light and
    shade; what does not grow stays."""
    edge = ground.rim(4.0, 0.7, seed)
    if how.season == LOW_WATER:
        return _low_water(ground, how, edge, seed)
    crowns, grass = _growing(ground)
    light = ground.luminance
    metre = 1 / max(ground.gsd_m, 0.05)
    # Crowns keep their light and dark sides, grass its fine texture alone.
    texture = light / np.maximum(smooth(light, max(2, round(4 * metre)), 0.35), 0.03)
    texture = np.clip(texture, 0.4, 1.8)
    deep = np.clip(light / max(float(np.median(light)), 0.05), 0.35, 1.4)
    specks = 0.4 * grain(ground, seed + 9)
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        leaves, leaves_share = _leaves(ground, how, role, seed)
        turf, turf_share = _turf(how, role)
        level = exposure(ground)
        tree = aired(ground, band, leaves * level * texture * (0.55 + 0.45 * deep))
        sward = aired(ground, band, turf * level * (0.6 * texture + 0.4 * deep))
        amount = how.amount * edge
        after = ground.image[band]
        after = after + (tree + specks[band] - after) * crowns * leaves_share * amount
        after = after + (sward + specks[band] - after) * grass * turf_share * amount
        out[band] = after
    return np.clip(out, 0, None)


def _growing(ground: Ground) -> tuple[np.ndarray, np.ndarray]:
    """Shares of crowns and of what grows low (H, W each)."""
    if ground.parse is None:
        return np.zeros(ground.mask.shape, np.float32), vegetation(ground)
    return ground.cover.sure("tree"), ground.cover.sure("low")


def _leaves(
    ground: Ground, how: Season, role: str, seed: int
) -> tuple[np.ndarray | float, np.ndarray | float]:
    """What crowns look like in a band, and how many of them do."""
    if how.season == AUTUMN:
        mixed = 0.6 * ground.noise(7.0, seed + 1, 3) + 0.4 * ground.noise(2.2, seed + 5, 2)
        hue = smoothstep((mixed - 0.25) / 0.5)
        turned = smoothstep((ground.noise(11.0, seed + 2, 3) - 0.1) / 0.45)
        return YELLOW.get(role, 0.4) * (1 - hue) + RUST.get(role, 0.3) * hue, 0.5 + 0.42 * turned
    if how.season == LEAFLESS:
        through = 0.45 + 0.3 * (ground.noise(2.5, seed + 3, 2) - 0.5)
        return TWIGS.get(role, 0.33) * (1 - through) + LITTER.get(role, 0.33) * through, 0.95
    if how.season == DROUGHT:
        thirsty = smoothstep((ground.noise(9.0, seed + 4, 2) - 0.45) / 0.3)
        return STRAW.get(role, 0.45) * 0.75, 0.55 * thirsty
    return FOLIAGE.get(role, 0.25), 0.9


def _turf(how: Season, role: str) -> tuple[float, float]:
    """What grows low in a band, and how much of it turns so."""
    if how.season == DROUGHT:
        return STRAW.get(role, 0.48), 0.92
    if how.season == GREEN:
        return MEADOW.get(role, 0.35), 0.9
    return STRAW.get(role, 0.48), 0.3


def _low_water(ground: Ground, how: Season, edge: np.ndarray, seed: int) -> np.ndarray:
    """Where water was, its bed, in the colour of the bare ground beside it, darker where it is
    still wet; what is left of the water keeps to the middle."""
    wet = water(ground) if ground.parse is None else ground.cover.sure("water")
    inside = ndimage.binary_opening(np.pad(wet > 0.5, 2, mode="edge"))[2:-2, 2:-2]
    if not inside.any() or inside.all():  # where all is water nobody sees where its shore is
        return ground.image.copy()
    depth = ndimage.distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1]
    deepest = float(np.percentile(depth[inside], 98))
    sand = 0.25 * deepest * (ground.noise(max(12.0, 4 * ground.gsd_m), seed + 1, 3) - 0.5)
    left = smoothstep((depth + sand - how.amount * deepest) / max(0.12 * deepest, 1.0))
    dry = wet * (1 - left) * edge
    damp = smoothstep((depth + sand) / max(how.amount * deepest, 1.0))
    ripple = (
        1
        + 0.1 * (ground.noise(4.0, seed + 2, 3) - 0.5)
        + 0.12 * (ground.noise(25.0, seed + 3, 3) - 0.5)
    )
    bank = _bank(ground, inside)
    specks = grain(ground, seed + 9)
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        tone = BED.get(role, 0.42) * exposure(ground) if bank is None else bank[band]
        bed = tone * ripple * (1 - 0.4 * damp) + specks[band]
        out[band] = ground.image[band] * (1 - dry) + bed * dry
    return np.clip(out, 0, None)


def _bank(ground: Ground, inside: np.ndarray) -> np.ndarray | None:
    """Colour (C,) of bare ground within some metres of the water; None where there is too
    little."""
    near = ndimage.distance_transform_edt(~inside) * ground.gsd_m
    bare = (near > 1) & (near < 40) & (ground.cover.share("bare") > 0.5)
    if bare.sum() < 40:
        return None
    return np.asarray(np.median(ground.image[:, bare], axis=1))
