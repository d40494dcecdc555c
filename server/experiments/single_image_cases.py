"""The protocol of Han et al.'s Table I on the user's own images: prompts for whole pictures and for
masked ones.

Cases, systems and seeds are a benchmark's (`benchmark.protocol`); every system edits every case
with every seed, and a named CLIP scores the whole pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image

from ..editors.models import Models
from ..editors.registry import Editors
from ..evaluation import tables
from ..evaluation.clip_score import clip_score
from ..ground.errors import ModelNotNamed
from ..ground.files import write_json
from ..models import image_text
from ..models.image_text import ImageText
from ..raster import bands, display, provenance
from ..raster.raster import opened, read_window
from .benchmark import drawing, seen
from .benchmark.asked import Asked
from .benchmark.protocol import Case, Protocol, plain


def _judges(models: Models) -> list[ImageText]:
    """The image-text models that the user has named; raises ModelNotNamed without any."""
    named = models.chosen("image-text")
    if not named:
        raise ModelNotNamed(f"CLIP scores need an image-text model. {image_text.WHERE}")
    # Whoever guides must not judge alone: with a second model both columns are given.
    paths = dict.fromkeys((named, models.chosen("second-image-text")))
    return [models.image_text_at(Path(path)) for path in paths if path]


def run(editors: Editors, protocol: Protocol, folder: Path, say: Callable[[str], None]) -> Path:
    """Pictures, settings and tables in the folder; returns the table's path. A system that cannot
    run is a dash, and why."""
    models = editors.models
    judges = _judges(models)
    for part in ("pictures", "manifests"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = [
        f"{system}, {judge.name}" for system in ("unedited", *protocol.systems) for judge in judges
    ]
    scores: dict[str, dict[str, list[float]]] = {
        row: {case.name: [] for case in protocol.cases} for row in rows
    }
    failures: dict[str, str] = {}
    path = folder
    for case in protocol.cases:
        with opened(case.image) as dataset:
            before = _shown(dataset)
        for judge in judges:
            scores[f"unedited, {judge.name}"][case.name].append(
                clip_score(judge, before, case.prompt)
            )
        for system in protocol.systems:
            for seed in protocol.seeds:
                stem = f"{plain(case.name)}-{plain(system)}-{seed}"
                asked = Asked(system, seed)
                try:
                    made = drawing.draw_case(editors, protocol, case, asked, folder / "drawn")
                    picture = _laid(case, made)
                # A system that breaks must not take the others' results with it.
                except Exception as error:
                    failures[f"{system}, {case.name}"] = f"{type(error).__name__}: {error}"
                    say(f"{case.name}: {system}: {error}")
                    break
                write_json(folder / "manifests" / f"{stem}.json", made.report)
                Image.fromarray(picture).save(folder / "pictures" / f"{stem}.png")
                for judge in judges:
                    score = clip_score(judge, picture, case.prompt)
                    scores[f"{system}, {judge.name}"][case.name].append(score)
                    say(f"{case.name}: {system}, seed {seed}: {score:.2f} by {judge.name}")
        path = tables.write(
            folder,
            "Text-guided editing of single images",
            scores,
            _about(models, protocol, judges, failures),
            "system, judge",
        )
    return path


def _about(
    models: Models, protocol: Protocol, judges: Sequence[ImageText], failures: Mapping[str, str]
) -> dict[str, Any]:
    """The settings, for the table."""
    return {
        "score": "100 x cosine of the whole picture and the prompt",
        "judges": ", ".join(j.name for j in judges),
        "guided by": models.chosen("image-text"),
        "second model": models.chosen("second-image-text") or "none",
        "seeds": ", ".join(map(str, protocol.seeds)),
        "not run": failures or "nothing",
        **{f"not run: {what}": why for what, why in failures.items()},
        **{f"model of {name}": one.model for name, one in protocol.named.items() if one.model},
        **{f"version of {name}": version for name, version in provenance.versions().items()},
        "options": {name: dict(one.options) for name, one in protocol.named.items()},
        "cases": [json.loads(json.dumps(vars(case), default=str)) for case in protocol.cases],
    }


def _shown(dataset: rasterio.DatasetReader) -> np.ndarray:
    layer = bands.Layer.of(dataset, {})
    block = read_window(dataset, layer.profile.box)
    stretch = bands.stretch_of(layer.profile, layer.roles, block)
    return display.picture(stretch.normalise(block.values), layer.roles.names)


def _laid(case: Case, made: seen.Drawn) -> np.ndarray:
    """The whole picture (H, W, 3) with the result in it."""
    if made.path.suffix == ".png":  # the editor's own picture
        with Image.open(made.path) as own:
            return np.asarray(own.convert("RGB"))
    with opened(case.image) as dataset, opened(made.path) as window:
        layer = bands.Layer.of(dataset, {})
        block = read_window(dataset, layer.profile.box)
        stretch = bands.stretch_of(layer.profile, layer.roles, block)
        values = block.values.copy()
        rows, cols = made.box.slices
        values[:, rows, cols] = window.read()
    return display.picture(stretch.normalise(values), layer.roles.names)
