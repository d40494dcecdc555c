"""`landbrush-server train`: models of one's own from one's own pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ground.errors import BadRequest, ModelNotNamed
from ..ground.settings import default_home
from . import train_editors, train_sinddm
from .home import models_of
from .train_run import say as _say
from .train_run import trained

if TYPE_CHECKING:
    from ..diffusion.components import Model
    from ..training.kept import KeptTraining


def add_commands(commands: Any) -> None:
    """The parsers of `train`'s kinds."""
    kinds = commands.add_parser("train", help="train models on your own pictures").add_subparsers(
        required=True, metavar="KIND"
    )
    add_of_pictures(kinds)
    train_editors.add_commands(kinds)
    train_sinddm.add_command(kinds)
    cycle = kinds.add_parser(
        "cyclegan",
        help="weather or light from two heaps of pictures, for 'learned-weather' (MMM-RS)",
    )
    cycle.add_argument(
        "--first", type=Path, required=True, help="folder of pictures as they are (clear)"
    )
    cycle.add_argument(
        "--second", type=Path, required=True, help="folder of pictures as they shall look (snow)"
    )
    cycle.add_argument(
        "--output", type=Path, required=True, help="folder of the training; named again, it goes on"
    )
    cycle.add_argument("--steps", type=int, default=100_000)
    cycle.add_argument("--rate", type=float, default=2e-4, help="learning rate of Adam")
    cycle.add_argument("--width", type=int, default=64, help="channels of the first layer")
    cycle.add_argument("--blocks", type=int, default=9, help="residual blocks")
    cycle.add_argument(
        "--side", type=int, default=256, help="pixels of the squares, a multiple of 4"
    )
    cycle.add_argument("--seed", type=int, default=0)
    cycle.add_argument("--home", type=Path, default=default_home())
    cycle.set_defaults(run=_cyclegan)


def add_of_pictures(kinds: Any) -> None:
    """The parsers of `lora` and `controlnet`."""
    lora = kinds.add_parser(
        "lora", help="low-rank adapter of Stable Diffusion, for the editor 'generate' (MMM-RS)"
    )
    _common(lora, "pictures with captions: NAME.txt beside each, or metadata.jsonl", 1e-4, 1, 4)
    lora.add_argument("--rank", type=int, default=16)
    lora.add_argument(
        "--sample-every", type=int, default=200, help="steps between sample pictures; 0: none"
    )
    lora.add_argument(
        "--prompt", default="", help="of the sample pictures; empty: captions of the data"
    )
    lora.set_defaults(run=_lora)
    control = kinds.add_parser(
        "controlnet", help="ControlNet on Stable Diffusion, from one modality to another (MMM-RS)"
    )
    _common(control, "pairs, as 'dataset pairs' makes them", 5e-5, 4, 1)
    control.add_argument("--dropped", type=float, default=0.5, help="share of captions left out")
    control.add_argument(
        "--way", default="", help="of pairs of several: sar-rgb, rgb-sar, nir-rgb, rgb-nir"
    )
    control.set_defaults(run=_controlnet)


