"""Stable Diffusion 3's transformer as a denoiser; with further channels it is UltraEdit: noisy,
source, mask, in this order."""

from __future__ import annotations

from collections.abc import Sequence

from ...ground.optional import torch
from ...store.installed import config_of
from .. import schedules
from ..branches import Branch, Guided, Words, stacked
from ..drawing import Drawing
from ..guidance import FULL, IMAGE, NONE
from ..text import T5_TOKENS, Reader
from ..tiles import Tile
from .family import Family, Pictures, Recipe, hole_of, pictures_of


class SD3Denoiser(Guided):
    """SD3Transformer2DModel; predicts a flow's velocity."""

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        inputs = torch.cat([branch.with_condition(noisy, tile) for branch in batch])
        return self.net(
            hidden_states=inputs,
            timestep=t.reshape(1).expand(len(batch)).to(inputs.device),
            encoder_hidden_states=stacked([branch.words.states for branch in batch], inputs),
            pooled_projections=stacked([branch.words.pooled for branch in batch], inputs),
            return_dict=False,
        )[0]


def ultraedit(drawing: Drawing) -> Pictures:
    """UltraEdit: source, and mask as a white-on-black picture, as mean latents without factor or
    shift; its latents have no shift either."""
    words = words_of(drawing)
    raw = drawing.encoded(shifted=False)
    extra = int(config_of(drawing.model.folder("transformer"))["in_channels"]) - raw.shape[1]
    if extra == 2 * raw.shape[1]:
        white = hole_of(drawing) * 2 - 1
        raw = torch.cat([raw, drawing.encoded(white.expand(-1, 3, -1, -1), shifted=False)], 1)
    shown = {FULL: raw, IMAGE: raw, NONE: torch.zeros_like(raw)}
    with drawing.model.using("transformer") as net:
        denoise = SD3Denoiser(
            net, drawing.branches(words, shown), drawing.settings.guidance, drawing.batched_guidance
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return pictures_of(drawing, made, shifted=False)


def words_of(drawing: Drawing) -> dict[str, Words]:
    """The prompt as the model's own readers read it."""
    model = drawing.model
    third = model.has("text_encoder_3")
    width = int(config_of(model.folder("transformer"))["joint_attention_dim"])
    with (
        model.reader("text_encoder", "tokenizer", 77) as first,
        model.reader("text_encoder_2", "tokenizer_2", 77) as second,
    ):
        if not third:
            drawing.told_of_cut(first)
            return drawing.words(lambda text: sd3_words([first, second], width, text))
        with model.reader("text_encoder_3", "tokenizer_3", T5_TOKENS["sd3"]) as long:
            drawing.told_of_cut(long)
            return drawing.words(lambda text: sd3_words([first, second, long], width, text))


def sd3_words(readers: Sequence[Reader], width: int, text: str) -> Words:
    """As Stable Diffusion 3 reads: two CLIPs' last but one states side by side, T5's behind them;
    zeros where T5 is missing."""
    states = []
    pooled = []
    for reader in readers[:2]:
        made = reader.net(reader.ids(text)[0], output_hidden_states=True)
        states.append(made.hidden_states[-2])
        pooled.append(made[0])
    clip = torch.cat(states, -1)
    if len(readers) > 2:
        t5 = readers[2].net(readers[2].ids(text)[0])[0]
    else:
        t5 = clip.new_zeros(1, T5_TOKENS["sd3"], width)
    clip = torch.nn.functional.pad(clip, (0, t5.shape[-1] - clip.shape[-1]))
    return Words(torch.cat([clip, t5.to(clip)], 1), None, torch.cat(pooled, -1))


FAMILY = Family(
    id="sd3",
    classes={
        "SD3Transformer2DModel": "diffusers",
        "AutoencoderKL": "diffusers",
        "CLIPTextModelWithProjection": "transformers",
        "T5EncoderModel": "transformers",
    },
    recipes={
        "instruct": Recipe(
            ultraedit, ("image_guidance_scale", "negative_prompt"), instructs=True, cell_px=16
        )
    },
    solvers=schedules.FLOW,
)
