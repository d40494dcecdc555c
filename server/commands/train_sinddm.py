"""`landbrush-server train sinddm`: the network of one picture, for the editor 'sinddm' (Han et al.;
SinDDM, Kulikov et al. 2023)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..editors.learned import SMALLEST_SIDE_PX
from ..ground.errors import BadRequest
from ..ground.settings import default_home
from .home import models_of
from .train_run import say

SAY_EVERY = 50


def add_command(kinds: Any) -> None:
    """The parser of `train sinddm`."""
    parser = kinds.add_parser(
        "sinddm",
        help="the network of one picture (SinDDM): as published, or in far fewer pixels",
    )
    parser.add_argument("raster", type=Path, help="all of it is learned, at most 50,000 pixels")
    parser.add_argument(
        "--preset",
        choices=("published", "fast"),
        default="published",
        help="published: 120,000 steps of 32 whole pictures, width 160, every noise level at every "
        "scale; fast: crops and the levels that sampling uses, 30,000 steps, width 64",
    )
    parser.add_argument("--steps", type=int, help="instead of the preset's")
    parser.add_argument("--width", type=int, choices=(32, 64, 96, 160), help="likewise")
    parser.add_argument(
        "--as-released",
        action="store_true",
        help="scales begin as in the released code, which measures blurring on bytes that wrap",
    )
    parser.add_argument(
        "--name",
        default="",
        help="of the network in the server's home (models/sinddm), for the option 'checkpoint'; "
        "empty: the raster's; named again, it goes on",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, default=default_home())
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from ..ground.optional import best_device
    from ..models.sinddm import Pyramid
    from ..training.sinddm import PRESETS, Trainer

    if given.steps is not None and given.steps < 1:
        raise BadRequest(f"--steps {given.steps}: at least 1.")
    name = given.name or given.raster.stem
    if Path(name).name != name or name.startswith("."):
        raise BadRequest(f"--name '{name[:60]}': a file's name without folders.")
    image = _picture(given.raster)
    preset = PRESETS[given.preset]
    recipe = replace(
        preset,
        steps=given.steps or preset.steps,
        width=given.width or preset.width,
        seed=given.seed,
    )
    folder = models_of(given).folder.folder / "sinddm"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.removesuffix('.safetensors')}.safetensors"
    trainer = Trainer(Pyramid.of(image, given.as_released), recipe, best_device())
    if path.is_file() and not trainer.resume(path):
        raise BadRequest(
            f"{path} is there, of another recipe or another picture; choose another --name."
        )
    if trainer.step:
        say(f"going on after step {trainer.step}")

    def told(step: int, steps: int, loss: float) -> None:
        if step % SAY_EVERY == 0:
            say(f"step {step}/{steps} loss {loss:.4f}")

    try:
        trainer.run(path, told)
    except KeyboardInterrupt:
        say(f"stopped after step {trainer.step}; the same command goes on")
        return 130
    print(
        f"{path}\nUse it: landbrush-server edit {given.raster} --editor sinddm --polygons "
        f"FILE --option checkpoint={path.name} --output OUT"
    )
    return 0


def _picture(path: Path) -> np.ndarray:
    """The raster's data bands (C, H, W) in [-1, 1], at the size that is learned."""
    from ..models.sinddm import working_size
    from ..raster import bands
    from ..raster.raster import opened, read_window
    from ..synthesis.resampling import LANCZOS, resized
    from ..synthesis.scaling import Scaling

    with opened(path) as dataset:
        layer = bands.Layer.of(dataset, {})
        if dataset.width * dataset.height > 64_000_000:
            raise BadRequest(
                f"{path.name} has {dataset.width} x {dataset.height} pixels. Cut a part of it: a "
                "network learns at most 50,000."
            )
        block = read_window(dataset, layer.profile.box)
        stretch = bands.stretch_of(layer.profile, layer.roles, block)
        image = np.nan_to_num(stretch.normalise(block.values)).astype(np.float32)
    if min(image.shape[1:]) < SMALLEST_SIDE_PX or block.valid.mean() < 0.9:
        raise BadRequest(
            f"{path.name} has {image.shape[2]} x {image.shape[1]} pixels, "
            f"{block.valid.mean():.0%} of them valid; at least {SMALLEST_SIDE_PX} a side without "
            "large gaps are needed."
        )
    scaled = Scaling.of(image, block.valid).scaled(image)
    return np.clip(resized(scaled, working_size(*image.shape[1:]), LANCZOS), -1, 1)
