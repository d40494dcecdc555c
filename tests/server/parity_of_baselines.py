"""Parity cases of the baselines that papers' tables name: Stable Diffusion XL, Kandinsky,
Qwen-Image-Edit, beside diffusers' pipelines; as parity.py."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import transformers
from landbrush.server.diffusion.families import kandinsky, kandinsky21, qwen, sdxl
from landbrush.server.diffusion.families.flux import packed
from PIL import Image
from scipy import ndimage

from tests.server.parity_setup import (
    COMMON,
    NEGATIVE,
    PROMPT,
    SEED,
    SIDE,
    STEPS,
    brought,
    drawing,
    gap,
    hole,
    noise,
    picture,
    tokens_of,
    unblended,
    with_noise,
)


def _pipe(model, cls, solver):
    pipe = cls(
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        text_encoder_2=model.part("text_encoder_2"),
        tokenizer=tokens_of(model),
        tokenizer_2=tokens_of(model, "tokenizer_2"),
        unet=model.part("unet"),
        scheduler=model.scheduler(solver),
        add_watermarker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def sdxl_from_words(models, folder):
    """From noise, with nothing unwanted named: the guiding branch reads zeros."""
    from diffusers import StableDiffusionXLPipeline

    model = brought(models, folder, "sdxl")
    pipe = _pipe(model, StableDiffusionXLPipeline, "Euler")
    given = {**COMMON, "negative_prompt": None}
    theirs = pipe(height=SIDE, width=SIDE, guidance_scale=5.0, latents=noise(4), **given).images
    ours, _ = sdxl.redrawn(drawing(model, "Euler", 5.0, negative=""))
    return gap(ours / 2 + 0.5, theirs)


@torch.no_grad()
def sdxl_image_to_image(models, folder):
    from diffusers import StableDiffusionXLImg2ImgPipeline

    model = brought(models, folder, "sdxl")
    pipe = _pipe(model, StableDiffusionXLImg2ImgPipeline, "Euler")
    work = drawing(model, "Euler", 5.0, strength=0.75)
    work.encoded()
    theirs = with_noise(
        lambda: (
            pipe(
                image=work.latent,
                strength=0.75,
                guidance_scale=5.0,
                original_size=(SIDE, SIDE),
                target_size=(SIDE, SIDE),
                **COMMON,
            ).images
        )
    )
    ours, _ = sdxl.redrawn(work)
    return gap(ours / 2 + 0.5, theirs)


@torch.no_grad()
def sdxl_inpaint(models, folder):
    from diffusers import StableDiffusionXLInpaintPipeline

    model, cells = brought(models, folder, "sdxl-inpainting"), hole()
    pipe = _pipe(model, StableDiffusionXLInpaintPipeline, "Euler")
    mask = torch.nn.functional.interpolate(cells, (SIDE, SIDE), mode="nearest")
    theirs = pipe(
        image=picture(),
        mask_image=mask,
        height=SIDE,
        width=SIDE,
        guidance_scale=8.0,
        strength=1.0,
        latents=noise(4),
        **COMMON,
    ).images
    work = drawing(model, "Euler", 8.0, drawn=cells)
    ours, _ = sdxl.inpainted(unblended(work))
    return gap(ours / 2 + 0.5, theirs)


def _grown(cells):
    """As Kandinsky's pipelines grow a hole: by one cell, but along one diagonal only."""
    around = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])
    grown = ndimage.binary_dilation(cells[0, 0].numpy() > 0, around)
    return torch.from_numpy(grown.astype(np.float32))[None, None]


@torch.no_grad()
def kandinsky_inpaint(models, folder):
    from diffusers import KandinskyV22InpaintPipeline

    model, cells = brought(models, folder, "kandinsky22-prior", "kandinsky22-inpainting"), hole()
    pipe = KandinskyV22InpaintPipeline(
        unet=model.part("unet"), scheduler=model.scheduler("DDPM"), movq=model.part("movq")
    )
    pipe.set_progress_bar_config(disable=True)
    work = drawing(model, "DDPM", 4.0, drawn=_grown(cells))
    words = kandinsky.embeddings(work, "KandinskyV22PriorPipeline")
    mask = torch.nn.functional.interpolate(cells, (SIDE, SIDE), mode="nearest")
    theirs = pipe(
        image_embeds=words["full"].pooled,
        negative_image_embeds=words["none"].pooled,
        image=picture() * 2 - 1,
        mask_image=mask[0, 0],
        height=SIDE,
        width=SIDE,
        num_inference_steps=STEPS,
        guidance_scale=4.0,
        latents=noise(4),
        generator=torch.Generator().manual_seed(SEED),
        output_type="pt",
    ).images
    ours, _ = kandinsky.inpainted(work)
    return gap(ours, theirs.clamp(-1, 1))


