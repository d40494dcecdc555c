"""The network by which damage in a picture is named for F1 of damage: ChangeStar 1x256 (ViT-B,
s1c5), by the user's torchange.

It sees both pictures at 512 x 512, normalised as ImageNet's, and says where buildings were
(probability) and which of five classes each pixel's damage is (scores). torchange (Apache-2.0) is
not installed with this program; the checkpoint is the user's.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from ..ground.errors import WeightsMissing
from . import weights

SIDE_PX = 512
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
WHERE = (
    "F1 of damage needs the package torchange with what it needs (pip install torchange "
    "ever-beta), and the checkpoint s0_init_xView2_ft_s1c5_cstar_vitb_1x256 of "
    "EVER-Z/Changen2-ChangeStar1x256: landbrush-server models set damage FILE."
)


class DamageNetwork:
    """With the weights of a file; raises WeightsMissing."""

    def __init__(self, path: Path) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from torchange.models.changen2 import changestar_1x256
        except (
            ImportError,
            RuntimeError,
            AttributeError,
        ) as error:  # torchvision's mismatches are RuntimeErrors
            raise WeightsMissing(f"torchange cannot be imported ({error}). {WHERE}") from error
        tensors, _ = weights.load(path)
        net: Any = changestar_1x256("vitb", "s1c5")
        # The released script loads what fits and hides what does not; a network that is half random
        # must not judge.
        found = net.load_state_dict(tensors, strict=False)
        wrong = [*found.missing_keys, *found.unexpected_keys]
        if wrong:
            raise WeightsMissing(
                f"{path} is not that checkpoint: {len(wrong)} of its tensors are missing or of "
                f"another network ({wrong[0]} ...). {WHERE}"
            )
        self.net = net.eval()

    def forward(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability of a building (1, H, W) and scores of the classes (1, 5, H, W), of pictures
        (3, H, W) in [0, 1]."""
        mean, deviation = (torch.tensor(part)[:, None, None] for part in (MEAN, DEVIATION))
        pair = torch.stack([torch.from_numpy(one) for one in (before, after)]).float()
        shown = (
            functional.interpolate(pair, (SIDE_PX, SIDE_PX), mode="bilinear", antialias=True) - mean
        ) / deviation
        with torch.inference_mode():
            made = self.net(shown.flatten(0, 1)[None])
        building = made.t1_semantic_prediction.float().reshape(
            1, 1, *made.t1_semantic_prediction.shape[-2:]
        )
        size = before.shape[1:]
        building = functional.interpolate(building, size, mode="bilinear", align_corners=False)[
            :, 0
        ]
        scores = functional.interpolate(
            made.change_prediction.float(), size, mode="bilinear", align_corners=False
        )
        return building.numpy(), scores.numpy()


def load(path: str) -> DamageNetwork:
    """From a file; raises WeightsMissing."""
    return DamageNetwork(Path(path))
