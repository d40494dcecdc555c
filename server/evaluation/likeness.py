"""Cosines between features of pictures and of sentences: CLIP-I, CLIP-T, DINO-I, as MagicBrush
(Zhang et al. 2023) has them.

The networks are apart from the arithmetic: features are rows of arrays, by whatever network; a
figure bears its network's name.
"""

from __future__ import annotations

import numpy as np


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of each row (n, d) with its partner, (n,): -1 ... 1, 1 for the same direction; NaN for a row
    of zeros."""
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} are no pairs")
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((first * second).sum(axis=1) / np.where(lengths > 0, lengths, np.nan))


def image_likeness(made: np.ndarray, truth: np.ndarray) -> float:
    """Mean cosine of edits with the true pictures: CLIP-I with CLIP's features, DINO-I with DINO's.
    NaN rows do not count."""
    return float(np.nanmean(cosines(made, truth)))


def text_likeness(made: np.ndarray, words: np.ndarray) -> float:
    """Mean cosine of edits with the captions of what should be there: CLIP-T."""
    return float(np.nanmean(cosines(made, words)))


def distances(made: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """L1 and L2 of MagicBrush: mean absolute and mean squared difference of pictures in [0, 1] of
    one size."""
    if made.shape != truth.shape:
        raise ValueError(f"{made.shape} and {truth.shape} are not of one size")
    difference = made.astype(np.float64) - truth
    return float(np.abs(difference).mean()), float((difference**2).mean())
