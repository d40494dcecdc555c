"""Buildings that an earthquake, a storm, a wave or a blast broke, and what lies about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from ..scene.evidence import cast
from ..scene.rules import smoothstep
from . import debris
from .buildings import BROKEN, DESTROYED, INTACT, SWEPT, Buildings, Force, axis_of, buildings, draws
from .ground import Ground
from .light import aired, brightness, grain, smooth
from .mud import MUD, Wave, muddy, wave_end, wrack
from .rubble import fallen, heaps, humps, panels, walls

EARTHQUAKE = "earthquake"
TORNADO = "tornado"
HURRICANE = "hurricane"
TSUNAMI = "tsunami"
EXPLOSION = "explosion"
CAUSES = (EARTHQUAKE, TORNADO, HURRICANE, TSUNAMI, EXPLOSION)
"""What may have done it."""


@dataclass(frozen=True)
class Damage:
    """`severity` 0 ... 1: how many buildings are hit, and how hard. `cause`: what did it.
    `debris` 0 ... 1: how much lies about. `tarpaulins` 0 ... 1: share of the broken roofs that are
    covered already. `roads_cleared`: nothing lies on paved ways any more."""

    cause: str = option(
        "Cause",
        TORNADO,
        "What did it: an earthquake leaves rubble where the house stood, wind carries it off and "
        "breaks trees, a wave leaves mud.",
        choices=CAUSES,
    )
    severity: float = option(
        "Severity",
        0.6,
        "0.2 roofs here and there, 0.6 half of the buildings destroyed, 1 all of them.",
        minimum=0.05,
        maximum=1.0,
    )
    debris: float = option(
        "Debris", 0.5, "How much lies about the buildings.", minimum=0.0, maximum=1.0
    )
    tarpaulins: float = option(
        "Tarpaulins",
        0.0,
        "Share of the broken roofs that are covered with blue sheets, as some days later.",
        minimum=0.0,
        maximum=1.0,
    )
    roads_cleared: bool = option("Roads are cleared", True, "Nothing lies on paved ways any more.")


SPREAD_M = {EARTHQUAKE: 2.0, TORNADO: 8.0, HURRICANE: 5.0, TSUNAMI: 10.0, EXPLOSION: 7.0}
"""How far from a building debris thins to a third, at middling severity."""
WINDS = (TORNADO, HURRICANE, TSUNAMI, EXPLOSION)
"""What breaks trees too."""
STONE = (EARTHQUAKE, EXPLOSION)
"""What breaks walls of stone and concrete into heaps rather than boards."""
TALL_M = 4.5
SHEET_M = (11.0, 7.0)
"""Longest and widest that a house is covered."""
SHEET = {"red": 0.16, "green": 0.34, "blue": 0.72, "pan": 0.36, "nir": 0.4, "swir1": 0.4}


def hit_by(ground: Ground, how: Damage, seed: int, alone: bool = True) -> Buildings:
    """The buildings in the polygons, and what becomes of them. `alone`: none is hit elsewhere."""
    return buildings(ground, Force(how.severity, how.cause in (TORNADO, TSUNAMI), alone), seed)


def damage(ground: Ground, how: Damage, seed: int, hit: Buildings) -> np.ndarray:
    """The image (C, H, W) after it: houses that are rubble, or broken roofs; debris thinning out
    around them; the shadows of what fell gone; trees broken by wind; mud where a wave went."""
    gone = hit.are(DESTROYED, SWEPT)
    edge = ground.rim(2.0, 0.5, seed + 1)
    out = _lit_again(ground, gone)
    if how.cause == TSUNAMI:
        wave = Wave(how.severity, edge * wave_end(ground, seed))
        out = muddy(replace(ground, image=out), wave, gone, seed)
    if how.cause in WINDS:
        out = _broken_trees(ground, out, how, edge, seed)
    out = heaps(ground, out, how.cause in STONE, hit, seed)
    spread = _spread(ground, how, hit, edge, seed)
    kinds = (*(debris.MASONRY if how.cause in STONE else debris.HOUSE), *panels(ground, gone))
    near = _reach(ground, gone, 0.8)
    out = _dusty(ground, out, how, gone, edge)
    uneven = smoothstep((ground.noise(6.0, seed + 19, 3) - 0.3) / 0.4)
    cover = np.maximum(spread, near * (0.25 + 0.6 * uneven))
    cover = cover * (1 - 0.75 * fallen(ground, hit, seed))
    pieces = debris.scattered(ground, cover, kinds, seed + 20)
    out = debris.laid(out, pieces, np.maximum(edge, hit.parts > 0), ground.cover.sun)
    left = 0.5 + 0.15 * (how.cause in STONE) - 0.25 * how.severity
    out = walls(ground, out, left, hit, seed)
    if how.cause == TSUNAMI:
        # What the water left is as brown as the water was.
        light = brightness(ground, debris.MIDDLING)
        for band, role in enumerate(ground.roles):
            brown = aired(ground, band, MUD.get(role, 0.36) * light)
            out[band] += (brown - out[band]) * 0.3 * np.clip(near, 0, 1) * edge
    out = out * (1 + (humps(ground, seed) - 1) * np.clip(1.5 * near - 0.3, 0, 1))
    out = _broken_roofs(ground, out, how, hit, seed)
    noise = 0.6 * grain(ground, seed + 9) * np.maximum(near, spread)
    return np.clip(out + noise, 0, None).astype(np.float32)


def _reach(ground: Ground, where: np.ndarray, metres: float) -> np.ndarray:
    """A place and what lies within some metres of it (H, W), fading."""
    if not where.any():
        return np.zeros(where.shape, np.float32)
    far = ndimage.distance_transform_edt(~where) * ground.gsd_m
    return np.asarray(np.exp(-far / max(metres, 0.3 * ground.gsd_m)), np.float32)


def _lit_again(ground: Ground, gone: np.ndarray) -> np.ndarray:
    """The image without the shadows of buildings that no longer stand: as bright as the lit ground
    around is."""
    out = ground.image.copy()
    sun = ground.cover.sun
    if sun is None or not gone.any():
        return out
    fell = cast(np.where(gone, 1.6 * TALL_M, 0).astype(np.float32), sun, 1.0, ground.gsd_m)
    shade = np.clip(ground.cover.sure("shadow") * (fell > 0) * ~gone, 0, 1)
    if shade.sum() < 4:
        return out
    lit = np.clip(ground.cover.share("low", "paved", "bare"), 0, 1) * (1 - shade)
    size = 9.0 / max(ground.gsd_m, 0.05)
    for band, image in enumerate(ground.image):
        there = ndimage.gaussian_filter(image * lit, size) / np.maximum(
            ndimage.gaussian_filter(lit, size), 1e-3
        )
        dark = ndimage.gaussian_filter(image * shade, size) / np.maximum(
            ndimage.gaussian_filter(shade, size), 1e-3
        )
        gain = np.clip(there / np.maximum(dark, 0.01), 1.0, 4.0)
        out[band] = image * (1 + (gain - 1) * shade)
    return out


def _spread_m(how: Damage) -> float:
    """How far from a building debris thins to a third: farther the worse it was."""
    return SPREAD_M[how.cause] * (0.5 + 0.9 * how.severity)


def _spread(ground: Ground, how: Damage, hit: Buildings, edge: np.ndarray, seed: int) -> np.ndarray:
    """Share of the ground (H, W) that pieces lie on, beside the heaps: thinning with the distance,
    in clumps, carried along by a wave, and none on cleared ways."""
    away = _reach(ground, hit.are(DESTROYED, SWEPT), _spread_m(how))
    away += 0.25 * _reach(ground, hit.are(BROKEN), 2.5)
    clumps = smoothstep((ground.noise(9.0, seed + 12, 3) - 0.3) / 0.5)
    cover = 0.72 * how.debris * away * (0.35 + 0.9 * clumps)
    if how.cause == TSUNAMI:
        lines = smoothstep((ground.noise(26.0, seed + 13, 3) - 0.52) / 0.2)
        cover = np.maximum(cover, 0.7 * how.debris * how.severity * lines * clumps)
        cover = np.maximum(cover, 0.75 * how.debris * wrack(ground, seed) * (0.3 + 0.7 * clumps))
    elif how.cause in WINDS:
        cover = np.maximum(cover, 0.2 * how.debris * how.severity**2 * clumps)
    parse = ground.cover
    cover = cover * (1 - 0.9 * parse.sure("water"))
    cover = cover * (1 - 0.95 * hit.are(INTACT)) * (1 - 0.7 * hit.are(BROKEN))
    if how.roads_cleared:
        cover = cover * (1 - 0.97 * parse.pieces("paved", 60.0, ground.gsd_m))
    return np.asarray(np.clip(cover * edge, 0, 0.8), np.float32)


def _dusty(
    ground: Ground, image: np.ndarray, how: Damage, gone: np.ndarray, edge: np.ndarray
) -> np.ndarray:
    """Fine dust and splinters on the ground around what fell."""
    dust = 0.45 * how.debris * _reach(ground, gone, 0.8 * _spread_m(how)) * edge * ~gone
    dust = dust * (1 - 0.6 * ground.cover.sure("paved")) * (1 - ground.cover.sure("water"))
    light = brightness(ground, debris.MIDDLING)
    out = image.copy()
    for band, role in enumerate(ground.roles):
        tone = aired(ground, band, 0.85 * debris.WOOD.get(role, 0.45) * light)
        out[band] += (tone - out[band]) * dust
    return out


def _broken_trees(
    ground: Ground, image: np.ndarray, how: Damage, edge: np.ndarray, seed: int
) -> np.ndarray:
    """Crowns without leaves or lying down, in patches, with trunks and twigs about."""
    crowns = ground.cover.sure("tree")
    worst = how.severity * (0.6 if how.cause == HURRICANE else 1.0)
    down = smoothstep((worst * 1.3 - ground.noise(14.0, seed + 30, 3)) / 0.25) * crowns * edge
    if not down.any():
        return image
    light = brightness(ground, debris.MIDDLING)
    texture = ground.luminance / np.maximum(smooth(ground.luminance, 3, 0.3), 0.03)
    texture = np.clip(texture, 0.5, 1.7)
    out = image.copy()
    for band, role in enumerate(ground.roles):
        wood = 0.5 * debris.TWIG.get(role, 0.23) + 0.5 * debris.TRUNK.get(role, 0.29)
        litter = aired(ground, band, 1.15 * wood * light * texture)
        out[band] += (litter - out[band]) * 0.65 * down
    pieces = debris.scattered(ground, 0.16 * down, debris.WOODLAND, seed + 31)
    return debris.laid(out, pieces, edge * (down > 0.15), ground.cover.sun)


def _broken_roofs(
    ground: Ground, image: np.ndarray, how: Damage, hit: Buildings, seed: int
) -> np.ndarray:
    """Roofs with holes down to a dark inside, boards laid bare around them, and blue sheets."""
    roof = hit.are(BROKEN)
    if not roof.any():
        return image
    big = ground.noise(6.0, seed + 50, 2)
    depth = 0.36 + 0.2 * how.severity
    level = big + 0.18 * (ground.noise(1.5, seed + 51, 2) - 0.5)
    fray = 0.12 * (ground.noise(0.8, seed + 54, 2) - 0.5)
    # Trees and yards that hang over a building's edge are no roof.
    share = hit.roofs(ground.cover.share("roof"))
    roof = roof * smoothstep((ndimage.gaussian_filter(share, 1) - 0.3) / 0.3)
    bare = smoothstep((depth - 0.04 - level - fray) / 0.2) * roof
    hole = smoothstep((depth - 0.2 - level - 0.5 * fray) / 0.1) * roof
    light = brightness(ground, debris.MIDDLING)
    relief = np.clip(
        ground.luminance / np.maximum(smooth(ground.luminance, 4, 0.3), 0.03), 0.7, 1.3
    )
    # A sheet lies on its roof, not over the eaves on the ground.
    seen = ndimage.gaussian_filter(share, 0.7)
    sheets = _sheets(ground, how, hit, level < depth, seed) * smoothstep((seen - 0.4) / 0.2)
    out = image.copy()
    fine = 0.85 + 0.3 * ground.noise(1.0, seed + 52, 2)
    fold = 0.9 + 0.2 * ground.noise(2.0, seed + 53, 2)
    for band, role in enumerate(ground.roles):
        wood = aired(ground, band, debris.WOOD.get(role, 0.5) * light * fine)
        dark = aired(ground, band, 0.75 * debris.FELT.get(role, 0.23) * light * fine)
        # Boards below the covering have much of the roof's own tone, by dust and light.
        own = smooth(ground.image[band], 4, 0.3)
        wood = 0.6 * wood + 0.4 * own
        out[band] += (wood * relief - out[band]) * 0.4 * bare
        out[band] += (dark - out[band]) * 0.75 * hole
        blue = aired(ground, band, SHEET.get(role, 0.35) * light * relief * fold)
        out[band] += (blue - out[band]) * 0.95 * sheets
    return out


def _sheets(
    ground: Ground, how: Damage, hit: Buildings, holes: np.ndarray, seed: int
) -> np.ndarray:
    """Where sheets lie (H, W) in [0, 1]: over the holes of some roofs, as rectangles along their
    sides."""
    found = np.zeros(holes.shape, bool)
    if not how.tarpaulins:
        return found.astype(np.float32)
    boxes = ndimage.find_objects(hit.parts)
    for number in np.flatnonzero(hit.fates == BROKEN):
        rows, cols = boxes[number - 1]
        part = hit.parts[rows, cols] == number
        middle = np.array(ndimage.center_of_mass(part)).astype(int)
        middle += (rows.start + ground.origin[0], cols.start + ground.origin[1])
        if draws(middle[:1], middle[1:], seed + 60)[0] >= how.tarpaulins:
            continue
        down, right = np.nonzero(part & holes[rows, cols])
        if len(down) < 3:
            continue
        axis = axis_of(part)
        u = (right - right.mean()) * axis[0] + (down - down.mean()) * axis[1]
        v = (down - down.mean()) * axis[0] - (right - right.mean()) * axis[1]
        half = [0.5 * size / ground.gsd_m for size in SHEET_M]
        spans = [
            np.clip(np.percentile(one, (6, 94)), np.median(one) - most, np.median(one) + most)
            for one, most in zip((u, v), half, strict=True)
        ]
        y, x = np.indices(part.shape)
        along = (x - right.mean()) * axis[0] + (y - down.mean()) * axis[1]
        over = (y - down.mean()) * axis[0] - (x - right.mean()) * axis[1]
        inside = (along >= spans[0][0] - 0.5) & (along <= spans[0][1] + 0.5)
        inside &= (over >= spans[1][0] - 0.5) & (over <= spans[1][1] + 0.5)
        found[rows, cols] |= inside & part
    return np.asarray(ndimage.gaussian_filter(found.astype(np.float32), 0.4), np.float32)
