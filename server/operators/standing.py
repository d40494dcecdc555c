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
COARSEST_TOWN_M = 20.0
STREETS_M = 80.0
STREETS = (0.03, 0.09)
"""At a coarser GSD a pixel holds roofs, streets and gardens alike; how far around a town's pixel
streets are looked for, and the share of paved ground there from which on they are."""
ON_ROOFS_M = 3.5
SHADOW_TO_M = 8.0
"""Shadows of houses are narrower; what is dark and wider is a dark roof or lies in the shadow of
something tall, and in either there is no water to be seen."""
GLEAMING = 1.3
LEAST_GLEAM = 0.65
GANGWAY_M2 = (3.0, 250.0)
"""Times bright ground in the light, and of 1, from which something is brighter than ground is; and
how small and large such a thing is."""
HOUSES_M, HOUSES_DIFFER = 12.0, 0.3
"""Distance over which heights of houses differ, and by how much of the usual one."""
PITCH, HIGHEST_RIDGE_M, WIDEST_PITCHED_M = 0.4, 2.2, 8.0
OVERHANG_M = 0.5
"""Rise of a roof, metres a metre, from so far inside its outline; how far it rises at most, and
half the width from which on a roof is flat."""
SCRAP = 0.3
"""Share of a roof below which what stands out of the water is not shown."""
TALL_AS_WIDE = 1.2
SURELY_PAVED, FAINTER = 0.9, 0.8
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
        sealed = ground.cover.sure("paved")
        return np.asarray(np.maximum(TOWN[0] * sealed, TOWN[1] * _town(ground)))
    cover = ground.cover
    above = smoothstep((object_height_m - depth) / 0.6)
    roofs = _houses(ground, object_height_m, depth)
    crowns = cover.sure("tree") * smoothstep((2 * object_height_m - depth) / 2.0)
    crowns = crowns * _taller_than(ground, depth)
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


def _houses(ground: Ground, object_height_m: float, depth: np.ndarray) -> np.ndarray:
    """Roofs (H, W) in [0, 1] that are higher than the water, each as a whole: houses are not all
    of one height."""
    roofs = ground.cover.pieces("roof", 14.0, ground.gsd_m)
    parts, count = ndimage.label(roofs > 0.3)
    if not count:
        return roofs
    numbers = np.arange(count + 1)
    chance = ndimage.mean(ground.noise(HOUSES_M, 77, 1), parts, numbers)
    height = object_height_m * (1 + HOUSES_DIFFER * (2 * np.asarray(chance) - 1))
    # A house that the polygon's edge cuts through stands in the water that is there.
    wet = np.where(ground.mask, parts, 0).ravel()
    area = np.bincount(wet, minlength=count + 1)
    deep = np.bincount(wet, depth.ravel(), minlength=count + 1) / np.maximum(area, 1)
    above = height - deep
    above[0] = -1.0
    near = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    stands = smoothstep((above[parts[near[0], near[1]]] + _pitch(parts, ground.gsd_m)) / 0.3)
    # Of a house whose ridge alone would show, a scrap of it is no house.
    left = np.asarray(ndimage.mean(stands > 0.5, parts, numbers))
    shown = (left > SCRAP) & (numbers > 0)
    return np.asarray(roofs * stands * shown[parts[near[0], near[1]]], np.float32)


def _pitch(parts: np.ndarray, gsd_m: float) -> np.ndarray:
    """How much higher than its eaves a roof is (H, W), in metres: it rises from all sides. What is
    wider than houses are is flat. `parts`: numbers of roofs (H, W), 0 beside them."""
    inwards = ndimage.distance_transform_edt(parts) * gsd_m
    widest = np.asarray(ndimage.maximum(inwards, parts, np.arange(int(parts.max()) + 1)))
    pitched = (widest <= WIDEST_PITCHED_M)[parts]
    rise = np.minimum(PITCH * np.maximum(inwards - OVERHANG_M, 0), HIGHEST_RIDGE_M)
    return np.asarray(rise * pitched, np.float32)


