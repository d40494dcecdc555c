"""Han et al.'s Table II: does it help to find damage if some of the training pairs are edited ones?

For 5, 10, 30, 50 real pairs a Siamese ResNet-18 is trained on them alone and with edited pairs
added, several times, and tested on pairs of other scenes. An edited pair is an intact one made
damaged, or its picture after drawn lightly anew: the damaged content comes from damaged training
pairs (fill), the intact from the pair itself (harmonise).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..editors.base import Patch, Scene
from ..editors.registry import Editors
from ..evaluation import tables
from ..ground.errors import BadRequest, ServerError
from ..synthesis import rim
from ..training.damage import Pair, accuracy, trained
from . import damage_pairs

MIDDLE = 0.5
"""Share of a picture's side that its building takes, with its surroundings."""
GSD_M = 0.5


@dataclass(frozen=True)
class Experiment:
    """What is compared. `editors`: those that make the edited pairs. `counts`: numbers of real
    pairs. `seeds`: trainings of each. `generated`: edited pairs a real one. `steps`: of each
    training, as many with edited pairs as without, so that it is the pairs that help and not a
    longer training. `sizes`: side of the pictures in pixels, width of the network, most pairs
    tested on."""

    editors: Editors
    counts: tuple[int, ...] = (5, 10, 30, 50)
    seeds: int = 3
    generated: float = 1.0
    steps: int = 150
    sizes: tuple[int, int, int] = (128, 64, 400)


def run(data: Path, how: Experiment, folder: Path, say: Callable[[str], None]) -> Path:
    """The table, and some of the edited pairs as pictures, in the folder; returns the table's
    path."""
    side, width, most = how.sizes
    train, test = damage_pairs.read(data, side)
    few = 2 * min(sum(p.damaged == kind for p in train) for kind in (True, False))
    if few < max(how.counts) - 1:
        raise BadRequest(
            f"--pairs asks for {max(how.counts)}; {data} gives {few} to train on, half damaged. "
            "Ask for fewer."
        )
    test = _balanced(test, most, np.random.default_rng(0))
    say(f"{len(train)} pairs to train on, {len(test)} to test on")
    scores: dict[str, dict[str, list[float]]] = {"real pairs": {}, "with edited pairs": {}}
    for count in how.counts:
        for seed in range(how.seeds):
            chosen = _balanced(train, count, np.random.default_rng((seed, count)))
            made = edited(how.editors, chosen, round(how.generated * count), seed)
            _keep(made, folder, f"{count}-{seed}")
            for name, pairs in (("real pairs", chosen), ("with edited pairs", [*chosen, *made])):
                found = accuracy(trained(pairs, how.steps, width, seed), test)
                scores[name].setdefault(str(count), []).append(found)
                say(f"{count} pairs, seed {seed}, {name}: {found:.1f}")
    about = {
        "score": "balanced accuracy in per cent, on scenes not trained on",
        "data": str(data),
        "pairs tested on": len(test),
        "steps a training": how.steps,
        "trainings each": how.seeds,
        "edited pairs a real one": how.generated,
        "network": f"Siamese ResNet-18 of width {width}, from random weights",
        "pictures": f"{side} x {side} pixels",
    }
    return tables.write(folder, "Finding damage with edited pairs", scores, about, "trained on")


def _balanced(pairs: Sequence[Pair], count: int, rng: np.random.Generator) -> list[Pair]:
    """At most `count`, damaged and intact in turn, drawn at random."""
    kinds = [
        [pairs[n] for n in rng.permutation(len(pairs)) if pairs[n].damaged == damaged]
        for damaged in (True, False)
    ]
    turns = [pair for both in zip(*kinds, strict=False) for pair in both]
    return turns[:count]


def edited(editors: Editors, pairs: Sequence[Pair], count: int, seed: int) -> list[Pair]:
    """`count` new pairs: intact ones damaged by what damaged ones show, and intact ones drawn anew,
    in turn."""
    rng = np.random.default_rng((seed, 1))
    damaged = [p for p in pairs if p.damaged]
    intact = [p for p in pairs if not p.damaged]
    out: list[Pair] = []
    for number in range(count if damaged and intact else 0):
        base = intact[int(rng.integers(len(intact)))]
        shown = damaged[int(rng.integers(len(damaged)))]
        try:
            after = (
                _damaged(editors, base, shown, seed + number)
                if number % 2 == 0
                else _redrawn(editors, base, seed + number)
            )
        except ServerError:
            continue
        out.append(Pair(base.before, after, number % 2 == 0, made=True))
    return out


def _scene(picture: np.ndarray, seed: int = 0) -> Scene:
    """A picture's middle as the area to edit: a round, uneven patch, whose outline is no sign of an
    edit."""
    image = picture.transpose(2, 0, 1).astype(np.float32) / 255
    height, width = picture.shape[:2]
    rows, cols = np.mgrid[:height, :width]
    radius = MIDDLE * min(height, width) / 2
    disc = np.hypot(rows - height / 2, cols - width / 2) <= 1.15 * radius
    mask = rim.wavy(disc, 0.5 * radius, np.random.default_rng(seed)) > 0
    return Scene(image, np.ones_like(mask), mask, ("red", "green", "blue"), GSD_M)


def _damaged(editors: Editors, base: Pair, shown: Pair, seed: int) -> np.ndarray:
    """The intact picture after, with what a damaged place shows in its middle."""
    scene = _scene(base.after, seed)
    other = _scene(shown.after)
    return _with(
        editors,
        "fill",
        replace(scene, exemplars=(Patch(other.image, other.mask),)),
        {"keep_objects": True},
        seed,
    )


def _redrawn(editors: Editors, base: Pair, seed: int) -> np.ndarray:
    return _with(editors, "harmonise", _scene(base.after, seed), {"strength": 0.3}, seed)


def _with(
    editors: Editors, editor_id: str, scene: Scene, options: dict[str, Any], seed: int
) -> np.ndarray:
    editor = editors.get(editor_id)
    out = editor.edit(scene, "", editor.parse(options), seed, lambda *_: None)
    return (
        (np.where(scene.mask, out, scene.image).clip(0, 1) * 255)
        .round()
        .astype(np.uint8)
        .transpose(1, 2, 0)
    )


def _keep(made: Sequence[Pair], folder: Path, name: str) -> None:
    """The first edited pairs as a picture: before above, after below; damaged and intact in
    turn."""
    if made:
        (folder / "pictures").mkdir(exist_ok=True)
        strip = np.concatenate([np.concatenate([p.before, p.after]) for p in made[:8]], axis=1)
        Image.fromarray(strip).save(folder / "pictures" / f"{name}.png")
