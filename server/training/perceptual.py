"""Losses beside the noise's, of the picture that a step would lead to: how well its CLIP features
fit the caption, and its DINO features those of what really came (RSEdit names both as future work).

The clean latents of a noisy pair are estimated from the predicted noise and decoded; an estimate is
worth the less, the more noise there was, so each counts by the share of signal at its level. The
networks stay as they are; the gradient passes through them and the autoencoder's decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..diffusion.codec import Codec
from ..models import dino, image_text
from ..models.dino import Dino
from ..models.image_text import ImageText

WORST_SHARE = 0.05
"""Share of signal below which an estimate says nothing and is not decoded."""


@dataclass(frozen=True)
class Weights:
    """How much the losses count beside the noise's. `clip`, `dino`: factors, 0: not taken.
    `clip_path`, `dino_path`: the networks, as 'models set image-text' and 'dino' name them."""

    clip: float = 0.0
    dino: float = 0.0
    clip_path: str = ""
    dino_path: str = ""


class Perceptual:
    """Both networks, and what they say of estimates. Raises WeightsMissing."""

    def __init__(self, weights: Weights, device: torch.device) -> None:
        self.weights = weights
        self.device = device
        self.clip: ImageText | None = None
        self.dino: Dino | None = None
        if weights.clip:
            self.clip = image_text.load(Path(weights.clip_path))
        if weights.dino:
            self.dino = dino.load(weights.dino_path)
            self.dino.net.to(device).requires_grad_(False)

    def loss(
        self,
        codec: Codec,
        clean: torch.Tensor,
        share: torch.Tensor,
        told: tuple[Sequence[str], torch.Tensor],
    ) -> torch.Tensor:
        """Of estimated clean latents (B, C, h, w) in the model's scale, the share of signal of each
        (B,), and captions with the pictures that really came (B, 3, H, W in [-1, 1])."""
        captions, pictures = told
        total = clean.new_zeros(())
        for latent, weight, caption, picture in zip(clean, share, captions, pictures, strict=True):
            if float(weight) < WORST_SHARE:
                continue
            made = self._decoded(codec, latent[None])
            found = made.new_zeros(())
            if self.clip is not None and caption:
                words = self.clip.text([caption])[0].to(made)
                fits = self.clip.image(made)[0].to(made) @ words
                found = found + self.weights.clip * (1 - fits)
            if self.dino is not None:
                wanted = (picture[None] / 2 + 0.5).to(made)
                pair = [self.dino.described(one[0]) for one in (made, wanted)]
                alike = torch.nn.functional.cosine_similarity(pair[0], pair[1].detach(), dim=0)
                found = found + self.weights.dino * (1 - alike)
            total = total + weight.to(found) * found
        return total / len(clean)

    def _decoded(self, codec: Codec, latent: torch.Tensor) -> torch.Tensor:
        """A picture (1, 3, H, W) in [0, 1], with its gradient."""
        net: Any = codec.net
        unscaled = codec.unscaled(latent).to(net.device, codec.kind)
        return (net.decode(unscaled).sample.float() / 2 + 0.5).clamp(0, 1)
