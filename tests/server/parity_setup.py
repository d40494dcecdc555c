"""What the parity cases share: models at tiny size, a picture, a hole, noise, the difference."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from landbrush.server.diffusion.drawing import Drawing, Settings
from landbrush.server.diffusion.guidance import FreeGuidance
from landbrush.server.diffusion.placement import WHOLE, Placement
from landbrush.server.models.noise import AnchoredNoise
from landbrush.server.store.importing import Arrival, import_model

from tests.server import tiny_pipelines
from tests.server.conftest import model_of

PROMPT, NEGATIVE, SEED, STEPS, SIDE = "flood the houses", "snow", 3, 4, 128


PLACED = Placement("cpu", torch.float32, WHOLE, 0.0, 1.0)


COMMON = {
    "prompt": PROMPT,
    "negative_prompt": NEGATIVE,
    "num_inference_steps": STEPS,
    "output_type": "pt",
}


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


def tokens_of(model, name="tokenizer", limit=77):
    from landbrush.server.diffusion.text import tokens_in

    return tokens_in(model.folder(name), limit)


def with_noise(run):
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


def unblended(work):
    """As diffusers' nine-channel pipeline, which leaves the known ground to the network."""
    work.sampled = lambda *given, **more: dataclasses.replace(work, drawn=None).sampled(
        *given, **more
    )
    return work


def sd3_pipe(model, cls, scheduler):
    pipe = cls(
        transformer=model.part("transformer"),
        scheduler=scheduler,
        vae=model.part("vae"),
        text_encoder=model.part("text_encoder"),
        tokenizer=tokens_of(model),
        text_encoder_2=model.part("text_encoder_2"),
        tokenizer_2=tokens_of(model, "tokenizer_2"),
        text_encoder_3=model.part("text_encoder_3"),
        tokenizer_3=tokens_of(model, "tokenizer_3", 256),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
