"""Flood water: what it covers, what stands out of it, and how it looks from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import LOWEST_GROUND, MODEL_ZERO, option
from ..scene.evidence import cast
from ..scene.rules import smoothstep, water
from . import debris
from .ground import Ground, lattice_noise
from .light import brightness, grain
from .shore import along_edges
from .standing import COARSEST_OBJECTS_M, standing

# Display brightness of water in a picture of middling exposure, by role: muddy and clear.
MUDDY = {
    "red": 0.43,
    "green": 0.404,
    "blue": 0.35,
    "pan": 0.45,
    "nir": 0.12,
    "swir1": 0.05,
    "swir2": 0.03,
}
CLEAR = {
    "red": 0.14,
    "green": 0.19,
    "blue": 0.2,
    "pan": 0.17,
    "nir": 0.04,
    "swir1": 0.02,
    "swir2": 0.015,
}

MUD_HIDES = 0.8
"""Share of the clarity that the brownest water has lost."""


EITHER = "either"
ZERO = MODEL_ZERO
LOWEST = LOWEST_GROUND
"""What a water level may count from."""


@dataclass(frozen=True)
class Flood:
    """`level_m`: water level in the heights given with it, else the depth in the polygon's middle;
    `counts_from`: what those heights are counted from, for whoever brings them there; `clarity_m`:
    depth at which the ground has mostly gone in clear water; `mud` 0 clear ... 1 brown;
    `keep_tall`: roofs and crowns stay above water up to `object_height_m`; `debris` 0 ... 1: how
    much drifts on it."""

    level_m: float = option(
        "Water level",
        1.5,
        "With an elevation model: height of the water surface in its units. Without: depth in the "
        "middle of the polygon.",
        unit="m",
        minimum=-500.0,
        maximum=9000.0,
    )
    counts_from: str = option(
        "Level counts from",
        EITHER,
        "With an elevation model: from its zero, or from the lowest ground of each polygon. "
        "Either: from the zero, unless a small level is below all the ground.",
        choices=(EITHER, ZERO, LOWEST),
    )
    clarity_m: float = option(
        "Depth at which the ground fades",
        0.4,
        "In clear water; mud shortens it.",
        unit="m",
        minimum=0.02,
        maximum=50.0,
    )
    mud: float = option("Mud", 0.8, "0 clear, 1 brown.", minimum=0.0, maximum=1.0)
    keep_tall: bool = option(
        "Roofs and crowns stay above water",
        True,
        "What looks taller than the water is deep is left dry, as far as one picture tells.",
    )
    object_height_m: float = option(
        "Their height",
        3.0,
        "Of eaves and crowns above the ground; roofs of houses rise up to 2 m more. Water that is "
        "deeper covers them too.",
        unit="m",
        minimum=0.0,
        maximum=100.0,
    )
    debris: float = option(
        "Debris",
        0.0,
        "Boards and trunks that drift in rafts on the water, as after a tsunami; seen at 2 m a "
        "pixel or finer.",
        minimum=0.0,
        maximum=1.0,
    )


STREET_M = 0.15
"""Streets lie so much lower than the lawns beside them; floors of houses lie as much higher."""
DOOR_M = 0.35
WAVES_M = 0.25
"""Unevenness of the ground, from swell to hollow, where no heights are known."""
RIPPLES_M = 0.12
TUFTS_M = 0.05
"""The same over some metres, and over a pixel or two."""
OPAQUE = (0.93, 0.98)
"""Even brown water lets a trace of the ground through, more where it is shallow."""
TRACE = 0.006
"""So much brighter or darker than the water ground may look through it where it is deepest."""
PIECES = 0.8
"""Size of pieces of ground that lie dry or under water as a whole, in widths of the shore."""
SHORE_M = 0.03
FILM_M = 0.2
"""A shore is a line: where the ground's own height is not known, water of a thumb's depth hides the
ground as if it were two hands deeper, unless there is little of it all over."""
KNEE_M = 0.6
PUDDLES = 3.0
RISE = 0.3
SOME_STREETS = 0.03
"""Depth below which water no longer covers all the ground; how many times its depth the ground may
rise where there is next to none; how much higher lawns count for each metre that is lacking, where
there are streets for the water to run into; and their least share."""
FULL_GRAIN = 1.05
"""Water gets a little more grain than was measured: its calm surface shows it the most."""
HOUSE_M, CROWN_M, CROWN_SHADE = 4.0, 4.5, 0.75
"""Heights that throw shadows on water, of houses and crowns, and how dark those of crowns are."""
LONGEST_SHADOW_M = 8.0
"""Farther from all that stands there is no shadow of it."""
SUN_SLOPE = 1.0
"""Fall of the sun's rays, metres a metre, where only its direction is known: 45 degrees."""
LEAST_WATER_M2 = 150.0
"""Smaller water is a pool, and no flood has its colour."""
MIDDLING = 0.35
"""Brightness between grass and streets beside which mud is as bright as it is said here."""
DRIFT = ((110.0, 12.0, 0.2), (40.0, 4.0, 0.1))
"""Length and width in metres of bands of silt, and how much their brightness varies."""
IN_SHADE, SHADE_DARK = 0.9, 0.5
"""How much of a shadow that was there lies on the water, too; and how much light is missing in it,
where the sky alone shines on it."""
SKY = {"red": 0.5, "green": 0.9, "blue": 1.5}
"""Colour of the sky that water mirrors in places."""
ALIKE = 0.06
"""Difference in brightness within which water has the colour of the flood."""
TURBID = 1.0
"""From afar a flood is as brown as the rivers that bring it, whatever colour the nearest sea has:
its share at 9 m a pixel and coarser."""


