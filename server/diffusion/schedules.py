"""Noise schedules and solvers by the names users know, made from a model's own scheduler config by
diffusers' classes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..ground.errors import BadRequest, WeightsMissing
from ..models import lazy

CLASSES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "PNDM": ("PNDMScheduler", {"skip_prk_steps": True}),
    "DDIM": ("DDIMScheduler", {"clip_sample": False}),
    "DDPM": ("DDPMScheduler", {"clip_sample": False}),
    "DPM++ 2M": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "use_karras_sigmas": False},
    ),
    "DPM++ 2M Karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True},
    ),
    "flow Euler": ("FlowMatchEulerDiscreteScheduler", {}),
}
FLOW = ("flow Euler",)
DIFFUSION = tuple(name for name in CLASSES if name not in FLOW)


def config_of(folder: Path) -> dict[str, Any]:
    """The scheduler_config.json of a model."""
    path = folder / "scheduler_config.json"
    try:
        return json.loads(path.read_text("utf8"))
    except (OSError, ValueError) as error:
        raise WeightsMissing(f"{path} cannot be read ({error}).") from error


def made(name: str, config: Mapping[str, Any]) -> Any:
    """A fresh scheduler; it holds the state of one drawing."""
    if name not in CLASSES:
        raise BadRequest(f"scheduler: '{name[:60]}' is none of {', '.join(CLASSES)}.")
    cls, extra = CLASSES[name]
    given = {k: v for k, v in config.items() if k not in extra}
    if name not in ("DDPM", *FLOW) and str(config.get("variance_type", "")).startswith("learned"):
        # The variance that such a model predicts is dropped, as by every solver but DDPM.
        given["variance_type"] = "fixed_small"
    return lazy.parts("diffusers", cls).from_config(given, **extra)


def timesteps_of(
    scheduler: Any, steps: int, strength: float = 1.0, tokens: int = 0
) -> torch.Tensor:
    """The timesteps of a drawing; with a strength below 1 it begins that far up, from the source
    (SDEdit).

    `tokens`: how many a flow model sees at once, by which its schedule shifts (Esser et al. 2024);
    0: by none.
    """
    given: dict[str, Any] = {}
    if tokens:
        import numpy as np

        given["sigmas"] = np.linspace(1.0, 1 / steps, steps)
        if scheduler.config.get("use_dynamic_shifting"):
            given["mu"] = _shift(scheduler.config, tokens)
        scheduler.set_timesteps(**given)
    else:
        if scheduler.config.get("use_dynamic_shifting"):
            given["mu"] = _shift(scheduler.config, 1024)
        scheduler.set_timesteps(steps, **given)
    every = scheduler.timesteps
    if strength >= 1:
        return every
    order = getattr(scheduler, "order", 1)
    first = max(steps - min(int(steps * strength), steps), 0) * order
    if first >= len(every):
        raise BadRequest(
            f"strength: {strength} of {steps} steps leaves none to take. Choose more of either."
        )
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    return every[first:]


def _shift(config: Mapping[str, Any], tokens: int) -> float:
    """mu of the shifted flow schedule, linear in the number of tokens."""
    low = config.get("base_image_seq_len", 256)
    high = config.get("max_image_seq_len", 4096)
    least = config.get("base_shift", 0.5)
    most = config.get("max_shift", 1.15)
    slope = (most - least) / (high - low)
    return float(slope * tokens + least - slope * low) if math.isfinite(slope) else float(least)