@torch.no_grad()
def kandinsky_2_1_inpaint(models, folder):
    from diffusers import KandinskyInpaintPipeline

    model = brought(models, folder, "kandinsky21-prior", "kandinsky21-inpainting")
    cells = hole()
    pipe = KandinskyInpaintPipeline(
        text_encoder=model.part("text_encoder"),
        tokenizer=tokens_of(model),
        unet=model.part("unet"),
        scheduler=model.scheduler("DDPM"),
        movq=model.part("movq"),
    )
    pipe.set_progress_bar_config(disable=True)
    work = drawing(model, "DDPM", 4.0, drawn=_grown(cells))
    words = kandinsky21.embeddings(work, "KandinskyPriorPipeline")
    mask = torch.nn.functional.interpolate(cells, (SIDE, SIDE), mode="nearest")
    theirs = pipe(
        image=picture() * 2 - 1,
        mask_image=mask,
        image_embeds=words["full"].pooled,
        negative_image_embeds=words["none"].pooled,
        height=SIDE,
        width=SIDE,
        guidance_scale=4.0,
        latents=noise(4),
        generator=torch.Generator().manual_seed(SEED),
        **{**COMMON, "num_inference_steps": STEPS},
    ).images
    ours, _ = kandinsky21.inpainted(unblended(work))
    return gap(ours, theirs.clamp(-1, 1))


class _Processor:
    """Stands for Qwen2VLProcessor, which needs a library of videos: tokens and patches."""

    def __init__(self, tokens, pictures):
        self.tokens, self.pictures = tokens, pictures

    def __call__(self, text, images, padding, return_tensors):
        seen = self.pictures(images=[images], return_tensors="pt")
        count = int(seen["image_grid_thw"][0].prod()) // 4
        asked = [one.replace(qwen.IMAGE, qwen.IMAGE * count) for one in text]
        found = self.tokens(asked, return_tensors="pt")
        return transformers.BatchFeature({**found, **seen})


@torch.no_grad()
def qwen_image_edit(models, folder):
    from diffusers import QwenImageEditPipeline
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit as module

    model = brought(models, folder, "qwen-image-edit")
    pictures = transformers.Qwen2VLImageProcessorPil.from_pretrained(model.folder("processor"))
    tokens = tokens_of(model, limit=qwen.TOKENS)
    pipe = QwenImageEditPipeline(
        scheduler=model.scheduler("flow Euler"),
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        tokenizer=tokens,
        processor=_Processor(tokens, pictures),
        transformer=model.part("transformer"),
    )
    pipe.set_progress_bar_config(disable=True)
    pixels = (picture()[0] * 255).round().byte().permute(1, 2, 0).numpy()
    shown = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    whole = module.calculate_dimensions
    module.calculate_dimensions = lambda area, ratio: (SIDE, SIDE, None)  # not a million pixels
    try:
        theirs = pipe(
            image=Image.fromarray(pixels),
            prompt=PROMPT,
            negative_prompt=NEGATIVE,
            true_cfg_scale=4.0,
            num_inference_steps=STEPS,
            latents=packed(noise(4)),
            output_type="pt",
        ).images
    finally:
        module.calculate_dimensions = whole
    work = dataclasses.replace(drawing(model, "flow Euler", 4.0), picture=shown * 2 - 1)
    ours, _ = qwen.edited(work)
    return gap(ours / 2 + 0.5, theirs)


CASES = (
    qwen_image_edit,
    sdxl_from_words,
    sdxl_image_to_image,
    sdxl_inpaint,
    kandinsky_inpaint,
    kandinsky_2_1_inpaint,
)
