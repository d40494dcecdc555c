"""FLUX.2 [klein]: a flow transformer that reads the source's tokens behind its own, and words by a
language model's inner layers (Black Forest Labs 2026).

One latent stands for 16 x 16 pixels: 2 x 2 of the autoencoder's, side by side in the channels, in
the mean and spread that its batch normalisation has learned. Places are told by four ids: picture,
row, column, place in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ground.optional import torch
from .. import schedules
from ..branches import Branch, Guided, Words, stacked
from ..codec import Codec
from ..drawing import Drawing
from ..guidance import FreeGuidance
from ..text import Reader
from ..tiles import Tile
from .family import Family, Pictures, Recipe, pictures_of

TOKENS = 512
LAYERS = (9, 18, 27)
"""Of the language model, whose states are what the transformer reads."""
SOURCE_ID = 10
"""The first id of the source's tokens; those that are drawn have 0."""
FEW_STEPS, MANY_STEPS = 10, 200
"""Numbers of steps for which the shift of the schedule is known; between them it is linear."""


class PatchedCodec(Codec):
    """AutoencoderKLFlux2 with its latents in 2 x 2 patches, normalised."""

    patch = 2

    def __init__(self, net: Any, tile: int, shifted: bool = True) -> None:
        super().__init__(net, tile, shifted)
        self.channels *= 4
        self.factor = 1.0
        self.shift = 0.0

    def encoded_whole(self, picture: torch.Tensor) -> torch.Tensor:
        """The mean latent (1, 4 C, h/2, w/2), normalised."""
        found = self.net.encode(picture.to(self.net.device, self.kind)).latent_dist.mode().float()
        count, channels, height, width = found.shape
        split = found.reshape(count, channels, height // 2, 2, width // 2, 2)
        patched = split.permute(0, 1, 3, 5, 2, 4).reshape(
            count, 4 * channels, height // 2, width // 2
        )
        mean, spread = self._levels()
        return (patched - mean) / spread

    def _decoded(self, latent: torch.Tensor) -> torch.Tensor:
        mean, spread = self._levels()
        patched = latent.to(mean) * spread + mean
        count, deep, height, width = patched.shape
        split = patched.reshape(count, deep // 4, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
        whole = split.reshape(count, deep // 4, 2 * height, 2 * width)
        return self.net.decode(whole.to(self.net.device, self.kind)).sample.float().cpu()

    def _levels(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and spread (1, 4 C, 1, 1) of latents."""
        known = self.net.bn
        mean = known.running_mean.float().view(1, -1, 1, 1)
        variance = known.running_var.float().view(1, -1, 1, 1)
        return mean, torch.sqrt(variance + self.net.config.batch_norm_eps)


class Flux2Denoiser(Guided):
    """Flux2Transformer2DModel; what a branch shows are the source's latents, a canvas."""

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        count = len(batch)
        height, width = noisy.shape[2:]
        own = packed(noisy)
        sources = [packed(tile.of(one.shown).to(noisy)) for one in batch if one.shown is not None]
        inputs = torch.cat([torch.cat([own, source], 1) for source in sources])
        ids = torch.cat([places(height, width), places(height, width, SOURCE_ID)], 1)
        words = stacked([one.words.states for one in batch], inputs)
        assert words is not None
        made = self.net(
            hidden_states=inputs,
            timestep=t.reshape(1).expand(count).to(inputs.device, inputs.dtype) / 1000,
            guidance=None,
            encoder_hidden_states=words,
            txt_ids=text_places(words.shape[1]).expand(count, -1, -1).to(inputs.device),
            img_ids=ids.expand(count, -1, -1).to(inputs.device),
            return_dict=False,
        )[0]
        drawn = made[:, : height * width]
        return drawn.permute(0, 2, 1).reshape(count, -1, height, width)


def packed(latent: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) to tokens (B, h * w, C)."""
    return latent.flatten(2).permute(0, 2, 1)


def places(height: int, width: int, picture: int = 0) -> torch.Tensor:
    """(1, height * width, 4): picture, row, column, 0 of each token."""
    one = torch.arange(1)
    axes = (one + picture, torch.arange(height), torch.arange(width), one)
    return torch.cartesian_prod(*axes)[None]


def text_places(tokens: int) -> torch.Tensor:
    """(1, tokens, 4): 0, 0, 0 and the place of each word."""
    one = torch.arange(1)
    return torch.cartesian_prod(one, one, one, torch.arange(tokens))[None]


def klein(drawing: Drawing) -> Pictures:
    """The source's tokens stand behind those that are drawn; the distilled model takes four steps
    and no guidance."""
    with drawing.model.reader("text_encoder", "tokenizer", TOKENS) as reader:
        drawing.told_of_cut(reader)
        words = drawing.words(lambda text: words_of(reader, text))
    drawing.encoded()
    source = drawing.latent
    assert source is not None
    shown = dict.fromkeys(drawing.settings.guidance.branches, source)
    guidance = FreeGuidance(drawing.settings.guidance.text)
    with drawing.model.using("transformer") as net:
        branches = drawing.branches(words, shown)
        denoise = Flux2Denoiser(net, branches, guidance, drawing.batched_guidance)
        tile = drawing.tiling().tiles[0]
        mu = shift_of(tile.height * tile.width, drawing.settings.steps)
        scheduler = drawing.model.scheduler(drawing.settings.scheduler)
        made = drawing.sampled(denoise, scheduler, mu=mu)
    return pictures_of(drawing, made)


def words_of(reader: Reader, text: str) -> Words:
    """A language model's states at three of its layers, side by side (1, n, 3 D), of the text as a
    user's message."""
    asked = reader.tokens.apply_chat_template(
        [{"role": "user", "content": text}],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=False,
    )
    ids, mask = reader.ids(asked)
    found = reader.net(
        input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False
    )
    states = torch.stack([found.hidden_states[layer] for layer in LAYERS], 2)
    return Words(states.flatten(2))


def shift_of(tokens: int, steps: int) -> float:
    """mu of the shifted schedule: fitted by its makers for two numbers of steps, each linear in the
    number of tokens."""
    many = 0.00016927 * tokens + 0.45666666
    if tokens > 4300:
        return many
    few = 8.73809524e-05 * tokens + 1.89833333
    slope = (many - few) / (MANY_STEPS - FEW_STEPS)
    return slope * steps + many - MANY_STEPS * slope


FAMILY = Family(
    id="flux2",
    classes={
        "Flux2Transformer2DModel": "diffusers",
        "AutoencoderKLFlux2": "diffusers",
        "Qwen3ForCausalLM": "transformers",
    },
    recipes={"klein": Recipe(klein, ("negative_prompt",), instructs=True, cell_px=16)},
    solvers=schedules.FLOW,
    codec_class=PatchedCodec,
)
