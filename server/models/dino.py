"""DINO (Caron et al. 2021), DINOv2 (Oquab et al. 2023) and DINOv2 with registers (Darcet et al.
2023): features of pictures, from a folder of the user's in transformers' layout."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional

from ..ground.errors import WeightsMissing
from . import lazy, whole

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
SHORTER_PX = 256
CROP_PX = 224
WHERE = (
    "Put a copy of facebook/dino-vits16, or of a DINOv2 (facebook/dinov2-small and larger, with "
    "registers or without; Apache-2.0), into a folder and name it: landbrush-server models set "
    "dino FOLDER."
)
KINDS = {
    "vit": ("ViTModel", "DINO"),
    "dinov2": ("Dinov2Model", "DINOv2"),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", "DINOv2 with registers"),
}
"""Class and name by the `model_type` of a folder's config.json."""


class Dino:
    """The class token's features, as DINO-I takes them (MagicBrush); raises WeightsMissing.

    `name`: which version the folder holds, and its size, as reports tell it.
    """

    def __init__(self, folder: Path) -> None:
        lazy.quiet_transformers()
        self.name = named_in(folder)
        kind = _config(folder)["model_type"]
        cls, title = KINDS[kind]
        # Version 1 is published with a pooler that nobody trained.
        spare: tuple[str, ...] = ("pooler.",) if kind == "vit" else ()
        how: dict[str, Any] = {"add_pooling_layer": False} if kind == "vit" else {}
        try:
            with lazy.lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.net = whole.read(
                    lazy.parts("transformers", cls), folder, spare=spare, **how
                ).eval()
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise WeightsMissing(
                f"{folder} holds no {title} that is read ({str(error)[:200]}). {WHERE}"
            ) from error

    def features(self, picture: torch.Tensor) -> torch.Tensor:
        """(d,) of a picture (3, H, W) in [0, 1]: the shorter side at 256 by bicubic interpolation,
        the middle 224 of it."""
        with torch.inference_mode():
            return self.described(picture)

    def described(self, picture: torch.Tensor) -> torch.Tensor:
        """As `features`, but with its gradient, for losses."""
        height, width = picture.shape[1:]
        factor = SHORTER_PX / min(height, width)
        size = max(round(height * factor), SHORTER_PX), max(round(width * factor), SHORTER_PX)
        shown = functional.interpolate(
            picture[None], size, mode="bicubic", antialias=True, align_corners=False
        )
        top, left = ((side - CROP_PX) // 2 for side in size)
        mean, deviation = (
            torch.tensor(part, device=picture.device)[:, None, None] for part in (MEAN, DEVIATION)
        )
        given = (shown[..., top : top + CROP_PX, left : left + CROP_PX] - mean) / deviation
        # DINOv2 fits its positions to the picture by itself.
        more = {"interpolate_pos_encoding": True} if self.net.config.model_type == "vit" else {}
        return self.net(given, **more).last_hidden_state[0, 0]


def named_in(folder: Path) -> str:
    """Which version a folder's config.json says it holds; raises WeightsMissing."""
    config = _config(folder)
    kind = str(config.get("model_type", ""))
    if kind not in KINDS:
        raise WeightsMissing(f"{folder} holds a '{kind}', none of {', '.join(KINDS)}. {WHERE}")
    size = f"{config.get('hidden_size', '?')} features, patches of {config.get('patch_size', '?')}"
    return f"{KINDS[kind][1]}, {size} px"


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text("utf8"))
    except (OSError, ValueError) as error:
        raise WeightsMissing(
            f"{folder} holds no config.json that can be read ({error}). {WHERE}"
        ) from error
    return found if isinstance(found, dict) else {}


def load(path: str) -> Dino:
    """From a folder; raises WeightsMissing."""
    return Dino(Path(path))
