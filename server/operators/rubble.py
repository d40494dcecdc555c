"""What is left where a building stood: heaps, panels, walls."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..scene.evidence import shifted, towards
from ..scene.rules import smoothstep
from . import debris
from .buildings import DESTROYED, SWEPT, Buildings, axis_of
from .ground import Ground, hashed
from .light import aired, brightness, veil

WALLS_TO_M = 0.8
WALL_M = 0.4
ROOM_M = 5.0
"""Ground size down from which walls are seen, how thick they are, and how far apart."""


def heaps(ground: Ground, image: np.ndarray, stone: bool, hit: Buildings, seed: int) -> np.ndarray:
    """What is left where buildings stood: broken material in the tones of their own roofs, dust and
    gaps; a floor, of those that were swept away. `stone`: heaps of stone and concrete, not of
    boards."""
    out = image.copy()
    gone = hit.are(DESTROYED)
    ragged = (ground.noise(2.5, seed + 2, 2) - 0.5) * 2.2 / max(ground.gsd_m, 0.05)
    far = ndimage.distance_transform_edt(~gone) - ndimage.distance_transform_edt(gone)
    heap = smoothstep((0.8 / max(ground.gsd_m, 0.05) - far - ragged + 0.5) / 1.5)
    heap = heap * (ground.mask if gone.any() else 0)
    mottle = 0.6 * ground.noise(1.4, seed + 3, 2) + 0.4 * ground.noise(4.0, seed + 4, 2)
    gaps = smoothstep((0.36 - ground.noise(1.8, seed + 7, 2)) / 0.12)
    slabs = fallen(ground, hit, seed)
    base = debris.CONCRETE if stone else debris.WOOD
    light = brightness(ground, debris.MIDDLING)
    floor = hit.are(SWEPT)
    own = _own_tone(ground, hit.parts)
    for band, role in enumerate(ground.roles):
        tone = aired(ground, band, base.get(role, base["pan"]) * light)
        air = veil(ground, band)
        heaped = (0.5 * tone + 0.5 * own[band] - air) * (0.74 + 0.48 * mottle) * (1 - 0.4 * gaps)
        slab = 0.84 * (image[band] - air) * (0.9 + 0.2 * mottle)
        rubble = air + heaped + (slab - heaped) * slabs
        out[band] = out[band] * (1 - heap) + rubble * heap
        slab = aired(ground, band, debris.CONCRETE.get(role, 0.56) * light * (0.86 + 0.25 * mottle))
        out[band] = np.where(floor & ground.mask, slab, out[band])
    return out


def fallen(ground: Ground, hit: Buildings, seed: int) -> np.ndarray:
    """Where pieces of the roof came down whole (H, W) in [0, 1]."""
    level = ground.noise(8.0, seed + 5, 2) + 0.3 * (ground.noise(1.5, seed + 6, 2) - 0.5)
    return smoothstep((level - 0.57) / 0.06) * hit.are(DESTROYED)


def panels(ground: Ground, gone: np.ndarray) -> list[debris.Kind]:
    """Larger pieces of the roofs that fell, in their own tone."""
    if not gone.any():
        return []
    tone = tuple(float(np.median(band[gone])) for band in ground.image)
    return [
        debris.Kind({}, 0.1, (1.0, 4.0), (0.8, 2.6), tone),
        debris.Kind({}, 0.2, (0.4, 1.6), (0.3, 1.0), tone),
    ]


def humps(ground: Ground, seed: int) -> np.ndarray:
    """Light and shade (H, W), about 1, on the humps of a heap."""
    humps = ground.noise(4.5, seed + 16, 3)
    sun = ground.cover.sun
    towards_sun = shifted(humps, 135.0 if sun is None else sun + 180.0, 0.8 / ground.gsd_m)
    slope = np.where(towards_sun > 0, humps - towards_sun, 0)
    return np.asarray(np.clip(1 + 0.4 * slope, 0.8, 1.15))


def walls(ground: Ground, image: np.ndarray, left: float, hit: Buildings, seed: int) -> np.ndarray:
    """What stands of walls in the rubble: thin lines along the building's axes, light on top, with
    their shadow beside them. `left`: how much of them, about 0.3 for some."""
    if ground.gsd_m > WALLS_TO_M:
        return image
    stands = np.zeros(ground.mask.shape, np.float32)
    thick = max(0.5 * WALL_M / ground.gsd_m, 0.5)
    boxes = ndimage.find_objects(hit.parts)
    for number in np.flatnonzero(hit.fates == DESTROYED):
        rows, cols = boxes[number - 1]
        part = hit.parts[rows, cols] == number
        axis = axis_of(part)
        y, x = np.indices(part.shape)
        lines = np.zeros_like(part)
        middle = ndimage.center_of_mass(part)
        house = int(middle[0]) + rows.start + ground.origin[0]
        house = 65537 * house + int(middle[1]) + cols.start + ground.origin[1]
        for u in (
            (x - middle[1]) * axis[0] + (y - middle[0]) * axis[1],
            (y - middle[0]) * axis[0] - (x - middle[1]) * axis[1],
        ):
            room = ROOM_M / ground.gsd_m
            which = np.floor(u / room).astype(int)
            at = hashed(np.arange(which.min(), which.max() + 1), np.array([house]), seed + 21)
            lines |= (
                np.abs(u / room - which - 0.15 - 0.7 * at[which - which.min(), 0]) * room < thick
            )
        stands[rows, cols] = np.maximum(stands[rows, cols], lines & part)
    level = ground.noise(5.0, seed + 18, 2) + left - 0.5
    stands = stands * smoothstep((level - 0.4) / 0.05)
    sun = ground.cover.sun
    down, right = towards(135.0 if sun is None else sun + 180.0)
    far = max(1.0, 1.2 / ground.gsd_m)
    shade = ndimage.shift(stands, (down * far, right * far), order=1) * (1 - stands)
    light = brightness(ground, debris.MIDDLING)
    strength = 0.28 * min(1.0, WALL_M / ground.gsd_m)  # what is thinner than a pixel is paler
    out = image * (1 - 0.75 * strength * shade)
    for band, role in enumerate(ground.roles):
        top = aired(ground, band, 0.92 * debris.PLASTER.get(role, 0.78) * light)
        out[band] += (top - out[band]) * strength * stands
    return np.asarray(out, np.float32)


def _own_tone(ground: Ground, parts: np.ndarray) -> np.ndarray:
    """Mean brightness (C, H, W) of the building at or nearest to each pixel."""
    if not parts.any():
        return ground.image
    near = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    which = parts[near[0], near[1]]
    pixels = np.maximum(np.bincount(parts.ravel()), 1)
    means = [np.bincount(parts.ravel(), band.ravel()) / pixels for band in ground.image]
    return np.stack(means).astype(np.float32)[:, which]