def _common(
    parser: argparse.ArgumentParser, data: str, rate: float, batch: int, accumulate: int
) -> None:
    parser.add_argument("--data", type=Path, required=True, help=data)
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of the training; named again, it goes on"
    )
    parser.add_argument("--base", default="sd15", help="model of the store to start from")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=rate, help="learning rate")
    parser.add_argument("--batch", type=int, default=batch, help="pictures at a time")
    parser.add_argument("--accumulate", type=int, default=accumulate, help="batches a step")
    parser.add_argument("--side", type=int, default=0, help="pixels; 0: the model's native side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, default=default_home())


def _model(given: argparse.Namespace) -> Model:
    """The base, ready to be trained; raises BadRequest, ModelNotNamed."""
    from ..diffusion.components import Model
    from ..diffusion.families import family

    models = models_of(given)
    if (
        min(given.steps, getattr(given, "rank", 1), given.batch, given.accumulate) < 1
        or not 0 < given.rate < 1
    ):
        raise BadRequest(
            "--steps, --rank, --batch and --accumulate must be at least 1, --rate between 0 and 1."
        )
    if given.side % 64 or given.side < 0:
        raise BadRequest(
            f"--side {given.side}: a multiple of 64 is needed, or 0 for the model's own."
        )
    entry = models.store.entry(given.base)
    if entry.lora or "sdedit" not in entry.editors:
        raise BadRequest(
            f"--base {given.base}: only Stable Diffusion (sd15, sd21 or one like them) is trained "
            "on."
        )
    why = models.store.missing_reason(entry)
    if why:
        raise ModelNotNamed(why)
    plan = models.warm.placed(entry, "automatic")
    _say(f"{entry.title} {plan.sentence}")
    return Model(models.store, entry, family(entry.family), plan)


def _lora(given: argparse.Namespace) -> int:
    from ..training import captioned
    from ..training.lora import LoraTrainer, Recipe
    from ..training.samples import grid

    model = _model(given)
    pictures = captioned.read(given.data)
    recipe = Recipe(
        steps=given.steps,
        rate=given.rate,
        rank=given.rank,
        alpha=given.rank,
        batch=given.batch,
        accumulate=given.accumulate,
        side_px=given.side or model.entry.native_px,
        seed=given.seed,
    )
    trainer = LoraTrainer(model, pictures, recipe, given.output)
    prompts = [given.prompt] if given.prompt else [one.caption for one in pictures[:4]]

    def look(step: int, steps: int) -> None:
        if given.sample_every and (step % given.sample_every == 0 or step == steps):
            grid(model, prompts, recipe.side_px, given.output / f"samples-{step:06d}.png")

    path = _trained(trainer, look)
    print(
        f"{path}\nUse it: landbrush-server models import my-lora {path} --like mmm-rs "
        "--accept-licence"
    )
    return 0


def _controlnet(given: argparse.Namespace) -> int:
    from ..store import catalogue
    from ..training import captioned
    from ..training.controlnet import ControlNetTrainer
    from ..training.latent import Recipe

    if not 0 <= given.dropped <= 1:
        raise BadRequest("--dropped lies between 0 and 1.")
    model = _model(given)
    found = captioned.read_pairs(given.data, given.way)
    recipe = Recipe(
        steps=given.steps,
        rate=given.rate,
        batch=given.batch,
        accumulate=given.accumulate,
        dropped=given.dropped,
        side_px=given.side or model.entry.native_px,
        seed=given.seed,
    )
    path = _trained(ControlNetTrainer(model, found, recipe, given.output))
    like = f"controlnet-{found[0].way}"
    if like in catalogue.published():
        print(
            f"{path}\nUse it: landbrush-server models import my-control {path} --like {like} "
            "--accept-licence"
        )
    else:
        print(
            f"{path}\nNo editor goes this way ({found[0].way or 'the pairs do not say which'}); "
            "those there are: "
            "controlnet-rgb-nir, -nir-rgb, -sar-rgb, -rgb-sar (models import my-control FOLDER "
            "--like ...)."
        )
    return 0


def _cyclegan(given: argparse.Namespace) -> int:
    from ..ground.optional import best_device
    from ..training.cyclegan import CycleTrainer, Recipe, pictures

    if (
        min(given.steps, given.width, given.blocks) < 1
        or given.side < 32
        or given.side % 4
        or not 0 < given.rate < 1
    ):
        raise BadRequest(
            "--steps, --width and --blocks must be at least 1, --side a multiple of 4 from 32 on, "
            "--rate between 0 and 1."
        )
    models = models_of(given)
    recipe = Recipe(
        steps=given.steps,
        rate=given.rate,
        width=given.width,
        blocks=given.blocks,
        side_px=given.side,
        load_px=round(given.side * 286 / 256),
        seed=given.seed,
    )
    trainer = CycleTrainer(
        pictures(given.first), pictures(given.second), recipe, given.output, str(best_device())
    )
    path = _trained(trainer)
    print(
        f"{path}\nUse it: copy it into {models.folder.folder / 'translation'}, under a name of "
        "your "
        "choice, for the editor "
        "'Weather, learned'."
    )
    return 0


def _trained(
    trainer: KeptTraining, look: Callable[[int, int], None] = lambda step, steps: None
) -> Path:
    """Train, or go on where a former run of the same stopped."""
    trainer.resume()
    return trained(trainer, look)
