"""SinDDM's network, whose tensors have the names of the reference's, so that its checkpoints load.

A small convolutional network without normalisation or attention predicts the noise of an image at
any scale of its pyramid; it sees 33 x 33 pixels (Kulikov et al., arXiv:2211.16582). Any number of
bands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import nn

EMBEDDING = 32
"""Values that tell the network a level, or a scale."""


class _Block(nn.Module):
    """Depthwise 5 x 5, the embedding added, two 3 x 3, and the input beside it."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.GELU(), nn.Linear(EMBEDDING, EMBEDDING))
        self.time_reshape = nn.Conv2d(EMBEDDING, inner, 1)
        self.ds_conv = nn.Conv2d(inner, inner, 5, padding=2, groups=inner)
        self.net = nn.Sequential(
            nn.Conv2d(inner, outer, 3, padding=1), nn.GELU(), nn.Conv2d(outer, outer, 3, padding=1)
        )
        self.res_conv = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """x (B, C, H, W), embedding (B, 32)."""
        condition = self.time_reshape(self.mlp(embedding)[:, :, None, None])
        return self.net(self.ds_conv(x) + condition) + self.res_conv(x)


def sinusoids(values: torch.Tensor) -> torch.Tensor:
    """Sines, then cosines, of 16 frequencies from 1 down to 1/10000: (B,) to (B, 32)."""
    half = EMBEDDING // 2
    frequency = torch.exp(-math.log(10_000) * torch.arange(half, device=values.device) / (half - 1))
    angle = values.float()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class SinDDMNet(nn.Module):
    """The noise of an image of `bands` bands at noise level t and scale s; 1,106,772 parameters at
    3 bands and width 160."""

    def __init__(self, bands: int = 3, width: int = 160) -> None:
        super().__init__()
        self.time_mlp = nn.Sequential(
            nn.Linear(2 * EMBEDDING, 4 * EMBEDDING), nn.GELU(), nn.Linear(4 * EMBEDDING, EMBEDDING)
        )
        self.l1 = _Block(bands, width // 2)
        self.l2 = _Block(width // 2, width)
        self.l3 = _Block(width, width)
        self.l4 = _Block(width, width // 2)
        self.final_conv = nn.Sequential(nn.Conv2d(width // 2, bands, 1))

    def forward(self, x: torch.Tensor, t: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Noise (B, C, H, W) in x; t and scale (B,)."""
        embedding = self.time_mlp(torch.cat([sinusoids(t), sinusoids(scale)], dim=1).to(x.dtype))
        for block in (self.l1, self.l2, self.l3, self.l4):
            x = block(x, embedding)
        return self.final_conv(x)


def enlarged(image: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """A sample (B, C, H, W) at the next scale's size, as sampling does it."""
    return functional.interpolate(image, size=tuple(size), mode="bilinear")
