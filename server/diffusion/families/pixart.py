"""PixArt-alpha as a denoiser, and RSEdit's in-context form of it.

RSEdit-DiT lays the clean source latent to the left of the noisy one and lets the transformer see
both as one picture twice as wide. Its positions come from diffusers' PatchEmbed: rows 0 ... 31 and,
because the table is made for square pictures, columns at half steps, 0 ... 15.5 for the source and
16 ... 31.5 for what is drawn. Nothing else tells the halves apart. Only the right half of the
output is used, of it the noise without the learned variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ground.optional import torch
from .. import schedules
from ..branches import Branch, Guided, stacked
from ..drawing import Drawing
from ..guidance import FULL, IMAGE, NONE, FreeGuidance
from ..text import T5_TOKENS, t5_words
from ..tiles import Tile
from .family import Family, Pictures, Recipe, pictures_of


class PixArtDenoiser(Guided):
    """PixArtTransformer2DModel. With a source in its branches it is RSEdit-DiT, without it plain
    PixArt.

    `masked`: whether the text's attention mask is passed; RSEdit was trained without and is
    released with it.
    """

    def __init__(
        self,
        net: Any,
        branches: Sequence[Branch],
        guidance: FreeGuidance,
        masked: bool = True,
        batched_guidance: bool = True,
    ) -> None:
        super().__init__(net, branches, guidance, batched_guidance)
        self.masked = masked

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        channels = noisy.shape[1]
        width = noisy.shape[3]
        sources = [
            None if branch.shown is None else tile.of(branch.shown).to(noisy) for branch in batch
        ]
        inputs = torch.cat(
            [noisy if source is None else torch.cat([source, noisy], 3) for source in sources]
        )
        made = self.net(
            inputs,
            timestep=t.reshape(1).expand(len(batch)).to(inputs.device),
            encoder_hidden_states=stacked([branch.words.states for branch in batch], inputs),
            encoder_attention_mask=stacked([branch.words.mask for branch in batch], inputs)
            if self.masked
            else None,
            added_cond_kwargs=self._sizes(noisy, len(batch)),
            return_dict=False,
        )[0]
        return made[:, :channels, :, -width:]

    def _sizes(self, noisy: torch.Tensor, count: int) -> dict[str, torch.Tensor | None]:
        """Resolution and aspect ratio, which the 1024-pixel models are told."""
        if self.net.config.sample_size != 128:
            return {"resolution": None, "aspect_ratio": None}
        height = noisy.shape[2] * 8
        width = noisy.shape[3] * 8
        size = torch.tensor([[height, width]]).repeat(count, 1).to(noisy)
        return {
            "resolution": size,
            "aspect_ratio": torch.tensor([[height / width]]).repeat(count, 1).to(noisy),
        }


def in_context_dit(drawing: Drawing, masked: bool) -> Pictures:
    """RSEdit-DiT: the source's latent, multiplied by the factor, to the left of the noisy one;
    zeros where it is left out."""
    with drawing.model.reader("text_encoder", "tokenizer", T5_TOKENS["pixart"]) as reader:
        drawing.told_of_cut(reader)
        words = drawing.words(lambda text: t5_words(reader, text, masked))
    drawing.encoded()
    source = drawing.latent
    assert source is not None
    shown = {FULL: source, IMAGE: source, NONE: torch.zeros_like(source)}
    with drawing.model.using("transformer") as net:
        denoise = PixArtDenoiser(
            net,
            drawing.branches(words, shown),
            drawing.settings.guidance,
            masked,
            drawing.batched_guidance,
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return pictures_of(drawing, made)


FAMILY = Family(
    id="pixart",
    classes={
        "PixArtTransformer2DModel": "diffusers",
        "AutoencoderKL": "diffusers",
        "T5EncoderModel": "transformers",
    },
    recipes={
        # Its positions are only known for whole squares.
        "in context": Recipe(
            lambda drawing: in_context_dit(drawing, drawing.settings.text_mask),
            ("image_guidance_scale", "negative_prompt", "text_mask"),
            instructs=True,
            cell_px=16,
            square=True,
        )
    },
    solvers=schedules.DIFFUSION,
)
