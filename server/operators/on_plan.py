"""What is laid out by plan has in common: a polygon in its own directions, and a picture that is
drawn on, first the ground, then what stands on it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import shapely
from scipy import ndimage

from ..scene.evidence import cast
from ..scene.rules import smoothstep
from .cast_shadow import Light
from .crowns import crowns_of
from .ground import Ground
from .light import aired, exposure, grain
from .rows import axis_of
from .things import Thing, lay

KERB_M = 0.3
FEWEST_ROOFS, MOST_ROOFS, LEAST_ROOF_M2 = 3, 40, 25.0
"""Roofs around that give their colours, fewest, most, and how large each is."""
SQUARE = 1.25
"""Longest by shortest side up to which a polygon has no direction of its own."""
SHARP_PX, MOST_GRAIN = 0.5, 0.015
"""Blur of what is drawn, as of a camera, and the most grain that even ground gets."""
FEWEST = 150
"""Pixels of a kind of ground that tell its colour here."""
ASPHALT = {"red": 0.27, "green": 0.27, "blue": 0.28, "nir": 0.3, "swir1": 0.3, "swir2": 0.28}
CONCRETE = {"red": 0.5, "green": 0.49, "blue": 0.46, "nir": 0.5, "swir1": 0.5, "swir2": 0.45}
LEAVES = {"red": 0.19, "green": 0.26, "blue": 0.14, "nir": 0.55, "swir1": 0.24, "swir2": 0.13}
"""Reflectance, about as bright as aerial pictures show it."""


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


class Work:
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


def line(off_m: np.ndarray, width_m: float, gsd_m: float) -> np.ndarray:
    """Share of a pixel that a line covers which lies `off_m` from its middle."""
    share = (width_m / 2 + gsd_m / 2 - np.abs(off_m)) / gsd_m
    return np.clip(share, 0, min(1.0, width_m / gsd_m))


def whole_cells(frame: Frame, names: np.ndarray, where: np.ndarray, area_m2: float) -> np.ndarray:
    """Which cells, by their numbers `names` (h, w) in the places `where` they may be, lie whole in
    the mask."""
    count = int(names.max()) + 1
    every = np.bincount(names[where], minlength=count)
    have = np.bincount(names[where & frame.own & (frame.inside > KERB_M)], minlength=count)
    return (have >= 0.97 * every) & (have * frame.gsd_m**2 > 0.85 * area_m2)