def _taller_than(ground: Ground, depth: np.ndarray) -> np.ndarray:
    """Crowns (H, W) in [0, 1] that are taller than the water is deep: shrubs and hedges are about
    as tall as they are wide."""
    there = ground.mask & (depth > 0)
    if not there.any():
        return np.ones(depth.shape, np.float32)
    level = float(np.percentile(depth[there], 90))
    width = level / TALL_AS_WIDE / ground.gsd_m
    if width < 3:
        return np.ones(depth.shape, np.float32)
    crowns = ground.cover.share("tree") > 0.4
    return np.maximum(wide(crowns, width), (~crowns).astype(np.float32))


def _gleaming(ground: Ground, roofs: np.ndarray, around: int) -> np.ndarray:
    """What is brighter than any lit ground and joined to two roofs (H, W, bool) by `around` pixels
    at most, in [0, 1]: gangways, pipes and conveyors between tanks."""
    lit = ground.cover.share("paved", "bare", "low") > 0.6
    if not roofs.any() or lit.sum() < 50:
        return np.zeros(roofs.shape, np.float32)
    seen = [i for i in range(len(ground.image)) if ground.band_is_colour(i)]
    white = ground.image[seen or slice(None)].min(axis=0)  # sand is bright, but yellow
    least = max(GLEAMING * float(np.percentile(white[lit], 90)), LEAST_GLEAM)
    bright = (white > least) & ~roofs
    bright &= touching(bright, ndimage.binary_dilation(roofs, iterations=around))
    # What the user's own layers, or the colours for sure, say is paved is a drive or a yard.
    bright &= ground.cover.share("paved") < SURELY_PAVED
    parts, count = ndimage.label(bright)
    bright &= _joining(parts, roofs, around)[parts]
    area = np.bincount(parts.ravel(), minlength=count + 1) * ground.gsd_m**2
    least_m2, most_m2 = GANGWAY_M2
    small = bright & ((area >= least_m2) & (area <= most_m2))[parts]
    # A conveyor is no brighter than its shadowed stretches all along.
    fainter = (white > FAINTER * least) & ~roofs & (ground.cover.share("paved") < SURELY_PAVED)
    near = ndimage.binary_dilation(small, iterations=2 * around)
    small = ndimage.binary_propagation(small, mask=small | (fainter & near))
    return np.asarray(ndimage.gaussian_filter(small.astype(np.float32), 0.6), np.float32)


def _joining(parts: np.ndarray, roofs: np.ndarray, around: int) -> np.ndarray:
    """Which connected parts (numbers, H, W) lie within `around` pixels of two roofs or more."""
    names, _ = ndimage.label(roofs)
    near = ndimage.grey_dilation(names, footprint=np.ones((2 * around + 1, 2 * around + 1)))
    far = -ndimage.grey_dilation(
        np.where(names > 0, -names, -names.max() - 1),
        footprint=np.ones((2 * around + 1, 2 * around + 1)),
    )
    numbers = np.arange(int(parts.max()) + 1)
    high = np.atleast_1d(ndimage.maximum(near, parts, numbers))
    low = np.atleast_1d(ndimage.minimum(far, parts, numbers))
    return (high > 0) & (low < high)


def _town(ground: Ground) -> np.ndarray:
    """Where a town is (H, W) in [0, 1], whatever its roofs are of: paved or, as clay is taken for,
    bare ground that is rough as roofs are, with streets about, which rocks and ploughed fields
    have not."""
    if ground.gsd_m > COARSEST_TOWN_M:
        return np.zeros(ground.mask.shape, np.float32)
    clay = smoothstep(2 * ground.cover.share("paved", "bare") - 0.4)
    streets = ndimage.gaussian_filter(ground.cover.share("paved"), STREETS_M / ground.gsd_m)
    about = smoothstep((streets - STREETS[0]) / (STREETS[1] - STREETS[0]))
    return np.asarray(_built(ground) * clay * about)


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
