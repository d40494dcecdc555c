"""The Inception v3 of 2015 whose features the Frechet Inception distance is defined on, in torch;
weights are the user's.

Szegedy et al., Rethinking the inception architecture for computer vision, 2016. The released
TensorFlow graph differs from the paper's: its average pools do not count the padding, and the last
block pools by maximum. Tensor names are those of the usual PyTorch port (Conv2d_1a_3x3.conv.weight
... fc.bias, 1008 classes).
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as functional
from torch import nn

from ..ground.errors import WeightsMissing
from . import weights

SIDE_PX = 299
WIDTH = 2048
CLASSES = 1008
Size = int | tuple[int, int]


class _Conv(nn.Module):
    def __init__(
        self, inner: int, outer: int, kernel: Size, stride: int = 1, padding: Size = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outer, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.bn(self.conv(x)))


def _averaged(x: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class _A(nn.Module):
    def __init__(self, inner: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(inner, 64, 1)
        self.branch5x5_1 = _Conv(inner, 48, 1)
        self.branch5x5_2 = _Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = _Conv(inner, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, padding=1)
        self.branch_pool = _Conv(inner, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch5x5_2(self.branch5x5_1(x)),
                double,
                self.branch_pool(_averaged(x)),
            ],
            1,
        )


class _B(nn.Module):
    def __init__(self, inner: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(inner, 384, 3, 2)
        self.branch3x3dbl_1 = _Conv(inner, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, functional.max_pool2d(x, 3, 2)], 1)


class _C(nn.Module):
    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        across = ((1, 7), 1, (0, 3))
        down = ((7, 1), 1, (3, 0))
        self.branch1x1 = _Conv(inner, 192, 1)
        self.branch7x7_1 = _Conv(inner, width, 1)
        self.branch7x7_2 = _Conv(width, width, *across)
        self.branch7x7_3 = _Conv(width, 192, *down)
        self.branch7x7dbl_1 = _Conv(inner, width, 1)
        self.branch7x7dbl_2 = _Conv(width, width, *down)
        self.branch7x7dbl_3 = _Conv(width, width, *across)
        self.branch7x7dbl_4 = _Conv(width, width, *down)
        self.branch7x7dbl_5 = _Conv(width, 192, *across)
        self.branch_pool = _Conv(inner, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_averaged(x))], 1)


class _D(nn.Module):
    def __init__(self, inner: int) -> None:
        super().__init__()
        self.branch3x3_1 = _Conv(inner, 192, 1)
        self.branch3x3_2 = _Conv(192, 320, 3, 2)
        self.branch7x7x3_1 = _Conv(inner, 192, 1)
        self.branch7x7x3_2 = _Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = _Conv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = _Conv(192, 192, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat(
            [self.branch3x3_2(self.branch3x3_1(x)), long, functional.max_pool2d(x, 3, 2)], 1
        )


class _E(nn.Module):
    def __init__(self, inner: int, last: bool = False) -> None:
        super().__init__()
        self.last = last
        self.branch1x1 = _Conv(inner, 320, 1)
        self.branch3x3_1 = _Conv(inner, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = self._pair()
        self.branch3x3dbl_1 = _Conv(inner, 448, 1)
        self.branch3x3dbl_2 = _Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = self._pair()
        self.branch_pool = _Conv(inner, 192, 1)

    @staticmethod
    def _pair() -> tuple[_Conv, _Conv]:
        return _Conv(384, 384, (1, 3), padding=(0, 1)), _Conv(384, 384, (3, 1), padding=(1, 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = functional.max_pool2d(x, 3, 1, 1) if self.last else _averaged(x)
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(single),
                self.branch3x3_2b(single),
                self.branch3x3dbl_3a(double),
                self.branch3x3dbl_3b(double),
                self.branch_pool(pooled),
            ],
            1,
        )


class Inception(nn.Module):
    """Pictures (n, 3, H, W) in [0, 1] to features (n, 2048) and logits (n, 1008)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3)
        self.Mixed_5b = _A(192, 32)
        self.Mixed_5c = _A(256, 64)
        self.Mixed_5d = _A(288, 64)
        self.Mixed_6a = _B(288)
        self.Mixed_6b = _C(768, 128)
        self.Mixed_6c = _C(768, 160)
        self.Mixed_6d = _C(768, 160)
        self.Mixed_6e = _C(768, 192)
        self.Mixed_7a = _D(768)
        self.Mixed_7b = _E(1280)
        self.Mixed_7c = _E(2048, last=True)
        self.fc = nn.Linear(WIDTH, CLASSES)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and logits, of pictures of any size."""
        x = (
            functional.interpolate(
                pictures, (SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False
            )
            * 2
            - 1
        )
        x = functional.max_pool2d(
            self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2
        )
        x = functional.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        features = x.mean((2, 3))
        return features, self.fc(features)


def load(path: Path) -> Inception:
    """The network with the weights in a file; raises WeightsMissing for another network's."""
    tensors, _ = weights.load(path)
    net = Inception()
    named = {name: value for name, value in tensors.items() if not name.startswith("AuxLogits")}
    try:
        net.load_state_dict(named, strict=True)
    except RuntimeError as error:
        raise WeightsMissing(
            f"{path} does not hold the Inception v3 of the Frechet Inception distance: "
            f"{str(error)[:300]} Get the PyTorch port with 1008 classes (pt_inception-2015-12-05)."
        ) from error
    return net.eval()
