"""ICEdit's adapter (Zhang et al. 2025): FLUX.1 Fill learns to fill the right half of a pair of
pictures by instruction.

Low-rank factors (rank 32) of the layers that its authors name, by Prodigy; a pair is one picture
twice as wide, whose right half is masked. Flow matching: with t = sigmoid(n), n normal, x_t = (1 -
t) x_0 + t x_1, the network predicts x_1 - x_0 (noise less picture).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from ..diffusion.branches import Words
from ..diffusion.components import Model
from ..diffusion.families.flux import (
    FillDenoiser,
    flux_words,
    laid_out,
    packed,
    packed_mask,
    sentence,
)
from ..diffusion.text import T5_TOKENS
from ..diffusion.tiles import Tile
from ..models import weights
from .data.pairs import EditPair
from .instruction_class import Examples
from .judging import held_loss
from .latent import LatentTrainer
from .latent import Recipe as LatentRecipe
from .lora import ADAPTER, factors
from .prodigy import prodigy

LAYERS = (
    r"x_embedder|.*\btransformer_blocks\.\d+\."
    r"(norm1\.linear|attn\.(to_q|to_k|to_v|to_out\.0)|ff\.net\.2)"
    r"|.*single_transformer_blocks\.\d+\.(norm\.linear|proj_mlp|proj_out|attn\.(to_q|to_k|to_v))"
)
GUIDANCE = 1.0
"""The guidance input while it is trained; in use it is 50."""


@dataclass(frozen=True, kw_only=True)
class Recipe(LatentRecipe):
    """Settings of a training; the values are those of the paper."""

    steps: int = 25_000
    """Changes of the weights."""
    rate: float = 1.0
    """Multiple of the step size that Prodigy finds."""
    batch: int = 2
    """Pairs at a time."""
    accumulate: int = 1
    """Batches whose gradients a step adds up."""
    dropped: float = 0.1
    """Share of instructions left out, for guidance without words."""
    save_every: int = 1000
    """Steps after which the state is kept."""
    rank: int = 32
    """Inner width of the two factors beside a layer."""
    alpha: int = 32
    """What the factors make is multiplied by alpha / rank."""
    decay: float = 0.01
    """Weight decay, as Prodigy applies it."""
    saving: bool = False
    """Recompute instead of keeping, which takes less memory."""
    examples: int = 0
    """Other pairs of the same kind that a pair is shown with, at most: so many rows above it."""


class ICEditTrainer(LatentTrainer[EditPair]):
    """Learns the factors alone."""

    recipe: Recipe
    network = "transformer"

    def __init__(
        self,
        model: Model,
        pairs: Sequence[EditPair],
        recipe: Recipe,
        folder: Path,
        held: Sequence[EditPair] = (),
    ) -> None:
        super().__init__(model, pairs, recipe, folder)
        self.held = list(held)
        if recipe.saving:
            self.net.enable_gradient_checkpointing()
            self.net.train()
        self.shown = Examples(self.pictures)
        self._read: dict[tuple[str, int], Words] = {}

    def learnable(self) -> dict[str, torch.nn.Parameter]:
        """The factors beside the named layers."""
        return factors(self.net, self.network, LAYERS, self.recipe.rank, self.recipe.alpha)

    def make_optimiser(self, values: Any) -> torch.optim.Optimizer:
        """Prodigy, which finds its step size itself, as published."""
        return prodigy(values, self.recipe.rate, self.recipe.decay)

    def pixels(
        self, chosen: Sequence[EditPair], rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What came, and what was before."""
        both = [one.squares(self.recipe.side_px) for one in chosen]
        after, before = (torch.from_numpy(np.stack(part)) for part in zip(*both, strict=True))
        return after, before

    def said(self, caption: str, rows: int = 1) -> Words:
        """An instruction as FLUX reads it, in ICEdit's sentence, or the one for examples; empty
        where it is left out."""
        key = caption, rows
        if key not in self._read:
            words = sentence(caption, rows) if caption else ""
            with (
                torch.no_grad(),
                self.model.reader("text_encoder", "tokenizer", 77) as clip,
                self.model.reader("text_encoder_2", "tokenizer_2", T5_TOKENS["flux"]) as t5,
            ):
                self._read = {
                    key: flux_words(clip, t5, words),
                    **dict(list(self._read.items())[:255]),
                }
        return self._read[key]

    def loss(self, rng: np.random.Generator) -> torch.Tensor:
        """Mean squared error of the velocity over a batch."""
        chosen = [
            self.pictures[int(n)] for n in rng.integers(0, len(self.pictures), self.recipe.batch)
        ]
        found = [
            self.of_pair(one, "" if rng.random() < self.recipe.dropped else one.caption, rng)
            for one in chosen
        ]
        return torch.stack(found).mean()

    def of_pair(self, pair: EditPair, caption: str, rng: np.random.Generator) -> torch.Tensor:
        """The loss of one pair at a random time with random noise, below examples of its kind where
        the recipe has them (as many as are drawn, so that fewer are learned too)."""
        after, before = self.pixels([pair], rng)
        panels: list[torch.Tensor] = []
        if self.recipe.examples:
            count = int(rng.integers(0, self.recipe.examples + 1))
            for one in self.shown.for_one(pair, count, rng):
                later, earlier = self.pixels([one], rng)
                panels += [earlier, later]
        rows = len(panels) // 2 + 1
        clean = self.latent(laid_out([*panels, before, after]))
        masked = self.latent(laid_out([*panels, before, torch.zeros_like(after)]))
        empty = torch.zeros_like(before[:, :1])
        mask = laid_out([*[empty] * (len(panels) + 1), torch.ones_like(empty)])
        pixels = mask.shape[3] // clean.shape[3]
        tile = Tile(0, 0, clean.shape[2], clean.shape[3])
        shown = torch.cat([packed(masked), packed_mask(mask, pixels).to(masked)], 2)
        noise = torch.from_numpy(rng.standard_normal(clean.shape, np.float32)).to(clean)
        time = 1 / (1 + float(np.exp(-rng.standard_normal())))
        noisy = (1 - time) * clean + time * noise
        net = FillDenoiser(self.net, self.said(caption, rows), GUIDANCE, {tile: shown})
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            made = net(noisy, torch.tensor([1000 * time]), tile)
        return functional.mse_loss(made.float(), (noise - clean).float())

    def validated(self) -> float | None:
        """Mean loss on the held pairs."""
        return held_loss(self.held, lambda pair, rng: self.of_pair(pair, pair.caption, rng))

    @property
    def exported(self) -> Path:
        """A file that the editor icedit loads."""
        return self.folder / ADAPTER

    def export(self, about: dict[str, str]) -> None:
        """Write the low-rank factors as an adapter that the editor loads."""
        weights.save(self.exported, self.tensors(), {**about, "lora_alpha": str(self.recipe.alpha)})
