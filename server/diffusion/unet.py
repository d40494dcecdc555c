"""Stable Diffusion's U-Net as a denoiser: plain, told a ground size (Text2Earth), shown the source
(InstructPix2Pix, RSEdit) or a masked source (inpainting); and Kandinsky's, which reads image
embeddings instead of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .branches import Branch, Guided, stacked
from .guidance import FreeGuidance
from .tiles import Tile


class UNetDenoiser(Guided):
    """UNet2DConditionModel. What a branch shows is joined as channels after the noisy latent, which
    alone is scaled."""

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        seen = torch.cat([branch.seen(noisy, tile) for branch in batch])
        given: dict[str, Any] = {}
        if self.net.class_embedding is not None:
            given["class_labels"] = torch.tensor(
                [branch.label or 0 for branch in batch], device=seen.device, dtype=t.dtype
            )
        words = stacked([branch.words.states for branch in batch], seen)
        return self.net(
            seen, t.to(seen.device), encoder_hidden_states=words, **given, return_dict=False
        )[0]


class KandinskyDenoiser(Guided):
    """Kandinsky 2.2's decoder: `words.pooled` are image embeddings of its prior; shown are masked
    latent and mask.

    Its output holds a variance behind the noise; `keeps_variance` where the schedule takes it
    (DDPM, learned range), of the worded branch.
    """

    def __init__(
        self,
        net: Any,
        branches: Sequence[Branch],
        guidance: FreeGuidance,
        keeps_variance: bool,
        together: bool = True,
    ) -> None:
        super().__init__(net, branches, guidance, together)
        self.keeps_variance = keeps_variance

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        seen = torch.cat([branch.seen(noisy, tile) for branch in batch])
        told = stacked([branch.words.pooled for branch in batch], seen)
        return self.net(
            sample=seen,
            timestep=t.to(seen.device),
            encoder_hidden_states=None,
            added_cond_kwargs={"image_embeds": told},
            return_dict=False,
        )[0]

    def _combined(self, made: torch.Tensor) -> torch.Tensor:
        noise, variance = made.chunk(2, dim=1)
        noise = super()._combined(noise)
        return torch.cat([noise, variance[:1]], 1) if self.keeps_variance else noise
