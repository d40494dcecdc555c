"""How sure a classifier is of each picture and how different its answers are (Salimans et al.
2016).

exp of the mean KL divergence between a picture's class probabilities and those of all pictures. It
is called Inception score only on Inception's classes; it knows nothing of real pictures, so it says
little of aerial imagery.
"""

from __future__ import annotations

import numpy as np

SPLITS = 10


def score(probabilities: np.ndarray, splits: int = SPLITS, seed: int = 0) -> tuple[float, float]:
    """Mean and standard deviation of the score over parts of a shuffled set of probabilities (n,
    classes)."""
    order = np.random.default_rng(seed).permutation(len(probabilities))
    parts = np.array_split(
        np.asarray(probabilities, np.float64)[order], min(splits, len(probabilities))
    )
    found = [_of(part) for part in parts]
    return float(np.mean(found)), float(np.std(found))


def _of(part: np.ndarray) -> float:
    together = part.mean(axis=0, keepdims=True)
    logs = np.log(np.maximum(part, 1e-16)) - np.log(np.maximum(together, 1e-16))
    return float(np.exp((part * logs).sum(axis=1).mean()))
