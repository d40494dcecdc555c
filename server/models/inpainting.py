"""Pretrained text-guided inpainting pipelines as baselines: Stable Diffusion, Kandinsky 2.2, from the user's folder."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import WeightsMissing

STEPS = 50


def inpainted(folder: Path, picture: np.ndarray, mask: np.ndarray, prompt: str, seed: int) -> np.ndarray:
    """A picture (H, W, 3) of bytes with the mask (H, W) drawn anew after the prompt; outside it nothing changes.

    The pipeline works at its own size; what comes back is brought to the picture's. Raises WeightsMissing.
    """
    pipe, side = _pipeline(str(folder), "cuda" if torch.cuda.is_available() else "cpu")
    given = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
    hole = Image.fromarray((mask * 255).astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST)
    generator = torch.Generator("cpu").manual_seed(seed)
    with torch.inference_mode():
        made = pipe(prompt=prompt, image=given, mask_image=hole, height=side, width=side, num_inference_steps=STEPS,
                    generator=generator).images[0]
    out = np.asarray(made.convert("RGB").resize(picture.shape[1::-1], Image.Resampling.LANCZOS))
    return np.where(mask[..., None], out, picture)


@functools.lru_cache(maxsize=1)
def _pipeline(folder: str, device: str) -> tuple[Any, int]:
    """A pipeline of diffusers in a folder with model_index.json, and the side it draws."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if not (Path(folder) / "model_index.json").is_file():
        raise WeightsMissing(f"{folder} holds no pipeline of diffusers (model_index.json). Save one there, for "
                             "instance stable-diffusion-v1-5/stable-diffusion-inpainting, or Kandinsky 2.2's "
                             "combined inpainting pipeline (prior and decoder).")
    try:
        from diffusers import AutoPipelineForInpainting
        from diffusers.utils import logging
    except ImportError as error:
        raise WeightsMissing("The baselines need the package diffusers: pip install 'landbrush[evaluate]'") from error
    parts = json.loads((Path(folder) / "model_index.json").read_text("utf8"))
    if "movq" in parts and not any(name.startswith("prior_") for name in parts):
        raise WeightsMissing(f"{folder} holds Kandinsky's decoder without its prior. Save the combined pipeline "
                             "(KandinskyV22InpaintCombinedPipeline.save_pretrained), which has both.")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    kind = torch.float16 if device == "cuda" else torch.float32
    # No pickled weights are read; the safety checker would blank pictures of disasters.
    without = {"safety_checker": None, "requires_safety_checker": False} if "safety_checker" in parts else {}
    try:
        pipe = AutoPipelineForInpainting.from_pretrained(folder, local_files_only=True, use_safetensors=True, torch_dtype=kind,
                                                         **without)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsMissing(f"The pipeline in {folder} cannot be read: {error}") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device), _side(pipe)


def _side(pipe: Any) -> int:
    unet = getattr(pipe, "unet", None)
    factor = getattr(pipe, "vae_scale_factor", None) or 2 ** (len(pipe.movq.config.block_out_channels) - 1)
    return int(unet.config.sample_size * factor) if unet is not None and unet.config.sample_size else 512
