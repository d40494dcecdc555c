"""Ground laid out by plan: a car park with its bays, houses on plots along a street, vines in rows.

Dimensions are those of common design guides: bays of 2.5 m by 5.2 m at an aisle of 6.1 m, plots of
17 m at a street of 6 m, vines every 2.3 m. Rows and streets run along the polygon's longest side.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import shapely
from scipy import ndimage

from ..contract.editors import option
from ..scene.evidence import cast
from ..scene.rules import smoothstep
from .cast_shadow import DARKNESS, USUAL_SLOPE, Light
from .ground import Ground
from .light import aired, exposure, grain
from .rows import Thing, axis_of, covered, crown_of, crowns_of, lay, raise_to

PARKING, HOUSES, VINES = "car park", "houses", "vines"
BAY_M, DEEP_M, AISLE_M = 2.5, 5.2, 6.1
MODULE_M = 2 * DEEP_M + AISLE_M
LINE_M, KERB_M = 0.12, 0.3
PLOT_M, STREET_M, WALK_M, DRIVE_M = 17.0, 6.0, 1.3, 3.0
BLOCK_M, LEAST_BLOCK_M = 62.0, 34.0
"""From street to street, and the width of a polygon from which on there is a street in it."""
SETBACK_M = 5.5
VINE_M, LEAVES_M, HEADLAND_M = 2.3, 0.9, 3.0
LEAST_PLOT_M = 8.0
FEWEST_ROOFS, MOST_ROOFS, LEAST_ROOF_M2 = 3, 40, 25.0
SQUARE = 1.25
"""Longest by shortest side up to which a polygon has no direction of its own."""
SHARP_PX, MOST_GRAIN = 0.5, 0.015
FEWEST = 150
"""Pixels of a kind of ground that tell its colour here."""
ASPHALT = {"red": 0.27, "green": 0.27, "blue": 0.28, "nir": 0.3, "swir1": 0.3, "swir2": 0.28}
CONCRETE = {"red": 0.5, "green": 0.49, "blue": 0.46, "nir": 0.5, "swir1": 0.5, "swir2": 0.45}
PAINT = {"red": 0.72, "green": 0.72, "blue": 0.7, "nir": 0.7, "swir1": 0.6, "swir2": 0.5}
LAWN = {"red": 0.24, "green": 0.33, "blue": 0.19, "nir": 0.6, "swir1": 0.3, "swir2": 0.18}
SOIL = {"red": 0.43, "green": 0.37, "blue": 0.3, "nir": 0.45, "swir1": 0.48, "swir2": 0.42}
LEAVES = {"red": 0.19, "green": 0.26, "blue": 0.14, "nir": 0.55, "swir1": 0.24, "swir2": 0.13}
ROOFS = (
    {"red": 0.48, "green": 0.36, "blue": 0.31, "nir": 0.5},
    {"red": 0.4, "green": 0.39, "blue": 0.38, "nir": 0.4},
    {"red": 0.34, "green": 0.31, "blue": 0.29, "nir": 0.36},
    {"red": 0.52, "green": 0.49, "blue": 0.45, "nir": 0.5},
)
CARS = (
    ((0.8, 0.8, 0.79), 0.3), ((0.52, 0.53, 0.54), 0.25), ((0.14, 0.14, 0.15), 0.22),
    ((0.3, 0.32, 0.35), 0.1), ((0.5, 0.14, 0.13), 0.07), ((0.18, 0.25, 0.42), 0.06),
)  # fmt: skip
"""Reflectance, about as bright as aerial pictures show it, and how often cars have it."""
GLASS = 0.12
CAR_M = (4.4, 1.8, 1.5)
"""Length, width and height of a car."""


@dataclass(frozen=True)
class Plots:
    """What is laid out, and how full it is."""

    thing: str = option(
        "Lay out",
        PARKING,
        choices=(PARKING, HOUSES, VINES),
        help="A car park with bays, aisles and cars; houses with drives and gardens on plots along "
        "a street; or vines in rows.",
    )
    full: float = option(
        "Full",
        0.55,
        minimum=0.0,
        maximum=1.0,
        help="Share of bays with a car in them, or of plots that are built on.",
    )
    trees: float = option(
        "Trees",
        0.5,
        minimum=0.0,
        maximum=1.0,
        help="How many plots have trees in their gardens.",
    )


@dataclass(frozen=True)
class LaidOut:
    """What came of it. `image` (C, H, W). `count`: bays, houses or rows."""

    image: np.ndarray
    count: int


@dataclass(frozen=True)
class Frame:
    """A part of the mask in its own directions. `box`: its rows and columns in the window. `own`
    (h, w): its pixels. `u`, `v` (h, w): metres along its longest side and across, from its
    middle. `inside` (h, w): metres from its edge. `middle`: row and column of that in the box.
    `along`: the direction (down, right) of its longest side on the ground. `gsd_m`: of a pixel.
    `steps`: metres from row to row, and from column to column."""

    box: tuple[slice, slice]
    own: np.ndarray
    u: np.ndarray
    v: np.ndarray
    inside: np.ndarray
    middle: np.ndarray
    along: np.ndarray
    gsd_m: float
    steps: tuple[float, float]

    def part(self, box: tuple[slice, slice], own: np.ndarray) -> Frame:
        """A smaller box of it; `own` (h, w): its pixels."""
        rows, cols = box
        top, left = rows.start, cols.start
        outer = self.box
        return replace(
            self,
            box=(
                slice(outer[0].start + top, outer[0].start + rows.stop),
                slice(outer[1].start + left, outer[1].start + cols.stop),
            ),
            own=own,
            u=self.u[rows, cols],
            v=self.v[rows, cols],
            inside=self.inside[rows, cols],
            middle=self.middle - (top, left),
        )

    @property
    def width_m(self) -> float:
        """How wide it is across."""
        return float(np.ptp(self.v[self.own]))

    def pixel(self, u: float, v: float) -> tuple[float, float]:
        """Row and column in the window of a place in metres."""
        across = np.array([-self.along[1], self.along[0]])
        at = self.middle + (u * self.along + v * across) / np.array(self.steps)
        return float(at[0] + self.box[0].start), float(at[1] + self.box[1].start)


def frames(ground: Ground) -> Iterator[Frame]:
    """Each connected part of the mask."""
    parts, _ = ndimage.label(ground.mask)
    depth = ground.depth() * ground.gsd_m
    tall = float(np.sqrt(ground.aspect))
    steps = ground.gsd_m * tall, ground.gsd_m / tall
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        own = parts[box] == number
        middle, along = axis_of(own)
        rows, cols = np.nonzero(own)
        frame = shapely.minimum_rotated_rectangle(
            shapely.multipoints(np.column_stack([cols, rows]))
        )
        if frame.geom_type == "Polygon":
            sides = np.hypot(*np.diff(np.asarray(frame.exterior.coords)[:3], axis=0).T)
            if sides.max() <= SQUARE * sides.min():
                along = np.array([0.0, 1.0])
        along = along * steps
        along = along / np.hypot(*along)
        down, right = np.indices(own.shape)
        y, x = (down - middle[0]) * steps[0], (right - middle[1]) * steps[1]
        u, v = y * along[0] + x * along[1], x * along[0] - y * along[1]
        yield Frame(box, own, u, v, depth[box], middle, along, ground.gsd_m, steps)


def lay_out(ground: Ground, how: Plots, seed: int) -> LaidOut:
    """The image (C, H, W) with what is laid out in the mask."""
    light = Light.of(ground) or Light(
        225.0, USUAL_SLOPE, np.full(len(ground.image), DARKNESS, np.float32)
    )
    made = {PARKING: _car_park, HOUSES: _houses, VINES: _vines}[how.thing]
    work = _Work(ground, light, seed)
    count = sum(made(work, frame, how) for frame in frames(ground))
    return LaidOut(work.finished(), count)


class _Work:
    """A picture that is drawn on: ground first, then what stands on it, which throws shadows."""

    def __init__(self, ground: Ground, light: Light, seed: int) -> None:
        self.ground = ground
        self.light = light
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.bright = exposure(ground)
        self.flat = ground.image.copy()
        self.above = ground.image.copy()
        self.shown = np.zeros(ground.mask.shape, np.float32)
        self.tall = np.zeros(ground.mask.shape, np.float32)
        self.specks = grain(ground, seed + 9)
        self._noise: dict[float, np.ndarray] = {}

    @functools.cached_property
    def crowns(self) -> list[Thing]:
        """Single crowns of the layer's own."""
        return crowns_of(self.ground)

    @functools.cached_property
    def roofs(self) -> list[np.ndarray]:
        """Colours (C,) of roofs around, the largest; none where hardly any are seen."""
        ground = self.ground
        there = (ground.cover.share("roof") > 0.7) & ~ground.mask
        parts, count = ndimage.label(ndimage.binary_erosion(there))
        if not count:
            return []
        sizes = np.bincount(parts.ravel())[1:] * ground.gsd_m**2
        large = [n for n in np.argsort(-sizes)[:MOST_ROOFS] if sizes[n] > LEAST_ROOF_M2]
        if len(large) < FEWEST_ROOFS:
            return []
        boxes = ndimage.find_objects(parts)
        return [
            np.median(ground.image[(slice(None), *boxes[n])][:, parts[boxes[n]] == n + 1], axis=1)
            for n in large
        ]

    def tone(self, reflectance: dict[str, float], kind: str = "") -> np.ndarray:
        """Colour (C,) of a kind of ground: as it is seen around, else by reflectance."""
        ground = self.ground
        if kind:
            there = (ground.cover.share(kind) > 0.7) & ~ground.mask
            if there.sum() >= FEWEST:
                return np.asarray(np.percentile(ground.image[:, there], 45, axis=1), np.float32)
        plain = [
            aired(ground, band, reflectance.get(role, 0.3) * self.bright)
            for band, role in enumerate(ground.roles)
        ]
        if not kind:
            return np.array(plain, np.float32)
        # What is not seen around looks like the place nevertheless.
        around = np.median(ground.image[:, ~ground.mask | ground.mask.all()], axis=1)
        return np.asarray(0.7 * np.array(plain) + 0.3 * around, np.float32)

    def paint(self, box: tuple[slice, slice], cover: np.ndarray, tone: np.ndarray) -> None:
        """Colour flat ground: `cover` (h, w) in [0, 1]; `tone` (C,) or (C, h, w)."""
        if tone.ndim == 1:
            tone = tone[:, None, None]
        here = self.flat[(slice(None), *box)]
        here += (tone - here) * cover

    def texture(self, box: tuple[slice, slice], size_m: float, strength: float) -> np.ndarray:
        """Brightness (h, w) about 1 with blobs of a size."""
        if size_m not in self._noise:
            self._noise[size_m] = self.ground.noise(size_m, self.seed + round(10 * size_m), 3)
        return 1 + strength * (self._noise[size_m][box] - 0.5)

    def stand(self, image: np.ndarray, alpha: np.ndarray, at: tuple[float, float]) -> None:
        """Lay something on top, its middle at a row and column."""
        lay(self.above, self.shown, Thing(image, alpha), at, self.ground.mask)

    def finished(self) -> np.ndarray:
        """The image (C, H, W) with shadows and grain."""
        ground = self.ground
        shade = cast(self.tall, self.light.azimuth, self.light.slope, ground.gsd_m)
        shade = ndimage.gaussian_filter(shade * (self.tall == 0), 0.5) * ground.mask
        out = self.flat * (1 - (1 - self.light.darkness)[:, None, None] * shade)
        out += (self.above - out) * self.shown
        # As sharp as a camera sees, with no more grain than even ground has.
        out = np.where(ground.mask, ndimage.gaussian_filter(out, (0, SHARP_PX, SHARP_PX)), out)
        much = float(self.specks.std())
        out += min(0.8, MOST_GRAIN / max(much, 1e-6)) * self.specks * ground.mask
        edge = smoothstep(ground.depth() / 1.5)
        out = ground.image + (out - ground.image) * edge * ground.mask
        return np.asarray(np.clip(out, 0, None), np.float32)


