"""Our loop beside another computation of the same drawing, fp32, tiny networks: the largest
difference of pixels in [-1, 1].

Where diffusers has the pipeline it is that; else a short reference written here from the released
code's description.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from landbrush.server.diffusion.drawing import Drawing, Settings
from landbrush.server.diffusion.families import flux, flux2, kandinsky, pixart, sd, sd3
from landbrush.server.diffusion.guidance import FreeGuidance
from landbrush.server.diffusion.placement import WHOLE, Placement
from landbrush.server.models.noise import AnchoredNoise
from landbrush.server.store.importing import Arrival, import_model
from scipy import ndimage

from tests.server import tiny_pipelines
from tests.server.conftest import model_of

PROMPT, NEGATIVE, SEED, STEPS, SIDE = "flood the houses", "snow", 3, 4, 128
PLACED = Placement("cpu", torch.float32, WHOLE, 0.0, 1.0)


def brought(models, folder, *model_ids):
    for model_id in model_ids:
        if models.store.record(model_id) is None:
            import_model(
                models.store,
                Arrival(models.store.entry(model_id), True),
                tiny_pipelines.build(model_id, folder),
            )
    return model_of(models, models.store.entry(model_ids[-1]), PLACED)


def picture(height=SIDE, width=SIDE):
    rng = np.random.default_rng(0)
    rough = torch.from_numpy(rng.random((1, 3, height // 16, width // 16), np.float32))
    return torch.nn.functional.interpolate(rough, (height, width), mode="bicubic").clamp(0, 1)


def hole(height=SIDE // 8, width=SIDE // 8):
    cells = torch.zeros(1, 1, height, width)
    cells[..., 4:11, 3:12] = 1
    return cells


def noise(channels, height=SIDE // 8, width=SIDE // 8):
    return torch.from_numpy(AnchoredNoise(SEED).normal((channels, height, width)))[None]


def drawing(model, scheduler, text, image=None, drawn=None, **more):
    how = Settings(
        scheduler, STEPS, FreeGuidance(text, image), SEED, **{"negative": NEGATIVE, **more}
    )
    return Drawing(model, PROMPT, picture() * 2 - 1, drawn, how, SIDE // 8)


def gap(ours, theirs):
    """The largest difference; both must vary, or the comparison would say nothing."""
    assert ours.shape == theirs.shape and theirs.std() > 1e-3
    return float((ours - theirs).abs().max())


def _tokens(model, name="tokenizer", limit=77):
    from landbrush.server.diffusion.text import tokens_in

    return tokens_in(model.folder(name), limit)


def _sd(model, cls, scheduler, **more):
    pipe = cls(
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        tokenizer=_tokens(model),
        unet=model.part("unet"),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **more,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


COMMON = {
    "prompt": PROMPT,
    "negative_prompt": NEGATIVE,
    "num_inference_steps": STEPS,
    "output_type": "pt",
}


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
    theirs = _with_noise(
        lambda: pipe(image=work.latent, strength=0.75, guidance_scale=7.5, **COMMON).images
    )
    ours, _ = sd.redrawn(work, 1.0)
    return gap(ours / 2 + 0.5, theirs)


def _with_noise(run):
    """Run a pipeline that draws its noise itself with ours in its stead."""
    import sys

    modules = [
        m
        for n, m in list(sys.modules.items())
        if n.startswith("diffusers.pipelines.") and hasattr(m, "randn_tensor")
    ]
    kept = [m.randn_tensor for m in modules]
    try:
        for module in modules:
            module.randn_tensor = lambda shape, **_: noise(shape[1], *shape[2:])
        return run()
    finally:
        for module, draw in zip(modules, kept, strict=True):
            module.randn_tensor = draw


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
    ours, _ = sd.inpainted(_unblended(work), 1.0)
    return gap(ours / 2 + 0.5, theirs)


def _unblended(work):
    """As diffusers' nine-channel pipeline, which leaves the known ground to the network."""
    work.sampled = lambda *given, **more: dataclasses.replace(work, drawn=None).sampled(
        *given, **more
    )
    return work


