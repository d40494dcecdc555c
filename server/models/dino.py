"""DINO (Caron et al. 2021), version 1, ViT-S/16: features of pictures, from a folder of the user's
in transformers' layout."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
import torch.nn.functional as functional

from ..ground.errors import WeightsMissing
from . import lazy

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
SHORTER_PX = 256
CROP_PX = 224
WHERE = (
    "Put a copy of facebook/dino-vits16 (Apache-2.0) into a folder and name it: landbrush-server "
    "models set dino FOLDER."
)


class Dino:
    """The class token's features, as DINO-I takes them (MagicBrush); raises WeightsMissing."""

    def __init__(self, folder: Path) -> None:
        lazy.quiet_transformers()
        if not (folder / "config.json").is_file():
            raise WeightsMissing(f"{folder} holds no config.json. {WHERE}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.net = (
                    lazy.parts("transformers", "ViTModel")
                    .from_pretrained(
                        str(folder),
                        local_files_only=True,
                        use_safetensors=True,
                        add_pooling_layer=False,
                    )
                    .eval()
                )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise WeightsMissing(
                f"{folder} holds no vision transformer that is read ({str(error)[:200]}). {WHERE}"
            ) from error

    def features(self, picture: torch.Tensor) -> torch.Tensor:
        """(d,) of a picture (3, H, W) in [0, 1]: the shorter side at 256 by bicubic interpolation,
        the middle 224 of it."""
        height, width = picture.shape[1:]
        factor = SHORTER_PX / min(height, width)
        size = max(round(height * factor), SHORTER_PX), max(round(width * factor), SHORTER_PX)
        shown = functional.interpolate(
            picture[None], size, mode="bicubic", antialias=True, align_corners=False
        )
        top, left = ((side - CROP_PX) // 2 for side in size)
        mean, deviation = (torch.tensor(part)[:, None, None] for part in (MEAN, DEVIATION))
        with torch.inference_mode():
            given = (shown[..., top : top + CROP_PX, left : left + CROP_PX] - mean) / deviation
            return self.net(given, interpolate_pos_encoding=True).last_hidden_state[0, 0]


def load(path: str) -> Dino:
    """From a folder; raises WeightsMissing."""
    return Dino(Path(path))
