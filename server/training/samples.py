"""Pictures that a model draws while it is trained, side by side in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..diffusion import recipes
from ..diffusion.components import Model
from ..diffusion.drawing import Drawing, Settings
from ..diffusion.guidance import FreeGuidance

STEPS, GUIDANCE = 20, 7.5


def grid(model: Model, prompts: Sequence[str], side_px: int, path: Path) -> None:
    """Draw a picture for each prompt, always from the same noise, and write them in a row."""
    settings = Settings("DPM++ 2M Karras", STEPS, FreeGuidance(GUIDANCE), 0)
    made = []
    with torch.inference_mode():
        for prompt in prompts:
            empty = torch.zeros(1, 3, side_px, side_px)
            picture, _ = recipes.redrawn(Drawing(model, prompt, empty, None, settings, side_px // 8), 1.0)
            made.append(((picture[0].clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu().numpy())
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    Image.fromarray(np.concatenate(made, axis=1)).save(draft, "PNG")
    draft.replace(path)
