"""How each family of editors is shown the source, what it reads, and what its latents are scaled
by.

Each gives the drawn picture, and the source after the same way through the autoencoder.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional

from ..models import lazy
from ..store import shelf
from .branches import Words
from .controlnet import Control, ControlledDenoiser
from .drawing import Drawing
from .flux import FillDenoiser, KontextDenoiser, packed, packed_mask
from .guidance import FULL, IMAGE, NONE
from .pixart import PixArtDenoiser
from .sd3 import SD3Denoiser
from .text import T5_TOKENS, Reader, flux_words, sd3_words, t5_words, tokens_in
from .tiles import Tile
from .unet import KandinskyDenoiser, UNetDenoiser

Pictures = tuple[torch.Tensor, torch.Tensor]
LEVELS = (10, 18)
"""Text2Earth's Google map levels, of 2^(17 - level) metres a pixel."""
DIPTYCH = (
    "A diptych with two side-by-side images of the same scene. On the right, the scene is "
    "exactly the same as on the left "
    "but {}"
)
"""The sentence ICEdit's adapter was trained with."""


def instruct_unet(drawing: Drawing) -> Pictures:
    """InstructPix2Pix, MagicBrush, RSEdit U-Net: the source's mean latent, not multiplied by the
    autoencoder's factor, in the channels behind the noisy one, which alone is scaled for the
    step."""
    words = drawing.clip_words()
    raw = drawing.encoded()
    shown = {FULL: raw, IMAGE: raw, NONE: torch.zeros_like(raw)}
    with drawing.model.using("unet") as net:
        denoise = UNetDenoiser(
            net, drawing.branches(words, shown), drawing.settings.guidance, drawing.together
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return _pictures(drawing, made)


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
            net, drawing.branches(words, shown), drawing.settings.guidance, masked, drawing.together
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return _pictures(drawing, made)


def ultraedit(drawing: Drawing) -> Pictures:
    """UltraEdit: source, and mask as a white-on-black picture, as mean latents without factor or
    shift; its latents have no shift either."""
    words = _sd3_words(drawing)
    raw = drawing.encoded(shifted=False)
    extra = int(shelf.config_of(drawing.model.folder("transformer"))["in_channels"]) - raw.shape[1]
    if extra == 2 * raw.shape[1]:
        white = _hole(drawing) * 2 - 1
        raw = torch.cat([raw, drawing.encoded(white.expand(-1, 3, -1, -1), shifted=False)], 1)
    shown = {FULL: raw, IMAGE: raw, NONE: torch.zeros_like(raw)}
    with drawing.model.using("transformer") as net:
        denoise = SD3Denoiser(
            net, drawing.branches(words, shown), drawing.settings.guidance, drawing.together
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return _pictures(drawing, made, shifted=False)


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
            drawing.together,
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return _pictures(drawing, made)


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
            drawing.together,
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return _pictures(drawing, made)


def inpainted(drawing: Drawing, gsd_m: float) -> Pictures:
    """Stable Diffusion's inpainting: the mask and the latent of the source without the masked
    ground, behind the noise."""
    words = drawing.clip_words()
    hole = _hole(drawing)
    drawing.encoded()
    with drawing.coder() as codec:
        masked = codec.scaled(codec.encoded(drawing.picture * (1 - hole)))
    cells = drawing.drawn if drawing.drawn is not None else torch.ones_like(masked[:, :1])
    shown = torch.cat([cells.to(masked), masked], 1)
    with drawing.model.using("unet") as net:
        denoise = UNetDenoiser(
            net,
            drawing.branches(words, dict.fromkeys((FULL, NONE), shown), level_of(gsd_m)),
            drawing.settings.guidance,
            drawing.together,
        )
        made = drawing.sampled(denoise, drawing.model.scheduler(drawing.settings.scheduler))
    return _pictures(drawing, made)


def kandinsky(drawing: Drawing) -> Pictures:
    """Kandinsky 2.2: its prior makes an image embedding of the words; known ground, and which it is
    (1), behind the noise."""
    words = _embeddings(drawing)
    source = drawing.encoded(name="movq")
    cells = drawing.drawn if drawing.drawn is not None else torch.ones_like(source[:, :1])
    known = 1 - cells.to(source)
    shown = torch.cat([source * known, known], 1)
    scheduler = drawing.model.scheduler(drawing.settings.scheduler)
    learned = str(scheduler.config.get("variance_type", "")).startswith("learned")
    with drawing.model.using("unet") as net:
        branches = drawing.branches(words, dict.fromkeys((FULL, NONE), shown))
        made = drawing.sampled(
            KandinskyDenoiser(net, branches, drawing.settings.guidance, learned, drawing.together),
            scheduler,
        )
    return _pictures(drawing, made, name="movq")


def diptych(drawing: Drawing) -> Pictures:
    """ICEdit: FLUX Fill sees source and drawing as one picture twice as wide, its right half
    masked."""
    words = _flux_words(drawing, DIPTYCH.format(drawing.prompt))
    drawing.encoded()
    with drawing.coder() as codec:
        pixels = codec.pixels

        def shown(tile: Tile) -> torch.Tensor:
            left = tile.of(drawing.picture, pixels)
            right = torch.zeros_like(left)
            mask = torch.cat([torch.zeros_like(left[:, :1]), torch.ones_like(left[:, :1])], 3)
            masked = codec.scaled(codec.encoded_whole(torch.cat([left, right], 3)))
            return torch.cat([packed(masked), packed_mask(mask, pixels).to(masked)], 2)

        tiles = {tile: shown(tile) for tile in drawing.tiling().tiles}
    with drawing.model.using("transformer") as net:
        denoise = FillDenoiser(net, words, drawing.settings.guidance.text, tiles, diptych=True)
        tokens = drawing.tile_tokens(2)
        made = drawing.sampled(
            denoise, drawing.model.scheduler(drawing.settings.scheduler), tokens, copies=2
        )
    return _pictures(drawing, made)


def kontext(drawing: Drawing) -> Pictures:
    """FLUX Kontext: the source's tokens stand behind those that are drawn."""
    words = _flux_words(drawing, drawing.prompt)
    drawing.encoded()
    assert drawing.latent is not None
    with drawing.model.using("transformer") as net:
        denoise = KontextDenoiser(net, words, drawing.settings.guidance.text, drawing.latent)
        made = drawing.sampled(
            denoise, drawing.model.scheduler(drawing.settings.scheduler), drawing.tile_tokens()
        )
    return _pictures(drawing, made)


def level_of(gsd_m: float) -> int:
    """The map level nearest to a ground size of a pixel."""
    return min(max(round(17 - math.log2(gsd_m)), LEVELS[0]), LEVELS[1])


def _pictures(
    drawing: Drawing, made: torch.Tensor, name: str = "vae", shifted: bool = True
) -> Pictures:
    assert drawing.latent is not None
    return drawing.decoded(made, name, shifted), drawing.decoded(drawing.latent, name, shifted)


def _hole(drawing: Drawing) -> torch.Tensor:
    """The mask in whole cells at the picture's resolution (1, 1, H, W): 1 where new ground is
    drawn."""
    if drawing.drawn is None:
        return torch.ones_like(drawing.picture[:, :1])
    return functional.interpolate(drawing.drawn, drawing.picture.shape[2:], mode="nearest")


def _sd3_words(drawing: Drawing) -> dict[str, Words]:
    model = drawing.model
    third = model.has("text_encoder_3")
    width = int(shelf.config_of(model.folder("transformer"))["joint_attention_dim"])
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


def _flux_words(drawing: Drawing, prompt: str) -> Words:
    model = drawing.model
    with (
        model.reader("text_encoder", "tokenizer", 77) as clip,
        model.reader("text_encoder_2", "tokenizer_2", T5_TOKENS["flux"]) as t5,
    ):
        drawing.told_of_cut(t5, prompt)
        return flux_words(clip, t5, prompt)


def _embeddings(drawing: Drawing) -> dict[str, Words]:
    """Image embeddings of the words, by diffusers' pipeline of Kandinsky's prior."""
    pipeline, schedule = lazy.parts("diffusers", "KandinskyV22PriorPipeline", "UnCLIPScheduler")
    processor = lazy.parts("transformers", "CLIPImageProcessor")
    lazy.quiet_transformers()
    model = drawing.model
    how = drawing.settings
    drawing.told_of_cut(Reader(None, tokens_in(model.folder("tokenizer"), 77), 77))
    with (
        model.using("prior") as prior,
        model.using("image_encoder") as seen,
        model.using("text_encoder") as read,
    ):
        pipe = pipeline(
            prior=prior,
            image_encoder=seen,
            text_encoder=read,
            tokenizer=tokens_in(model.folder("tokenizer"), 77),
            scheduler=schedule.from_pretrained(
                str(model.folder("scheduler", beside="prior")), local_files_only=True
            ),
            image_processor=processor.from_pretrained(
                str(model.folder("image_processor")), local_files_only=True
            ),
        )
        pipe.set_progress_bar_config(disable=True)
        made = pipe(
            drawing.prompt,
            negative_prompt=how.negative or None,
            num_inference_steps=min(25, max(how.steps, 2)),
            generator=torch.Generator().manual_seed(how.seed),
        )
    return {
        FULL: Words(made.image_embeds, None, made.image_embeds),
        NONE: Words(made.negative_image_embeds, None, made.negative_image_embeds),
    }
