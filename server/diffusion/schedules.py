"""Noise schedules and solvers by the names users know, made from a model's own scheduler config by
diffusers' classes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..ground.errors import BadRequest, WeightsMissing
from ..ground.optional import torch
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


def make_scheduler(name: str, config: Mapping[str, Any]) -> Any:
    """A fresh scheduler; it holds the state of one drawing."""
    if name not in CLASSES:
        raise BadRequest(f"scheduler: '{name[:60]}' is none of {', '.join(CLASSES)}.")
    cls, extra = CLASSES[name]
    given = {k: v for k, v in config.items() if k not in extra}
    if name not in ("DDPM", *FLOW) and str(config.get("variance_type", "")).startswith("learned"):
        # The variance that such a model predicts is dropped, as by every solver but DDPM.
        given["variance_type"] = "fixed_small"
    return lazy.parts("diffusers", cls).from_config(given, **extra)


@dataclass(frozen=True)
class Shift:
    """How a flow's schedule shifts towards noise (Esser et al. 2024).

    `tokens`: how many the model sees at once; 0: it does not count them. `mu`: the shift itself,
    where the model's makers have a formula of their own; None: linear in the tokens.
    """

    tokens: int = 0
    mu: float | None = None


def timesteps_of(
    scheduler: Any, steps: int, strength: float = 1.0, shift: Shift = Shift()
) -> torch.Tensor:
    """The timesteps of a drawing; with a strength below 1 it begins that far up, from the source
    (SDEdit)."""
    given: dict[str, Any] = {}
    if scheduler.config.get("use_dynamic_shifting"):
        linear = _shift(scheduler.config, shift.tokens or 1024)
        given["mu"] = linear if shift.mu is None else shift.mu
    if shift.tokens or shift.mu is not None:
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), **given)
    else:
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
