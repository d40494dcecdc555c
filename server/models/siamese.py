"""A Siamese ResNet-18 that tells from two pictures of a place whether what stood there is damaged.

ResNet-18 after He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, 2016; both
pictures go through the same trunk, and a linear layer reads both vectors, as in the experiment of
Han et al., Table II.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import nn

STAGES = 4


class _Basic(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or inner != outer:
            self.downsample = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + self.downsample(x))


class SiameseResNet18(nn.Module):
    """Logits (B, classes) of pictures before and after, each (B, 3, H, W) in [-1, 1]; `width` 64 is
    ResNet-18."""

    def __init__(self, width: int = 64, classes: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        inner = width
        for stage in range(STAGES):
            outer = width * 2**stage
            blocks += [_Basic(inner, outer, 1 if stage == 0 else 2), _Basic(outer, outer, 1)]
            inner = outer
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(2 * inner, classes)

    def trunk(self, x: torch.Tensor) -> torch.Tensor:
        """One picture's vector (B, 8 width)."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.blocks(x).mean(dim=(2, 3))

    def forward(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """The two classes' logits."""
        return self.fc(torch.cat([self.trunk(before), self.trunk(after)], dim=1))
