"""Parity cases of what diffusers has no pipeline for, beside short references; as parity.py."""

from __future__ import annotations

import torch
from landbrush.server.diffusion.families import pixart, sd, sd3

from tests.server.parity_setup import (
    NEGATIVE,
    PROMPT,
    SIDE,
    STEPS,
    brought,
    drawing,
    gap,
    hole,
    noise,
    picture,
    sd3_pipe,
    tokens_of,
    unblended,
)


@torch.no_grad()
def rsedit_dit(models, folder):
    """A plain loop of RSEdit-DiT: source left, noise right, three predictions one by one, the right
    half's first channels."""
    model = brought(models, folder, "rsedit-dit")
    net, scheduler = model.part("transformer"), model.scheduler("DPM++ 2M")
    tokens, reader = tokens_of(model, limit=120), model.part("text_encoder")

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
    pipe = sd3_pipe(model, StableDiffusion3Pipeline, scheduler)
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
    ours, _ = sd3.ultraedit(unblended(drawing(model, "flow Euler", 7.5, 1.5, drawn=cells)))
    return gap(ours, theirs)


@torch.no_grad()
def text2earth(models, folder):
    """A plain loop with a class label: the map level beside the words, 0 beside none."""
    model = brought(models, folder, "text2earth")
    net, scheduler, vae = model.part("unet"), model.scheduler("Euler"), model.part("vae")
    tokens, reader = tokens_of(model), model.part("text_encoder")
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


CASES = (rsedit_dit, ultraedit, text2earth)
