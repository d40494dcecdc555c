"""Fog and haze."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from .ground import Ground
from .light import grain

AIRLIGHT = {"red": 0.86, "green": 0.88, "blue": 0.91, "nir": 0.84, "swir1": 0.6, "swir2": 0.5}

BANK_M = 14.0
"""Over which a bank of fog thins at the polygon's rim."""


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
        "Patchiness", 0.35, "0 one even layer, 1 torn into swaths.", minimum=0.0, maximum=1.0
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
    depth = depth * ground.rim(BANK_M, 0.6, seed + 1)
    glow = 1 + 0.03 * (ground.noise(2.5 * how.patch_m, seed + 2) - 0.5)
    out = ground.image.copy()
    # Haze hides the ground's grain, and the camera's own stays.
    specks = grain(ground, seed + 9)
    for band, role in enumerate(ground.roles):
        # Droplets scatter all visible light alike; longer waves reach a little deeper.
        share = {"nir": 0.9, "swir1": 0.6, "swir2": 0.5}.get(role, 1.0)
        clear = np.exp(-share * depth)
        out[band] = ground.image[band] * clear + airlight.get(role, 0.88) * glow * (1 - clear)
        out[band] += specks[band] * np.sqrt(np.clip(1 - clear**2, 0, 1))
    return out
