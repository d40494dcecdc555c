"""COPY: a source polygon's content at target places, blended by the robust Poisson equation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, ndimage

from . import poisson
from .field import Bank, Field, Targets
from .pyramid import Level
from .scaling import Scaling

DARKEST = 0.05
ROOM = 0.99
"""Share of an object that has to lie in a hole for it to be whole."""


def placements(
    window: Level, usable: np.ndarray, whole: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For every part of the window's hole the pixels (H, W) that a source lies on, middle on
    middle, and the source's rows and columns (H, W) there. `whole` (h, w): the object that should
    find room; it is moved off the middle so far as that takes."""
    shape = usable if whole is None else whole
    parts, count = ndimage.label(window.hole, np.ones((3, 3)))
    rows, cols = np.indices(window.hole.shape)
    for part in range(1, count + 1):
        here = parts == part
        if whole is None:
            middles = np.array(ndimage.center_of_mass(here)), ndimage.center_of_mass(shape)
            down, right = np.rint(middles[1] - middles[0]).astype(int)
        else:
            down, right = (-step for step in _roomiest(here, whole)[0])
        from_rows = rows + down
        from_cols = cols + right
        hole = here & (from_rows >= 0) & (from_rows < usable.shape[0])
        hole &= (from_cols >= 0) & (from_cols < usable.shape[1])
        hole[hole] = usable[from_rows[hole], from_cols[hole]]
        if hole.any():
            yield hole, from_rows, from_cols


def _roomiest(here: np.ndarray, whole: np.ndarray) -> tuple[tuple[int, int], float]:
    """By how many rows and columns an object (h, w) is moved so that most of it lies in a part of a
    hole (H, W), nearest to its middle, and what share of it lies there then."""
    top, left = (int(np.flatnonzero(here.any(axis))[0]) for axis in (1, 0))
    up, back = (int(np.flatnonzero(whole.any(axis))[0]) for axis in (1, 0))
    room = here[np.ix_(here.any(1), here.any(0))].astype(np.float32)
    own = whole[np.ix_(whole.any(1), whole.any(0))].astype(np.float32)
    # What of it lies in the hole, for every place at which both touch.
    tall, wide = (a + b - 1 for a, b in zip(room.shape, own.shape, strict=True))
    shape = fft.next_fast_len(tall, real=True), fft.next_fast_len(wide, real=True)
    spectrum = fft.rfft2(room, shape) * fft.rfft2(own[::-1, ::-1], shape)
    covered = np.rint(fft.irfft2(spectrum, shape)[:tall, :wide])
    at = np.argwhere(covered >= covered.max())
    middle = (np.array(room.shape) + own.shape) / 2 - 1
    row, col = at[((at - middle) ** 2).sum(axis=1).argmin()] - own.shape + np.array([1, 1])
    share = float(covered.max() / max(own.sum(), 1))
    return (int(row) + top - up, int(col) + left - back), share


def size_that_fits(window: Level, source: Source, least: float) -> float:
    """How many times as large, from `least` to 1, an object finds room in each part of the window's
    hole; 1 where it does not anyhow."""
    if source.alpha is None or not (source.alpha > 0.5).any():
        return 1.0
    parts, _ = ndimage.label(window.hole, np.ones((3, 3)))
    boxes = enumerate(ndimage.find_objects(parts), 1)
    holes = [parts[box] == part for part, box in boxes]
    for step in range(round((1 - least) / 0.05) + 1):
        size = 1 - 0.05 * step
        own = source.turned(0, size) if step else source
        assert own.alpha is not None
        whole = own.alpha > 0.5
        if whole.any() and all(_roomiest(hole, whole)[1] >= ROOM for hole in holes):
            return size
    return 1.0


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
class OwnShadow:
    """The shadow that an object brings. `share` (h, w): how much of each pixel it is, 0 to 1.
    `lit` (C,): its ground where the sun shines."""

    share: np.ndarray
    lit: np.ndarray

    def on(self, ground: np.ndarray, image: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
        """Pixels (C, n) of an object's `image` (C, h, w) `at` rows and columns with its shadow on
        another `ground` (C, n), which it darkens as it does its own."""
        own = image[:, at[0], at[1]]
        ratio = np.clip(own / np.maximum(self.lit[:, None], 1e-3), DARKEST, 1.0)
        share = self.share[at]
        return np.asarray(own + share * (ground * ratio - own))


@dataclass(frozen=True)
class Source:
    """What is copied. `image` (C, h, w): its pixels. `usable` (h, w): those that are copied.
    `alpha` (h, w): how much of each is the object, 0 to 1; None: it is copied with its ground.
    `shadow`: what of the object is its own shadow; None: nothing."""

    image: np.ndarray
    usable: np.ndarray
    alpha: np.ndarray | None = None
    shadow: OwnShadow | None = None

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
        shadow = self.shadow
        if shadow is not None:
            shadow = replace(shadow, share=_turned(shadow.share, degrees, scale, 1))
        return Source(image, usable, alpha, shadow)

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> Source:
        image = np.stack([change(band) for band in self.image])
        alpha = None if self.alpha is None else change(self.alpha)
        shadow = self.shadow and replace(self.shadow, share=change(self.shadow.share))
        return Source(image, change(self.usable), alpha, shadow)


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
    """Lay a source on every part of the window's hole, middle on middle, an object where it has
    room.

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
    whole = None
    if source.alpha is not None:
        # What is thinner than a pixel has no pixel that is mostly it.
        whole = source.alpha > min(0.5, 0.5 * float(source.alpha.max()))
    for hole, from_rows, from_cols in placements(window, usable, whole):
        if source.alpha is not None:
            at = (from_rows[hole], from_cols[hole])
            alpha = source.alpha[at]
            there = image[:, hole]
            own = source.image[:, at[0], at[1]]
            if source.shadow is not None:
                own = source.shadow.on(there, source.image, at)
            out[:, hole] = (1 - alpha) * there + alpha * own
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