def _line(off_m: np.ndarray, width_m: float, gsd_m: float) -> np.ndarray:
    """Share of a pixel that a line covers which lies `off_m` from its middle."""
    share = (width_m / 2 + gsd_m / 2 - np.abs(off_m)) / gsd_m
    return np.clip(share, 0, min(1.0, width_m / gsd_m))


def _whole_cells(frame: Frame, names: np.ndarray, where: np.ndarray, area_m2: float) -> np.ndarray:
    """Which cells, by their numbers `names` (h, w) in the places `where` they may be, lie whole in
    the mask."""
    count = int(names.max()) + 1
    every = np.bincount(names[where], minlength=count)
    have = np.bincount(names[where & frame.own & (frame.inside > KERB_M)], minlength=count)
    return (have >= 0.97 * every) & (have * frame.gsd_m**2 > 0.85 * area_m2)


def _car_park(work: _Work, frame: Frame, how: Plots) -> int:
    gsd = frame.gsd_m
    asphalt = work.tone(ASPHALT, "paved")
    texture = work.texture(frame.box, 9.0, 0.12) * work.texture(frame.box, 1.2, 0.06)
    cover = frame.own.astype(np.float32)
    work.paint(frame.box, cover, asphalt[:, None, None] * texture)
    work.paint(frame.box, _line(frame.inside - KERB_M / 2, KERB_M, gsd) * cover * 0.6,
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
    whole = _whole_cells(frame, names, in_bay, BAY_M * DEEP_M)
    in_bay &= frame.own
    kept = whole[names] & in_bay
    off = np.abs(frame.u / BAY_M - np.rint(frame.u / BAY_M)) * BAY_M
    near = ndimage.binary_dilation(kept, iterations=max(1, round(LINE_M / gsd)))
    lines = _line(off, LINE_M, gsd) * near * in_bay
    stained = 1 - 0.05 * kept * (1 - lines)
    work.flat[(slice(None), *frame.box)] *= stained
    work.paint(frame.box, 0.85 * lines, work.tone(PAINT))
    _park(work, frame, names, kept, how.full)
    return int(whole.sum())


def _park(work: _Work, frame: Frame, names: np.ndarray, kept: np.ndarray, full: float) -> None:
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
    work: _Work, at: tuple[float, float], angle: float, colour: tuple[float, float, float]
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


def _houses(work: _Work, frame: Frame, how: Plots) -> int:
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
        built += _plot(work, plot, (away[box], depth, which), how)
    return built


def _hedges(work: _Work, frame: Frame, cell: np.ndarray, away: np.ndarray, depth_m: float) -> None:
    """Hedges and fences between gardens, behind the houses."""
    off = np.abs(frame.u / PLOT_M - np.rint(frame.u / PLOT_M)) * PLOT_M
    gaps = smoothstep((work.ground.noise(9.0, work.seed + 31, 2)[frame.box] - 0.4) / 0.1)
    line = _line(off, 0.9, frame.gsd_m) * (away > SETBACK_M + 2) * gaps
    back = _line(np.abs(away) - depth_m + 0.4, 0.9, frame.gsd_m) * gaps
    work.paint(frame.box, 0.8 * np.maximum(line, back) * frame.own, 0.8 * work.tone(LEAVES, "tree"))


def _plot(
    work: _Work,
    frame: Frame,
    street: tuple[np.ndarray, float, float],
    how: Plots,
) -> int:
    """One plot: a house with its drive, and trees; 0 where there is no room. `street`: how far
    from it (h, w) in metres, how deep a plot is, and on which side of it, 0: there is none."""
    away, depth_m, sign = street
    has_street = sign != 0
    where = frame.own
    rng, gsd = work.rng, frame.gsd_m
    wide, deep = rng.uniform(9.5, 12.5), rng.uniform(7.5, 9.5)
    shift = rng.uniform(-1.2, 1.2)
    takes, colour, across = rng.uniform(), rng.integers(1 << 30), rng.uniform() < 0.3
    if takes > max(how.full, 1e-9) / 0.55 * 0.95 or not where.any():
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
    if rng.uniform() < how.trees:
        _garden_trees(work, frame, where & (t > deep / 2 + 3) & (frame.inside > 3))
    return 1


def _roof(
    work: _Work,
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
    ridge = _line(np.abs(down) * (size[0] if across else size[1]) / 2, 0.35, frame.gsd_m)
    fine = work.texture(frame.box, 0.5, 0.1) * work.texture(frame.box, 3.0, 0.08)
    tone = _roof_tone(work, colour)[:, None, None] * lit * fine * (1 - 0.12 * ridge)
    box = (slice(None), *frame.box)
    work.above[box] += (tone - work.above[box]) * (body > 0)
    work.shown[frame.box] = np.maximum(work.shown[frame.box], body)
    height = 2.8 + 2.6 * (1 - np.clip(np.abs(down), 0, 1))
    work.tall[frame.box] = np.where(body > 0.5, height, work.tall[frame.box])


def _roof_tone(work: _Work, colour: int) -> np.ndarray:
    """Colour (C,) of a roof: one of those around, else of a few usual ones."""
    if work.roofs:
        return work.roofs[colour % len(work.roofs)]
    return work.tone(ROOFS[colour % len(ROOFS)])


def _garden_trees(work: _Work, frame: Frame, where: np.ndarray) -> None:
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


def _vines(work: _Work, frame: Frame, how: Plots) -> int:
    gsd = frame.gsd_m
    soil = work.tone(SOIL, "bare")[:, None, None]
    texture = work.texture(frame.box, 6.0, 0.12) * work.texture(frame.box, 1.0, 0.1)
    work.paint(frame.box, frame.own.astype(np.float32), soil * texture)
    wander = 0.12 * (work.ground.noise(25.0, work.seed + 5, 2)[frame.box] - 0.5)
    off = (frame.v + wander) / VINE_M
    number = np.rint(off).astype(int)
    thick = LEAVES_M * (0.75 + 0.5 * work.ground.noise(1.4, work.seed + 6, 2)[frame.box])
    leaves = covered(np.abs(off - number) * VINE_M - thick / 2, gsd)
    gaps = work.ground.noise(2.2, work.seed + 7, 2)[frame.box] > 0.24
    leaves = leaves * gaps * smoothstep((frame.inside - HEADLAND_M) / 1.0) * frame.own
    tone = work.tone(LEAVES, "tree")[:, None, None]
    tone = tone * work.texture(frame.box, 0.7, 0.35) * work.texture(frame.box, 15.0, 0.15)
    box = (slice(None), *frame.box)
    work.above[box] += (tone - work.above[box]) * (leaves > 0)
    work.shown[frame.box] = np.maximum(work.shown[frame.box], leaves)
    work.tall[frame.box] = np.where(leaves > 0.5, 1.6, work.tall[frame.box])
    return len(np.unique(number[leaves > 0.5]))
