"""Overlapping windows along a line: where they start, and with which weight each counts."""

from __future__ import annotations

import numpy as np


def starts(length: int, window: int, overlap: int, step: int = 1) -> list[int]:
    """First places of windows that cover `length`, evenly spread, overlapping by at least
    `overlap`, in multiples of `step`."""
    if length <= window:
        return [0]
    count = int(np.ceil((length - overlap) / (window - overlap)))
    spread = [round(i * (length - window) / (count - 1)) for i in range(count)]
    return [
        min(start // step * step, length - window) if i < count - 1 else length - window
        for i, start in enumerate(spread)
    ]


def ramp(
    length: int, at_start: bool, at_end: bool, overlap: int, share: float = 1 / 3
) -> np.ndarray:
    """Raised-cosine weight along a window: 1 inside, falling towards the sides that have a
    neighbour.

    It falls in the middle `share` of the overlap. What is outside of that, where a window knows
    least of its surroundings, counts for nothing.
    """
    position = np.arange(length) + 0.5
    rise = np.ones(length)
    for near, wanted in ((position, at_start), (length - position, at_end)):
        if wanted:
            along = near / (max(overlap, 1) * share) - (1 - share) / (2 * share)
            rise *= 0.5 - 0.5 * np.cos(np.pi * np.clip(along, 0, 1))
    return np.maximum(rise, 1e-4)
