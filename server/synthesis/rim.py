"""The rim of a fill: a narrow band re-inpainted from transitions found elsewhere in the window."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from . import poisson, pyramid, seams
from .features import PatchBasis, centres
from .field import Bank, Field, Search, Targets
from .nearest import filled
from .pyramid import Level
from .resampling import BICUBIC, resized

LEVELS = 3
PATCH = 7
ROUNDS = (1, 1, 3)
BAND_PX = 6
NEAR_PX = 4.0
NO_WAY = 0.4
"""Width of what is compared on both sides of a rim; and the difference in colour, of [-1, 1], from
which on no transition is drawn."""
REACH = 6
"""Random search at the finer levels stays this near: the coarse level has searched the whole
window."""


def wavy(mask: np.ndarray, amplitude_px: float, rng: np.random.Generator) -> np.ndarray:
    """Depth inside the mask, less a smooth random 0 ... amplitude: its zero line is a natural
    outline."""
    depth = ndimage.distance_transform_edt(mask)
    if amplitude_px <= 0:
        return depth
    noise = np.zeros(mask.shape, np.float32)
    for cell, weight in ((24, 1.0), (11, 0.6), (5, 0.35)):
        size = (mask.shape[0] // cell + 3, mask.shape[1] // cell + 3)
        coarse = rng.random((1, *size), dtype=np.float32)
        smooth = resized(coarse, (size[0] * cell, size[1] * cell), BICUBIC)[0]
        noise += weight * smooth[cell : cell + mask.shape[0], cell : cell + mask.shape[1]]
    low, high = np.percentile(noise[mask], (5, 95)) if mask.any() else (0, 1)
    noise = np.clip((noise - low) / max(high - low, 1e-6), 0, 1)
    return depth - amplitude_px * noise


def mismatch(image: np.ndarray, inside: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """How far what is laid `inside` (H, W) and what lies `beside` it are apart in colour (H, W),
    in the image's units, around each pixel; 0 where one of them is not near."""
    means = []
    for where in (inside, beside):
        weight = ndimage.gaussian_filter(where.astype(np.float32), NEAR_PX)
        sums = ndimage.gaussian_filter(image * where, (0, NEAR_PX, NEAR_PX))
        means.append((sums / np.maximum(weight, 1e-3), weight > 0.02))
    (first, there), (second, here) = means
    apart = np.abs(first - second).max(axis=0)
    return np.where(there & here, apart, 0).astype(np.float32)


def softened(
    image: np.ndarray, known: np.ndarray, inside: np.ndarray, where: np.ndarray
) -> np.ndarray:
    """The image with the edge between inside and outside (H, W) as soft as a camera sees it, within
    `where` alone; what is not `known` (H, W) does not run into it."""
    edge = ndimage.binary_dilation(inside) & ndimage.binary_dilation(~inside) & where
    blurred = ndimage.gaussian_filter(filled(image, known), (0, 0.7, 0.7))
    return np.where(edge, blurred, image)


def harmonic(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A membrane over the hole: each of its pixels is the mean of its neighbours."""
    out = image.copy()
    near = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
    out[:, hole] = image[:, near[0][hole], near[1][hole]]
    for _ in range(60):
        mean = (
            np.roll(out, 1, 1) + np.roll(out, -1, 1) + np.roll(out, 1, 2) + np.roll(out, -1, 2)
        ) / 4
        out[:, hole] = mean[:, hole]
    return out


def reinpaint(
    image: np.ndarray,
    band: np.ndarray,
    valid: np.ndarray,
    rng: np.random.Generator,
    fidelity: float = 0.05,
) -> np.ndarray:
    """Fill `band` (H, W) of `image` (C, H, W, in [-1, 1]) from the rest of the window."""
    height, width = band.shape
    count = pyramid.count_levels(min(height, width), 24, LEVELS)
    level = pyramid.padded(Level(image, band, valid & ~band), 2 ** (count - 1))
    known = level.usable
    levels = pyramid.build(level, count)
    field: Field | None = None
    for number in range(count - 1, -1, -1):
        here = levels[number]
        ok, patch = centres(here.usable, PATCH, 100)
        if not ok.any():
            return image
        basis = PatchBasis.fit(here.image, ok, patch, rng)
        bank = Bank(here.image, ok, basis.project(here.image))
        targets = Targets(ndimage.binary_dilation(here.hole, iterations=patch // 2))
        radius = 2 if number == 0 else 3
        if field is None:
            filled = harmonic(here.image, here.hole)
            pick = rng.integers(0, len(bank.rows), len(targets))
            field = Field(targets, bank, bank.rows[pick], bank.cols[pick])
        else:
            field = field.upsampled(targets, bank)
            field.cost[:] = 0
            filled = field.vote(here.image, here.hole, 2)
        for _ in range(ROUNDS[number]):
            field.look(basis.project(filled))
            if number == count - 1:
                field.exact()
            else:
                field.sweep(Search(reach=REACH), rng)
            filled = field.vote(here.image, here.hole, radius)
        field.look(basis.project(filled))
    assert field is not None
    seams.assign(field, levels[0].image, levels[0].hole)
    return poisson.blended(field, levels[0].image, levels[0].hole, poisson.Lean(fidelity), known)[
        :, :height, :width
    ]