@torch.no_grad()
def inpaint_four_channels(models, folder):
    """The blended ground of every step, beside the inpainting pipeline of a network that has no
    mask input."""
    from diffusers import StableDiffusionInpaintPipeline

    model, cells = brought(models, folder, "sd15"), hole()
    pipe = _sd(model, StableDiffusionInpaintPipeline, model.scheduler("Euler"))
    mask = torch.nn.functional.interpolate(cells, (SIDE, SIDE), mode="nearest")
    theirs = _with_noise(
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
def kandinsky_inpaint(models, folder):
    from diffusers import KandinskyV22InpaintPipeline

    model, cells = brought(models, folder, "kandinsky22-prior", "kandinsky22-inpainting"), hole()
    pipe = KandinskyV22InpaintPipeline(
        unet=model.part("unet"), scheduler=model.scheduler("DDPM"), movq=model.part("movq")
    )
    pipe.set_progress_bar_config(disable=True)
    # The pipeline grows the hole by one cell, but along one diagonal only.
    around = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])
    grown = torch.from_numpy(
        ndimage.binary_dilation(cells[0, 0].numpy() > 0, around).astype(np.float32)
    )[None, None]
    work = drawing(model, "DDPM", 4.0, drawn=grown)
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


def _sd3(model, cls, scheduler):
    pipe = cls(
        transformer=model.part("transformer"),
        scheduler=scheduler,
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        tokenizer=_tokens(model),
        text_encoder_2=model.part("text_encoder_2"),
        tokenizer_2=_tokens(model, "tokenizer_2"),
        text_encoder_3=model.part("text_encoder_3"),
        tokenizer_3=_tokens(model, "tokenizer_3", 256),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def stable_diffusion_3(models, folder):
    """The denoiser and words of UltraEdit with no further channels, beside img2img of Stable
    Diffusion 3."""
    from diffusers import StableDiffusion3Img2ImgPipeline
    from landbrush.server.diffusion.families.sd3 import SD3Denoiser

    model = _plain(models, folder, "ultraedit-freeform", tiny_pipelines.sd3)
    pipe = _sd3(model, StableDiffusion3Img2ImgPipeline, model.scheduler("flow Euler"))
    work = drawing(model, "flow Euler", 5.0, strength=0.75)
    work.encoded()
    theirs = _with_noise(
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
    import dataclasses

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
        tokenizer=_tokens(model, limit=120),
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


def _flux(model, cls):
    pipe = cls(
        scheduler=model.scheduler("flow Euler"),
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        tokenizer=_tokens(model),
        text_encoder_2=model.part("text_encoder_2"),
        tokenizer_2=_tokens(model, "tokenizer_2", 512),
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
        tokenizer=_tokens(model, limit=512),
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


@torch.no_grad()
def rsedit_dit(models, folder):
    """A plain loop of RSEdit-DiT: source left, noise right, three predictions one by one, the right
    half's first channels."""
    model = brought(models, folder, "rsedit-dit")
    net, scheduler = model.part("transformer"), model.scheduler("DPM++ 2M")
    tokens, reader = _tokens(model, limit=120), model.part("text_encoder")

    def read(text):
        ids = tokens(
            [text], padding="max_length", max_length=120, truncation=True, return_tensors="pt"
        )
        return reader(ids.input_ids, attention_mask=ids.attention_mask)[0], ids.attention_mask

    (full, full_mask), (null, null_mask) = read(PROMPT), read(NEGATIVE)
    vae = model.part("vae")
    source = vae.encode(picture() * 2 - 1).latent_dist.mode() * vae.config.scaling_factor
    latents = noise(4)
    scheduler.set_timesteps(STEPS)
    for t in scheduler.timesteps:
        made = []
        for states, mask, left in (
            (full, full_mask, source),
            (null, null_mask, source),
            (null, null_mask, torch.zeros_like(source)),
        ):
            both = torch.cat([left, scheduler.scale_model_input(latents, t)], dim=3)
            out = net(
                both,
                encoder_hidden_states=states,
                encoder_attention_mask=mask,
                timestep=t[None],
                added_cond_kwargs={"resolution": None, "aspect_ratio": None},
                return_dict=False,
            )[0]
            made.append(out[:, :4, :, latents.shape[3] :])
        text, image, none = made
        latents = scheduler.step(
            none + 4.5 * (text - image) + 1.5 * (image - none), t, latents, return_dict=False
        )[0]
    theirs = vae.decode(latents / vae.config.scaling_factor).sample.clamp(-1, 1)
    ours, _ = pixart.in_context_dit(drawing(model, "DPM++ 2M", 4.5, 1.5), masked=True)
    return gap(ours, theirs)


@torch.no_grad()
def ultraedit(models, folder):
    """A plain loop of UltraEdit: channels noisy, source, mask; nothing of them scaled or shifted;
    decoded without shift."""
    from diffusers import StableDiffusion3Pipeline

    model, cells = brought(models, folder, "ultraedit-mask"), hole()
    net, scheduler, vae = (
        model.part("transformer"),
        model.scheduler("flow Euler"),
        model.part("vae"),
    )
    pipe = _sd3(model, StableDiffusion3Pipeline, scheduler)
    full, null, pooled, null_pooled = pipe.encode_prompt(
        PROMPT, PROMPT, PROMPT, device="cpu", negative_prompt=NEGATIVE
    )
    source = vae.encode(picture() * 2 - 1).latent_dist.mode()
    white = torch.nn.functional.interpolate(cells, (SIDE, SIDE), mode="nearest").expand(
        -1, 3, -1, -1
    )
    mask = vae.encode(white * 2 - 1).latent_dist.mode()
    latents, nothing = noise(16), torch.zeros(1, 16, SIDE // 8, SIDE // 8)
    scheduler.set_timesteps(STEPS)
    for t in scheduler.timesteps:
        made = []
        for states, vector, beside in (
            (full, pooled, (source, mask)),
            (null, null_pooled, (source, mask)),
            (null, null_pooled, (nothing, nothing)),
        ):
            made.append(
                net(
                    hidden_states=torch.cat([latents, *beside], 1),
                    timestep=t[None],
                    encoder_hidden_states=states,
                    pooled_projections=vector,
                    return_dict=False,
                )[0]
            )
        text, image, none = made
        latents = scheduler.step(
            none + 7.5 * (text - image) + 1.5 * (image - none), t, latents, return_dict=False
        )[0]
    theirs = vae.decode(latents / vae.config.scaling_factor).sample.clamp(-1, 1)
    ours, _ = sd3.ultraedit(_unblended(drawing(model, "flow Euler", 7.5, 1.5, drawn=cells)))
    return gap(ours, theirs)


@torch.no_grad()
def text2earth(models, folder):
    """A plain loop with a class label: the map level beside the words, 0 beside none."""
    model = brought(models, folder, "text2earth")
    net, scheduler, vae = model.part("unet"), model.scheduler("Euler"), model.part("vae")
    tokens, reader = _tokens(model), model.part("text_encoder")
    read = {
        text: reader(
            tokens(
                [text], padding="max_length", max_length=77, truncation=True, return_tensors="pt"
            ).input_ids
        )[0]
        for text in (PROMPT, NEGATIVE)
    }
    source = vae.encode(picture() * 2 - 1).latent_dist.mode() * vae.config.scaling_factor
    scheduler.set_timesteps(STEPS)
    first = STEPS - int(STEPS * 0.75)
    latents = source + noise(4) * scheduler.sigmas[first]
    for t in scheduler.timesteps[first:]:
        seen = scheduler.scale_model_input(latents, t)
        none = net(
            seen,
            t,
            encoder_hidden_states=read[NEGATIVE],
            class_labels=torch.tensor([0.0]),
            return_dict=False,
        )[0]
        full = net(
            seen,
            t,
            encoder_hidden_states=read[PROMPT],
            class_labels=torch.tensor([18.0]),
            return_dict=False,
        )[0]
        latents = scheduler.step(none + 4.0 * (full - none), t, latents, return_dict=False)[0]
    theirs = vae.decode(latents / vae.config.scaling_factor).sample.clamp(-1, 1)
    ours, _ = sd.redrawn(drawing(model, "Euler", 4.0, strength=0.75), 0.5)
    return gap(ours, theirs)


CASES = (
    instruct_pix2pix,
    rsedit_unet,
    image_to_image,
    inpaint_nine_channels,
    inpaint_four_channels,
    kandinsky_inpaint,
    stable_diffusion_3,
    plain_pixart,
    flux_fill_diptych,
    flux_fill_with_examples,
    flux_kontext,
    flux2_klein,
    rsedit_dit,
    ultraedit,
    text2earth,
)
