"""`landbrush-server train preferences`: an editor by instruction towards what people liked better
(Diffusion-DPO)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..ground.errors import BadRequest
from ..ground.settings import default_home
from .train_run import say, trained


def add_command(kinds: Any) -> None:
    """The parser of `train preferences`."""
    parser = kinds.add_parser(
        "preferences",
        help="an editor by instruction towards the edits that people liked better (Diffusion-DPO), "
        "of 'evaluate questionnaire preferences'",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with preferences.jsonl and its pictures"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of the training; named again, it goes on"
    )
    parser.add_argument(
        "--base",
        default="rsedit-unet-dgtrs",
        help="editor by instruction of the store, on Stable Diffusion",
    )
    parser.add_argument("--beta", type=float, default=2000.0, help="how near it stays to the base")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=1e-6, help="learning rate of AdamW")
    parser.add_argument("--batch", type=int, default=4, help="preferences at a time")
    parser.add_argument("--accumulate", type=int, default=4, help="batches a step")
    parser.add_argument("--side", type=int, default=0, help="pixels; 0: the model's native side")
    parser.add_argument("--save-every", type=int, default=500)
    parser.add_argument("--saving", action="store_true", help="less memory: recompute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, default=default_home())
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from ..training.preferences import PreferenceTrainer, Recipe, read
    from .train_editors import model_at

    numbers = (given.steps, given.batch, given.accumulate, given.save_every)
    if min(numbers) < 1 or min(given.beta, given.rate) <= 0:
        raise BadRequest(
            "--steps, --batch, --accumulate and --save-every are at least 1, --beta and --rate "
            "more than 0."
        )
    if given.side % 64 or given.side < 0:
        raise BadRequest(f"--side {given.side}: a multiple of 64, or 0 for the model's own.")
    pairs = read(given.data)
    parts = {part: [pair for pair in pairs if pair.part == part] for part in ("train", "val")}
    if not parts["train"]:
        raise BadRequest(f"{given.data}: none of its {len(pairs)} preferences is to train on.")
    say(f"{len(parts['train'])} preferences to train, {len(parts['val'])} to val")
    model = model_at(given, given.base, "unet")
    recipe = Recipe(
        steps=given.steps,
        rate=given.rate,
        batch=given.batch,
        accumulate=given.accumulate,
        beta=given.beta,
        side_px=given.side or model.entry.native_px,
        save_every=given.save_every,
        saving=given.saving,
        seed=given.seed,
    )
    trainer = PreferenceTrainer(model, parts["train"], recipe, given.output, parts["val"])
    path = trained(trainer)
    print(
        f"{path}\nUse it: landbrush-server models import my-editor {path} --like {given.base} "
        "--accept-licence"
    )
    return 0
