"""Networks that turn pictures of one kind into another: the generator of CycleGAN, and that of CUT
and TPSeNCE.

Zhu et al. 2017 (arXiv 1703.10593, section 7.1): two strided convolutions, residual blocks, two
transposed ones, instance normalisation throughout. Park et al. 2020 (arXiv 2007.15651) put a blur
before each halving and interpolate at each doubling (Zhang 2019, arXiv 1904.11486); TPSeNCE (Zheng
et al. 2024), with which MMM-RS makes low light, draws with that one. Weights have the names of the
published checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from ..ground.errors import WeightsMissing
from . import weights

PREFIXES = ("module.", "netG_A.", "netG.", "G.")
CELL_PX = 4
"""The sides of a picture are multiples of this."""


@dataclass(frozen=True)
class Shape:
    """`width`: channels of the first layer; `blocks`: residual ones; `blurred`: as CUT halves and
    doubles; `dropout`: whether the blocks have it (which moves the names of their weights)."""

    width: int = 64
    blocks: int = 9
    blurred: bool = False
    dropout: bool = False

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> Shape:
        """Told from a checkpoint; raises WeightsMissing where it is none of a generator."""
        first = tensors.get("model.1.weight")
        if first is None or first.ndim != 4 or first.shape[1:] != (3, 7, 7):
            raise WeightsMissing(
                "no generator of CycleGAN or CUT: model.1.weight is not a 7 x 7 convolution of "
                "three bands"
            )
        blocks = {
            name.split(".")[1]
            for name in tensors
            if re.fullmatch(r"model\.\d+\.conv_block\.1\.weight", name)
        }
        if not blocks:
            raise WeightsMissing("no generator of CycleGAN or CUT: it has no residual blocks")
        dropout = any(re.fullmatch(r"model\.\d+\.conv_block\.6\.weight", name) for name in tensors)
        return cls(int(first.shape[0]), len(blocks), min(map(int, blocks)) == 12, dropout)


class Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int, dropout: bool) -> None:
        super().__init__()
        drop = [nn.Dropout(0.5)] if dropout else []
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
            nn.ReLU(True),
            *drop,
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        return x + self.conv_block(x)


class Halved(nn.Module):
    """A blur of 1 2 1, and every second pixel."""

    filt: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2, 1]) / 4
        self.register_buffer("filt", (row[:, None] * row)[None, None].repeat(width, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Half of each side."""
        return functional.conv2d(
            functional.pad(x, (1, 1, 1, 1), "reflect"), self.filt, stride=2, groups=x.shape[1]
        )


class Doubled(nn.Module):
    """Interpolation with 1 3 3 1."""

    filt: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3, 3, 1]) / 4
        self.register_buffer("filt", (row[:, None] * row)[None, None].repeat(width, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, 2H, 2W)."""
        padded = functional.pad(x, (1, 1, 1, 1), "replicate")
        return functional.conv_transpose2d(
            padded, self.filt, stride=2, padding=2, groups=x.shape[1]
        )[:, :, 1:-1, 1:-1]


class Generator(nn.Module):
    """A picture (B, 3, H, W) in [-1, 1] as one of the other kind; H and W multiples of
    `CELL_PX`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        layers = list[nn.Module]()
        layers += [
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, width, 7),
            nn.InstanceNorm2d(width),
            nn.ReLU(True),
        ]
        for _ in range(2):
            layers += [
                nn.Conv2d(width, 2 * width, 3, 1 if shape.blurred else 2, 1),
                nn.InstanceNorm2d(2 * width),
                nn.ReLU(True),
            ]
            layers += [Halved(2 * width)] if shape.blurred else []
            width *= 2
        layers += [Block(width, shape.dropout) for _ in range(shape.blocks)]
        for _ in range(2):
            layers += (
                [Doubled(width), nn.Conv2d(width, width // 2, 3, 1, 1)]
                if shape.blurred
                else [nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1)]
            )
            width //= 2
            layers += [nn.InstanceNorm2d(width), nn.ReLU(True)]
        self.model = nn.Sequential(
            *layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A picture (B, 3, H, W) in [-1, 1] in the other domain, same shape and range."""
        return self.model(x)


class Discriminator(nn.Module):
    """PatchGAN (Isola et al. 2017): for overlapping patches of 70 x 70 pixels, whether they are
    real."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        for stride in (2, 2, 1):
            wider = min(2 * width, 512)
            layers += [
                nn.Conv2d(width, wider, 4, stride, 1),
                nn.InstanceNorm2d(wider),
                nn.LeakyReLU(0.2, True),
            ]
            width = wider
        self.model = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A map (B, 1, h, w): 1 for real."""
        return self.model(x)


def load(path: Path) -> Generator:
    """The generator of a checkpoint, in the mode in which it draws; raises WeightsMissing."""
    found, _ = weights.load(path)
    tensors = {
        _plain(name): value for name, value in found.items() if isinstance(value, torch.Tensor)
    }
    try:
        net = Generator(Shape.of(tensors))
        # Counters of instance normalisation that old versions of PyTorch saved, and never used.
        known = {
            name: value
            for name, value in tensors.items()
            if not re.search(r"running_|num_batches", name)
        }
        gone, more = net.load_state_dict(
            {**{k: v for k, v in net.state_dict().items() if "filt" in k}, **known}, strict=False
        )
    except (WeightsMissing, RuntimeError) as error:
        raise WeightsMissing(f"{path.name} holds {str(error)[:300]}.") from error
    if gone or more:
        raise WeightsMissing(
            f"{path.name} is not whole, or of another network: missing {gone[:3]}, unknown "
            f"{more[:3]}."
        )
    return net.eval().requires_grad_(False)


def _plain(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name
