"""Flood and burn scar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from .ground import Ground, sealed, shading, smoothstep, vegetation, water

# Tone of water against the scene's own median brightness, by role: muddy and clear.
MUDDY = {
    "red": 1.0,
    "green": 0.88,
    "blue": 0.66,
    "pan": 0.85,
    "nir": 0.16,
    "swir1": 0.05,
    "swir2": 0.03,
}
CLEAR = {
    "red": 0.34,
    "green": 0.44,
    "blue": 0.46,
    "pan": 0.4,
    "nir": 0.08,
    "swir1": 0.03,
    "swir2": 0.02,
}
# Tone of char and ash in display brightness.
CHAR = {
    "red": 0.13,
    "green": 0.115,
    "blue": 0.11,
    "pan": 0.12,
    "nir": 0.16,
    "swir1": 0.3,
    "swir2": 0.36,
}
ASH = {
    "red": 0.42,
    "green": 0.4,
    "blue": 0.39,
    "pan": 0.4,
    "nir": 0.32,
    "swir1": 0.42,
    "swir2": 0.44,
}


MUD_HIDES = 0.8
"""Share of the clarity that the brownest water has lost."""


EITHER = "either"
ZERO = "the elevation model's zero"
LOWEST = "the lowest ground"
"""What a water level may count from."""


@dataclass(frozen=True)
class Flood:
    """`level_m`: water level in the heights given with it, else the depth in the polygon's middle;
    `counts_from`: what those heights are counted from, for whoever brings them there; `clarity_m`:
    depth at which the ground has mostly gone in clear water; `mud` 0 clear ... 1 brown;
    `keep_tall`: roofs and crowns stay above water up to `object_height_m`."""

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
        "Of roofs and crowns above the ground: water that is deeper covers them too.",
        unit="m",
        minimum=0.0,
        maximum=100.0,
    )


def flood(ground: Ground, how: Flood, seed: int, elevation: np.ndarray | None = None) -> np.ndarray:
    """Water whose opacity grows with its depth, 1 - exp(-depth / clarity), with a soft irregular
    shore."""
    if elevation is not None:
        depth = np.where(np.isfinite(elevation), how.level_m - elevation, -1.0)
        depth = np.where(ground.mask, depth, -1.0)
    else:
        plain = ground.depth()
        deepest = float(plain[ground.mask].max()) if ground.mask.any() else 1.0
        shore_px = min(
            max(3.0, 6 / max(ground.gsd_m, 0.05)), 0.12 * deepest if deepest < 1e6 else 14.0
        )
        inside = ground.depth(
            min(max(shore_px, 0.18 * deepest), 40.0) if deepest < 1e6 else 0.0, seed
        )
        depth = how.level_m * smoothstep(inside / (2 * shore_px)) * (inside > 0)
    clarity_m = how.clarity_m * (1 - MUD_HIDES * how.mud)
    opacity = 1 - np.exp(-np.clip(depth, 0, None) / max(clarity_m, 1e-3))
    if how.keep_tall:
        above = tall(ground) * smoothstep((how.object_height_m - depth) / 0.6)
        opacity = opacity * (1 - above)
    already = water(ground)
    local = _local_water(ground, already)
    median = float(np.median(ground.luminance))
    ripple = (
        1
        + 0.05 * (ground.noise(25.0, seed + 1) - 0.5)
        + 0.04 * (ground.noise(3.0, seed + 2, 2) - 0.5)
    )
    shade = 1 + 0.25 * (np.clip(shading(ground, 31), 0.6, 1.3) - 1) * np.exp(
        -np.clip(depth, 0, None)
    )
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        tone = how.mud * MUDDY.get(role, 0.8) + (1 - how.mud) * CLEAR.get(role, 0.4)
        colour = median * tone if local is None else 0.2 * median * tone + 0.8 * local[band]
        surface = colour * ripple * shade
        amount = opacity * (1 - already * (1 - 0.7 * how.mud))
        out[band] = ground.image[band] * (1 - amount) + surface * amount
    return out


def _local_water(ground: Ground, already: np.ndarray) -> np.ndarray | None:
    """Tone of the water that is there, by band, where near infrared tells it surely."""
    sure = already > 0.9
    if ground.band("nir") is None or sure.mean() < 0.005:
        return None
    return np.median(ground.image[:, sure], axis=1)


SMALLEST_ROOF_M2 = 12.0
LEAST_COMPACT = 0.78
"""Small roofs are compact, see `_shapes`; patches of bare ground are ragged."""
ROOF_ROUGHNESS = (0.03, 0.085)
"""ProcessGroup of brightness within a roof; lawns are smoother, bare ground in fine imagery is
rougher."""
THINNEST_M = 2.4
"""Drives, walls and paths are thinner than roofs."""
COARSEST_OBJECTS_M = 2.0
"""At a coarser GSD roofs and crowns are a pixel or two, and nothing is kept above water."""


def tall(ground: Ground) -> np.ndarray:
    """Share of what probably stands up (H, W): rough green crowns, and compact things unlike their
    surroundings.

    A guess from one picture: long things (roads, ditches) are left out.
    """
    if ground.gsd_m > COARSEST_OBJECTS_M:
        return np.zeros(ground.mask.shape, np.float32)
    metre = 1 / max(ground.gsd_m, 0.05)
    sigma = max(0.7, 0.4 * metre)
    image = ndimage.gaussian_filter(ground.image, (0, sigma, sigma))
    around = ndimage.gaussian_filter(ground.image, (0, 9 * metre, 9 * metre))
    apart = np.abs(image - around).max(axis=0)
    odd = apart > max(1.1 * float(apart.std()) + 0.5 * float(apart.mean()), 0.06)
    odd = _opened(odd, max(1.0, THINNEST_M / 2 * metre))
    rough = ground.luminance - ndimage.uniform_filter(ground.luminance, 7)
    rough = np.sqrt(ndimage.uniform_filter(rough**2, 2 * round(1.5 * metre) + 1))
    parts, count = ndimage.label(odd)
    if count:
        darker = image.mean(axis=0) / np.maximum(around.mean(axis=0), 0.02)
        odd &= _like_roofs(parts, count, rough, darker, ground.gsd_m)[parts]
    crowns = smoothstep((vegetation(ground) - 0.35) / 0.3) * smoothstep((rough - 0.035) / 0.03)
    crowns = ndimage.gaussian_filter(crowns, sigma)
    return np.maximum(
        ndimage.gaussian_filter(odd.astype(np.float32), 0.7), smoothstep((crowns - 0.25) / 0.3)
    )


def _opened(mask: np.ndarray, radius_px: float) -> np.ndarray:
    """Morphological opening by a disc: without what is thinner than twice the radius."""
    core = ndimage.distance_transform_edt(mask) > radius_px
    return mask & (ndimage.distance_transform_edt(~core) <= radius_px) if core.any() else core


def _like_roofs(
    parts: np.ndarray, count: int, rough: np.ndarray, darker: np.ndarray, gsd_m: float
) -> np.ndarray:
    """Which parts (0 ... count) could be roofs: compact, neither smooth as lawn nor rough as bare
    ground, no shadow."""
    numbers = np.arange(count + 1)
    area, thick, compact = _shapes(parts, numbers)
    square_m = area * gsd_m**2
    keep = (area / (4 * thick**2) < 6) & (square_m > SMALLEST_ROOF_M2) & (square_m < 1500)
    # A large roof has wings and a drive; what is small and bent is a bush or a stain.
    keep &= compact > np.where(square_m > 100, 0.5, LEAST_COMPACT)
    texture = ndimage.mean(rough, parts, numbers)
    keep &= (texture > ROOF_ROUGHNESS[0]) & (texture < ROOF_ROUGHNESS[1])
    shade = ndimage.mean(darker, parts, numbers) < 0.75
    keep &= ~shade | ((square_m > 60) & (compact > 0.85))
    keep[0] = False
    return keep


def _shapes(parts: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Area and greatest depth of each part in pixels, and its area over that of the ellipse with
    its moments: 1 for an ellipse, 0.95 for any rectangle, less for what is ragged or bent."""
    area = np.bincount(parts.ravel(), minlength=len(numbers)).astype(float)
    thick = np.maximum(
        ndimage.maximum(ndimage.distance_transform_edt(parts > 0), parts, numbers), 1
    )
    rows, cols = np.indices(parts.shape, np.float32)
    row, col = (ndimage.mean(axis, parts, numbers) for axis in (rows, cols))
    down = rows - row[parts]
    right = cols - col[parts]
    vertical, across, both = (
        ndimage.mean(product, parts, numbers) for product in (down**2, right**2, down * right)
    )
    spread = np.sqrt(np.maximum(vertical * across - both**2, 1e-6))
    return area, thick, area / (4 * np.pi * spread)


