"""Qwen-Image-Edit (Wu et al. 2025): a flow transformer that reads the source's tokens behind its
own, and the instruction by a vision-language model that sees the source too. SatEdit (2026) is an
adapter on it.

Its autoencoder is one of videos, of which a picture is one frame; latents are packed in 2 x 2 and
brought to mean 0 and spread 1 by the autoencoder's own numbers, channel by channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...ground.optional import torch
from ...models import lazy
from .. import schedules
from ..branches import Branch, Guided, Words
from ..codec import Codec
from ..drawing import Drawing
from ..guidance import FULL, NONE, FreeGuidance
from ..tiles import Tile
from .family import Family, Pictures, Recipe, pictures_of
from .flux import packed, unpacked

TOKENS = 1024
TEMPLATE = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, "
    "texture, objects, background), then explain how the user's text instruction should alter or "
    "modify the image. Generate a new image that meets the user's requirements while maintaining "
    "consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n"
    "<|vision_start|>{image}<|vision_end|>{words}<|im_end|>\n<|im_start|>assistant\n"
)
"""What the model was trained to be asked; without it its weights read nothing."""
IMAGE = "<|image_pad|>"
LEFT_OUT = 64
"""Tokens of the template at its beginning whose states are not read."""


class VideoCodec(Codec):
    """AutoencoderKLQwenImage, of single pictures."""

    def __init__(self, net: Any, tile: int, shifted: bool = True) -> None:
        config = net.config
        self.net = net
        self.tile = tile
        self.channels = int(config.z_dim)
        self.pixels = self.side_of(dict(config))
        self.quantised = False
        self.factor = 1.0
        self.shift = 0.0
        self.mean, self.spread = (
            torch.tensor(values).view(1, -1, 1, 1)
            for values in (config.latents_mean, config.latents_std)
        )

    @classmethod
    def side_of(cls, config: Mapping[str, Any]) -> int:
        """Pixels along a side of a latent."""
        return int(2 ** len(config["temperal_downsample"]))

    def encoded_whole(self, picture: torch.Tensor) -> torch.Tensor:
        """The mean latent (1, C, h, w), normalised."""
        frame = picture.to(self.net.device, self.kind)[:, :, None]
        found = self.net.encode(frame).latent_dist.mode()[:, :, 0].float()
        return (found - self.mean.to(found)) / self.spread.to(found)

    def _decoded(self, latent: torch.Tensor) -> torch.Tensor:
        whole = latent.to(self.mean) * self.spread + self.mean
        frame = whole.to(self.net.device, self.kind)[:, :, None]
        return self.net.decode(frame).sample[:, :, 0].float().cpu()


class QwenDenoiser(Guided):
    """QwenImageTransformer2DModel, one branch after the other, since their words differ in length;
    what a branch shows are the source's latents, a canvas."""

    def _predicted(
        self, batch: Sequence[Branch], noisy: torch.Tensor, t: torch.Tensor, tile: Tile
    ) -> torch.Tensor:
        return torch.cat([self._of(branch, noisy, t, tile) for branch in batch])

    def _of(self, branch: Branch, noisy: torch.Tensor, t: torch.Tensor, tile: Tile) -> torch.Tensor:
        assert branch.shown is not None
        height, width = noisy.shape[2:]
        own, source = packed(noisy), packed(tile.of(branch.shown).to(noisy))
        shape = (1, height // 2, width // 2)
        made = self.net(
            hidden_states=torch.cat([own, source], 1),
            timestep=t.reshape(1).to(noisy) / 1000,
            guidance=None,
            encoder_hidden_states_mask=None,
            encoder_hidden_states=branch.words.states.to(noisy),
            img_shapes=[[shape, shape]],
            return_dict=False,
        )[0]
        return unpacked(made[:, : own.shape[1]], height, width)

    def _combined(self, made: torch.Tensor) -> torch.Tensor:
        """Guided, each token's velocity as long as the worded branch's."""
        if len(made) == 1:
            return made
        height, width = made.shape[2:]
        full, none = packed(made[:1]), packed(made[1:2])
        both = none + self.guidance.text * (full - none)
        length = full.norm(dim=-1, keepdim=True) / both.norm(dim=-1, keepdim=True)
        return unpacked(both * length, height, width)


def edited(drawing: Drawing) -> Pictures:
    """The source's tokens stand behind those that are drawn."""
    words = words_of(drawing)
    drawing.encoded()
    source = drawing.latent
    assert source is not None
    guidance = FreeGuidance(drawing.settings.guidance.text)
    with drawing.model.using("transformer") as net:
        branches = drawing.branches(words, dict.fromkeys((FULL, NONE), source))
        denoise = QwenDenoiser(net, branches, guidance, drawing.batched_guidance)
        made = drawing.sampled(
            denoise,
            drawing.model.scheduler(drawing.settings.scheduler),
            drawing.tile_tokens(),
        )
    return pictures_of(drawing, made)


def words_of(drawing: Drawing) -> dict[str, Words]:
    """The instruction, and what is not wanted, beside the source, as the vision-language model
    reads them."""
    model = drawing.model
    processor = lazy.parts("transformers", "Qwen2VLImageProcessorPil")
    lazy.quiet_transformers()
    seen = _seen(processor, model.folder("processor"), drawing.picture)
    tokens = model.tokens("tokenizer", TOKENS)
    with model.using("text_encoder") as net:
        return drawing.words(lambda text: read(net, tokens, text or " ", seen))


def _seen(processor: Any, folder: Path, picture: torch.Tensor) -> Mapping[str, torch.Tensor]:
    """A picture (1, 3, H, W) in [-1, 1] as the vision-language model's patches."""
    pixels = ((picture[0] + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    reader = processor.from_pretrained(str(folder), local_files_only=True)
    found: Mapping[str, torch.Tensor] = reader(
        images=[np.ascontiguousarray(pixels)], return_tensors="pt"
    )
    return found


def read(net: Any, tokens: Any, text: str, seen: Mapping[str, torch.Tensor]) -> Words:
    """A text beside a picture: the last hidden states (1, n, D) behind the template's beginning."""
    grid = seen["image_grid_thw"]
    merged = int(net.config.vision_config.spatial_merge_size) ** 2
    count = int(grid[0].prod()) // merged
    asked = TEMPLATE.format(image=IMAGE * count, words=text)
    found = tokens(asked, return_tensors="pt")
    made = net(
        input_ids=found.input_ids.to(net.device),
        attention_mask=found.attention_mask.to(net.device),
        pixel_values=seen["pixel_values"].to(net.device, net.dtype),
        image_grid_thw=grid.to(net.device),
        output_hidden_states=True,
    )
    return Words(made.hidden_states[-1][:, LEFT_OUT:])


FAMILY = Family(
    id="qwen",
    classes={
        "QwenImageTransformer2DModel": "diffusers",
        "AutoencoderKLQwenImage": "diffusers",
        "Qwen2_5_VLForConditionalGeneration": "transformers",
    },
    recipes={"edit": Recipe(edited, ("negative_prompt",), instructs=True, cell_px=16)},
    solvers=schedules.FLOW,
    codec_class=VideoCodec,
)
