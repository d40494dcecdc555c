"""Dusk and night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from ..scene.rules import smoothstep
from .ground import Ground, hashed
from .light import gaussian


@dataclass(frozen=True)
class LowLight:
    """`light`: share of daylight; `noise_electrons`: read noise; `well_electrons`: signal of white
    in daylight."""

    light: float = option(
        "Light, as a share of daylight",
        0.18,
        "0.2 dusk, 0.02 night without lamps.",
        minimum=0.002,
        maximum=1.0,
    )
    well_electrons: float = option(
        "Signal of white in daylight",
        12000.0,
        "Fewer make a grainier night.",
        unit="electrons",
        minimum=50.0,
        maximum=1e6,
    )
    noise_electrons: float = option(
        "Read noise",
        4.0,
        "The sensor's own noise, which shows where it is dark.",
        unit="electrons",
        minimum=0.0,
        maximum=500.0,
    )
    blue_shift: float = option(
        "Blue shift", 0.25, "0 the colours of day, 1 those of late dusk.", minimum=0.0, maximum=1.0
    )
    lamps: float = option(
        "Lamps",
        0.6,
        "Street lamps along paved ground and lit windows: 0 none, 1 a bright town. They show when "
        "little daylight is left.",
        minimum=0.0,
        maximum=1.0,
    )


GAMMA = 2.2
LAMP_M = 32.0
"""Street lamps stand so far apart, and their light reaches a third of that."""
LAMP = {"red": 1.0, "green": 0.72, "blue": 0.38, "pan": 0.75, "nir": 0.9}
"""Colour of street lamps and windows."""
LAMPS_FROM = 0.35
"""Share of daylight below which lamps burn."""


def low_light(ground: Ground, how: LowLight, seed: int) -> np.ndarray:
    """Less light on the sensor in linear units, shot and read noise, encoded again with gamma 2.2.

    After sunset nothing casts a shadow: those of noon are filled with the light of the sky. Lamps
    light paved ground, windows the edges of roofs.
    """
    grain = np.stack([gaussian(ground, seed + 31 * band) for band in range(len(ground.image))])
    edge = ground.rim(1.5, 0.0, seed + 2)
    light = 1 - (1 - how.light) * edge
    filled = _without_noon(ground, edge * smoothstep(np.asarray((0.5 - how.light) / 0.25)))
    lit = _lamps(ground, how, seed) * edge
    # The sky alone lights all sides alike.
    flatter = float(smoothstep(np.asarray((0.5 - how.light) / 0.25))) * (ground.parse is not None)
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        shift = {"red": -0.5 * how.blue_shift, "blue": 0.4 * how.blue_shift}.get(role, 0.0)
        tint = 1 + shift * edge
        surface = np.clip(ground.image[band] * filled[band], 0, None) ** GAMMA
        flat = 0.3 * edge * flatter
        surface = surface * (1 - flat) + float(np.median(surface)) * flat
        lamp = LAMP.get(role, 0.5) * lit * (0.15 + surface)
        signal = (surface * light * tint + lamp) * how.well_electrons
        spread = np.sqrt(signal + how.noise_electrons**2) * edge
        seen = np.clip(signal + spread * grain[band], 0, None) / how.well_electrons
        out[band] = np.where(edge > 0, seen ** (1 / GAMMA), ground.image[band])
    return out


def _without_noon(ground: Ground, amount: np.ndarray) -> np.ndarray:
    """The factor (C, H, W) on brightness that fills cast shadows up to what lies around them, band
    by band, since shadows are bluer than the ground."""
    if ground.parse is None:
        return np.ones(ground.image.shape, np.float32)
    # What may be one is filled too: a shadow of noon that is left gives an evening away.
    shadow = smoothstep((ground.cover.share("shadow") - 0.12) / 0.3)
    shadow = ndimage.gaussian_filter(shadow, max(0.5, 0.4 / max(ground.gsd_m, 0.05)))
    side = 2 * max(3, round(9 / max(ground.gsd_m, 0.05))) + 1
    clear = 1 - shadow
    weight = np.maximum(ndimage.uniform_filter(clear, side, mode="nearest"), 0.05)
    wide = max(1.0, 0.6 / max(ground.gsd_m, 0.05))
    out = np.ones(ground.image.shape, np.float32)
    for band, values in enumerate(ground.image):
        around = ndimage.uniform_filter(values * clear, side, mode="nearest") / weight
        here = ndimage.gaussian_filter(values, wide)
        lift = np.clip(0.75 * around / np.maximum(here, 0.03), 1.0, 3.5)
        out[band] += (lift - 1) * shadow * amount
    return out


def _lamps(ground: Ground, how: LowLight, seed: int) -> np.ndarray:
    """Light of lamps on the ground (H, W), as a share of daylight."""
    burns = how.lamps * float(smoothstep(np.asarray((LAMPS_FROM - how.light) / LAMPS_FROM)))
    none = np.zeros(ground.mask.shape, np.float32)
    if burns <= 0 or ground.parse is None:
        return none
    paved = ground.cover.sure("paved")
    points = _best_of_cells(ground, paved, LAMP_M, seed + 50)
    reach = LAMP_M / 4.5 / ground.gsd_m
    pools = ndimage.gaussian_filter(points.astype(np.float32), reach) * (2 * np.pi * reach**2)
    roofs = ground.cover.pieces("roof", 14.0, ground.gsd_m)
    eaves = (roofs > 0.5) & ~ndimage.binary_erosion(
        roofs > 0.5, iterations=max(1, round(0.8 / ground.gsd_m))
    )
    windows = _best_of_cells(ground, eaves.astype(np.float32), 7.0, seed + 60)
    # Not every room is lit, and none like the next.
    windows = windows * np.clip(2.4 * (gaussian(ground, seed + 61) * 0.3 - 0.1), 0, 1.5)
    wide = max(0.5, 0.7 / ground.gsd_m)
    panes = ndimage.gaussian_filter(windows.astype(np.float32), wide) * (2 * np.pi * wide**2)
    small = max(0.6, 1.1 / ground.gsd_m)
    cores = ndimage.gaussian_filter(points.astype(np.float32), small) * (2 * np.pi * small**2)
    glow = np.minimum(pools, 1.5) * (0.3 + 0.7 * paved) * 0.4 + np.minimum(cores, 1.0) * 1.2
    glow += np.minimum(panes, 1.2) * 0.25
    return np.asarray(burns * glow, np.float32)


def _best_of_cells(ground: Ground, wanted: np.ndarray, apart_m: float, seed: int) -> np.ndarray:
    """Single pixels (H, W, bool): in each cell of a lattice that is anchored to the raster the one
    where `wanted` (H, W) is most, none where it is nowhere over a half; of equals one at random."""
    cell = max(2, round(apart_m / ground.gsd_m))
    rows, cols = (
        start + np.arange(side)
        for start, side in zip(ground.origin, ground.mask.shape, strict=True)
    )
    across = int(cols[-1] // cell - cols[0] // cell) + 1
    number = (rows // cell - rows[0] // cell)[:, None] * across + (cols // cell - cols[0] // cell)
    score = np.where(wanted > 0.5, wanted + 0.6 * hashed(rows, cols, seed), 0)
    best = ndimage.maximum(score, number, np.arange(int(number.max()) + 1))
    return np.asarray((score > 0) & (score == np.asarray(best)[number]))
