"""A ControlNet beside Stable Diffusion's U-Net: a picture, tile by tile, steers what is drawn
(Zhang et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .branches import Branch, stacked
from .guidance import FreeGuidance
from .tiles import Tile
from .unet import UNetDenoiser


@dataclass(frozen=True)
class Control:
    """A ControlNet, the picture (1, 3, H, W) in [0, 1] it is shown on the canvas's grid, of which
    `pixels` are a latent along a side, and the `strength` of what it adds."""

    net: Any
    picture: torch.Tensor
    pixels: int
    strength: float


class ControlledDenoiser(UNetDenoiser):
    """The U-Net with what the control adds to its skips and its middle."""

    def __init__(
        self,
        net: Any,
        control: Control,
        branches: Sequence[Branch],
        guidance: FreeGuidance,
        together: bool = True,
    ) -> None:
        super().__init__(net, branches, guidance, together)
        self.control = control

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        seen = noisy.expand(len(batch), -1, -1, -1)
        words = stacked([branch.words.states for branch in batch], seen)
        t = t.to(seen.device)
        shown = (
            tile.of(self.control.picture, self.control.pixels)
            .to(seen)
            .expand(len(batch), -1, -1, -1)
        )
        down, middle = self.control.net(
            seen,
            t,
            encoder_hidden_states=words,
            controlnet_cond=shown,
            conditioning_scale=self.control.strength,
            return_dict=False,
        )
        return self.net(
            seen,
            t,
            encoder_hidden_states=words,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]
