"""What a wave leaves on the ground: silt, cars that floated, a line of debris where it ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..scene.rules import smoothstep
from . import debris
from .flood import drift
from .ground import Ground
from .light import aired, brightness, smooth

MUD = {"red": 0.4, "green": 0.36, "blue": 0.31, "pan": 0.37, "nir": 0.25, "swir1": 0.2}
ENDS_M = 18.0
"""Within so many metres of the polygon's edge the wave ended, or 60 pixels where that is less."""
LINE = 0.37
"""How far in, as a share of that, its line lies."""
AFLOAT = (0.3, 0.55)
"""Severity from which some cars float, and from which all do."""
LOT_M = 9.0
"""So far cars are carried, and heaped together."""
CAR_M = ((3.9, 4.7), (1.7, 1.9))
PAINTS = (
    ({"red": 0.8, "green": 0.8, "blue": 0.8, "pan": 0.8, "nir": 0.7, "swir1": 0.5}, 0.4),
    ({"red": 0.62, "green": 0.63, "blue": 0.65, "pan": 0.63, "nir": 0.6, "swir1": 0.5}, 0.25),
    ({"red": 0.1, "green": 0.1, "blue": 0.12, "pan": 0.1, "nir": 0.12, "swir1": 0.15}, 0.29),
    ({"red": 0.42, "green": 0.16, "blue": 0.15, "pan": 0.25, "nir": 0.4, "swir1": 0.3}, 0.03),
    ({"red": 0.15, "green": 0.25, "blue": 0.5, "pan": 0.27, "nir": 0.3, "swir1": 0.25}, 0.03),
)
"""Display brightness of cars, and their shares."""
CARS = tuple(debris.Kind(paint, share, *CAR_M) for paint, share in PAINTS)
CAR_DUST = 0.3
"""Share of their own colour that is lost to mud on them."""
FINEST_M = 1.0
"""Ground size from which on cars are too small to be told."""


@dataclass(frozen=True)
class Wave:
    """`severity`: 0 ... 1. `reached` (H, W): where it was, in [0, 1]."""

    severity: float
    reached: np.ndarray


def wave_end(ground: Ground, seed: int) -> np.ndarray:
    """1 inside of the line (H, W) where a wave ended, 0 outside: it left a line, no dust."""
    return smoothstep((_inwards(ground, seed) - 0.25) / 0.12)


def wrack(ground: Ground, seed: int) -> np.ndarray:
    """Where along that line what floated came to lie (H, W), in [0, 1]."""
    off = (_inwards(ground, seed) - LINE - 0.04) / 0.11
    return np.asarray(np.exp(-(off**2)) * ground.mask, np.float32)


def _inwards(ground: Ground, seed: int) -> np.ndarray:
    inwards = ground.rim(ENDS_M, 0.9, seed + 42)
    tongues = 2.4 * (ground.noise(16.0, seed + 47, 3) - 0.5)
    tongues += 1.0 * (ground.noise(4.0, seed + 48, 3) - 0.5)
    # Well inside it was everywhere.
    wander = np.clip(1 + tongues, 0.15, 3) ** (1 - inwards)
    return np.asarray(inwards * wander, np.float32)


def muddy(ground: Ground, wave: Wave, gone: np.ndarray, seed: int) -> np.ndarray:
    """The image (C, H, W) with silt on all that is low, thicker in hollows, drawn out along the
    flow, and with the cars where they came to lie. `gone` (H, W): buildings that no longer
    stand."""
    parse = ground.cover
    low = np.clip(1 - parse.sure("roof") - parse.sure("tree") - parse.sure("water"), 0, 1)
    low = np.maximum(low, gone)
    flow = drift(ground, seed + 44)
    level = ground.noise(22.0, seed + 40, 4) + 1.5 * flow
    thick = smoothstep((level - 0.62 + 1.1 * wave.severity) / 0.35)
    light = brightness(ground, debris.MIDDLING)
    wet = 0.9 - 0.25 * smoothstep((ground.noise(12.0, seed + 41, 4) + flow - 0.35) / 0.5)
    wet = wet * (1 + 0.16 * (ground.noise(3.0, seed + 43, 3) - 0.5))
    fine = ground.luminance / np.maximum(smooth(ground.luminance, 5, 0.3), 0.03)
    # Kerbs stand out of it, and cars that did not float.
    proud = smoothstep((np.abs(fine - 1) - 0.12) / 0.15)
    floated = _parked(ground, proud) * _afloat(wave.severity)
    proud = proud * (1 - floated)
    film = 0.92 * thick * low * (1 - 0.75 * proud) * wave.reached
    film = np.maximum(film, 0.97 * floated * wave.reached)
    seen = (0.6 - 0.4 * thick) * (1 - floated)
    wet = wet * np.clip(fine, 0.7, 1.4) ** seen
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        mud = aired(ground, band, MUD.get(role, 0.36) * light * wet)
        out[band] += (mud - out[band]) * film
    litter = smoothstep((ground.noise(1.6, seed + 49, 3) - 0.35) / 0.3)
    out *= 1 - 0.2 * wrack(ground, seed) * litter * low
    return _cars_adrift(ground, out, floated, wave, seed)


def _afloat(severity: float) -> float:
    least, all_do = AFLOAT
    return float(np.clip((severity - least) / (all_do - least), 0, 1))


def _parked(ground: Ground, proud: np.ndarray) -> np.ndarray:
    """Where cars stand (H, W) in [0, 1]: what stands out of paved ground and is no more than a car
    wide; nothing where they are too small to be told."""
    if ground.gsd_m > FINEST_M:
        return np.zeros(proud.shape, np.float32)
    size = 2.5 / ground.gsd_m
    share = ground.cover.share("paved", "vehicle")
    built = ground.cover.share("roof", "tree", "water", "low")
    ways = smoothstep((ndimage.gaussian_filter(share, size) - 0.3) / 0.3)
    wide = max(3, 2 * round(3.2 / ground.gsd_m / 2) + 1)
    broad = ndimage.grey_opening(proud, (wide, wide))
    alone = np.clip(proud - broad, 0, 1) * ways * (built < 0.6)
    return np.asarray(ndimage.grey_dilation(alone, (3, 3)), np.float32)


def _cars_adrift(
    ground: Ground, image: np.ndarray, floated: np.ndarray, wave: Wave, seed: int
) -> np.ndarray:
    """Cars as the wave left them: turned, heaped together, as many as stood about there."""
    if not (floated > 0.5).any():
        return image
    clumps = smoothstep((ground.noise(11.0, seed + 45, 3) - 0.35) / 0.3)
    near = ndimage.gaussian_filter(floated, LOT_M / ground.gsd_m)
    cover = np.clip(0.35 * near + 1.6 * near * clumps, 0, 0.5) * wave.reached
    pieces = debris.scattered(ground, cover, CARS, seed + 46, CAR_DUST)
    return debris.laid(image, pieces, wave.reached, ground.cover.sun)
