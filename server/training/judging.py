"""The loss by which trainings are compared: of pairs that are not trained on, always of the same
noise and levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from .data.pairs import EditPair

FIXED_SEED = 20_240
"""Of that noise and those levels, apart from any training's own."""
MOST = 64
"""Pairs whose loss is taken."""
LEVELS = 4
"""Noise levels a pair."""


def held_loss(
    held: Sequence[EditPair], loss: Callable[[EditPair, np.random.Generator], torch.Tensor]
) -> float | None:
    """The mean over pairs and levels; None without pairs."""
    found = []
    with torch.no_grad():
        for number, pair in enumerate(held[:MOST]):
            found += [
                float(loss(pair, np.random.default_rng((FIXED_SEED, number, level))))
                for level in range(LEVELS)
            ]
    return sum(found) / len(found) if found else None
