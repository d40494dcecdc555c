"""Snow: on open ground, roofs and crowns, by sun and shade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from ..scene.rules import smoothstep, vegetation, water
from .ground import Ground
from .light import aired, exposure, grain, haze_of, smooth

SUNLIT = {
    "red": 0.885,
    "green": 0.895,
    "blue": 0.915,
    "pan": 0.895,
    "nir": 0.86,
    "swir1": 0.14,
    "swir2": 0.09,
}
SHADED = {
    "red": 0.57,
    "green": 0.61,
    "blue": 0.67,
    "pan": 0.57,
    "nir": 0.45,
    "swir1": 0.08,
    "swir2": 0.05,
}
"""Snow in the sun, and in shade, where the blue sky alone lights it; display brightness."""
TWIGS = {
    "red": 0.36,
    "green": 0.33,
    "blue": 0.32,
    "pan": 0.33,
    "nir": 0.34,
    "swir1": 0.3,
    "swir2": 0.25,
}
"""A leafless crown in winter."""
NEEDLES = {"red": 0.2, "green": 0.24, "blue": 0.19, "pan": 0.22, "nir": 0.42}
"""A conifer's crown."""
SLUSH = {
    "red": 0.6,
    "green": 0.6,
    "blue": 0.61,
    "pan": 0.6,
    "nir": 0.5,
    "swir1": 0.15,
    "swir2": 0.1,
}
"""Snow that wheels have driven over."""
SEAM_M = 0.55
"""Beside a cleared road no white seam is left of what was not recognised as one."""
ROAD_M = 16.0
LOT = 0.4
"""Paved ground that is wider is a lot: a road by such a share, since cars stand on it."""
LONG, BLOCK_M2 = 3.0, 5000.0
"""Area by the square of its width from which on paved ground is a street; and from which on it is
one whatever its shape."""
SWEPT_M2 = 400.0
"""What is smaller is a yard, which nobody clears before noon."""
WET = 0.82
"""Brightness of swept ground beside that of dry one."""
PLAINLY = 0.55
"""Mean probability of a piece of water."""
BRIGHTEST = 1.04
"""Beside its like: snow next to a dark thing is no brighter for it."""
MELTED_M = 4.0
THINNER, MUCH = 6.0, 0.7
"""How wide the border is in which the snow ends in patches; so many times as wide more where it
hardly covers the ground; and the cover from which on it is as it is."""
FOOT_M = 2.0
"""At their foot crowns are thin, and the snow below shows through."""
SNOWED_IN = "snowed in"
TRACKED = "tracked"
CLEARED = "cleared"
"""How roads may be."""


@dataclass(frozen=True)
class Snow:
    """`cover` 0 ... 1: share of the ground; `depth_cm`: thin snow lets ground and shade through;
    `roads`: what became of the snow on paved ground."""

    cover: float = option(
        "Snow cover", 0.85, "Share of the open ground that is white.", minimum=0.0, maximum=1.0
    )
    depth_cm: float = option(
        "Depth",
        12.0,
        "What is lower than it disappears; deep snow smooths the ground.",
        unit="cm",
        minimum=0.5,
        maximum=300.0,
    )
    drift_m: float = option(
        "Size of patches",
        8.0,
        "Width of drifts and of bare spots on the ground.",
        unit="m",
        minimum=0.2,
        maximum=2000.0,
    )
    roads: str = option(
        "Roads",
        TRACKED,
        "Snowed in as the fields are, tracked by cars, or cleared.",
        choices=(SNOWED_IN, TRACKED, CLEARED),
    )
    keep_water: bool = option(
        "Open water stays open", True, "Off: it is frozen over, with snow on it."
    )