def flood(ground: Ground, how: Flood, seed: int, elevation: np.ndarray | None = None) -> np.ndarray:
    """The image (C, H, W) under water whose opacity grows with its depth, 1 - exp(-depth /
    clarity), with its shore where the ground rises out of it; roofs, crowns and what else is
    higher stand."""
    if elevation is None and how.level_m <= 0:
        return ground.image.copy()
    depth = depth_of(ground, how, seed, elevation)
    clarity_m = how.clarity_m * (1 - MUD_HIDES * how.mud)
    if elevation is None:
        film = FILM_M * how.mud * min(how.level_m / KNEE_M, 1.0)
        depth = depth + film * smoothstep(depth / SHORE_M)
    most = OPAQUE[0] + (OPAQUE[1] - OPAQUE[0]) * smoothstep((depth - 0.4) / 1.4)
    opacity = most * (1 - np.exp(-np.clip(depth, 0, None) / max(clarity_m, 1e-3)))
    stands = standing(ground, how.object_height_m, depth) if how.keep_tall else np.zeros_like(depth)
    opacity = opacity * (1 - stands)
    opacity *= 1 - _already(ground, how)
    surface = surface_of(ground, how, seed, stands, depth)
    # Ground that the water has just left is dark with it; who gives heights means their line.
    damp = np.exp(-np.clip(-depth, 0, None) / 0.06) * (depth > -0.9) * ground.mask * (1 - stands)
    damp *= elevation is None
    out = ground.image.copy()
    blur = 0.5 + 0.35 / max(ground.gsd_m, 0.05)
    deep = smoothstep(depth / 0.3)
    most_seen = TRACE / (1 - OPAQUE[1])
    hidden = smoothstep((opacity - 0.83) / 0.1)
    for band in range(len(ground.roles)):
        below = ndimage.gaussian_filter(ground.image[band], min(blur, 4.0))
        # Through deep muddy water no more than a trace is seen of ground that is far brighter.
        trace = np.clip(below - surface[band], -most_seen, most_seen)
        below = below + (surface[band] + trace - below) * hidden
        dry = ground.image[band] * (1 - 0.1 * damp)
        dry = dry + (below - dry) * deep * (1 - stands)
        out[band] = dry * (1 - opacity) + surface[band] * opacity
    return _with_rafts(ground, out, how, seed, opacity * (1 - stands)) if how.debris else out


