"""What one sees of a training: a line a step, and sheets of pairs that it was not trained on."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .train_run import say, trained

if TYPE_CHECKING:
    from ..training.data.pairs import EditPair
    from ..training.icedit import ICEditTrainer
    from ..training.rsedit import RSEditTrainer
    from ..training.samples import Draw

SHOWN = 4
"""Pairs on a sheet."""
MOST_HELD = 64
"""Pairs held out where a dataset has none to validate on."""


def watch(
    given: argparse.Namespace, trainer: RSEditTrainer | ICEditTrainer, draw: Draw, like: str
) -> Path:
    """Train with a journal, validations and sheets of the same pairs; raises BadRequest where the
    folder holds another."""
    from ..training.journal import Journal

    trainer.resume()
    first = trainer.spread.first
    journal = Journal(given.output, trainer.step, given.tensorboard) if first else None
    shown: Sequence[EditPair] = (trainer.held or trainer.pictures)[:SHOWN]
    began = time.monotonic()

    def look(step: int, steps: int) -> None:
        found = trainer.optimisers[0].param_groups[0]
        numbers: dict[str, float | None] = {
            "loss": float(trainer.losses[-1]),
            "step_size": float(found.get("d", found["lr"])),
            "seconds": round(time.monotonic() - began, 2),
        }
        if journal is None:
            return
        if step == steps or (given.look_every and step % given.look_every == 0):
            numbers["validation"] = trainer.validated()
            if given.look_every:
                sheet(trainer, draw, shown, like, given.output / f"sheet-{step:06d}.png")
            if numbers["validation"] is not None:
                say(f"validation {numbers['validation']:.4f}")
        journal.add(step, **numbers)

    return trained(trainer, look, first)


def sheet(
    trainer: RSEditTrainer | ICEditTrainer,
    draw: Draw,
    shown: Sequence[EditPair],
    like: str,
    path: Path,
) -> None:
    """Samples as the published model draws them, in fewer steps."""

    from ..diffusion.drawing import Settings
    from ..diffusion.guidance import FreeGuidance
    from ..training import samples

    paper = trainer.model.store.entry(like).paper
    image = paper.get("image_guidance_scale") or None
    settings = Settings(
        "flow Euler" if like == "icedit" else "DPM++ 2M Karras",
        samples.STEPS,
        FreeGuidance(float(paper["guidance_scale"]), None if image is None else float(image)),
        0,
    )
    how = samples.Shown(draw, settings, trainer.recipe.side_px)
    samples.sheet(trainer.model, how, shown, path)
