"""LPIPS, a learned distance of pictures (Zhang et al. 2018), on AlexNet, version 0.1; weights are
the user's.

Features of five layers, normalised to unit length at each place, are subtracted, squared, weighted
channel by channel, averaged over the places and summed. Two tables of weights are needed: AlexNet's
of ImageNet (features.N.weight, features.N.bias, as torchvision names them) and the channels'
(linN.model.1.weight), in one file or in several of one folder.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as functional

from ..ground.errors import WeightsMissing
from . import weights

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
LAYERS = ((0, 11, 4, 2), (3, 5, 1, 2), (6, 3, 1, 1), (8, 3, 1, 1), (10, 3, 1, 1))
"""Number, kernel, stride and padding of the convolutions; the second and third see the one before
halved by maximum."""
POOLED = (1, 2)
SMALLEST_PX = 64
WHERE = (
    "LPIPS needs AlexNet's weights of ImageNet and its own for version 0.1 (alexnet-owt-*.pth of "
    "torchvision, BSD-3-Clause, and alex.pth of richzhang/PerceptualSimilarity, BSD-2-Clause): "
    "put both into a folder and name it: landbrush-server models set lpips FOLDER."
)


class Lpips:
    """The distance with the weights of a folder or file; raises WeightsMissing."""

    def __init__(self, path: Path) -> None:
        files = (
            sorted(p for p in path.iterdir() if p.suffix in weights.SUFFIXES)
            if path.is_dir()
            else [path]
        )
        tensors: dict[str, torch.Tensor] = {}
        for file in files:
            tensors.update(weights.load(file)[0])
        names = [
            f"features.{number}.{part}" for number, *_ in LAYERS for part in ("weight", "bias")
        ]
        names += [f"lin{index}.model.1.weight" for index in range(len(LAYERS))]
        gone = [name for name in names if name not in tensors]
        if gone:
            raise WeightsMissing(f"{path} lacks {gone[0]} (of {len(gone)}). {WHERE}")
        self.tensors = {name: tensors[name].float() for name in names}
        for index, (number, kernel, _, _) in enumerate(LAYERS):
            made = self.tensors[f"features.{number}.weight"]
            weighed = self.tensors[f"lin{index}.model.1.weight"]
            if (
                made.ndim != 4
                or made.shape[2] != kernel
                or weighed.shape != (1, made.shape[0], 1, 1)
            ):
                raise WeightsMissing(
                    f"{path}: layer {index} has the shapes {tuple(made.shape)} and "
                    f"{tuple(weighed.shape)}, which are not AlexNet's. {WHERE}"
                )

    def features(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Of pictures (n, 3, H, W) in [-1, 1], after each convolution."""
        shift, scale = (torch.tensor(part)[:, None, None] for part in (SHIFT, SCALE))
        x = (pictures - shift) / scale
        found = []
        for index, (number, _, stride, padding) in enumerate(LAYERS):
            x = functional.max_pool2d(x, 3, 2) if index in POOLED else x
            x = functional.relu(
                functional.conv2d(
                    x,
                    self.tensors[f"features.{number}.weight"],
                    self.tensors[f"features.{number}.bias"],
                    stride,
                    padding,
                )
            )
            found.append(x)
        return found

    def distance(self, first: torch.Tensor, second: torch.Tensor) -> float:
        """Of two pictures (3, H, W) in [0, 1] of one size: 0 for the same, more the less alike.
        Small ones are enlarged to 64."""
        pair = torch.stack([first, second]) * 2 - 1
        if min(pair.shape[2:]) < SMALLEST_PX:
            factor = SMALLEST_PX / min(pair.shape[2:])
            pair = functional.interpolate(
                pair, scale_factor=factor, mode="bilinear", align_corners=False
            )
        total = 0.0
        with torch.inference_mode():
            for index, layer in enumerate(self.features(pair)):
                unit = layer / (layer.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
                apart = (unit[:1] - unit[1:]) ** 2
                total += float((apart * self.tensors[f"lin{index}.model.1.weight"]).sum(1).mean())
        return total


def load(path: str) -> Lpips:
    """With the weights at a path; raises WeightsMissing."""
    if not Path(path).exists():
        raise WeightsMissing(f"There is nothing at {path}. {WHERE}")
    return Lpips(Path(path))
