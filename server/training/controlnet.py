"""A ControlNet on Stable Diffusion: a copy of the U-Net's first half that is shown a picture and
steers the frozen whole (Zhang et al. 2023). MMM-RS trains one for radar and one for near infrared
(batch 4, 5e-5, 80k and 20k steps).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..models import lazy, weights
from .captioned import Paired
from .latent import NoisedTrainer

FOLDER = "controlnet"
WEIGHTS = "diffusion_pytorch_model.safetensors"


class ControlNetTrainer(NoisedTrainer[Paired]):
    """Learns the copy; what it adds to the frozen network is nothing at first."""

    control: Any

    def learnable(self) -> dict[str, torch.nn.Parameter]:
        """All of the copy."""
        self.control = (
            lazy.parts("diffusers", "ControlNetModel")
            .from_unet(self.net)
            .to(self.device)
            .train()
            .requires_grad_(True)
        )
        return dict(self.control.named_parameters())

    def make_optimiser(self, values: Any) -> torch.optim.Optimizer:
        """Adam, as MMM-RS states it (section 4.2: a rate of 5e-5)."""
        return torch.optim.Adam(values, lr=self.recipe.rate)

    def pixels(
        self, chosen: Sequence[Paired], rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets, and the controls in [0, 1]."""
        both = [one.both(self.recipe.side_px, rng) for one in chosen]
        targets, controls = (torch.from_numpy(np.stack(part)) for part in zip(*both, strict=True))
        return targets, controls / 2 + 0.5

    def predicted(
        self,
        noisy: torch.Tensor,
        levels: torch.Tensor,
        words: torch.Tensor,
        shown: torch.Tensor | None,
    ) -> torch.Tensor:
        """The frozen U-Net with what the copy adds to its skips and its middle."""
        down, middle = self.control(
            noisy.float(),
            levels,
            encoder_hidden_states=words.float(),
            controlnet_cond=shown,
            return_dict=False,
        )
        return self.net(
            noisy,
            levels,
            encoder_hidden_states=words,
            return_dict=False,
            down_block_additional_residuals=[part.to(noisy.dtype) for part in down],
            mid_block_additional_residual=middle.to(noisy.dtype),
        )[0]

    @property
    def exported(self) -> Path:
        """The folder of a ControlNet as diffusers lays it out."""
        return self.folder / FOLDER

    def export(self, about: dict[str, str]) -> None:
        """Write network and configuration as diffusers' ControlNetModel reads them."""
        weights.save(self.exported / WEIGHTS, self.tensors(), about)
        config = self.exported / ".config.json"
        config.write_text(
            json.dumps({"_class_name": "ControlNetModel", **dict(self.control.config)}, indent=1),
            "utf8",
        )
        config.replace(self.exported / "config.json")