def _already(ground: Ground, how: Flood) -> np.ndarray:
    """How far each pixel (H, W) is water that the flood leaves as it is: it is not painted anew
    where the flood has its colour; a pool, and a pond of another colour, takes that of the flood.
    """
    there = water(ground) if ground.parse is None else ground.cover.sure("water")
    local = local_water(ground)
    if local is None:
        return 0.15 * there
    every = range(len(local))
    seen = [band for band in every if ground.band_is_colour(band)] or list(every)
    apart = ndimage.gaussian_filter(
        np.abs(ground.image[seen] - local[seen, None, None]).mean(axis=0), 1.5
    )
    alike = 1 - smoothstep((apart - ALIKE) / ALIKE)
    return np.asarray(there * alike * (1 - 0.6 * turbid(ground, how)), np.float32)


def _with_rafts(
    ground: Ground, image: np.ndarray, how: Flood, seed: int, wet: np.ndarray
) -> np.ndarray:
    """The image (C, H, W) with what drifts on the water (`wet`: H, W), in rafts and lines."""
    if ground.gsd_m > COARSEST_OBJECTS_M:
        return image
    rafts = smoothstep((ground.noise(24.0, seed + 61, 4) - 0.62 + 0.22 * how.debris) / 0.2)
    lines = np.clip(streaks(ground, seed + 3) * 40, 0, 0.3)
    cover = np.clip((0.75 * rafts + 0.4 * lines * rafts) * how.debris * (wet > 0.4), 0, 0.7)
    pieces = debris.scattered(ground, cover, (*debris.HOUSE, debris.WOODLAND[0]), seed + 62)
    return debris.laid(image, pieces, (wet > 0.4).astype(np.float32), ground.cover.sun)


def depth_of(
    ground: Ground, how: Flood, seed: int, elevation: np.ndarray | None = None
) -> np.ndarray:
    """Depth of the water (H, W) in metres, below 0 where the ground is higher than it.

    Without heights the polygon is a hollow, deepest in its middle, with the swells of real ground;
    streets lie lower, floors higher.
    """
    if elevation is not None:
        depth = np.where(np.isfinite(elevation), how.level_m - elevation, -1.0)
        return np.asarray(np.where(ground.mask, depth, -1.0), np.float32)
    plain = ground.depth()
    metre = 1 / max(ground.gsd_m, 0.05)
    if ground.mask.all():
        hollow = np.ones(ground.mask.shape, np.float32)
    else:
        deepest = np.maximum(ground.deepest(), 1.0)  # each polygon by its own size
        shore = np.clip(np.maximum(10 * metre, 0.08 * deepest), 3.0, np.maximum(0.3 * deepest, 3.0))
        reach = 0.8 * np.minimum(np.maximum(shore, 0.2 * deepest), max(14 * metre, 40.0))
        wander = ground.wandering(np.minimum(reach, 0.45 * deepest), seed)
        hollow = smoothstep(wander / (1.3 * shore))
        widest = float(shore[ground.mask].max()) if ground.mask.any() else 3.0
        hollow = along_edges(ground, hollow, PIECES * widest, seed)
    swell = (ground.noise(45.0, seed + 5, 3) - 0.5) * WAVES_M
    swell += (ground.noise(7.0, seed + 6, 3) - 0.5) * RIPPLES_M + _tufts(ground)
    cover = ground.cover
    # Where the polygon ends the water does, on a street as well.
    street = STREET_M * cover.sure("paved") * np.clip(2.5 * hollow, 0, 1)
    # What is less than knee-deep lies in streets and hollows, and leaves most of the rest.
    paved = cover.sure("paved")
    streets = bool(ground.mask.any()) and float(paved[ground.mask].mean()) > SOME_STREETS
    rise = (RISE if streets else RISE / 3) * max(KNEE_M - how.level_m, 0.0) * (1 - paved)
    relief = ndimage.gaussian_filter(swell - street + rise, 0.25 * metre)
    relief = relief + DOOR_M * cover.sure("roof")
    # At its rim the water is as shallow as the ground is uneven.
    level = how.level_m * hollow - 0.12 * min(how.level_m, 1.0) * (1 - hollow)
    most = how.level_m * (0.9 + PUDDLES * max(1 - how.level_m / KNEE_M, 0.0))
    depth = level - np.minimum(relief, most) * (1.2 - 0.7 * hollow)
    return np.asarray(np.where(ground.mask & (plain > 0), depth, -1.0), np.float32)


