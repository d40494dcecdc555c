"""A low-rank adapter of Stable Diffusion's U-Net, learned from captioned pictures (Hu et al. 2022;
MMM-RS, section 4.1).

The published setting is Adam at 1e-4; rank, batch and the layers are not stated there: the
attention's four maps, as is usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..diffusion.components import Model
from ..ground.errors import WeightsMissing
from ..models import lazy, weights
from . import latent
from .captioned import Captioned
from .latent import NoisedTrainer

LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
ADAPTER = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class Recipe(latent.Recipe):
    """`rank` and `alpha` of the factors."""

    rank: int = 16
    alpha: int = 16


def factors(
    net: Any, name: str, layers: list[str] | str, rank: int, alpha: int
) -> dict[str, torch.nn.Parameter]:
    """Put factors beside a network's layers (ends of their names, or a pattern of whole ones); they
    begin without effect."""
    try:
        config = lazy.parts("peft", "LoraConfig")
    except ImportError as error:
        raise WeightsMissing(
            "Training needs the package peft: pip install 'landbrush[train]'"
        ) from error
    net.add_adapter(
        config(r=rank, lora_alpha=alpha, target_modules=layers, init_lora_weights="gaussian")
    )
    return {
        f"{name}." + key.replace(".default.weight", ".weight"): value
        for key, value in net.named_parameters()
        if value.requires_grad
    }


class LoraTrainer(NoisedTrainer[Captioned]):
    """Learns the factors alone."""

    recipe: Recipe

    def __init__(
        self, model: Model, pictures: Sequence[Captioned], recipe: Recipe, folder: Path
    ) -> None:
        super().__init__(model, pictures, recipe, folder)

    def learnable(self) -> dict[str, torch.nn.Parameter]:
        """The factors beside the attention's maps, by the names of peft and diffusers."""
        return factors(self.net, self.network, list(LAYERS), self.recipe.rank, self.recipe.alpha)

    def make_optimiser(self, values: Any) -> torch.optim.Optimizer:
        """Adam at the recipe's rate, as published."""
        return torch.optim.Adam(values, lr=self.recipe.rate)

    def pixels(
        self, chosen: Sequence[Captioned], rng: np.random.Generator
    ) -> tuple[torch.Tensor, None]:
        """The pictures (B, 3, side, side) of the samples; there is no condition beside them."""
        return torch.from_numpy(
            np.stack([one.pixels(self.recipe.side_px, rng) for one in chosen])
        ), None

    def predicted(
        self,
        noisy: torch.Tensor,
        levels: torch.Tensor,
        words: torch.Tensor,
        shown: torch.Tensor | None,
    ) -> torch.Tensor:
        """The U-Net with its factors."""
        return self.net(noisy, levels, encoder_hidden_states=words, return_dict=False)[0]

    @property
    def exported(self) -> Path:
        """A file that peft's and diffusers' loaders read too."""
        return self.folder / ADAPTER

    def export(self, about: dict[str, str]) -> None:
        """Write the low-rank factors as an adapter that the editor loads."""
        weights.save(self.exported, self.tensors(), {**about, "lora_alpha": str(self.recipe.alpha)})
