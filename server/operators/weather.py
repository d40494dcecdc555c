"""Fog, snow and low light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from .ground import Ground, hashed, shading, smoothstep, vegetation, water

AIRLIGHT = {"red": 0.86, "green": 0.88, "blue": 0.91, "nir": 0.84, "swir1": 0.6, "swir2": 0.5}
SNOW = {"red": 0.93, "green": 0.94, "blue": 0.97, "nir": 0.86, "swir1": 0.14, "swir2": 0.09}


@dataclass(frozen=True)
class Fog:
    """`visibility_m`: meteorological visibility; `thickness_m`: of the layer looked through;
    `patchiness` 0 ... 1; `patch_m`: size of its swaths."""

    visibility_m: float = option(
        "Visibility",
        250.0,
        "How far one sees through the fog: light falls to 2 per cent over it.",
        unit="m",
        minimum=10.0,
        maximum=20000.0,
    )
    thickness_m: float = option(
        "Thickness of the layer",
        60.0,
        "Height of the fog above the ground.",
        unit="m",
        minimum=1.0,
        maximum=2000.0,
    )
    patchiness: float = option(
        "Patchiness", 0.6, "0 one even layer, 1 torn into swaths.", minimum=0.0, maximum=1.0
    )
    patch_m: float = option(
        "Size of swaths",
        120.0,
        "Width of a swath on the ground.",
        unit="m",
        minimum=1.0,
        maximum=20000.0,
    )


@dataclass(frozen=True)
class Seen:
    """A real fog, found in a picture. `depth` (H, W): its optical depth, 0 where it is clear.
    `airlight`: the fog's own brightness by role of the band, in the picture's units (about [0,
    1])."""

    depth: np.ndarray
    airlight: dict[str, float]


KEPT_HAZE = 0.95
"""Share of the dark channel that counts as haze, so that the far does not look flat (He et al.
2011, omega)."""


def estimated(image: np.ndarray, roles: tuple[str, ...], gsd_m: float) -> Seen:
    """The fog in a picture (C, H, W) by its dark channel (He, Sun and Tang 2011, eq. 5, 11 and 12).

    In clear weather something within some metres is dark in one of the colours; what is not is
    taken for fog. The light of the fog is the mean where the dark channel is brightest (0.1 %).
    White roofs and snow are taken for fog too.
    """
    side = max(3, min(2 * round(6 / max(gsd_m, 0.05)) + 1, min(image.shape[1:]) // 4 * 2 + 1))
    seen = [i for i, role in enumerate(roles) if role in ("red", "green", "blue")] or list(
        range(len(roles))
    )
    dark = ndimage.minimum_filter(image[seen].min(axis=0), side)
    brightest = (
        dark >= np.partition(dark.ravel(), -max(1, dark.size // 1000))[-max(1, dark.size // 1000)]
    )
    light = np.maximum(image[:, brightest].mean(axis=1), 0.05)
    haze = ndimage.minimum_filter((image[seen] / light[seen, None, None]).min(axis=0), side)
    depth = -np.log(np.clip(1 - KEPT_HAZE * haze, 0.03, 1))
    return Seen(
        ndimage.gaussian_filter(depth, side / 2),
        {role: float(light[i]) for i, role in enumerate(roles) if role},
    )


def fog(
    ground: Ground,
    how: Fog,
    seed: int,
    elevation: np.ndarray | None = None,
    seen: Seen | None = None,
) -> np.ndarray:
    """Koschmieder's law, I = J t + A (1 - t), with t = exp(-3.912 / visibility * thickness *
    density).

    Where `elevation` (H, W; metres) is known, the layer fills what is lower than its thickness
    above the mask's lowest ground; where a real fog's `seen` is (see `estimated`), its depth takes
    the place of visibility, thickness and swaths.
    """
    airlight = AIRLIGHT
    if seen is None:
        swaths = ground.noise(how.patch_m, seed)
        density = np.clip(1 + how.patchiness * (2.4 * swaths - 1.2), 0.05, None)
        depth = 3.912 / how.visibility_m * how.thickness_m * density
    else:
        height, width = ground.mask.shape
        down, across = (
            math.ceil(length / have)
            for length, have in zip((height, width), seen.depth.shape, strict=True)
        )
        row = np.concatenate([seen.depth[:, :: 1 - 2 * (n % 2)] for n in range(across)], axis=1)
        depth = np.concatenate([row[:: 1 - 2 * (n % 2)] for n in range(down)])[:height, :width]
        airlight = {**AIRLIGHT, **seen.airlight}
    if elevation is not None:
        lowest = (
            float(np.nanpercentile(elevation[ground.mask], 2))
            if np.isfinite(elevation[ground.mask]).any()
            else 0.0
        )
        depth = depth * np.clip(
            (lowest + how.thickness_m - np.nan_to_num(elevation, nan=lowest)) / how.thickness_m,
            0,
            1,
        )
    depth = depth * ground.ramp(0.5, 6, seed + 1)
    glow = 1 + 0.03 * (ground.noise(2.5 * how.patch_m, seed + 2) - 0.5)
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        # Droplets scatter all visible light alike; longer waves reach a little deeper.
        share = {"nir": 0.9, "swir1": 0.6, "swir2": 0.5}.get(role, 1.0)
        clear = np.exp(-share * depth)
        out[band] = ground.image[band] * clear + airlight.get(role, 0.88) * glow * (1 - clear)
    return out


@dataclass(frozen=True)
class Snow:
    """`cover` 0 ... 1: share of the ground; `depth_cm`: thin snow lets ground and shade through."""

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
    keep_water: bool = option(
        "Open water stays open", True, "Off: it is frozen over, with snow on it."
    )


def snow(ground: Ground, how: Snow, seed: int) -> np.ndarray:
    """Bright cover that keeps light and shade, thinner on steep edges, tree crowns and open
    water."""
    luminance = ground.luminance
    steep = np.hypot(ndimage.sobel(luminance, 0), ndimage.sobel(luminance, 1)) / 8
    steep = smoothstep(ndimage.uniform_filter(steep, 3) / 0.12)
    mean = ndimage.uniform_filter(
        luminance, max(3, int(6 / max(ground.gsd_m, 0.05)) | 1), mode="nearest"
    )
    shadow = smoothstep((0.75 * mean - luminance) / 0.15)
    crowns = vegetation(ground) * smoothstep(steep * 1.5)
    woody = luminance - ndimage.uniform_filter(luminance, 7, mode="nearest")
    woody = smoothstep((-woody - 0.015) / 0.06)
    # Below a few decimetres single twigs and pebbles would speckle the cover.
    fine_px = 0.25 / max(ground.gsd_m, 0.02)
    if fine_px > 0.8:
        steep, crowns, shadow, woody = (
            ndimage.gaussian_filter(cue, fine_px) for cue in (steep, crowns, shadow, woody)
        )
    # In pixels of some metres there are no eaves and twigs, and what is dark is another field.
    near = float(np.exp(-ground.gsd_m / 3.0))
    patches = 0.6 * ground.noise(how.drift_m, seed) + 0.4 * ground.noise(6 * how.drift_m, seed + 1)
    hidden = 0.12 * steep + 0.3 * crowns + 0.35 * shadow + 0.4 * woody
    likely = how.cover * 1.25 - near * hidden + 0.5 * (patches - 0.5)
    edge = ground.ramp(0.12, 3, seed + 2)
    amount = smoothstep((likely - 0.5 * (1 - edge) - 0.15) / 0.6) * (edge > 0)
    amount *= 1 - np.exp(-how.depth_cm / 5.0)
    if how.keep_water:
        amount *= 1 - water(ground)
    relief = np.clip(shading(ground, 11), 0.55, 1.25)
    # Snow fills fine relief: the deeper, the smoother.
    # In coarse pixels what looks like relief is mostly the colour of fields, which snow hides.
    relief = 1 + (relief - 1) * (0.35 + 0.65 * np.exp(-how.depth_cm / 15.0)) * near
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        white = SNOW.get(role, 0.93)
        tint = 1 - 0.22 * shadow * (0.6 if role == "blue" else 1.0)
        out[band] = (
            ground.image[band] * (1 - amount) + np.minimum(white * relief * tint, 1.0) * amount
        )
    return out


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
        6000.0,
        "Fewer make a grainier night.",
        unit="electrons",
        minimum=50.0,
        maximum=1e6,
    )
    noise_electrons: float = option(
        "Read noise",
        6.0,
        "The sensor's own noise, which shows where it is dark.",
        unit="electrons",
        minimum=0.0,
        maximum=500.0,
    )
    blue_shift: float = option(
        "Blue shift", 0.25, "0 the colours of day, 1 those of late dusk.", minimum=0.0, maximum=1.0
    )


def low_light(ground: Ground, how: LowLight, seed: int) -> np.ndarray:
    """Less light on the sensor in linear units, shot and read noise, encoded again with gamma
    2.2."""
    gamma = 2.2
    grain = np.stack([_gaussian(ground, seed + 31 * band) for band in range(len(ground.image))])
    edge = ground.ramp(0.08, 2, seed + 2)
    light = 1 - (1 - how.light) * edge
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        shift = {"red": -0.5 * how.blue_shift, "blue": 0.4 * how.blue_shift}.get(role, 0.0)
        tint = 1 + shift * edge
        signal = np.clip(ground.image[band], 0, None) ** gamma * light * tint * how.well_electrons
        spread = np.sqrt(signal + how.noise_electrons**2) * edge
        lit = np.clip(signal + spread * grain[band], 0, None) / how.well_electrons
        out[band] = np.where(edge > 0, lit ** (1 / gamma), ground.image[band])
    return out


def _gaussian(ground: Ground, seed: int) -> np.ndarray:
    """White Gaussian noise anchored to the raster's pixels: the sum of twelve hashed uniforms, less
    six."""
    rows = ground.origin[0] + np.arange(ground.mask.shape[0])
    cols = ground.origin[1] + np.arange(ground.mask.shape[1])
    return np.sum([hashed(rows, cols, seed * 101 + k) for k in range(12)], axis=0) - 6.0
