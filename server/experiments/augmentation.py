"""Han et al.'s Table II: does it help to find damage if some of the training pairs are edited ones?

As published: for 5, 10, 30, 50 real damaged pairs, 30 undamaged ones beside them, a Siamese
ResNet-18 is trained on them alone, and with as many damaged pairs added whose picture after the
text-guided editor has made from an undamaged one's picture before, by the prompt "a picture of
ground after tsunami". The variant PASTED makes them without words: what a damaged pair shows is
laid into an intact one's picture after (fill), and intact pictures are drawn lightly anew
(harmonise).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..editors.base import Given, Patch, Scene
from ..editors.registry import Editors
from ..evaluation import tables
from ..ground.errors import BadRequest, CannotEdit, ServerError
from ..ground.files import read_toml
from ..synthesis import rim
from ..training.damage import Pair, accuracy, trained
from . import damage_pairs
from .paper_tables import TABLE_KEYS

MIDDLE = 0.5
"""Share of a picture's side that its building takes, with its surroundings."""
GSD_M = 0.5
PASTED = "pasted"
PROMPT = "a picture of ground after tsunami"
"""Of the paper."""
PAIRS = (5, 10, 30, 50)
"""Real damaged pairs in the paper's trainings."""
UNDAMAGED = 30
"""Intact pairs in each of them."""
OBSERVED = "only observed pairs"
WITH_EDITED = "with edited pairs"
SCORES = ("plain", "balanced")
WHOLE = {"text": {"mode": "same layout"}}
"""Options by which editors take a whole picture, where the user says nothing else."""


@dataclass(frozen=True)
class Maker:
    """Who makes the edited pairs. `editor`: its id, or PASTED. `prompt`: what it is told.
    `options`: of the editor. `generated`: edited pairs a real damaged one."""

    editor: str = "text"
    prompt: str = PROMPT
    options: dict[str, Any] = field(default_factory=dict)
    generated: float = 1.0


FORMS: Mapping[str, type | tuple[type, ...]] = {
    "editor": str,
    "prompt": str,
    "options": dict,
    "generated": (int, float),
    "pairs": list,
    "undamaged": int,
}
"""What a table's file says of it, beside what paper_tables reads."""


@dataclass(frozen=True)
class Experiment:
    """What is compared. `editors`: those that make the edited pairs; `maker`: how. `counts`:
    numbers of real damaged pairs. `undamaged`: intact ones beside them. `seeds`: trainings of each.
    `steps`: of each training, as many with edited pairs as without, so that it is the pairs that
    help and not a longer training. `sizes`: side of the pictures in pixels, width of the network,
    most pairs tested on."""

    editors: Editors
    maker: Maker = Maker()
    counts: tuple[int, ...] = PAIRS
    undamaged: int = UNDAMAGED
    seeds: int = 3
    steps: int = 150
    sizes: tuple[int, int, int] = (128, 64, 400)


def of_table(path: Path, editors: Editors) -> Experiment:
    """The experiment that a table's file asks for; what it leaves out is as published. Raises
    BadRequest."""
    found = {key: value for key, value in read_toml(path).items() if key not in TABLE_KEYS}
    for key, value in found.items():
        if not isinstance(value, FORMS.get(key, ())) or isinstance(value, bool):
            known = ", ".join(FORMS)
            raise BadRequest(f"{path}: {key} = {value!r:.60} makes no sense; known are {known}.")
    counts = found.pop("pairs", list(PAIRS))
    if not all(type(count) is int for count in counts):
        raise BadRequest(f"{path}: pairs = {counts!r:.60} is no list of whole numbers.")
    undamaged = found.pop("undamaged", UNDAMAGED)
    return Experiment(editors, Maker(**found), tuple(counts), undamaged)


def run(data: Path, how: Experiment, folder: Path, say: Callable[[str], None]) -> Path:
    """The table, and some of the edited pairs as pictures, in the folder; returns the table's
    path."""
    _check(how)
    damaged, intact, test = _parts(data, how)
    say(
        f"{len(damaged)} damaged and {len(intact)} intact pairs to train on, {len(test)} to test on"
    )
    rows = [f"{kind}, {score}" for kind in (OBSERVED, WITH_EDITED) for score in SCORES]
    scores: dict[str, dict[str, list[float]]] = {row: {} for row in rows}
    failed = 0
    for count in how.counts:
        for seed in range(how.seeds):
            rng = np.random.default_rng((seed, count))
            chosen = [*_drawn(damaged, count, rng), *_drawn(intact, how.undamaged, rng)]
            wanted = round(how.maker.generated * count)
            made = edited(how.editors, how.maker, chosen, wanted, seed)
            failed += wanted - len(made)
            _keep(made, folder, f"{count}-{seed}")
            for name, pairs in ((OBSERVED, chosen), (WITH_EDITED, [*chosen, *made])):
                found = accuracy(trained(pairs, how.steps, how.sizes[1], seed), test)
                for score in SCORES:
                    value = getattr(found, score)
                    scores[f"{name}, {score}"].setdefault(f"{count} pairs", []).append(value)
                say(f"{count} pairs, seed {seed}, {name}: {found.plain:.1f}")
    about = {"data": str(data), **_about(how, test), "edits that failed": failed}
    return tables.write(folder, "Finding damage with edited pairs", scores, about, "trained on")