def snow(ground: Ground, how: Snow, seed: int) -> np.ndarray:
    """The image (C, H, W) under snow: its brightness is that of light on the ground, not of the
    ground's own colours; roof planes and shadows stay, crowns are twigs or needles with snow on
    them, and water, steep walls and driven roads keep less."""
    if how.cover <= 0:
        return ground.image.copy()
    amount, bare_road = _cover_of(ground, how, seed)
    shade = _shade(ground)
    relief = _relief(ground, how, shade)
    sparkle = 0.012 * (ground.noise(5.0, seed + 4, 2) - 0.5) + 0.02 * (
        ground.noise(40.0, seed + 5, 2) - 0.5
    )
    specks = grain(ground, seed + 9)
    light = float(np.clip(exposure(ground) ** 0.25, 0.92, 1.03))
    crowns = _crowns(ground)
    needles = crowns * smoothstep(
        (0.5 * np.median(ground.luminance) - ground.luminance + 0.06) / 0.08
    )
    calm = smooth(ground.luminance, max(2, round(2.5 / max(ground.gsd_m, 0.1))), 0.3)
    texture = np.clip(ground.luminance / np.maximum(calm, 0.03), 0.5, 1.8) ** 0.9
    grey = np.clip(calm, 0.06, 0.7)
    white_on = amount * (1 - crowns * (1 - _on_crowns(ground, how, seed)))
    out = ground.image.copy()
    if how.roads == CLEARED:
        out += (
            (_swept(ground, bare_road) - out) * ground.rim(2.0, 0.0, seed) * min(1.0, 2 * how.cover)
        )
    for band, role in enumerate(ground.roles):
        white = SUNLIT.get(role, 0.9) * (1 - shade) + SHADED.get(role, 0.57) * shade
        driven = SLUSH.get(role, 0.6) * (1 - 0.5 * shade)
        white = white * (1 - 0.75 * bare_road) + driven * 0.75 * bare_road
        wood = TWIGS.get(role, 0.33) * (1 - needles) + NEEDLES.get(role, 0.22) * needles
        tone = wood / np.mean(list(TWIGS.values())[:3])
        winter = (0.35 * wood + 0.65 * grey * tone) * texture * (1 - 0.2 * shade)
        winter = aired(ground, band, winter)
        below = out[band] * (1 - 0.85 * crowns * amount) + winter * 0.85 * crowns * amount
        lit = ground.in_band(band, np.minimum(white * light * relief * (1 + sparkle), 1.0))
        out[band] = below * (1 - white_on) + (lit + specks[band]) * white_on
    return np.clip(out, 0, None)


def _crowns(ground: Ground) -> np.ndarray:
    """Share of tree crowns (H, W)."""
    if ground.parse is None:
        return np.zeros(ground.mask.shape, np.float32)
    return ground.cover.sure("tree")


def _on_crowns(ground: Ground, how: Snow, seed: int) -> np.ndarray:
    """How much of a crown is white (H, W): where the sun falls on its branches, in clumps, more
    where the snow is deep."""
    light = ndimage.gaussian_filter(ground.luminance, 0.5)
    side = 2 * max(2, round(2.5 / max(ground.gsd_m, 0.1))) + 1
    mean = ndimage.uniform_filter(light, side, mode="nearest")
    spread = np.sqrt(
        np.maximum(ndimage.uniform_filter(light * light, side, mode="nearest") - mean * mean, 0)
    )
    lit = np.clip((light - mean) / np.maximum(spread, 0.06), -2, 2)
    clumps = ground.noise(14.0, seed + 7, 2) - 0.5
    deep = 0.1 * np.log1p(how.depth_cm / 10)
    inner = ndimage.gaussian_filter(_crowns(ground), FOOT_M / max(ground.gsd_m, 0.1))
    thin = 0.5 * (1 - smoothstep((inner - 0.3) / 0.6))
    return np.clip(0.32 + 0.15 * lit + 0.16 * clumps + deep + thin, 0.1, 0.85)


