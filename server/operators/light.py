"""Light and grain of a scene, for what is put into it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..scene.rules import smoothstep
from .ground import Ground, hashed

CALM = 4.0
"""Percentile of local roughness that is taken for grain alone."""
CALMEST = 1.0
EVEN = 1.3
STEADY = 1.9
"""Grain alone is much the same everywhere: where the calm is rougher than the calmest by more than
the first, it is texture in part, and by more than the second, no ground is calm."""
USUAL = 0.0045
STRONG = 1.25
"""Grain of aerial pictures is hardly stronger; what is, is believed as far as the calmest ground
shows it."""
WINDOW_PX = 7
GENTLE = 0.92
"""Even noise looks stronger than that of a picture, whose calmest ground is calmer than most."""
VEIL = 0.8
"""Share of the darkest that is air; the rest is the dark thing itself."""
PLAIN = 0.06
THICK = 0.5
DARK = 0.002
"""How bright air is at most where nothing dark is seen in the picture, since what is darkest there
is the ground itself; and where something is; and which share of the picture that has to be."""
SEEN_PX = 50
SEEN = 0.01
"""How much of a class has to be seen for its brightness to tell the light."""
WIDTH_PX = 0.55
"""Blur of the grain: cameras, compression and resampling leave neighbours alike."""


def rough(band: np.ndarray) -> np.ndarray:
    """Standard deviation (H, W) of what differs from the mean of the four neighbours, around each
    pixel."""
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
    apart = band - ndimage.convolve(band, cross, mode="nearest")
    return np.sqrt(np.maximum(ndimage.uniform_filter(apart**2, WINDOW_PX, mode="nearest"), 0))


def grain_of(ground: Ground) -> np.ndarray:
    """How strong the grain of each band is (C,), by its calmest ground outside the mask; of all
    where nothing is outside."""
    outside = ~ground.mask
    where = outside if outside.mean() > 0.05 else np.ones_like(outside)
    found = []
    for band in ground.image:
        here = rough(band)[where]
        # What is the same to the last bit was filled in where there is no data.
        here = here[here > 1e-7]
        if not here.size:
            found.append(0.0)
            continue
        calmest, calm = (float(value) for value in np.percentile(here, (CALMEST, CALM)))
        rougher = calm / max(calmest, 1e-9)
        texture = float(smoothstep(np.asarray((rougher - EVEN) / (STEADY - EVEN))))
        strength = min(calm, calmest * (STEADY - 0.5 * texture))
        most = STRONG * calmest * (1 - texture) + USUAL * texture
        found.append(min(strength, max(USUAL, most)))
    return np.array(found, np.float32)


def grain(ground: Ground, seed: int) -> np.ndarray:
    """Noise (C, H, W) like the scene's own, partly alike in all bands, anchored to the raster."""
    strength = grain_of(ground)
    shared = _unit(ground, seed)
    out = np.empty_like(ground.image)
    for band, wanted in enumerate(strength):
        own = _unit(ground, seed + 17 * (band + 1))
        noise = 0.97 * shared + 0.24 * own
        have = float(np.percentile(rough(noise), CALM))
        out[band] = noise * (GENTLE * wanted / max(have, 1e-6))
    return out


def _unit(ground: Ground, seed: int) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(gaussian(ground, seed), WIDTH_PX, mode="wrap"))


def gaussian(ground: Ground, seed: int) -> np.ndarray:
    """White Gaussian noise (H, W) anchored to the raster's pixels: the sum of twelve hashed
    uniforms, less six."""
    rows = ground.origin[0] + np.arange(ground.mask.shape[0])
    cols = ground.origin[1] + np.arange(ground.mask.shape[1])
    return np.asarray(np.sum([hashed(rows, cols, seed * 101 + k) for k in range(12)], axis=0) - 6.0)


def exposure(ground: Ground) -> float:
    """How bright the scene is beside a picture of middling exposure, haze taken off."""
    haze = haze_of(ground)
    median = (float(np.median(ground.luminance)) - haze) / (1 - haze)
    return float(np.clip(median / 0.38, 0.55, 1.5))


def haze_of(ground: Ground) -> float:
    """How much light haze adds beside the air of a clear picture: none that falls on the ground."""
    seen = [veil(ground, band) for band in range(len(ground.image)) if ground.band_is_colour(band)]
    return max(float(np.mean(seen)) - PLAIN, 0.0) if seen else 0.0


def brightness(ground: Ground, middling: float) -> float:
    """How bright the light is, by what lies in it, beside a picture in which the mean of grass and
    streets is `middling`; by `exposure` where they are not both seen. A picture of roofs and
    asphalt is bright without more light."""
    found = []
    for names in (("low", "tree"), ("paved", "bare")):
        here = ground.cover.share(*names) > 0.7
        if here.sum() < max(SEEN_PX, SEEN * here.size):
            return exposure(ground)
        found.append(float(np.median(ground.luminance[here])))
    haze = haze_of(ground)
    grass, street = (max((one - haze) / (1 - haze), 0.02) for one in found)
    return float(np.clip(np.sqrt(grass * street) / middling, 0.6, 1.6))


def veil(ground: Ground, band: int) -> float:
    """How much light the air itself adds in a band of a picture from near: shadows and water tell,
    where there are any, by what is darkest. 0 in bands that eyes do not see, and from afar."""
    if not ground.band_is_colour(band):
        return 0.0
    near = float(np.exp(-ground.gsd_m / 3.0))
    darkest = float(ground.darkest[band])
    if "blue" in ground.roles:  # air scatters no other light more than blue
        darkest = min(darkest, float(ground.darkest[ground.roles.index("blue")]))
    seen = ground.parse is not None and ground.dark >= DARK
    return near * min(VEIL * darkest, THICK if seen else PLAIN)


def aired(ground: Ground, band: int, tone: np.ndarray | float) -> np.ndarray | float:
    """A tone as it looks through the air of the picture: dark things paler, colours duller."""
    air = veil(ground, band)
    return air + tone * (1 - air)


def smooth(band: np.ndarray, radius_px: int, edge: float) -> np.ndarray:
    """A band without its texture, edges stronger than `edge` kept (self-guided filter, He, Sun and
    Tang 2013)."""
    side = 2 * max(1, radius_px) + 1
    mean = ndimage.uniform_filter(band, side, mode="nearest")
    spread = np.maximum(ndimage.uniform_filter(band * band, side, mode="nearest") - mean * mean, 0)
    slope = spread / (spread + edge * edge)
    level = mean * (1 - slope)
    return np.asarray(
        ndimage.uniform_filter(slope, side, mode="nearest") * band
        + ndimage.uniform_filter(level, side, mode="nearest"),
        np.float32,
    )
