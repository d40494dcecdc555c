"""What each prediction of a guided step is told: words, what is shown beside the noise, a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from .guidance import FreeGuidance
from .tiles import Tile


@dataclass(frozen=True)
class Words:
    """A text as a model reads it: states (1, n, D), which of them are text (1, n), one vector for all (1, P)."""

    states: torch.Tensor
    mask: torch.Tensor | None = None
    pooled: torch.Tensor | None = None


@dataclass(frozen=True)
class Branch:
    """One prediction's conditions: words, a canvas (1, C, H, W) shown beside the noise, a class label."""

    words: Words
    shown: torch.Tensor | None = None
    label: int | None = None

    def seen(self, noisy: torch.Tensor, tile: Tile) -> torch.Tensor:
        """The noisy tile with what is shown beside it, as further channels."""
        return noisy if self.shown is None else torch.cat([noisy, tile.of(self.shown).to(noisy)], 1)


def guided(branches: Sequence[Branch], guidance: FreeGuidance, together: bool,
           predict: Callable[[Sequence[Branch]], torch.Tensor]) -> torch.Tensor:
    """The guided prediction, from one batch of all branches or, to save memory, from one after the other."""
    batches = [branches] if together else [[branch] for branch in branches]
    made = torch.cat([predict(batch).float() for batch in batches])
    return guidance.combined(*made.chunk(len(branches)))


def stacked(parts: Sequence[torch.Tensor | None], like: torch.Tensor) -> torch.Tensor | None:
    """The branches' conditions as one batch in the model's type and place; None where they have none."""
    there = [part for part in parts if part is not None]
    return torch.cat(there).to(like.device, like.dtype if there[0].is_floating_point() else None) if there else None
