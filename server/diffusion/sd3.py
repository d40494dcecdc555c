"""Stable Diffusion 3's transformer as a denoiser; with further channels it is UltraEdit: noisy,
source, mask, in this order."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .branches import Branch, Guided, stacked
from .tiles import Tile


class SD3Denoiser(Guided):
    """SD3Transformer2DModel; predicts a flow's velocity."""

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        seen = torch.cat([branch.seen(noisy, tile) for branch in batch])
        return self.net(
            hidden_states=seen,
            timestep=t.reshape(1).expand(len(batch)).to(seen.device),
            encoder_hidden_states=stacked([branch.words.states for branch in batch], seen),
            pooled_projections=stacked([branch.words.pooled for branch in batch], seen),
            return_dict=False,
        )[0]
