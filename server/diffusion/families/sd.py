"""Stable Diffusion: plain (SDEdit), told a ground size (Text2Earth), shown the source
(InstructPix2Pix, MagicBrush, RSEdit), a masked source (inpainting), or steered by a ControlNet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...ground.optional import torch
from .. import schedules
from ..branches import Branch, Guided, stacked
from ..drawing import Drawing
from ..guidance import FULL, IMAGE, NONE, FreeGuidance
from ..tiles import Tile
from .family import Family, Pictures, Recipe, hole_of, pictures_of

LEVELS = (10, 18)
"""Text2Earth's Google map levels, of 2^(17 - level) metres a pixel."""


class UNetDenoiser(Guided):
    """UNet2DConditionModel. What a branch shows is joined as channels after the noisy latent, which
    alone is scaled."""

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        inputs = torch.cat([branch.with_condition(noisy, tile) for branch in batch])
        given: dict[str, Any] = {}
        if self.net.class_embedding is not None:
            given["class_labels"] = torch.tensor(
                [branch.label or 0 for branch in batch], device=inputs.device, dtype=t.dtype
            )
        words = stacked([branch.words.states for branch in batch], inputs)
        return self.net(
            inputs, t.to(inputs.device), encoder_hidden_states=words, **given, return_dict=False
        )[0]


@dataclass(frozen=True)
class Control:
    """A ControlNet and what it is shown. `net`: the network. `picture` (1, 3, H, W) in [0, 1]:
    shown to it, on the canvas's grid. `pixels`: of the picture, to one latent along a side.
    `strength`: factor of what it adds, 1 as trained."""

    net: Any
    picture: torch.Tensor
    pixels: int
    strength: float


class ControlledDenoiser(UNetDenoiser):
    """The U-Net with what the control adds to its skips and its middle."""

    def __init__(
        self,
        net: Any,
        control: Control,
        branches: Sequence[Branch],
        guidance: FreeGuidance,
        batched_guidance: bool = True,
    ) -> None:
        super().__init__(net, branches, guidance, batched_guidance)
        self.control = control

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        inputs = noisy.expand(len(batch), -1, -1, -1)
        words = stacked([branch.words.states for branch in batch], inputs)
        t = t.to(inputs.device)
        shown = (
            tile.of(self.control.picture, self.control.pixels)
            .to(inputs)
            .expand(len(batch), -1, -1, -1)
        )
        down, middle = self.control.net(
            inputs,
            t,
            encoder_hidden_states=words,
            controlnet_cond=shown,
            conditioning_scale=self.control.strength,
            return_dict=False,
        )
        return self.net(
            inputs,
            t,
            encoder_hidden_states=words,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]


def instruct_unet(drawing: Drawing) -> Pictures:
    """InstructPix2Pix, MagicBrush, RSEdit U-Net: the source's mean latent, not multiplied by the
    autoencoder's factor, in the channels behind the noisy one, which alone is scaled for the
    step."""
    words = drawing.clip_words()
    raw = drawing.encoded()
    shown = {FULL: raw, IMAGE: raw, NONE: torch.zeros_like(raw)}
    with drawing.model.using("unet") as net:
        denoise = UNetDenoiser(
            net, drawing.branches(words, shown), drawing.settings.guidance, drawing.batched_guidance
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return pictures_of(drawing, made)


def redrawn(drawing: Drawing, gsd_m: float) -> Pictures:
    """SDEdit: the source is noised part of the way and drawn from there; Text2Earth is told the
    ground size."""
    words = drawing.clip_words()
    drawing.encoded()
    with drawing.model.using("unet") as net:
        denoise = UNetDenoiser(
            net,
            drawing.branches(words, label=level_of(gsd_m)),
            drawing.settings.guidance,
            drawing.batched_guidance,
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return pictures_of(drawing, made)


def controlled(drawing: Drawing, strength: float) -> Pictures:
    """ControlNet: the source steers what is drawn from noise; `strength` of its hold."""
    words = drawing.clip_words()
    drawing.encoded()
    with drawing.coder() as codec:
        pixels = codec.pixels
    picture = drawing.picture / 2 + 0.5
    with drawing.model.using("unet") as net, drawing.model.using("controlnet") as control:
        denoise = ControlledDenoiser(
            net,
            Control(control, picture, pixels, strength),
            drawing.branches(words),
            drawing.settings.guidance,
            drawing.batched_guidance,
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return pictures_of(drawing, made)


def inpainted(drawing: Drawing, gsd_m: float) -> Pictures:
    """Stable Diffusion's inpainting: the mask and the latent of the source without the masked
    ground, behind the noise."""
    words = drawing.clip_words()
    shown = masked_ground(drawing)
    with drawing.model.using("unet") as net:
        denoise = UNetDenoiser(
            net,
            drawing.branches(words, shown, level_of(gsd_m)),
            drawing.settings.guidance,
            drawing.batched_guidance,
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return pictures_of(drawing, made)


def masked_ground(drawing: Drawing) -> dict[str, torch.Tensor]:
    """What networks with nine channels are shown by every branch: the mask, and the latent of the
    source without the masked ground. The source's own latent is made too."""
    hole = hole_of(drawing)
    drawing.encoded()
    with drawing.coder() as codec:
        masked = codec.scaled(codec.encoded(drawing.picture * (1 - hole)))
    cells = drawing.drawn if drawing.drawn is not None else torch.ones_like(masked[:, :1])
    return dict.fromkeys((FULL, NONE), torch.cat([cells.to(masked), masked], 1))


def level_of(gsd_m: float) -> int:
    """The map level nearest to a ground size of a pixel."""
    return min(max(round(17 - math.log2(gsd_m)), LEVELS[0]), LEVELS[1])


FAMILY = Family(
    id="sd",
    classes={
        "UNet2DConditionModel": "diffusers",
        "ControlNetModel": "diffusers",
        "AutoencoderKL": "diffusers",
        "CLIPTextModel": "transformers",
        "SiglipTextModel": "transformers",
    },
    recipes={
        "instruct": Recipe(
            instruct_unet, ("image_guidance_scale", "negative_prompt"), instructs=True
        ),
        "redraw": Recipe(
            lambda drawing: redrawn(drawing, drawing.settings.gsd_m),
            ("strength", "negative_prompt"),
        ),
        "inpaint": Recipe(
            lambda drawing: inpainted(drawing, drawing.settings.gsd_m), ("negative_prompt",)
        ),
        "control": Recipe(
            lambda drawing: controlled(drawing, drawing.settings.control), ("negative_prompt",)
        ),
    },
    solvers=schedules.DIFFUSION,
)