def _cover_of(ground: Ground, how: Snow, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How much of each pixel snow covers, and how far it is a road that was driven on or cleared
    (H, W each)."""
    near = float(np.exp(-ground.gsd_m / 3.0))
    drift_m = max(how.drift_m, 6 * ground.gsd_m)
    patches = 0.6 * ground.noise(drift_m, seed) + 0.4 * ground.noise(6 * drift_m, seed + 1)
    cover = ground.cover
    told = ground.parse is not None
    paved = cover.sure("paved") if told else np.zeros(ground.mask.shape, np.float32)
    # Thin snow melts first on dark sealed ground and on roofs, last in grass and shade.
    warm = 0.3 * (paved + (cover.sure("roof") if told else 0)) - 0.12 * cover.sure("shadow")
    grassy = 0.1 * vegetation(ground) * (1 - _crowns(ground))
    fine = ground.noise(max(how.drift_m / 4, 4 * ground.gsd_m), seed + 8, 3) - 0.5
    # Thin snow lies in patches, not as a veil: what is bare there is bare.
    thin = float(np.exp(-how.depth_cm / 5.0))
    likely = how.cover * 1.3 - near * (1.15 - how.cover) * (warm - grassy)
    likely = likely + 0.5 * (patches - 0.5) - 0.05 * thin
    likely = likely + (0.75 - 0.8 * thin) * near * (1.1 - how.cover) * fine
    # Where it ends it has melted into patches: no outline of a polygon is seen.
    bare = max(1 - how.cover / MUCH, 0.0)
    edge = ground.rim(MELTED_M * (1 + THINNER * bare), 0.5 + 0.5 * bare, seed + 2)
    clods = ground.noise(max(4.0, 6 * ground.gsd_m), seed + 14, 3) - 0.5
    likely = likely - (1 - edge) * (1.0 - 1.4 * near * clods)
    soft = 0.4 + 0.1 * how.cover + 0.4 * thin * near
    amount = smoothstep((likely - 0.2) / soft) * (edge > 0)
    amount *= 1 - 0.4 * np.exp(-how.depth_cm / 3.0)
    # Blades and stones stand out of it.
    blades = np.clip(0.5 + 12 * (ground.luminance - smooth(ground.luminance, 3, 0.3)), 0, 1)
    amount *= 1 - 0.9 * thin**2 * near * (1 - blades)
    if told:
        # Roofs are warm and steep: some have lost part of it.
        lost = smoothstep((ground.noise(13.0, seed + 12, 2) - 0.5) / 0.25)
        lost = lost * (0.5 + 0.5 * ground.noise(1.8, seed + 13, 2)) * np.exp(-how.depth_cm / 15.0)
        amount = amount * (1 - 0.6 * lost * cover.sure("roof"))
        paved = paved * _driven_on(ground, how)
    if how.roads == CLEARED:
        paved = _widened(ground, paved)
    driven = {SNOWED_IN: 0.0, TRACKED: 0.75, CLEARED: 1.0}[how.roads] * paved
    driven = driven * (0.75 + 0.5 * (ground.noise(3.0, seed + 3, 2) - 0.5))
    if how.roads == CLEARED:
        amount = amount * (1 - 0.9 * driven)
    if how.keep_water:
        wet = _open_water(ground) if told else water(ground)
        amount = amount * (1 - wet)
    return np.asarray(amount, np.float32), np.asarray(np.clip(driven, 0, 1), np.float32)


def _open_water(ground: Ground) -> np.ndarray:
    """Water that stays open (H, W) in [0, 1]: whole pieces that are plainly water. A lawn that may
    be water, too, is no hole in the snow."""
    sure = ground.cover.sure("water")
    parts, count = ndimage.label(sure > 0.1)
    mean = ndimage.mean(ground.cover.share("water"), parts, np.arange(count + 1))
    return np.asarray(sure * (mean > PLAINLY)[parts], np.float32)


def _driven_on(ground: Ground, how: Snow) -> np.ndarray:
    """How much paved ground is driven on (H, W): roads are, lots in part, and yards are not
    cleared."""
    paved = ground.cover.pieces("paved", 0.0, ground.gsd_m) > 0.5
    far = ndimage.distance_transform_edt(np.pad(paved, 1, mode="edge"))[1:-1, 1:-1]
    # Of a strip w pixels wide the middle lies (w + 1) / 2 from what is beside it.
    wide = ((far - 0.5) * ground.gsd_m > ROAD_M / 2).astype(np.float32)
    around = 2 * round(1.0 / ground.gsd_m) + 1
    lot = ndimage.grey_dilation(wide, (around, around))
    reach = 2 * round(ROAD_M / 2 / ground.gsd_m) + 1
    lot = ndimage.uniform_filter(ndimage.maximum_filter(lot, reach), 2 * (reach // 6) + 1)
    share = 1 - (1 - LOT) * lot
    if how.roads == CLEARED:
        parts, count = ndimage.label(paved)
        area = np.bincount(parts.ravel(), minlength=count + 1) * ground.gsd_m**2
        # Of what goes on beyond the window nobody knows how large it is.
        sides = (parts[0], parts[-1], parts[:, 0], parts[:, -1])
        cut = np.isin(np.arange(count + 1), np.unique(np.concatenate(sides)))
        # A dark roof that is taken for asphalt is as wide as long; a street is not.
        width = 2 * ndimage.maximum(far, parts, np.arange(count + 1)) * ground.gsd_m
        long = area >= LONG * np.asarray(width) ** 2
        swept = (area >= SWEPT_M2) & (long | (area >= BLOCK_M2))
        cleared = ndimage.binary_dilation((swept | cut)[parts] & paved)
        share = np.where(ndimage.binary_dilation(long[parts] & paved), 1, share) * cleared
    return np.asarray(share, np.float32)


def _widened(ground: Ground, paved: np.ndarray) -> np.ndarray:
    """Paved ground (H, W) with the seam beside it."""
    seam = min(2 * round(SEAM_M / max(ground.gsd_m, 0.05)) + 1, 21)
    return np.asarray(ndimage.grey_dilation(paved, size=(seam, seam)))


def _swept(ground: Ground, bare: np.ndarray) -> np.ndarray:
    """The image (C, H, W) with the seams beside roads in the colour of the road, since what is dark
    there would be the outline of the road in the snow; and with what is `bare` (H, W) wet and grey
    of salt and slush."""
    paved = np.asarray(ground.cover.sure("paved"), np.float32)
    seam = _widened(ground, paved) * (1 - paved)
    wide = max(2 * SEAM_M / max(ground.gsd_m, 0.05), 1.0)
    weight = np.maximum(ndimage.gaussian_filter(paved, wide), 1e-4)
    out = ground.image.copy()
    for band in range(len(out)):
        road = ndimage.gaussian_filter(out[band] * paved, wide) / weight
        out[band] += (road - out[band]) * seam * (weight > 0.01)
    seen = [band for band in range(len(out)) if ground.band_is_colour(band)]
    grey = out[seen].mean(axis=0) if seen else 0.0
    for band in seen:
        out[band] += (WET * grey - out[band]) * 0.7 * bare
    return out


def _shade(ground: Ground) -> np.ndarray:
    """Share of cast shadow (H, W) with the dark ground that is none taken out."""
    light = _cleared(ground)
    if ground.parse is None:
        side = max(3, int(6 / max(ground.gsd_m, 0.05)) | 1)
        mean = ndimage.uniform_filter(light, side, mode="nearest")
        near = float(np.exp(-ground.gsd_m / 3.0))
        return 0.8 * near * smoothstep((0.72 * mean - light) / 0.15)
    cover = ground.cover
    dark = smoothstep((0.85 * np.median(light) - light) / 0.15)
    # Through haze shadows are not surely seen; what is as dark as one and may be one is taken.
    veiled = float(smoothstep(np.asarray((haze_of(ground) - 0.05) / 0.15)))
    near = ndimage.gaussian_filter(cover.share("shadow"), 1.2)
    likely = smoothstep((near - 0.1) / 0.2) * smoothstep((0.7 * np.median(light) - light) / 0.12)
    shade = cover.sure("shadow") * (0.5 + 0.5 * dark)
    return np.asarray(np.maximum(shade, veiled * likely), np.float32)


def _cleared(ground: Ground) -> np.ndarray:
    """Brightness of the ground (H, W) without haze."""
    haze = haze_of(ground)
    return np.asarray((ground.luminance - haze) / (1 - haze), np.float32)


def _relief(ground: Ground, how: Snow, shade: np.ndarray) -> np.ndarray:
    """Light and shade on the snow (H, W), about 1: roof planes as they were, a trace of what the
    ground's colour and unevenness were elsewhere, less the deeper the snow is; no texture."""
    metre = 1 / max(ground.gsd_m, 0.05)
    light = _cleared(ground) / np.maximum(1 - 0.55 * shade, 0.2)
    planes = smooth(light, max(1, round(0.6 * metre)), 0.05)
    side = 2 * max(2, round(6 * metre)) + 1
    around = ndimage.uniform_filter(planes, side, mode="nearest")
    ratio = np.clip(planes / np.maximum(around, 0.05), 0.4, 1.6)
    roofs = ground.cover.sure("roof") if ground.parse is not None else 0.0
    deep = 0.35 + 0.65 * float(np.exp(-how.depth_cm / 15.0))
    near = float(np.exp(-ground.gsd_m / 3.0))
    power = near * (0.55 * roofs + 0.6 * deep * (1 - roofs)) + 0.16 * (1 - near)
    swells = 1 + 0.05 * (ground.noise(22.0, 401, 3) - 0.5)
    return np.asarray(np.clip(ratio**power, 0.5, BRIGHTEST) * swells, np.float32)
