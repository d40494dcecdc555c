"""`landbrush-server train`: models of one's own from one's own pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .errors import BadRequest, ModelNotNamed
from .settings import default_home


def add_commands(commands: Any) -> None:
    """The parsers of `train`'s kinds."""
    kinds = commands.add_parser("train", help="train an adapter on your own pictures").add_subparsers(
        required=True, metavar="KIND")
    lora = kinds.add_parser("lora", help="low-rank adapter of Stable Diffusion, for the editor 'generate' (MMM-RS)")
    lora.add_argument("--data", type=Path, required=True, help="pictures with captions: NAME.txt beside each, or metadata.jsonl")
    lora.add_argument("--output", type=Path, required=True, help="folder of the training; named again, it goes on")
    lora.add_argument("--base", default="sd15", help="model of the store to adapt")
    lora.add_argument("--steps", type=int, default=1000)
    lora.add_argument("--rate", type=float, default=1e-4, help="learning rate of Adam")
    lora.add_argument("--rank", type=int, default=16)
    lora.add_argument("--batch", type=int, default=1, help="pictures at a time")
    lora.add_argument("--accumulate", type=int, default=4, help="batches a step")
    lora.add_argument("--side", type=int, default=0, help="pixels; 0: the model's native side")
    lora.add_argument("--sample-every", type=int, default=200, help="steps between sample pictures; 0: none")
    lora.add_argument("--prompt", default="", help="of the sample pictures; empty: captions of the data")
    lora.add_argument("--seed", type=int, default=0)
    lora.add_argument("--home", type=Path, default=default_home())
    lora.set_defaults(run=_lora)


def _lora(given: argparse.Namespace) -> int:
    from .diffusion import warm
    from .diffusion.components import Model
    from .models import weights
    from .store import shelf
    from .training import captioned
    from .training.lora import LoraTrainer, Recipe
    from .training.samples import grid

    weights.use_folder(given.home / "models")
    if min(given.steps, given.rank, given.batch, given.accumulate) < 1 or not 0 < given.rate < 1:
        raise BadRequest("--steps, --rank, --batch and --accumulate must be at least 1, --rate between 0 and 1.")
    entry = shelf.entry(given.base)
    if entry.lora or "sdedit" not in entry.editors:
        raise BadRequest(f"--base {given.base}: adapters are trained on Stable Diffusion (sd15, sd21 or one like them).")
    pictures = captioned.read(given.data)
    why = shelf.why_not(entry)
    if why:
        raise ModelNotNamed(why)
    plan = warm.placed(entry, "automatic")
    _say(f"{entry.title} {plan.sentence}")
    model = Model(entry, plan)
    recipe = Recipe(given.steps, given.rate, given.rank, given.rank, given.batch, given.accumulate,
                    given.side or entry.native_px, seed=given.seed)
    trainer = LoraTrainer(model, pictures, recipe, given.output)
    if trainer.resume():
        _say(f"going on after step {trainer.step}")
    prompts = [given.prompt] if given.prompt else [one.caption for one in pictures[:4]]

    def on_step(step: int, steps: int, loss: float) -> None:
        _say(f"step {step}/{steps} loss {loss:.4f}")
        if given.sample_every and (step % given.sample_every == 0 or step == steps):
            grid(model, prompts, recipe.side_px, given.output / f"samples-{step:06d}.png")

    path = trainer.run(on_step)
    print(f"{path}\nUse it: landbrush-server models import my-lora {path} --like mmm-rs --accept-licence")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
