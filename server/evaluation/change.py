"""What an edit did, and where, from the picture before, the picture after and the mask that was
asked for; no weights.

Pictures are (C, H, W) in [0, 1], the mask (H, W) is True where the edit was wanted. Measures that
have no place to be taken at (no pixel outside the mask, no rim) are None, never a number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SEEN = 2 / 255
"""Change of a pixel that counts as one: what rounding twice can make is less."""
RIM_PX = 8
BAND_PX = 3
SHIFT_PX = 1024
"""Side of what a shift is looked for in."""


@dataclass(frozen=True)
class Preservation:
    """Outside the mask. `changed`: share of pixels that differ by more than `SEEN` in a band;
    `magnitude`: mean absolute difference; `gradient`: mean absolute difference of gradients;
    `shift_px`: (down, across) by which the ground moved."""

    changed: float
    magnitude: float
    gradient: float
    shift_px: tuple[float, float] | None


def preservation(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> Preservation | None:
    """How much of the ground that was not asked for changed: all are 0 at best; None where the mask
    covers everything."""
    outside = ~mask
    if not outside.any():
        return None
    difference = np.abs(after - before)
    gradients = [np.abs(a - b) for a, b in zip(_steps(after), _steps(before), strict=True)]
    across = outside[:, 1:] & outside[:, :-1]
    down = outside[1:] & outside[:-1]
    parts = np.concatenate([gradients[0][:, across].ravel(), gradients[1][:, down].ravel()])
    return Preservation(
        float((difference.max(axis=0) > SEEN)[outside].mean()),
        float(difference[:, outside].mean()),
        float(parts.mean()) if parts.size else 0.0,
        shift(before, after, outside),
    )


def shift(before: np.ndarray, after: np.ndarray, where: np.ndarray) -> tuple[float, float] | None:
    """(down, across) in pixels by which `after` is moved against `before`, up to a quarter of a
    side.

    By normalised correlation of what lies in `where` alone (Padfield 2012, eq. 12), so that the
    mask's own outline does not hold it in place, between pixels by a parabola about the peak; None
    where nothing has structure. Of large pictures the middle.
    """
    middle_of = tuple(
        slice(max(0, (side - SHIFT_PX) // 2), max(0, (side - SHIFT_PX) // 2) + SHIFT_PX)
        for side in where.shape
    )
    before = before[(slice(None), *middle_of)]
    after = after[(slice(None), *middle_of)]
    where = where[middle_of]
    if not where.any():
        return None
    size = tuple(2 * side for side in where.shape)
    first, second = (
        (image.mean(axis=0) - image.mean(axis=0)[where].mean()) * where for image in (before, after)
    )

    def transformed(image: np.ndarray) -> np.ndarray:
        return np.fft.rfft2(image, size)

    mask = transformed(where)
    one = transformed(first)
    other = transformed(second)
    squares = transformed(first**2), transformed(second**2)

    def correlated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.fft.irfft2(np.conj(a) * b, size)

    overlap = np.maximum(correlated(mask, mask), 1e-9)
    means = correlated(one, mask), correlated(mask, other)
    spreads = [
        np.maximum(correlated(*pair) - mean**2 / overlap, 0)
        for pair, mean in (((squares[0], mask), means[0]), ((mask, squares[1]), means[1]))
    ]
    spread = np.sqrt(spreads[0] * spreads[1])
    if spread.max() < 1e-9:
        return None
    shared = (correlated(one, other) - means[0] * means[1] / overlap) / np.maximum(spread, 1e-12)
    found = np.where(spread > 1e-6 * spread.max(), shared, -1)
    down, across = (np.fft.fftfreq(side, 1 / side) for side in size)
    near = (np.abs(down)[:, None] <= where.shape[0] / 4) & (np.abs(across) <= where.shape[1] / 4)
    near &= overlap > 0.3 * overlap.max()
    peak = np.unravel_index(int(np.where(near, found, -2).argmax()), size)
    row, col = (int(at) for at in peak)
    return (
        float(down[row] + _vertex(*(found[(row + step) % size[0], col] for step in (-1, 0, 1)))),
        float(across[col] + _vertex(*(found[row, (col + step) % size[1]] for step in (-1, 0, 1)))),
    )


def _vertex(low: float, middle: float, high: float) -> float:
    """Where a parabola through the values at -1, 0 and 1 is highest; 0 where it has no top."""
    bend = low - 2 * middle + high
    return 0.5 * (low - high) / bend if bend < 0 else 0.0


@dataclass(frozen=True)
class Localisation:
    """`precision`: share of the changed pixels that lie in the mask; `recall`: share of the mask
    that changed; `iou`: of the two; `energy_inside`: share of all change that lies in the mask.
    Each 0 ... 1, 1 at best."""

    precision: float
    recall: float
    iou: float
    energy_inside: float


def localisation(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> Localisation | None:
    """Where the change is, against where it was asked for; None where nothing changed or nothing
    was asked for."""
    difference = np.abs(after - before)
    changed = difference.max(axis=0) > SEEN
    energy = difference.mean(axis=0, dtype=np.float64)
    if not changed.any() or not mask.any():
        return None
    both = float((changed & mask).sum())
    # By what is outside, so that none there is exactly 1, in whatever order is summed.
    inside, outside = float(energy[mask].sum()), float(energy[~mask].sum())
    return Localisation(
        both / float(changed.sum()),
        both / float(mask.sum()),
        both / float((changed | mask).sum()),
        inside / max(inside + outside, 1e-12),
    )


@dataclass(frozen=True)
class Rim:
    """`colour`: difference of mean colour between the bands inside and outside the rim, less what
    it was before the edit, never below 0 (of 1; 0 at best); `gradient`: mean jump across the rim by
    the mean jump beside it (1: no seam)."""

    colour: float
    gradient: float


def rim(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> Rim | None:
    """How the edit meets its surroundings; None where the mask has no rim within the picture."""
    known = np.isfinite(before).all(axis=0) & np.isfinite(after).all(axis=0)
    edge, beside = (jumps[np.isfinite(jumps)] for jumps in _jumps(after, mask))
    inside = _band(mask) & known
    outside = _band(~mask) & known
    if not edge.size or not beside.size or not inside.any() or not outside.any():
        return None
    colours = [
        np.abs(image[:, inside].mean(axis=1) - image[:, outside].mean(axis=1)).mean()
        for image in (after, before)
    ]
    return Rim(
        max(0.0, float(colours[0] - colours[1])), float(edge.mean() / max(beside.mean(), 1e-6))
    )


def _steps(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.diff(image, axis=2), np.diff(image, axis=1)


def _jumps(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute jumps between neighbours across the rim, and between those within `RIM_PX` of
    it on one side."""
    near = (ndimage.distance_transform_edt(mask) <= RIM_PX) & (
        ndimage.distance_transform_edt(~mask) <= RIM_PX
    )
    across, down = (np.abs(step).mean(axis=0) for step in _steps(image))
    edge = []
    beside = []
    for jumps, a, b, na, nb in (
        (across, mask[:, 1:], mask[:, :-1], near[:, 1:], near[:, :-1]),
        (down, mask[1:], mask[:-1], near[1:], near[:-1]),
    ):
        edge.append(jumps[a != b])
        beside.append(jumps[(a == b) & na & nb])
    return np.concatenate(edge), np.concatenate(beside)


def _band(side: np.ndarray) -> np.ndarray:
    """Pixels of one side within `BAND_PX` of the other; the picture's own border is no rim."""
    return side & (
        ndimage.distance_transform_edt(np.pad(side, 1, constant_values=True))[1:-1, 1:-1] <= BAND_PX
    )