def _tufts(ground: Ground) -> np.ndarray:
    """Unevenness (H, W) in metres that light and dark spots of the ground hint at: what is brighter
    than its surroundings rather stands out."""
    light = ground.luminance
    size = max(3.0 / max(ground.gsd_m, 0.05), 1.5)
    apart = ndimage.gaussian_filter(light, 0.7) - ndimage.gaussian_filter(light, size)
    spread = max(float(apart.std()), 1e-4)
    rough = np.clip(apart / (2 * spread), -1, 1) * (1 - ground.cover.sure("paved"))
    return np.asarray(rough * TUFTS_M, np.float32)


def surface_of(
    ground: Ground, how: Flood, seed: int, stands: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """The water as seen from above (C, H, W): the colour of water that is there or of mud, paler
    where it is shallow, clouds of silt, streaks along the flow, a little sky, shadows of what
    stands, and grain."""
    local = local_water(ground)
    light = brightness(ground, MIDDLING)
    wide, small = max(30.0, 14 * ground.gsd_m), max(6.0, 5 * ground.gsd_m)
    silt = 0.07 * (ground.noise(wide, seed + 1) - 0.5)
    silt += 0.035 * (ground.noise(small, seed + 2, 3) - 0.5)
    if local is not None:
        silt *= 0.35
    pale = 0.08 - 0.16 * smoothstep((depth - 0.2) / 1.6) if local is None else 0.0
    texture = 1 + pale + 1.5 * silt + streaks(ground, seed + 3) + drift(ground, seed + 3)
    near = float(np.clip(2.0 - ground.gsd_m, 0, 1))
    gleam = smoothstep((ground.noise(70.0, seed + 4, 2) - 0.35) / 0.5)
    sky = 0.045 * near * (0.15 + 0.85 * gleam)
    # What throws a shadow has to stand out of the water.
    above = smoothstep((how.object_height_m - depth) / 0.6)
    left = IN_SHADE * near * ground.cover.sure("shadow") * above * _still_thrown(ground, stands)
    shade = np.maximum(left, _shadow_on_water(ground, stands))
    shade *= 1 - stands
    out = np.empty_like(ground.image)
    specks = grain(ground, seed + 9)
    for band, role in enumerate(ground.roles):
        muddy, clear = MUDDY.get(role, 0.38), CLEAR.get(role, 0.16)
        made = (how.mud * muddy + (1 - how.mud) * clear) * light
        colour = ground.in_band(band, made)
        if local is not None:
            colour = local[band] + (colour - local[band]) * turbid(ground, how)
        blue = SKY.get(role, 1.0)
        # Black water mirrors as little as it is seen to.
        blue *= float(np.clip(3 * np.mean(colour), 0, 1))
        lit = colour * texture + (sky * blue * light if ground.band_is_colour(band) else 0.0)
        out[band] = np.clip(lit, 0.003, None) * (1 - SHADE_DARK * shade) + FULL_GRAIN * specks[band]
    return np.clip(out, 0, None)


def turbid(ground: Ground, how: Flood) -> float:
    """Share of mud's colour in water whose own colour is seen in the picture."""
    return TURBID * how.mud * float(smoothstep(np.asarray((ground.gsd_m - 5.0) / 4.0)))


def _along_flow(ground: Ground, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels along the direction in which water flows with this seed, and across it (H, W each)."""
    angle = (seed * 0.7548776662) % 1.0 * np.pi
    rows, cols = np.indices(ground.mask.shape, np.float32)
    rows += ground.origin[0]
    cols += ground.origin[1]
    along = rows * np.sin(angle) + cols * np.cos(angle)
    across = rows * np.cos(angle) - cols * np.sin(angle)
    return along, across


def drift(ground: Ground, seed: int) -> np.ndarray:
    """Bands of more and less silt (H, W), drawn out along the flow, about 0; none from afar."""
    near = float(np.clip(2.0 - ground.gsd_m, 0, 1))
    if not near:
        return np.zeros(ground.mask.shape, np.float32)
    along, across = _along_flow(ground, seed)
    bend = 6.0 / ground.gsd_m * (ground.noise(80.0, seed + 1, 2) - 0.5)
    out = np.zeros(ground.mask.shape, np.float32)
    for number, (length_m, width_m, strength) in enumerate(DRIFT):
        width = max(width_m, 3 * ground.gsd_m) / ground.gsd_m
        length = width * length_m / width_m
        out += (
            near * strength * lattice_noise(along / length, (across + bend) / width, seed + number)
        )
    return out


def streaks(ground: Ground, seed: int) -> np.ndarray:
    """Faint lines (H, W) along one direction, as foam and silt draw them on moving water."""
    metre = 1 / max(ground.gsd_m, 0.05)
    if metre < 0.4:
        return np.zeros(ground.mask.shape, np.float32)
    along, across = _along_flow(ground, seed)
    bend = 4 * metre * (ground.noise(60.0, seed, 2) - 0.5)
    waves = np.sin((across + bend) * 2 * np.pi / (3.1 * metre)) * np.sin(
        (across + 1.7 * bend) * 2 * np.pi / (7.7 * metre)
    )
    pulse = ground.noise(25.0, seed + 1, 3) * (0.7 + 0.3 * np.sin(along * 2 * np.pi / (40 * metre)))
    return np.asarray(0.03 * waves * np.clip(pulse - 0.25, 0, 1), np.float32)


def _shadow_on_water(ground: Ground, stands: np.ndarray) -> np.ndarray:
    """Shadows (H, W) of roofs and crowns that stand, where the sun's direction is known."""
    sun = ground.cover.sun
    if sun is None or ground.gsd_m > COARSEST_OBJECTS_M:
        return np.zeros(stands.shape, np.float32)
    roof, tree = ground.cover.share("roof"), ground.cover.share("tree")
    up = stands > 0.5
    houses = np.where(up, HOUSE_M * roof, 0).astype(np.float32)
    dark = ndimage.gaussian_filter(cast(houses, sun, SUN_SLOPE, ground.gsd_m), 0.6)
    # Crowns are round, and let light through.
    crowns = up & (tree > np.maximum(roof, 0.3))
    inwards = ndimage.distance_transform_edt(crowns) * ground.gsd_m
    round_up = CROWN_M * smoothstep(inwards / CROWN_M)
    soft = cast(round_up.astype(np.float32), sun, SUN_SLOPE, ground.gsd_m)
    dapple = CROWN_SHADE * (0.6 + 0.8 * ground.noise(1.5, 83, 2))
    soft = ndimage.gaussian_filter(soft * dapple, max(0.8, 0.6 / ground.gsd_m))
    return np.asarray(np.maximum(dark, soft), np.float32)


def _still_thrown(ground: Ground, stands: np.ndarray) -> np.ndarray:
    """Where what stands may throw a shadow (H, W): one whose thrower is under water is gone."""
    sun = ground.cover.sun
    if sun is None or ground.gsd_m > COARSEST_OBJECTS_M:
        return np.ones(stands.shape, np.float32)
    up = np.where(stands > 0.4, LONGEST_SHADOW_M, 0).astype(np.float32)
    reach = cast(up, sun, SUN_SLOPE, ground.gsd_m)
    return np.asarray(ndimage.gaussian_filter(reach, max(1.0, 0.5 / ground.gsd_m)), np.float32)


def local_water(ground: Ground) -> np.ndarray | None:
    """Colour (C,) of the water that is there: ponds and rivers, no pools; None where there is
    none."""
    sure = (water(ground) if ground.parse is None else ground.cover.share("water")) > 0.85
    parts, count = ndimage.label(sure)
    if not count:
        return None
    area = np.bincount(parts.ravel()) * ground.gsd_m**2
    large = (area >= LEAST_WATER_M2)[parts] & sure
    if large.mean() < 0.003:
        return None
    return np.asarray(np.median(ground.image[:, large], axis=1))
