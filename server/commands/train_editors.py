"""`landbrush-server train rsedit | icedit | list`: editors by instruction from pairs before and
after."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ground.errors import BadRequest, ModelNotNamed
from ..ground.settings import default_home
from ..store.installed import config_of
from . import train_preferences
from .home import models_of
from .train_list import run_list
from .train_run import say
from .train_sheets import MOST_HELD, watch

if TYPE_CHECKING:
    from ..diffusion.components import Model
    from ..training.data.pairs import EditPair


def add_commands(kinds: Any) -> None:
    """The parsers of both, and of lists of them."""
    rsedit = kinds.add_parser(
        "rsedit", help="an editor by instruction on Stable Diffusion or PixArt-alpha (RSEdit)"
    )
    rsedit.add_argument("--network", choices=("unet", "dit"), default="unet")
    rsedit.add_argument(
        "--base",
        default="",
        help="model of the store to start from (sd15; for dit pixart-alpha-transformer)",
    )
    rsedit.add_argument(
        "--text-encoder",
        default="",
        help="model of the store whose words are read instead (RSEdit, Table 2)",
    )
    rsedit.add_argument(
        "--slip",
        action="store_true",
        help="begin as the released code did: a random bias in the first layer",
    )
    rsedit.add_argument(
        "--augmented",
        action="store_true",
        help="random squares, turned and mirrored, instead of whole pictures",
    )
    rsedit.add_argument(
        "--clip-loss",
        type=float,
        default=0.0,
        help="weight of a loss by the image-text model of 'models set', of picture and caption",
    )
    rsedit.add_argument(
        "--dino-loss",
        type=float,
        default=0.0,
        help="weight of a loss by the DINO of 'models set', of the picture and what really came",
    )
    _common(rsedit, 30_000, 32, 0.05)
    rsedit.set_defaults(run=_rsedit)
    train_preferences.add_command(kinds)
    icedit = kinds.add_parser(
        "icedit", help="an adapter of FLUX.1 Fill that edits by instruction (ICEdit)"
    )
    icedit.add_argument("--base", default="flux-fill", help="model of the store to start from")
    icedit.add_argument("--rank", type=int, default=32)
    icedit.add_argument(
        "--examples",
        type=int,
        default=0,
        help="show a pair below so many others of its kind at most, to learn from examples",
    )
    _common(icedit, 25_000, 2, 0.1)
    icedit.set_defaults(run=_icedit)
    listed = kinds.add_parser(
        "list", help="several trainings, one after the other, from a TOML file (an ablation)"
    )
    listed.add_argument(
        "list", type=Path, help="TOML file with [[run]]: name, kind and the options of that kind"
    )
    listed.add_argument("--data", type=Path, required=True, help="pairs for all of them")
    listed.add_argument(
        "--output",
        type=Path,
        required=True,
        help="folder of the trainings, one below it for each name",
    )
    listed.add_argument("--home", type=Path, default=default_home())
    listed.set_defaults(run=run_list)


def _common(parser: argparse.ArgumentParser, steps: int, batch: int, dropped: float) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="pairs: of 'dataset bitemporal', or a published dataset",
    )
    parser.add_argument(
        "--layout",
        default="",
        help="of a published dataset, if it is not told from its files: rscc, levir-cc, "
        "second-cc, magicbrush, xbd",
    )
    parser.add_argument(
        "--test-list",
        type=Path,
        help="RSCC: file with the pre_image paths of its test part, a line each",
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of the training; named again, it goes on"
    )
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument(
        "--rate", type=float, default=1.0, help="multiple of the step size that Prodigy finds"
    )
    parser.add_argument("--batch", type=int, default=batch, help="pairs at a time, on each device")
    parser.add_argument("--accumulate", type=int, default=1, help="batches a step")
    parser.add_argument(
        "--dropped",
        type=float,
        default=dropped,
        help="share that is left out of words, and of sources",
    )
    parser.add_argument("--side", type=int, default=0, help="pixels; 0: the model's native side")
    parser.add_argument("--save-every", type=int, default=1000)
    parser.add_argument(
        "--look-every",
        type=int,
        default=500,
        help="steps between validations with a sheet of samples; 0: none",
    )
    parser.add_argument(
        "--saving", action="store_true", help="less memory: recompute instead of keeping"
    )
    parser.add_argument("--tensorboard", action="store_true", help="also events for TensorBoard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, default=default_home())


def _rsedit(given: argparse.Namespace) -> int:
    from ..diffusion.families import pixart, sd
    from ..training.rsedit import DiTTrainer, Recipe, UNetTrainer, WithWords

    part = {"unet": "unet", "dit": "transformer"}[given.network]
    base = given.base or {"unet": "sd15", "dit": "pixart-alpha-transformer"}[given.network]
    pairs, held = _pairs(given)
    model = model_at(given, base, part)
    if given.text_encoder:
        model = WithWords(model, model_at(given, given.text_encoder, "text_encoder"))
    recipe = Recipe(
        **_settings(given, model),
        slip=given.slip,
        augmented=given.augmented,
        saving=given.saving,
        beside=_beside(given),
    )
    cls = {"unet": UNetTrainer, "dit": DiTTrainer}[given.network]
    trainer = cls(model, pairs, recipe, given.output, held)

    def draw(drawing: Any) -> Any:
        with trainer.averaged():
            return (
                sd.instruct_unet(drawing)
                if given.network == "unet"
                else pixart.in_context_dit(drawing, False)
            )

    like = {"unet": "rsedit-unet-openai", "dit": "rsedit-dit"}[given.network]
    path = watch(given, trainer, draw, like)
    print(
        f"{path}\nUse it: landbrush-server models import my-rsedit {path} --like "
        f"{_like(model, like)} --accept-licence"
    )
    return 0


def _beside(given: argparse.Namespace) -> Any:
    """The losses by CLIP and DINO; raises BadRequest, ModelNotNamed."""
    from ..training.perceptual import Weights

    if min(given.clip_loss, given.dino_loss) < 0:
        raise BadRequest("--clip-loss and --dino-loss are not negative.")
    chosen = models_of(given).chosen
    for weight, kind in ((given.clip_loss, "image-text"), (given.dino_loss, "dino")):
        if weight and not chosen(kind):
            raise ModelNotNamed(
                f"A loss by {kind} needs it: landbrush-server models set {kind} PATH."
            )
    clip = chosen("image-text") if given.clip_loss else ""
    return Weights(
        given.clip_loss, given.dino_loss, clip, chosen("dino") if given.dino_loss else ""
    )


def _like(model: Model, like: str) -> str:
    """The published model that reads as many tokens."""

    config = config_of(model.folder("text_encoder"))
    if not like.startswith("rsedit-unet"):
        return like
    if int(config.get("hidden_size", 0) or 0) == 1024:
        return "rsedit-unet-gitrsclip"
    return "rsedit-unet-dgtrs" if int(config.get("max_position_embeddings", 0) or 0) > 77 else like


def _icedit(given: argparse.Namespace) -> int:
    from ..diffusion.families import flux
    from ..training.icedit import ICEditTrainer, Recipe

    if given.rank < 1 or not 0 <= given.examples <= 4:
        raise BadRequest("--rank is at least 1, --examples 0 to 4.")
    pairs, held = _pairs(given)
    model = model_at(given, given.base, "transformer")
    recipe = Recipe(
        **_settings(given, model),
        rank=given.rank,
        alpha=given.rank,
        saving=given.saving,
        examples=given.examples,
    )
    trainer = ICEditTrainer(model, pairs, recipe, given.output, held)
    path = watch(given, trainer, flux.diptych, "icedit")
    print(
        f"{path}\nUse it: landbrush-server models import my-icedit {path} --like icedit "
        "--accept-licence"
    )
    return 0


def _pairs(given: argparse.Namespace) -> tuple[list[EditPair], list[EditPair]]:
    """Those to train on and those to validate on; raises BadRequest."""
    from ..training import captioned
    from ..training.data import layouts

    found = layouts.read(given.data, given.layout, given.test_list)
    parts = {
        part: [pair for pair in found if pair.part == part] for part in ("train", "val", "test")
    }
    if not parts["train"]:
        raise BadRequest(f"{given.data}: none of its {len(found)} pairs is to train on.")
    for pair in parts["train"][:1] + parts["val"][:1]:
        for path in (pair.path, pair.control):
            captioned.check(path)
    if not parts["val"] and len(parts["train"]) > MOST_HELD:
        # Evenly taken, and not trained on: without them there would be no curve.
        every = max(len(parts["train"]) // MOST_HELD, 2)
        parts["val"] = parts["train"][::every]
        parts["train"] = [pair for number, pair in enumerate(parts["train"]) if number % every]
        say(
            f"The dataset has no part to validate on: {len(parts['val'])} of its pairs are held "
            "out."
        )
    say(", ".join(f"{len(pairs)} pairs to {part}" for part, pairs in parts.items()))
    return parts["train"], parts["val"]


def model_at(given: argparse.Namespace, name: str, part: str) -> Model:
    """A model of the store with a part to train; raises ModelNotNamed, BadRequest."""
    from ..diffusion.components import Model
    from ..diffusion.families import family
    from ..training.process_group import ProcessGroup

    models = models_of(given)
    ProcessGroup.begin()
    entry = models.store.entry(name)
    why = models.store.missing_reason(entry)
    if why:
        raise ModelNotNamed(why)
    plan = models.warm.placed(entry, "automatic")
    model = Model(models.store, entry, family(entry.family), plan)
    if not model.has(part):
        raise BadRequest(
            f"{name} has no {part}. Name another model of the store; a whole folder of your own "
            "is imported with 'landbrush-server models import NAME FOLDER --like rsedit-dit'."
        )
    return model


def _settings(given: argparse.Namespace, model: Model) -> dict[str, Any]:
    """What both recipes share; raises BadRequest."""
    if (
        min(given.steps, given.batch, given.accumulate, given.save_every) < 1
        or given.look_every < 0
        or not 0 < given.rate <= 100
    ):
        raise BadRequest(
            "--steps, --batch, --accumulate and --save-every must be at least 1, --look-every not "
            "negative, --rate between 0 and 100."
        )
    if not 0 <= given.dropped <= 1 / 3:
        raise BadRequest("--dropped lies between 0 and 1/3.")
    if given.side % 64 or given.side < 0:
        raise BadRequest(
            f"--side {given.side}: a multiple of 64 is needed, or 0 for the model's own."
        )
    return {
        "steps": given.steps,
        "rate": given.rate,
        "batch": given.batch,
        "accumulate": given.accumulate,
        "dropped": given.dropped,
        "side_px": given.side or model.entry.native_px,
        "save_every": given.save_every,
        "seed": given.seed,
    }
