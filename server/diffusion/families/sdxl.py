"""Stable Diffusion XL (Podell et al. 2023): a U-Net that reads two text encoders, and is told the
size of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ground.optional import torch
from .. import schedules
from ..branches import Branch, Guided, Words, stacked
from ..drawing import Drawing
from ..guidance import NONE
from ..text import Reader
from ..tiles import Tile
from .family import Family, Pictures, Recipe, pictures_of
from .sd import masked_ground

TOKENS = 77
UNCROPPED = (0, 0)
"""Where the picture's corner lies in the one that it was cut from: at its own."""


class SDXLDenoiser(Guided):
    """UNet2DConditionModel with the sizes of picture and crop, `pixels` of the first to one
    latent."""

    pixels = 8

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        inputs = torch.cat([branch.with_condition(noisy, tile) for branch in batch])
        size = (noisy.shape[2] * self.pixels, noisy.shape[3] * self.pixels)
        told = torch.tensor([[*size, *UNCROPPED, *size]], device=inputs.device, dtype=inputs.dtype)
        return self.net(
            inputs,
            t.to(inputs.device),
            encoder_hidden_states=stacked([branch.words.states for branch in batch], inputs),
            added_cond_kwargs={
                "text_embeds": stacked([branch.words.pooled for branch in batch], inputs),
                "time_ids": told.expand(len(batch), -1),
            },
            return_dict=False,
        )[0]


def redrawn(drawing: Drawing) -> Pictures:
    """SDEdit: the source is noised part of the way and drawn from there; all of it without a
    source."""
    words = words_of(drawing)
    drawing.encoded()
    return _drawn(drawing, drawing.branches(words))


def inpainted(drawing: Drawing) -> Pictures:
    """The mask and the latent of the source without the masked ground, behind the noise."""
    words = words_of(drawing)
    return _drawn(drawing, drawing.branches(words, masked_ground(drawing)))


def _drawn(drawing: Drawing, branches: Sequence[Branch]) -> Pictures:
    with drawing.coder() as codec:
        pixels = codec.pixels
    with drawing.model.using("unet") as net:
        denoise = SDXLDenoiser(net, branches, drawing.settings.guidance, drawing.batched_guidance)
        denoise.pixels = pixels
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return pictures_of(drawing, made)


def words_of(drawing: Drawing) -> dict[str, Words]:
    """Both encoders' last states but one, side by side, and the second's projection. Without words
    of what is not wanted the guiding branch reads zeros, as it was trained to."""
    model = drawing.model
    with (
        model.reader("text_encoder", "tokenizer", TOKENS) as first,
        model.reader("text_encoder_2", "tokenizer_2", TOKENS) as second,
    ):
        drawing.told_of_cut(first)
        words = drawing.words(lambda text: _read((first, second), text))
    if NONE in words and not drawing.settings.negative:
        blank = words[NONE]
        assert blank.pooled is not None
        words[NONE] = Words(torch.zeros_like(blank.states), None, torch.zeros_like(blank.pooled))
    return words


def _read(readers: Sequence[Reader], text: str) -> Words:
    made: list[Any] = [
        reader.net(reader.ids(text)[0], output_hidden_states=True) for reader in readers
    ]
    return Words(torch.cat([one.hidden_states[-2] for one in made], -1), None, made[1].text_embeds)


FAMILY = Family(
    id="sdxl",
    classes={
        "UNet2DConditionModel": "diffusers",
        "AutoencoderKL": "diffusers",
        "CLIPTextModel": "transformers",
        "CLIPTextModelWithProjection": "transformers",
    },
    recipes={
        "redraw": Recipe(redrawn, ("strength", "negative_prompt")),
        "inpaint": Recipe(inpainted, ("negative_prompt",)),
    },
    solvers=schedules.DIFFUSION,
)
