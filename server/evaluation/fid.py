"""The Frechet distance between the features of two sets of pictures (Heusel et al. 2017), with its
uncertainty.

It is called Frechet Inception distance only on Inception's features. Of few pictures it is biased
upwards, by an amount that depends on the model that made them (Chong and Forsyth 2020); so the
number of pictures is part of every figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST_UNBIASED = 10_000
"""Pictures a side below which a warning is due."""
RESAMPLES = 100


@dataclass(frozen=True)
class Distance:
    """A measured distance. `value`: the Frechet distance, 0 for equal sets. `low`, `high`: the
    middle 95 % of it over resampled pictures; both `value` where none were resampled. `real`,
    `made`: how many pictures each side had."""

    value: float
    low: float
    high: float
    real: int
    made: int

    @property
    def warning(self) -> str:
        """What must be said beside it; empty where there are pictures enough."""
        fewest = min(self.real, self.made)
        if fewest >= FEWEST_UNBIASED:
            return ""
        return (
            f"{fewest} pictures a side: the distance is biased upwards, and by a different amount "
            "for each model. Compare figures of the same number of pictures only; "
            f"{FEWEST_UNBIASED:,} are usual."
        )


def frechet(real: np.ndarray, made: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2) of two sets of features (n, d).

    With S = A^T A of the centred features A / sqrt(n - 1), the trace of the root is the sum of the
    singular values of A1 A2^T, or, of many pictures, of S1^1/2 S2^1/2; neither needs the root of a
    matrix that is not symmetric.
    """
    first, second = (np.asarray(part, np.float64) for part in (real, made))
    means = first.mean(axis=0), second.mean(axis=0)
    first, second = (
        (part - mean) / np.sqrt(len(part) - 1)
        for part, mean in zip((first, second), means, strict=True)
    )
    small = len(first) + len(second) <= 2 * first.shape[1]
    between = first @ second.T if small else _root(first.T @ first) @ _root(second.T @ second)
    shared = np.linalg.svd(between, compute_uv=False).sum()
    return float(
        max(
            ((means[0] - means[1]) ** 2).sum() + (first**2).sum() + (second**2).sum() - 2 * shared,
            0.0,
        )
    )


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def distance(
    real: np.ndarray, made: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> Distance:
    """The Frechet distance with a bootstrap over pictures.

    A resampled set holds fewer different pictures, which biases its distance further; that part is
    taken out by centring the resampled distances on the value (basic bootstrap around the median).
    """
    value = frechet(real, made)
    rng = np.random.default_rng(seed)
    drawn = [
        frechet(
            real[rng.integers(0, len(real), len(real))], made[rng.integers(0, len(made), len(made))]
        )
        for _ in range(resamples)
    ]
    if not drawn:
        return Distance(value, value, value, len(real), len(made))
    low, middle, high = np.percentile(drawn, (2.5, 50, 97.5))
    return Distance(
        value, max(value + low - middle, 0.0), value + high - middle, len(real), len(made)
    )
