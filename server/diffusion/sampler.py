"""The loop every pretrained editor draws with: one canvas, many tiles, one schedule, known ground
outside the polygons.

Schedules are diffusers'. What is ours: the canvas shared by the tiles, and the ground outside the
mask, which at every step is the source at the noise level of that step (blended latent diffusion,
Avrahami et al. 2023), so that what is drawn inside fits it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..ground.optional import torch
from .tiles import Tile, Tiling

Denoise: TypeAlias = "Callable[[torch.Tensor, torch.Tensor, Tile], torch.Tensor]"
"""The model's guided output for one tile (1, C, h, w) at a timestep; the tile says where it
lies."""
OnStep: TypeAlias = "Callable[[int, int, torch.Tensor], None]"
"""Called with steps done, all steps, and the canvas; raises to stop."""


@dataclass(frozen=True)
class Known:
    """What is there already. `latent`: the source's latents (1, C, H, W), scaled. `noise` (1, C, H,
    W): what they get at each step's level. `drawn` (1, 1 or C, H, W): 1 where new ground is drawn,
    0 where the source stays."""

    latent: torch.Tensor
    noise: torch.Tensor
    drawn: torch.Tensor


@dataclass(frozen=True)
class Run:
    """All that a drawing needs beside the model. `scheduler`: diffusers' solver, its timesteps set.
    `timesteps` (n,): those to take, from noisy to clean. `start` (1, C, H, W): the first canvas.
    `tiling`: the tiles in which the model sees it. `known`: ground that is kept; None: all is
    drawn. `generator`: of the noise that a solver adds itself; None: torch's own."""

    scheduler: Any
    timesteps: torch.Tensor
    start: torch.Tensor
    tiling: Tiling
    known: Known | None = None
    generator: torch.Generator | None = None


def sample(denoise: Denoise, run: Run, on_step: OnStep | None = None) -> torch.Tensor:
    """The drawn latents (1, C, H, W), scaled."""
    canvas = run.start
    scheduler = run.scheduler
    steps = len(run.timesteps)
    takes = inspect.signature(scheduler.step).parameters
    given = (
        {"generator": run.generator} if "generator" in takes and run.generator is not None else {}
    )
    for index, t in enumerate(run.timesteps):
        seen = (
            scheduler.scale_model_input(canvas, t)
            if hasattr(scheduler, "scale_model_input")
            else canvas
        )
        told = functools.partial(on_step, index, steps, canvas) if on_step else None
        predicted = run.tiling.blended(functools.partial(_predicted, denoise, seen, t, told))
        canvas = scheduler.step(predicted, t, canvas, **given, return_dict=False)[0]
        if run.known:
            canvas = _with_known(canvas, run.known, scheduler, run.timesteps[index + 1 : index + 2])
    if on_step:
        on_step(steps, steps, canvas)
    return canvas


def _predicted(
    denoise: Denoise,
    seen: torch.Tensor,
    t: torch.Tensor,
    told: Callable[[], None] | None,
    tile: Tile,
) -> torch.Tensor:
    """One tile's prediction; the caller can stop the drawing before each."""
    if told:
        told()
    return denoise(tile.of(seen), t, tile)


def _with_known(
    canvas: torch.Tensor, known: Known, scheduler: Any, following: torch.Tensor
) -> torch.Tensor:
    """The canvas with the source outside the mask, as noisy as the next step expects it."""
    ground = (
        noised(scheduler, known.latent, known.noise, following) if len(following) else known.latent
    )
    return (1 - known.drawn) * ground + known.drawn * canvas


def noised(
    scheduler: Any, latent: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor
) -> torch.Tensor:
    """A latent at the noise level of a timestep, in the schedule's own scale."""
    if hasattr(scheduler, "add_noise"):
        return scheduler.add_noise(latent, noise, timestep)
    return scheduler.scale_noise(latent, timestep, noise)
