"""Our loop beside another computation of the same drawing, fp32, tiny networks: the largest
difference of pixels in [-1, 1].

Where diffusers has the pipeline it is that; else a short reference written here from the released
code's description.
"""

from __future__ import annotations

import dataclasses

import torch
from landbrush.server.diffusion.families import sd, sd3
from landbrush.server.store.importing import Arrival, import_model

from tests.server import parity_of_baselines, parity_of_flux, parity_of_references, tiny_pipelines
from tests.server.conftest import model_of
from tests.server.parity_setup import (
    COMMON,
    PLACED,
    SEED,
    SIDE,
    brought,
    drawing,
    gap,
    hole,
    noise,
    picture,
    sd3_pipe,
    tokens_of,
    unblended,
    with_noise,
)


def _sd(model, cls, scheduler, **more):
    pipe = cls(
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        tokenizer=tokens_of(model),
        unet=model.part("unet"),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **more,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def instruct_pix2pix(models, folder):
    return _instructed(brought(models, folder, "instruct-pix2pix"), "Euler ancestral", 77)


def rsedit_unet(models, folder):
    """The 248-token reader beside the pipeline of InstructPix2Pix, as it was published to be run,
    with Euler."""
    return _instructed(brought(models, folder, "rsedit-unet-dgtrs"), "Euler", 248)


@torch.no_grad()
def _instructed(model, solver, tokens):
    from diffusers import StableDiffusionInstructPix2PixPipeline

    pipe = _sd(model, StableDiffusionInstructPix2PixPipeline, model.scheduler(solver))
    pipe.tokenizer.model_max_length = tokens
    theirs = pipe(
        image=picture(),
        guidance_scale=7.5,
        image_guidance_scale=1.5,
        latents=noise(4),
        generator=torch.Generator().manual_seed(SEED),
        **COMMON,
    ).images
    ours, _ = sd.instruct_unet(drawing(model, solver, 7.5, 1.5))
    return gap(ours / 2 + 0.5, theirs)


@torch.no_grad()
def image_to_image(models, folder):
    """SDEdit beside img2img; diffusers draws the noise from its generator, so ours is made to be
    that."""
    from diffusers import StableDiffusionImg2ImgPipeline

    model = brought(models, folder, "sd15")
    pipe = _sd(model, StableDiffusionImg2ImgPipeline, model.scheduler("PNDM"))
    work = drawing(model, "PNDM", 7.5, strength=0.75)
    work.encoded()
    theirs = with_noise(
        lambda: pipe(image=work.latent, strength=0.75, guidance_scale=7.5, **COMMON).images
    )
    ours, _ = sd.redrawn(work, 1.0)
    return gap(ours / 2 + 0.5, theirs)


@torch.no_grad()
def inpaint_nine_channels(models, folder):
    from diffusers import StableDiffusionInpaintPipeline

    model, cells = brought(models, folder, "sd15-inpainting"), hole()
    pipe = _sd(model, StableDiffusionInpaintPipeline, model.scheduler("PNDM"))
    mask = torch.nn.functional.interpolate(cells, (SIDE, SIDE), mode="nearest")
    theirs = pipe(
        image=picture(),
        mask_image=mask,
        height=SIDE,
        width=SIDE,
        guidance_scale=7.5,
        latents=noise(4),
        **COMMON,
    ).images
    work = drawing(model, "PNDM", 7.5, drawn=cells)
    ours, _ = sd.inpainted(unblended(work), 1.0)
    return gap(ours / 2 + 0.5, theirs)


@torch.no_grad()
def inpaint_four_channels(models, folder):
    """The blended ground of every step, beside the inpainting pipeline of a network that has no
    mask input."""
    from diffusers import StableDiffusionInpaintPipeline

    model, cells = brought(models, folder, "sd15"), hole()
    pipe = _sd(model, StableDiffusionInpaintPipeline, model.scheduler("Euler"))
    mask = torch.nn.functional.interpolate(cells, (SIDE, SIDE), mode="nearest")
    theirs = with_noise(
        lambda: (
            pipe(
                image=picture(),
                mask_image=mask,
                height=SIDE,
                width=SIDE,
                guidance_scale=7.5,
                strength=1.0,
                **COMMON,
            ).images
        )
    )
    ours, _ = sd.redrawn(drawing(model, "Euler", 7.5, drawn=cells), 1.0)
    return gap(ours / 2 + 0.5, theirs)


@torch.no_grad()
def stable_diffusion_3(models, folder):
    """The denoiser and words of UltraEdit with no further channels, beside img2img of Stable
    Diffusion 3."""
    from diffusers import StableDiffusion3Img2ImgPipeline
    from landbrush.server.diffusion.families.sd3 import SD3Denoiser

    model = _plain(models, folder, "ultraedit-freeform", tiny_pipelines.sd3)
    pipe = sd3_pipe(model, StableDiffusion3Img2ImgPipeline, model.scheduler("flow Euler"))
    work = drawing(model, "flow Euler", 5.0, strength=0.75)
    work.encoded()
    theirs = with_noise(
        lambda: (
            pipe(
                image=work.latent,
                strength=0.75,
                guidance_scale=5.0,
                height=SIDE,
                width=SIDE,
                **COMMON,
            ).images
        )
    )
    denoise = SD3Denoiser(
        model.part("transformer"), work.branches(sd3.words_of(work)), work.settings.guidance
    )
    ours = work.decoded(work.sampled(denoise, model.scheduler("flow Euler")))
    return gap(ours / 2 + 0.5, theirs)


def _plain(models, folder, model_id, maker):
    """A model of the family without the editor's further channels, outside the store's checks."""

    entry = dataclasses.replace(
        models.store.entry(model_id), id=f"plain-{model_id}", expects={}, base=""
    )
    if models.store.record(entry.id) is None:
        import_model(models.store, Arrival(entry, True), maker(folder / entry.id))
    return model_of(models, entry, PLACED)


@torch.no_grad()
def plain_pixart(models, folder):
    """Words, masks and time of PixArt without a source, beside its own pipeline."""
    from diffusers import PixArtAlphaPipeline
    from landbrush.server.diffusion.families.pixart import PixArtDenoiser
    from landbrush.server.diffusion.text import t5_words

    model = brought(models, folder, "rsedit-dit")
    pipe = PixArtAlphaPipeline(
        tokenizer=tokens_of(model, limit=120),
        text_encoder=model.part("text_encoder"),
        vae=model.part("vae"),
        transformer=model.part("transformer"),
        scheduler=model.scheduler("DPM++ 2M"),
    )
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        height=SIDE,
        width=SIDE,
        guidance_scale=4.5,
        latents=noise(4),
        clean_caption=False,
        use_resolution_binning=False,
        **COMMON,
    ).images
    work = drawing(model, "DPM++ 2M", 4.5)
    with model.reader("text_encoder", "tokenizer", 120) as reader:
        words = work.words(lambda text: t5_words(reader, text, True))
    work.encoded()
    denoise = PixArtDenoiser(
        model.part("transformer"), work.branches(words), work.settings.guidance
    )
    ours = work.decoded(work.sampled(denoise, model.scheduler("DPM++ 2M")))
    return gap(ours / 2 + 0.5, theirs)


CASES = (
    instruct_pix2pix,
    rsedit_unet,
    image_to_image,
    inpaint_nine_channels,
    inpaint_four_channels,
    stable_diffusion_3,
    plain_pixart,
    *parity_of_flux.CASES,
    *parity_of_baselines.CASES,
    *parity_of_references.CASES,
)
