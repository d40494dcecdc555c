"""What stands out of a flood: roofs, crowns, cars, gangways, and from afar towns."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..scene.rules import smoothstep
from .ground import Ground

CAR_M = 1.5
TOWN = (0.15, 0.7)
TOWN_ROUGH = 0.05
"""Share of roofs and banks in a pixel that is larger than they are: on open ground, and where
neighbours differ as they do in a town, by a standard deviation of brightness."""
ON_ROOFS_M = 3.5
SHADOW_TO_M = 8.0
"""Shadows of houses are narrower; what is dark and wider is a dark roof or lies in the shadow of
something tall, and in either there is no water to be seen."""
GLEAMING = 1.3
LEAST_GLEAM = 0.65
GANGWAY_M2 = (3.0, 250.0)
"""Times bright ground in the light, and of 1, from which something is brighter than ground is; and
how small and large such a thing is."""
COARSEST_OBJECTS_M = 2.0
"""At a coarser GSD roofs and crowns are a pixel or two, and nothing is kept above water."""


def standing(ground: Ground, object_height_m: float, depth: np.ndarray) -> np.ndarray:
    """What stands above the water (H, W) in [0, 1]: roofs as whole pieces, crowns, and of cars what
    is higher than the water is deep. `object_height_m`: of roofs and crowns above the ground;
    `depth` (H, W): of the water in metres."""
    if ground.parse is None:
        return np.zeros(ground.mask.shape, np.float32)
    if ground.gsd_m > COARSEST_OBJECTS_M:
        # Towns and banks of roads show between the water in pixels that hold both.
        # Of roofs of clay bare ground alone has the colour, but not the roughness.
        sealed, clay = ground.cover.sure("paved"), ground.cover.share("paved", "bare")
        built = _built(ground)
        return np.asarray(
            np.maximum(TOWN[0] * sealed, TOWN[1] * built * smoothstep(2 * clay - 0.4))
        )
    cover = ground.cover
    above = smoothstep((object_height_m - depth) / 0.6)
    roofs = cover.pieces("roof", 14.0, ground.gsd_m) * above
    crowns = cover.sure("tree") * smoothstep((2 * object_height_m - depth) / 2.0)
    # Leafless crowns and thin edges let the water show.
    dense = smoothstep((ground.luminance - 0.08) / 0.1) * 0.1 + 0.86
    cars = cover.sure("vehicle") * smoothstep((CAR_M - depth) / 0.9)
    # What stands on a dark roof, vents and stairs, is a part of it.
    around = max(1, round(ON_ROOFS_M / 2 / ground.gsd_m))
    dark = np.pad(cover.share("shadow") > 0.5, around, mode="edge")
    dark = ndimage.binary_closing(dark, iterations=around)[around:-around, around:-around]
    dark = wide(dark, SHADOW_TO_M / ground.gsd_m)
    # Dark soil and ponds are taken for shadow, too, but lie beside no house.
    beside = ndimage.binary_dilation(roofs > 0.5, iterations=around)
    dark = dark * touching(dark > 0.1, beside) * above
    built = _gleaming(ground, np.maximum(roofs, dark) > 0.5, around) * above
    return np.asarray(np.maximum.reduce([roofs, crowns * dense, cars, dark, built]), np.float32)


def _gleaming(ground: Ground, roofs: np.ndarray, around: int) -> np.ndarray:
    """What is brighter than any lit ground and joined to a roof (H, W, bool) by `around` pixels at
    most, in [0, 1]: gangways, pipes and conveyors between tanks."""
    lit = ground.cover.share("paved", "bare", "low") > 0.6
    if not roofs.any() or lit.sum() < 50:
        return np.zeros(roofs.shape, np.float32)
    seen = [i for i in range(len(ground.image)) if ground.band_is_colour(i)]
    white = ground.image[seen or slice(None)].min(axis=0)  # sand is bright, but yellow
    least = max(GLEAMING * float(np.percentile(white[lit], 90)), LEAST_GLEAM)
    bright = (white > least) & ~roofs
    bright &= touching(bright, ndimage.binary_dilation(roofs, iterations=around))
    parts, count = ndimage.label(bright)
    area = np.bincount(parts.ravel(), minlength=count + 1) * ground.gsd_m**2
    least_m2, most_m2 = GANGWAY_M2
    small = bright & ((area >= least_m2) & (area <= most_m2))[parts]
    return np.asarray(ndimage.gaussian_filter(small.astype(np.float32), 0.6), np.float32)


def _built(ground: Ground) -> np.ndarray:
    """Where pixels differ from their neighbours (H, W), 0 ... 1, as roofs and streets do and
    fields do not."""
    light = ground.luminance
    mean = ndimage.uniform_filter(light, 5, mode="nearest")
    square = ndimage.uniform_filter(light * light, 5, mode="nearest")
    rough = np.sqrt(np.maximum(square - mean * mean, 0))
    return smoothstep((ndimage.gaussian_filter(rough, 2) - TOWN_ROUGH) / TOWN_ROUGH)


def touching(where: np.ndarray, what: np.ndarray) -> np.ndarray:
    """The connected parts of it (H, W, bool) that what is asked for (H, W, bool) reaches."""
    parts, _ = ndimage.label(where)
    reached = np.unique(parts[what & where])
    return np.isin(parts, reached[reached > 0])


def wide(where: np.ndarray, width_px: float) -> np.ndarray:
    """The part of it (H, W, bool) that a disc of this width fits into, with softened edges."""
    core = ndimage.distance_transform_edt(np.pad(where, 1, mode="edge"))[1:-1, 1:-1] > width_px / 2
    if not core.any():
        return np.zeros(where.shape, np.float32)
    whole = where & (ndimage.distance_transform_edt(~core) <= width_px / 2 + 1)
    return np.asarray(ndimage.gaussian_filter(whole.astype(np.float32), 0.6))
