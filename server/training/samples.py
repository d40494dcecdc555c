"""Pictures that a model draws while it is trained, side by side in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from ..diffusion.components import Model
from ..diffusion.drawing import Drawing, Settings
from ..diffusion.families import sd
from ..diffusion.guidance import FreeGuidance
from ..ground.files import whole_file
from ..store.installed import config_of
from .data.pairs import EditPair

STEPS = 20
GUIDANCE = 7.5


Draw = Callable[[Drawing], tuple[torch.Tensor, torch.Tensor]]
"""A recipe, as an editor uses it."""


@dataclass(frozen=True)
class Shown:
    """What is drawn for a sheet: `draw` is how, `settings` its settings, `side_px` the side of the
    pictures."""

    draw: Draw
    settings: Settings
    side_px: int


def sheet(model: Model, how: Shown, pairs: Sequence[EditPair], path: Path) -> None:
    """For each pair a row: before, what the editor makes of it from always the same noise, what
    came."""
    side_px = how.side_px
    rows = []
    config = config_of(model.folder("vae"))
    tile = side_px // 2 ** (len(config["block_out_channels"]) - 1)
    with torch.inference_mode():
        for pair in pairs:
            after, before = (torch.from_numpy(part)[None] for part in pair.squares(side_px))
            drawing = Drawing(model, pair.caption, before, None, how.settings, tile)
            made, _ = how.draw(drawing)
            rows.append(torch.cat([before[0], made[0].cpu(), after[0]], 2))
    _written(torch.cat(rows, 1), path)


def _written(picture: torch.Tensor, path: Path) -> None:
    """A picture (3, H, W) in [-1, 1] as PNG, whole or not at all."""
    pixels = ((picture.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu().numpy()
    with whole_file(path) as draft:
        Image.fromarray(pixels).save(draft, "PNG")


def grid(model: Model, prompts: Sequence[str], side_px: int, path: Path) -> None:
    """Draw a picture for each prompt, always from the same noise, and write them in a row."""
    settings = Settings("DPM++ 2M Karras", STEPS, FreeGuidance(GUIDANCE), 0)
    made = []
    with torch.inference_mode():
        for prompt in prompts:
            empty = torch.zeros(1, 3, side_px, side_px)
            picture, _ = sd.redrawn(
                Drawing(model, prompt, empty, None, settings, side_px // 8), 1.0
            )
            made.append(picture[0])
    _written(torch.cat(made, 2), path)
