"""A car park: asphalt, bays with painted lines, aisles, and cars in a share of the bays.

Dimensions are those of common design guides: bays of 2.5 m by 5.2 m at an aisle of 6.1 m.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .on_plan import ASPHALT, CONCRETE, KERB_M, Frame, Work, line, whole_cells
from .things import covered, raise_to

BAY_M, DEEP_M, AISLE_M = 2.5, 5.2, 6.1
MODULE_M = 2 * DEEP_M + AISLE_M
LINE_M = 0.12
PAINT = {"red": 0.72, "green": 0.72, "blue": 0.7, "nir": 0.7, "swir1": 0.6, "swir2": 0.5}
CARS = (
    ((0.8, 0.8, 0.79), 0.3), ((0.52, 0.53, 0.54), 0.25), ((0.14, 0.14, 0.15), 0.22),
    ((0.3, 0.32, 0.35), 0.1), ((0.5, 0.14, 0.13), 0.07), ((0.18, 0.25, 0.42), 0.06),
)  # fmt: skip
"""Reflectance, about as bright as aerial pictures show it, and how often cars have it."""
GLASS = 0.12
CAR_M = (4.4, 1.8, 1.5)
"""Length, width and height of a car."""


def car_park(work: Work, frame: Frame, full: float) -> int:
    """Draw it in a part of the mask, `full` of its bays taken (0 to 1); how many bays there are."""
    gsd = frame.gsd_m
    asphalt = work.tone(ASPHALT, "paved")
    texture = work.texture(frame.box, 9.0, 0.12) * work.texture(frame.box, 1.2, 0.06)
    cover = frame.own.astype(np.float32)
    work.paint(frame.box, cover, asphalt[:, None, None] * texture)
    work.paint(frame.box, line(frame.inside - KERB_M / 2, KERB_M, gsd) * cover * 0.6,
               work.tone(CONCRETE))  # fmt: skip
    low, high = float(frame.v[frame.own].min()) + KERB_M, float(frame.v[frame.own].max()) - KERB_M
    modules = int((high - low) // MODULE_M)
    one_sided = modules == 0
    start = low + 0.5 * (high - low - (DEEP_M + AISLE_M if one_sided else modules * MODULE_M))
    module = np.floor((frame.v - start) / MODULE_M).astype(int)
    within = (frame.v - start) - module * MODULE_M
    first, second = within < DEEP_M, (within >= DEEP_M + AISLE_M) & (not one_sided)
    in_bay = (first | second) & (module >= 0) & (module < max(modules, 1))
    bay = np.floor(frame.u / BAY_M).astype(int)
    names = ((module - module.min()) * 2 + second) * (np.ptp(bay) + 1) + bay - bay.min()
    whole = whole_cells(frame, names, in_bay, BAY_M * DEEP_M)
    in_bay &= frame.own
    kept = whole[names] & in_bay
    off = np.abs(frame.u / BAY_M - np.rint(frame.u / BAY_M)) * BAY_M
    near = ndimage.binary_dilation(kept, iterations=max(1, round(LINE_M / gsd)))
    lines = line(off, LINE_M, gsd) * near * in_bay
    stained = 1 - 0.05 * kept * (1 - lines)
    work.flat[(slice(None), *frame.box)] *= stained
    work.paint(frame.box, 0.85 * lines, work.tone(PAINT))
    _park(work, frame, names, kept, full)
    return int(whole.sum())


def _park(work: Work, frame: Frame, names: np.ndarray, kept: np.ndarray, full: float) -> None:
    """Cars in a share of the bays."""
    bays = np.unique(names[kept])
    if not len(bays):
        return
    us = ndimage.mean(frame.u, np.where(kept, names, -1), bays)
    vs = ndimage.mean(frame.v, np.where(kept, names, -1), bays)
    colours, often = zip(*CARS, strict=True)
    for u, v in zip(np.atleast_1d(us), np.atleast_1d(vs), strict=True):
        if work.rng.uniform() > full:
            continue
        colour = colours[work.rng.choice(len(colours), p=np.array(often) / sum(often))]
        at = frame.pixel(u + 0.12 * work.rng.normal(), v + 0.2 * work.rng.normal())
        angle = np.arctan2(frame.along[0], frame.along[1]) + np.pi / 2 + 0.03 * work.rng.normal()
        _car(work, at, float(angle), colour)


def _car(
    work: Work, at: tuple[float, float], angle: float, colour: tuple[float, float, float]
) -> None:
    gsd = work.ground.gsd_m
    grow = 1 + 0.06 * work.rng.normal()
    length, width, height = CAR_M[0] * grow, CAR_M[1] * (1 + 0.03 * work.rng.normal()), CAR_M[2]
    side = int(np.ceil(length / gsd / 2)) + 2
    rows, cols = np.mgrid[-side : side + 1, -side : side + 1].astype(np.float32) * gsd
    s = cols * np.cos(angle) + rows * np.sin(angle)
    t = -cols * np.sin(angle) + rows * np.cos(angle)
    rounded = 0.12 * np.clip(np.abs(s) / (length / 2) - 0.7, 0, 1)
    alpha = covered(np.abs(s) - length / 2, gsd) * covered(np.abs(t) - width / 2 + rounded, gsd)
    glass = covered(np.abs(np.abs(s + 0.1) - 0.19 * length) - 0.085 * length, gsd)
    glass *= covered(np.abs(t) - 0.42 * width, gsd)
    to_sun = np.deg2rad(work.light.azimuth)
    lean = (cols * np.sin(to_sun) - rows * np.cos(to_sun)) / max(width, 1e-3)
    roles = {"red": colour[0], "green": colour[1], "blue": colour[2]}
    body = work.tone({**roles, "nir": colour[0], "swir1": 0.3, "swir2": 0.3})
    dark = work.tone(dict.fromkeys(("red", "green", "blue", "nir", "swir1", "swir2"), GLASS))
    image = body[:, None, None] * (1 + 0.1 * np.clip(lean, -1, 1))
    image = image + (dark[:, None, None] - image) * 0.8 * glass
    work.stand(image.astype(np.float32), alpha.astype(np.float32), at)
    raise_to(work.tall, alpha, at, height)