def _parts(data: Path, how: Experiment) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Damaged and intact pairs to train on, and those to test on; raises BadRequest where there are
    too few."""
    train, test = damage_pairs.read(data, how.sizes[0])
    damaged = [pair for pair in train if pair.damaged]
    intact = [pair for pair in train if not pair.damaged]
    if len(damaged) < max(how.counts) or len(intact) < how.undamaged:
        raise BadRequest(
            f"--pairs asks for {max(how.counts)} damaged pairs and --undamaged for "
            f"{how.undamaged}; {data} gives {len(damaged)} and {len(intact)} to train on. Ask for "
            "fewer."
        )
    # As they come, so that plain accuracy means what it says.
    return damaged, intact, _drawn(test, how.sizes[2], np.random.default_rng(0))


def _about(how: Experiment, test: Sequence[Pair]) -> dict[str, Any]:
    """The settings, for the table."""
    side, width, _ = how.sizes
    maker = how.maker
    return {
        "score": "accuracy in per cent on scenes not trained on: plain (as published), and "
        "balanced (both classes alike)",
        "pairs tested on": f"{len(test)}, {sum(pair.damaged for pair in test)} of them damaged",
        "undamaged pairs in each training": how.undamaged,
        "edited pairs by": maker.editor,
        "prompt": maker.prompt if maker.editor != PASTED else "none",
        "options": ", ".join(f"{k} = {v}" for k, v in _options(maker).items()) or "none",
        "edited pairs a real damaged one": maker.generated,
        "steps a training": how.steps,
        "trainings each": how.seeds,
        "network": f"Siamese ResNet-18 of width {width}, from random weights",
        "pictures": f"{side} x {side} pixels",
    }


def _check(how: Experiment) -> None:
    """Raise for what can be known to be wrong before anything is read."""
    if min(how.counts, default=0) < 2 or min(how.seeds, how.steps, how.undamaged) < 1:
        raise BadRequest(
            "--pairs must be at least 2 each, --seeds, --steps and --undamaged at least 1."
        )
    if how.maker.editor != PASTED:
        editor = how.editors.get(how.maker.editor)
        editor.check(how.maker.prompt, editor.parse(_options(how.maker)))


def _drawn(pairs: Sequence[Pair], count: int, rng: np.random.Generator) -> list[Pair]:
    """At most so many, at random."""
    return [pairs[n] for n in rng.permutation(len(pairs))[:count]]


def edited(
    editors: Editors, maker: Maker, pairs: Sequence[Pair], count: int, seed: int
) -> list[Pair]:
    """`count` new pairs, fewer where edits fail; raises what the editor does where all of them
    do."""
    rng = np.random.default_rng((seed, 1))
    damaged = [p for p in pairs if p.damaged]
    intact = [p for p in pairs if not p.damaged]
    out: list[Pair] = []
    why: ServerError | None = None
    for number in range(count if damaged and intact else 0):
        base = intact[int(rng.integers(len(intact)))]
        shown = damaged[int(rng.integers(len(damaged)))]
        try:
            out.append(_made(editors, maker, (base, shown), seed + number, number))
        except CannotEdit as error:
            why = error
    if why is not None and not out:
        raise why
    return out


def _made(editors: Editors, maker: Maker, given: tuple[Pair, Pair], seed: int, number: int) -> Pair:
    """One edited pair of an intact and a damaged one. PASTED makes damaged and intact ones in turn,
    an editor by words damaged ones alone, as the paper."""
    base, shown = given
    if maker.editor != PASTED:
        return Pair(base.before, _by_words(editors, maker, base.before, seed), True, made=True)
    if number % 2 == 0:
        return Pair(base.before, _damaged(editors, base, shown, seed), True, made=True)
    return Pair(base.before, _redrawn(editors, base, seed), False, made=True)


def _options(maker: Maker) -> dict[str, Any]:
    return {**WHOLE.get(maker.editor, {}), **maker.options}


def _by_words(editors: Editors, maker: Maker, picture: np.ndarray, seed: int) -> np.ndarray:
    """The whole picture after what the words say, as the editor's paper gives it."""
    editor = editors.get(maker.editor)
    options = editor.parse(_options(maker))
    editor.check(maker.prompt, options)
    options = editor.resolve(options, Given(maker.prompt))
    whole = np.ones(picture.shape[:2], bool)
    scene = Scene(_planes(picture), whole, whole, ("red", "green", "blue"), GSD_M)
    made = editor.own_picture(scene, maker.prompt, options, seed).picture[:3]
    pixels = (made.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
    size = picture.shape[1], picture.shape[0]
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def _planes(picture: np.ndarray) -> np.ndarray:
    return picture.transpose(2, 0, 1).astype(np.float32) / 255


def _scene(picture: np.ndarray, seed: int = 0) -> Scene:
    """A picture's middle as the area to edit: a round, uneven patch, whose outline is no sign of an
    edit."""
    image = _planes(picture)
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
