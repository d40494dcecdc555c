"""Houses with drives and gardens on plots along a street."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..scene.rules import smoothstep
from .crowns import crown_of
from .on_plan import ASPHALT, CONCRETE, LEAVES, Frame, Work, line
from .things import covered, raise_to

PLOT_M, STREET_M, WALK_M, DRIVE_M = 17.0, 6.0, 1.3, 3.0
"""Widths of a plot, a street, a pavement and a drive."""
BLOCK_M, LEAST_BLOCK_M = 62.0, 34.0
"""From street to street, and the width of a polygon from which on there is a street in it."""
SETBACK_M = 5.5
"""From the street to a house."""
LEAST_PLOT_M = 8.0
"""Width of a polygon below which no house has room."""
LAWN = {"red": 0.24, "green": 0.33, "blue": 0.19, "nir": 0.6, "swir1": 0.3, "swir2": 0.18}
ROOFS = (
    {"red": 0.48, "green": 0.36, "blue": 0.31, "nir": 0.5},
    {"red": 0.4, "green": 0.39, "blue": 0.38, "nir": 0.4},
    {"red": 0.34, "green": 0.31, "blue": 0.29, "nir": 0.36},
    {"red": 0.52, "green": 0.49, "blue": 0.45, "nir": 0.5},
)
"""Reflectance of lawns, and of roofs where none are seen around."""


def house_plots(work: Work, frame: Frame, full: float, trees: float) -> int:
    """Draw them in a part of the mask, on `full` of the plots (0 to 1), with trees in `trees` of
    the gardens; how many houses there are."""
    gsd = frame.gsd_m
    if min(frame.width_m, float(np.ptp(frame.u[frame.own]))) < LEAST_PLOT_M:
        return 0
    low, high = float(frame.v[frame.own].min()), float(frame.v[frame.own].max())
    streets = max(1, round((high - low) / BLOCK_M)) if high - low >= LEAST_BLOCK_M else 0
    block = (high - low) / max(streets, 1)
    row = np.clip(np.floor((frame.v - low) / block), 0, max(streets, 1) - 1)
    from_street = frame.v - low - (row + 0.5) * block if streets else frame.v - low
    depth = block / 2 - STREET_M / 2 if streets else block
    away = np.abs(from_street) - STREET_M / 2 if streets else from_street
    cell = np.floor(frame.u / PLOT_M).astype(int)
    side = (from_street > 0).astype(int) if streets else np.zeros_like(cell)
    names = ((row * 2 + side) * (np.ptp(cell) + 1) + cell - cell.min()).astype(int)
    garden = 1 + 0.16 * (work.rng.random(int(names.max()) + 1) - 0.5)
    texture = work.texture(frame.box, 5.0, 0.18) * work.texture(frame.box, 0.8, 0.12)
    lawn = work.tone(LAWN, "low")[:, None, None] * texture * garden[names]
    work.paint(frame.box, frame.own.astype(np.float32), lawn)
    _hedges(work, frame, cell, away, depth)
    if streets:
        road = work.texture(frame.box, 4.0, 0.08) * work.tone(ASPHALT, "paved")[:, None, None]
        walk = covered(np.abs(away + WALK_M / 2 - WALK_M) - WALK_M / 2, gsd) * frame.own
        work.paint(frame.box, walk, work.tone(CONCRETE))
        work.paint(frame.box, covered(away, gsd) * frame.own, road)
    built = 0
    for number, box in enumerate(ndimage.find_objects(np.where(frame.own, names + 1, 0))):
        if box is None:
            continue
        plot = frame.part(box, (names[box] == number) & frame.own[box])
        which = float(np.sign(from_street[box][plot.own].mean())) if streets else 0.0
        built += _plot(work, plot, (away[box], depth, which), (full, trees))
    return built


def _hedges(work: Work, frame: Frame, cell: np.ndarray, away: np.ndarray, depth_m: float) -> None:
    """Hedges and fences between gardens, behind the houses."""
    off = np.abs(frame.u / PLOT_M - np.rint(frame.u / PLOT_M)) * PLOT_M
    gaps = smoothstep((work.ground.noise(9.0, work.seed + 31, 2)[frame.box] - 0.4) / 0.1)
    side = line(off, 0.9, frame.gsd_m) * (away > SETBACK_M + 2) * gaps
    back = line(np.abs(away) - depth_m + 0.4, 0.9, frame.gsd_m) * gaps
    work.paint(frame.box, 0.8 * np.maximum(side, back) * frame.own, 0.8 * work.tone(LEAVES, "tree"))


def _plot(
    work: Work,
    frame: Frame,
    street: tuple[np.ndarray, float, float],
    share: tuple[float, float],
) -> int:
    """One plot: a house with its drive, and trees; 0 where there is no room. `street`: how far
    from it (h, w) in metres, how deep a plot is, and on which side of it, 0: there is none.
    `share`: of plots that are built on, and of gardens with trees."""
    away, depth_m, sign = street
    full, trees = share
    has_street = sign != 0
    where = frame.own
    rng, gsd = work.rng, frame.gsd_m
    wide, deep = rng.uniform(9.5, 12.5), rng.uniform(7.5, 9.5)
    shift = rng.uniform(-1.2, 1.2)
    takes, colour, across = rng.uniform(), rng.integers(1 << 30), rng.uniform() < 0.3
    if takes > max(full, 1e-9) / 0.55 * 0.95 or not where.any():
        return 0
    u0 = (np.floor(frame.u[where].mean() / PLOT_M) + 0.5) * PLOT_M + shift
    setback = SETBACK_M if has_street else max((depth_m - deep) / 2, 1.0)
    s = frame.u - u0
    t = away - setback - deep / 2
    body = covered(np.abs(s) - wide / 2, gsd) * covered(np.abs(t) - deep / 2, gsd) * where
    if body.sum() * gsd**2 < 0.94 * wide * deep or (frame.inside[body > 0.5] < 1.0).any():
        return 0
    drive = covered(np.abs(s - wide / 2 + DRIVE_M / 2) - DRIVE_M / 2, gsd)
    drive = drive * (away < setback + 0.5) * (away > -0.3) * where
    work.paint(frame.box, drive, work.tone(CONCRETE) * rng.uniform(0.85, 1.05))
    _roof(work, frame, (s, t, body), (wide, deep), (bool(across), sign or 1.0, int(colour)))
    if rng.uniform() < trees:
        _garden_trees(work, frame, where & (t > deep / 2 + 3) & (frame.inside > 3))
    return 1


def _roof(
    work: Work,
    frame: Frame,
    place: tuple[np.ndarray, np.ndarray, np.ndarray],
    size: tuple[float, float],
    kind: tuple[bool, float, int],
) -> None:
    """A gabled roof: two planes, each lit as it lies to the sun, and a ridge between them."""
    s, t, body = place
    across, sign, colour = kind
    down = s / (size[0] / 2) if across else t / (size[1] / 2)
    u_dir = frame.along
    v_dir = np.array([-frame.along[1], frame.along[0]]) * sign
    slope = u_dir if across else v_dir
    to_sun = np.deg2rad(work.light.azimuth)
    sunward = float(slope[1] * np.sin(to_sun) - slope[0] * np.cos(to_sun))
    lit = 1 + 0.24 * sunward * np.sign(down)
    ridge = line(np.abs(down) * (size[0] if across else size[1]) / 2, 0.35, frame.gsd_m)
    fine = work.texture(frame.box, 0.5, 0.1) * work.texture(frame.box, 3.0, 0.08)
    tone = _roof_tone(work, colour)[:, None, None] * lit * fine * (1 - 0.12 * ridge)
    box = (slice(None), *frame.box)
    work.above[box] += (tone - work.above[box]) * (body > 0)
    work.shown[frame.box] = np.maximum(work.shown[frame.box], body)
    height = 2.8 + 2.6 * (1 - np.clip(np.abs(down), 0, 1))
    work.tall[frame.box] = np.where(body > 0.5, height, work.tall[frame.box])


def _roof_tone(work: Work, colour: int) -> np.ndarray:
    """Colour (C,) of a roof: one of those around, else of a few usual ones."""
    if work.roofs:
        return work.roofs[colour % len(work.roofs)]
    return work.tone(ROOFS[colour % len(ROOFS)])


def _garden_trees(work: Work, frame: Frame, where: np.ndarray) -> None:
    """One or two trees behind a house."""
    rows, cols = np.nonzero(where)
    if not len(rows):
        return
    own = work.crowns
    for _ in range(int(work.rng.integers(1, 3))):
        pick = int(work.rng.integers(len(rows)))
        at = float(rows[pick] + frame.box[0].start), float(cols[pick] + frame.box[1].start)
        grow = float(work.rng.uniform(0.6, 1.1))
        thing = (
            own[int(work.rng.integers(len(own)))]
            if own
            else crown_of(work.ground, work.light, grow, work.rng)
        )
        work.stand(thing.image, thing.alpha, at)
        width = 2 * np.sqrt(thing.alpha.sum() / np.pi) * work.ground.gsd_m
        raise_to(work.tall, thing.alpha, at, 1.1 * width)
