"""What each prediction of a guided step is told: words, what is shown beside the noise, a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..ground.optional import torch
from .guidance import FreeGuidance
from .tiles import Tile


@dataclass(frozen=True)
class Words:
    """A text as a model reads it. `states` (1, n, D): a vector for each token. `mask` (1, n): 1 for
    text, 0 for padding; None: the network sees all tokens. `pooled` (1, P): one vector for all of
    the text; None where the model takes none. With Kandinsky both are the prior's image
    embedding."""

    states: torch.Tensor
    mask: torch.Tensor | None = None
    pooled: torch.Tensor | None = None


@dataclass(frozen=True)
class Branch:
    """One prediction's conditions. `words`: the text it is told. `shown`: a canvas (1, C, H, W) of
    latents beside the noise, as further channels; None: nothing is shown. `label`: a class label,
    which for Text2Earth is the map level of the ground size; 0 or None: not told."""

    words: Words
    shown: torch.Tensor | None = None
    label: int | None = None

    def with_condition(self, noisy: torch.Tensor, tile: Tile) -> torch.Tensor:
        """The noisy tile with what is shown beside it, as further channels."""
        return noisy if self.shown is None else torch.cat([noisy, tile.of(self.shown).to(noisy)], 1)


class Guided(ABC):
    """A network whose predictions for several branches become one. `batched_guidance`: from one
    batch of all, or, to save memory, from one after the other."""

    def __init__(
        self,
        net: Any,
        branches: Sequence[Branch],
        guidance: FreeGuidance,
        batched_guidance: bool = True,
    ) -> None:
        self.net = net
        self.branches = branches
        self.guidance = guidance
        self.batched_guidance = batched_guidance

    def __call__(self, noisy: torch.Tensor, t: torch.Tensor, tile: Tile) -> torch.Tensor:
        """The guided output for one tile (1, C, h, w) at a timestep."""
        noisy = noisy.to(self.net.device, self.net.dtype)
        batches = (
            [self.branches] if self.batched_guidance else [[branch] for branch in self.branches]
        )
        made = torch.cat([self._predicted(batch, noisy, t, tile).float() for batch in batches])
        return self._combined(made)

    def _combined(self, made: torch.Tensor) -> torch.Tensor:
        """All branches' outputs (B, C, h, w) as one (1, C, h, w)."""
        return self.guidance.combined(*made.chunk(len(self.branches)))

    @abstractmethod
    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        """The outputs for a batch of branches (B, C, h, w)."""


def stacked(parts: Sequence[torch.Tensor | None], like: torch.Tensor) -> torch.Tensor | None:
    """The branches' conditions as one batch in the model's type and place; None where they have
    none."""
    there = [part for part in parts if part is not None]
    return (
        torch.cat(there).to(like.device, like.dtype if there[0].is_floating_point() else None)
        if there
        else None
    )
