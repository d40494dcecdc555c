"""Pictures that a model draws while it is trained, side by side in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from ..diffusion import recipes
from ..diffusion.components import Model
from ..diffusion.drawing import Drawing, Settings
from ..diffusion.guidance import FreeGuidance
from ..store import shelf
from .data.pairs import EditPair

STEPS = 20
GUIDANCE = 7.5


Draw = Callable[[Drawing], tuple[torch.Tensor, torch.Tensor]]
"""A recipe, as an editor uses it."""


def sheet(
    model: Model, draw: Draw, settings: Settings, pairs: Sequence[EditPair], path: Path
) -> None:
    """For each pair a row: before, what the editor makes of it from always the same noise, what
    came."""
    side_px = model.entry.native_px
    rows = []
    config = shelf.config_of(shelf.part(model.entry, "vae"))
    tile = side_px // 2 ** (len(config["block_out_channels"]) - 1)
    with torch.inference_mode():
        for pair in pairs:
            after, before = (torch.from_numpy(part)[None] for part in pair.squares(side_px))
            made, _ = draw(Drawing(model, pair.caption, before, None, settings, tile))
            rows.append(torch.cat([before[0], made[0].cpu(), after[0]], 2))
    _written(torch.cat(rows, 1), path)


def _written(picture: torch.Tensor, path: Path) -> None:
    """A picture (3, H, W) in [-1, 1] as PNG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    Image.fromarray(
        ((picture.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu().numpy()
    ).save(draft, "PNG")
    draft.replace(path)


def grid(model: Model, prompts: Sequence[str], side_px: int, path: Path) -> None:
    """Draw a picture for each prompt, always from the same noise, and write them in a row."""
    settings = Settings("DPM++ 2M Karras", STEPS, FreeGuidance(GUIDANCE), 0)
    made = []
    with torch.inference_mode():
        for prompt in prompts:
            empty = torch.zeros(1, 3, side_px, side_px)
            picture, _ = recipes.redrawn(
                Drawing(model, prompt, empty, None, settings, side_px // 8), 1.0
            )
            made.append(picture[0])
    _written(torch.cat(made, 2), path)
