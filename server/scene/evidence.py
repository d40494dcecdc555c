"""What shadows tell: where the sun stands, and what stands up beside them.

A shadow lies on the far side of what casts it. So the direction in which shadows lie from what
looks tall is away from the sun, and what lies sunward of a shadow is tall (Ok et al. 2013).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

REACH_M = (1.5, 7.0)
"""How far from the middle of what is tall its shadow is looked for."""
VOTE_M = 6.0
DIRECTIONS = 72
LEAST_SHADOW = 0.004
"""Share of the picture; less says nothing about the sun."""
CLEAR = 1.25
"""How much better the best direction must fit than its opposite, in standard deviations of all."""


def sun_azimuth(tall: np.ndarray, shadow: np.ndarray, gsd_m: float) -> float | None:
    """Where the sun stands, in degrees clockwise from the picture's up, by which shift of `tall`
    (H, W) meets `shadow` (H, W) best, both shares; None where no direction is clearly best."""
    if shadow.mean() < LEAST_SHADOW or tall.mean() < LEAST_SHADOW:
        return None
    step = max(1, round(0.5 / gsd_m))
    near = [ndimage.uniform_filter(one, step)[::step, ::step] for one in (tall, shadow)]
    free = near[1] * (1 - near[0])
    gsd = gsd_m * step
    pad = int(np.ceil(REACH_M[1] / gsd)) + 1
    shape = [side + 2 * pad for side in free.shape]
    spectra = [np.fft.rfft2(one - one.mean(), shape) for one in (near[0], free)]
    match = np.fft.irfft2(spectra[1] * np.conj(spectra[0]), shape)
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    reaches = np.arange(REACH_M[0], REACH_M[1], gsd) / gsd
    rows = np.round(-np.outer(np.cos(angles), reaches)).astype(int) % shape[0]
    cols = np.round(np.outer(np.sin(angles), reaches)).astype(int) % shape[1]
    score = ndimage.gaussian_filter1d(match[rows, cols].max(axis=1), 2, mode="wrap")
    best = int(score.argmax())
    spread = float(score.std())
    opposite = score[(best + DIRECTIONS // 2) % DIRECTIONS]
    if spread <= 0 or score[best] - opposite < CLEAR * spread:
        return None
    return float((np.degrees(angles[best]) + 180) % 360)


def towards(azimuth: float) -> tuple[float, float]:
    """Rows and columns of a step of one pixel in a direction, in degrees clockwise from up."""
    angle = np.radians(azimuth)
    return -float(np.cos(angle)), float(np.sin(angle))


def shifted(image: np.ndarray, azimuth: float, far_px: float) -> np.ndarray:
    """An image (H, W) moved so far in a direction; what comes in from outside is 0."""
    down, right = towards(azimuth)
    return np.asarray(
        ndimage.shift(image, (down * far_px, right * far_px), order=1, mode="constant"), np.float32
    )


def sunward_votes(shadow: np.ndarray, azimuth: float, gsd_m: float) -> np.ndarray:
    """How strongly each pixel (H, W) lies on the sunward side of a shadow, fading over VOTE_M."""
    votes = np.zeros(shadow.shape, np.float32)
    step = max(gsd_m, 0.5)
    for metres in np.arange(step, VOTE_M, step):
        moved = shifted(shadow, azimuth, metres / gsd_m) * (1 - metres / (VOTE_M + step))
        np.maximum(votes, moved, out=votes)
    return votes * (1 - shadow)


def cast(height_m: np.ndarray, azimuth: float, slope: float, gsd_m: float) -> np.ndarray:
    """The shadow (H, W) in [0, 1] of what is so high (H, W; metres), under a sun from `azimuth`
    whose rays fall `slope` metres a metre."""
    shade = np.zeros(height_m.shape, np.float32)
    most = float(height_m.max())
    away = (azimuth + 180) % 360
    reach = min(most / max(slope, 0.2) / gsd_m, float(np.hypot(*height_m.shape)))
    step = max(1.0, float(round(STEP_M / gsd_m)))
    for far in np.arange(step, reach + step, step):
        over = shifted(height_m, away, far) - far * gsd_m * slope - height_m
        np.maximum(shade, np.clip(over / (gsd_m * slope * step), 0, 1), out=shade)
    return shade


STEP_M = 0.2
"""From one look along a shadow to the next, where pixels are finer."""
LONGEST_M = 20.0
FEWEST_ENDS = 25
"""How far shadows are followed, and pixels at which they have to begin."""


def shadow_length_m(
    tall: np.ndarray, shadow: np.ndarray, azimuth: float, gsd_m: float
) -> float | None:
    """How long shadows are on the ground, by those that begin where what is tall ends on its side
    away from the sun; `tall`, `shadow` (H, W, bool). None where there are too few."""
    down, right = towards((azimuth + 180) % 360)
    step = max(gsd_m, 0.5) / gsd_m
    ends = tall & (shifted(tall.astype(np.float32), azimuth, 2 * step) < 0.5)
    rows, cols = np.nonzero(ends)
    if len(rows) < FEWEST_ENDS:
        return None
    dark = np.ones(len(rows), bool)
    length = np.zeros(len(rows))
    for count in range(2, int(LONGEST_M / (step * gsd_m)) + 1):
        row = np.round(rows + down * count * step).astype(int)
        col = np.round(cols + right * count * step).astype(int)
        inside = (row >= 0) & (col >= 0) & (row < tall.shape[0]) & (col < tall.shape[1])
        dark &= inside
        dark[inside] &= shadow[row[inside], col[inside]]
        length += dark * step * gsd_m
        if not dark.any():
            break
    begun = length[length > 0]
    return float(np.median(begun)) + step * gsd_m if len(begun) >= FEWEST_ENDS else None
