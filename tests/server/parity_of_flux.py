"""Parity cases of the FLUX families, beside diffusers' pipelines; as parity.py."""

from __future__ import annotations

import dataclasses

import torch
from landbrush.server.diffusion.families import flux, flux2

from tests.server.parity_setup import (
    PROMPT,
    SIDE,
    STEPS,
    brought,
    drawing,
    gap,
    noise,
    picture,
    tokens_of,
)


def _flux(model, cls):
    pipe = cls(
        scheduler=model.scheduler("flow Euler"),
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        tokenizer=tokens_of(model),
        text_encoder_2=model.part("text_encoder_2"),
        tokenizer_2=tokens_of(model, "tokenizer_2", 512),
        transformer=model.part("transformer"),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def flux_fill_diptych(models, folder):
    """ICEdit beside FLUX Fill's pipeline, run as its authors run it: the picture twice, the right
    half masked.

    Compared as latents: the pipeline decodes both halves as one picture, ours the right one alone.
    """
    from diffusers import FluxFillPipeline
    from landbrush.server.diffusion.families.flux import packed, unpacked

    model = brought(models, folder, "flux-fill", "icedit")
    pipe = _flux(model, FluxFillPipeline)
    both, mask = torch.cat([picture(), picture()], 3), torch.zeros(1, 1, SIDE, 2 * SIDE)
    mask[..., SIDE:] = 1
    theirs = pipe(
        prompt=flux.DIPTYCH.format(PROMPT),
        image=both,
        mask_image=mask,
        height=SIDE,
        width=2 * SIDE,
        guidance_scale=50,
        num_inference_steps=STEPS,
        latents=packed(torch.cat(noise(32).chunk(2, 1), 3)),
        output_type="latent",
    ).images
    made = []
    work = drawing(model, "flow Euler", 50.0)
    sampled = work.sampled
    work.sampled = lambda *given, **more: made.append(sampled(*given, **more)) or made[0]
    flux.diptych(work)
    return gap(made[0], unpacked(theirs, SIDE // 8, SIDE // 4)[..., SIDE // 8 :])


@torch.no_grad()
def flux_fill_with_examples(models, folder):
    """Two examples above the pair: FLUX Fill's pipeline on a canvas of three rows, the last panel
    masked."""
    from diffusers import FluxFillPipeline
    from landbrush.server.diffusion.families.flux import packed, unpacked

    model = brought(models, folder, "flux-fill", "icedit")
    pipe = _flux(model, FluxFillPipeline)
    pictures = [picture(SIDE, SIDE) * factor for factor in (0.3, 0.9, 0.6, 0.1)]
    examples = tuple((pictures[n] * 2 - 1, pictures[n + 1] * 2 - 1) for n in (0, 2))
    panels = [*pictures, picture(), torch.full_like(picture(), 0.5)]
    canvas = torch.cat([torch.cat(panels[n : n + 2], 3) for n in (0, 2, 4)], 2)
    mask = torch.zeros(1, 1, 3 * SIDE, 2 * SIDE)
    mask[..., 2 * SIDE :, SIDE:] = 1
    rows = [torch.cat(noise(96).chunk(6, 1)[n : n + 2], 3) for n in (0, 2, 4)]
    theirs = pipe(
        prompt=flux.sentence(PROMPT, 3),
        image=canvas,
        mask_image=mask,
        height=3 * SIDE,
        width=2 * SIDE,
        guidance_scale=50,
        num_inference_steps=STEPS,
        latents=packed(torch.cat(rows, 2)),
        output_type="latent",
    ).images
    made = []
    work = dataclasses.replace(drawing(model, "flow Euler", 50.0), examples=examples)
    sampled = work.sampled
    work.sampled = lambda *given, **more: made.append(sampled(*given, **more)) or made[0]
    flux.diptych(work)
    cells = SIDE // 8
    return gap(made[0], unpacked(theirs, 3 * cells, 2 * cells)[..., 2 * cells :, cells:])


@torch.no_grad()
def flux_kontext(models, folder):
    from diffusers import FluxKontextPipeline
    from landbrush.server.diffusion.families.flux import packed

    model = brought(models, folder, "flux-kontext")
    pipe = _flux(model, FluxKontextPipeline)
    theirs = pipe(
        prompt=PROMPT,
        image=picture(),
        height=SIDE,
        width=SIDE,
        guidance_scale=3.5,
        num_inference_steps=STEPS,
        latents=packed(noise(16)),
        output_type="pt",
        _auto_resize=False,
        max_area=SIDE * SIDE,
    ).images
    ours, _ = flux.kontext(drawing(model, "flow Euler", 3.5))
    return gap(ours / 2 + 0.5, theirs)


@torch.no_grad()
def flux2_klein(models, folder):
    """Of a picture of whole bytes, which is what the pipeline takes."""
    from diffusers import Flux2KleinPipeline
    from PIL import Image

    model = brought(models, folder, "flux2-klein-4b")
    pipe = Flux2KleinPipeline(
        scheduler=model.scheduler("flow Euler"),
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        tokenizer=tokens_of(model, limit=512),
        transformer=model.part("transformer"),
        is_distilled=True,
    )
    pipe.set_progress_bar_config(disable=True)
    pixels = (picture()[0].permute(1, 2, 0) * 255).round().byte()
    work = drawing(model, "flow Euler", 1.0)
    work = dataclasses.replace(work, picture=pixels.permute(2, 0, 1)[None] / 127.5 - 1)
    theirs = pipe(
        prompt=PROMPT,
        image=Image.fromarray(pixels.numpy()),
        height=SIDE,
        width=SIDE,
        num_inference_steps=STEPS,
        latents=noise(16, SIDE // 16, SIDE // 16),
        output_type="pt",
    ).images
    ours, _ = flux2.klein(work)
    return gap(ours / 2 + 0.5, theirs)


CASES = (flux_fill_diptych, flux_fill_with_examples, flux_kontext, flux2_klein)