@dataclass(frozen=True)
class Burn:
    """`severity` 0 ... 1; `patch_m`: size of unburned patches; `ash` 0 ... 1: pale share of what
    burned."""

    severity: float = option(
        "Severity", 0.7, "0 singed, 1 burnt to the ground.", minimum=0.0, maximum=1.0
    )
    patch_m: float = option(
        "Size of patches",
        40.0,
        "Width on the ground of what burnt alike.",
        unit="m",
        minimum=0.5,
        maximum=5000.0,
    )
    ash: float = option(
        "Ash", 0.25, "Share of the burnt ground that is pale with ash.", minimum=0.0, maximum=1.0
    )


def burn(ground: Ground, how: Burn, seed: int) -> np.ndarray:
    """Vegetation mixed with char and ash, fractal unburned patches, water and sealed ground
    spared."""
    edge_px = min(max(4.0, 5 / max(ground.gsd_m, 0.05)), 24.0)
    inside = smoothstep(ground.depth(2 * edge_px, seed) / 4.0) * ground.mask
    patches = 0.65 * ground.noise(how.patch_m, seed + 1) + 0.35 * ground.noise(
        how.patch_m / 5, seed + 2
    )
    burned = smoothstep((how.severity * 1.5 - 0.4 + 1.2 * (patches - 0.5)) / 0.3)
    fuel = np.clip(1 - 0.85 * sealed(ground), 0.12, 1) * (1 - water(ground))
    amount = np.clip(burned * fuel * inside * (0.5 + 0.45 * how.severity), 0, 0.9)
    fine = ground.noise(max(2.5 * ground.gsd_m, 1.5), seed + 3, 2)
    pale = smoothstep(
        (ground.noise(how.patch_m / 3, seed + 4) + 0.25 * (fine - 0.5) - (1 - how.ash)) / 0.2
    )
    pale = pale * (0.5 + 0.5 * how.severity)
    relief = shading(ground, 15) ** 1.1 * (1 + 0.25 * (fine - 0.5))
    brown = 0.08 * (1 - how.severity) * vegetation(ground)
    out = ground.image.copy()
    for band, role in enumerate(ground.roles):
        scorched = CHAR.get(role, 0.15) * (1 - pale) + ASH.get(role, 0.4) * pale
        if role in ("red", "green"):
            scorched = scorched + brown * (0.5 if role == "green" else 1.0)
        out[band] = ground.image[band] * (1 - amount) + scorched * relief * amount
    return out
