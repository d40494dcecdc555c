"""COPY: a source polygon's content at target places, blended by the robust Poisson equation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from . import poisson
from .field import Bank, Field, Targets
from .pyramid import Level
from .scaling import Scaling


def placements(
    window: Level, usable: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For every part of the window's hole the pixels (H, W) that a source lies on, middle on
    middle, and the source's rows and columns (H, W) there."""
    middle = np.array(ndimage.center_of_mass(usable))
    parts, count = ndimage.label(window.hole, np.ones((3, 3)))
    rows, cols = np.indices(window.hole.shape)
    for part in range(1, count + 1):
        here = parts == part
        down, right = np.rint(middle - np.array(ndimage.center_of_mass(here))).astype(int)
        from_rows = rows + down
        from_cols = cols + right
        hole = here & (from_rows >= 0) & (from_rows < usable.shape[0])
        hole &= (from_cols >= 0) & (from_cols < usable.shape[1])
        hole[hole] = usable[from_rows[hole], from_cols[hole]]
        if hole.any():
            yield hole, from_rows, from_cols


def spread(
    mask: np.ndarray, usable: np.ndarray, count: int, gap_px: int = 2
) -> tuple[np.ndarray, int]:
    """Where `count` sources lie side by side in each part of a mask (H, W): in rows and columns,
    whole, nearest to its middle, so many fewer as do not fit. A hole of one part each for
    `placements`, and the fewest that a part has room for."""
    rows = np.flatnonzero(usable.any(1))
    cols = np.flatnonzero(usable.any(0))
    out = np.zeros_like(mask)
    if not len(rows):
        return out, 0
    shape = usable[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    if ndimage.label(shape, np.ones((3, 3)))[1] > 1:
        shape = np.ones_like(shape)
    parts, _ = ndimage.label(mask, np.ones((3, 3)))
    least = count
    for part, box in enumerate(ndimage.find_objects(parts), 1):
        least = min(least, _laid_in(out[box], parts[box] == part, shape, (count, gap_px)))
    return out, least


def _laid_in(out: np.ndarray, mask: np.ndarray, shape: np.ndarray, how: tuple[int, int]) -> int:
    """Lay so many footprints into one part, with a gap; how many fitted."""
    count, gap_px = how
    size = np.array(shape.shape)
    if (size > mask.shape).any():
        return 0
    padded = np.pad(mask, 1)
    room = ndimage.minimum_filter(padded, tuple(size), mode="constant", cval=0)[1:-1, 1:-1]
    spots = _lattice(room, size + gap_px)
    middle = np.array(ndimage.center_of_mass(mask))
    order = np.argsort(((spots - middle) ** 2).sum(1), kind="stable")
    chosen = spots[order[:count]]
    for top, left in (chosen - size // 2).astype(int):
        out[top : top + size[0], left : left + size[1]] |= shape
    return len(chosen)


def _lattice(room: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The points (n, 2) of that grid of steps that has most in the room, of some shifts."""
    best = np.zeros((0, 2), int)
    for down in range(0, int(step[0]), max(int(step[0]) // 8, 1)):
        for right in range(0, int(step[1]), max(int(step[1]) // 8, 1)):
            here = np.argwhere(room[down :: step[0], right :: step[1]]) * step + (down, right)
            if len(here) > len(best):
                best = here
    return best


@dataclass(frozen=True)
class Source:
    """What is copied. `image` (C, h, w): its pixels. `usable` (h, w): those that are copied.
    `alpha` (h, w): how much of each is the object, 0 to 1; None: it is copied with its ground."""

    image: np.ndarray
    usable: np.ndarray
    alpha: np.ndarray | None = None

    def turned_size(self, degrees: float, scale: float = 1.0) -> tuple[int, int]:
        """Height and width of what `turned` gives."""
        height, width = _whole(self.usable.shape, degrees, scale)
        return int(height), int(width)

    def turned(self, degrees: float, scale: float = 1.0) -> Source:
        """Turned by degrees against the clock, and that many times as large; quarter turns keep
        every pixel as it is."""
        if scale == 1 and degrees % 90 == 0:
            quarters = int(degrees // 90)
            return self._each(lambda band: np.rot90(band, quarters))
        if not self.usable.any():
            return self
        near = ndimage.distance_transform_edt(
            ~self.usable, return_distances=False, return_indices=True
        )
        # Splines ring at the edge of what is known: beyond it goes on what lies nearest.
        image = np.stack(
            [_turned(band[near[0], near[1]], degrees, scale, 3) for band in self.image]
        )
        usable = _turned(self.usable.astype(np.float32), degrees, scale, 1) > 0.99
        alpha = None if self.alpha is None else _turned(self.alpha, degrees, scale, 1)
        return Source(image, usable, alpha)

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> Source:
        image = np.stack([change(band) for band in self.image])
        alpha = None if self.alpha is None else change(self.alpha)
        return Source(image, change(self.usable), alpha)


def _turn(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _whole(shape: tuple[int, ...], degrees: float, scale: float) -> np.ndarray:
    """Rows and columns of a canvas that holds all of a turned band of a shape."""
    return np.ceil(np.abs(_turn(degrees)) @ np.array(shape) * scale - 1e-6).astype(int)


def _turned(band: np.ndarray, degrees: float, scale: float, order: int) -> np.ndarray:
    """A band (h, w) turned about its middle on a canvas that holds all of it; where there is
    nothing, 0 of a mask (order 1)."""
    turn = _turn(degrees)
    size = np.array(band.shape)
    whole = _whole(band.shape, degrees, scale)
    if scale < 1 and order == 3:
        band = ndimage.gaussian_filter(band, 0.42 * (1 / scale - 0.6), mode="nearest")
    # Rows point down, so that a turn against the clock seen from above has its sine the other way.
    back = np.array([[turn[0, 0], -turn[0, 1]], [-turn[1, 0], turn[1, 1]]]) / scale
    offset = (size - 1) / 2 - back @ ((whole - 1) / 2)
    mode = "nearest" if order == 3 else "constant"
    return np.asarray(
        ndimage.affine_transform(
            band.astype(np.float32), back, offset, tuple(whole), order=order, mode=mode
        ),
        np.float32,
    )


def copy(window: Level, source: Source, fidelity: float = 0.08) -> tuple[np.ndarray, np.ndarray]:
    """Lay a source on every part of the window's hole, middle on middle.

    What does not fit into a part of the hole is cut off; what of the hole the source
    does not reach stays as it is. Returns the image, and where the source lies (H, W).
    """
    image = window.image
    valid = window.usable
    usable = source.usable
    scaling = Scaling.of(image, valid)
    scaled = scaling.scaled(image)
    pasted = scaling.scaled(np.where(usable, source.image, 0))
    out = image.copy()
    laid = np.zeros_like(window.hole)
    for hole, from_rows, from_cols in placements(window, usable):
        if source.alpha is not None:
            at = (from_rows[hole], from_cols[hole])
            alpha = source.alpha[at]
            out[:, hole] = (1 - alpha) * image[:, hole] + alpha * source.image[:, at[0], at[1]]
            laid[hole] |= alpha > 0.5
            continue
        bank = Bank(
            np.ascontiguousarray(pasted),
            np.ascontiguousarray(usable),
            np.zeros((*usable.shape, 1), np.float32),
        )
        targets = Targets(hole)
        field = Field(targets, bank, from_rows[hole], from_cols[hole])
        result = poisson.blended(field, scaled, hole, poisson.Lean(fidelity), valid & ~hole)
        out[:, hole] = scaling.restored(result)[:, hole]
        laid |= hole
    return out, laid
