"""The protocol of Han et al.'s Table I on the user's own images: prompts for whole pictures and for masked ones.

A TOML file names the cases; every system edits every case with every seed; a named CLIP scores the results.

    seeds = [0, 1, 2]
    systems = ["text", "stable-diffusion"]       # editors of this server, or names under [baselines]
    [baselines]
    stable-diffusion = "/models/sd-inpainting"
    [[case]]
    name = "river"
    image = "river.png"                          # beside the TOML file, any raster
    prompt = "a flooded river"
    polygon = [[10, 10], [90, 10], [90, 80]]     # in pixels; without it the whole picture
    options = { mode = "new content" }           # of the editor
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image

from . import bands, masks, registry
from .api import EditRequest, Exemplar, Output, Polygons, RasterRef
from .edit import Files, edit
from .errors import BadRequest, ModelNotNamed, ServerError
from .evaluation import tables
from .evaluation.clip_score import clip_score
from .models import image_text, weights
from .models.inpainting import inpainted
from .raster import opened, read_window

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Ring = Sequence[Sequence[float]]
KEYS = {"name", "image", "prompt", "polygon", "exemplar", "options"}


@dataclass(frozen=True)
class Case:
    """One row of the protocol. `polygon` and `exemplar` are rings in pixels; without polygon the whole picture is edited."""

    name: str
    image: Path
    prompt: str
    polygon: Ring | None = None
    exemplar: Ring | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Protocol:
    """What is run: cases, systems (editors or baselines with their folders), seeds."""

    cases: tuple[Case, ...]
    systems: tuple[str, ...]
    baselines: Mapping[str, Path]
    seeds: tuple[int, ...]


def read(path: Path) -> Protocol:
    """The protocol in a TOML file; raises BadRequest that names the place."""
    try:
        data = tomllib.loads(path.read_text("utf8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadRequest(f"{path} cannot be read as TOML: {error}") from error
    entries = data.get("case", [])
    if not entries:
        raise BadRequest(f"{path} names no [[case]].")
    cases = tuple(_case(entry, number, path.parent) for number, entry in enumerate(entries, 1))
    baselines = {name: _path(folder, path.parent) for name, folder in data.get("baselines", {}).items()}
    systems = tuple(data.get("systems", ["text", *baselines]))
    for system in systems:
        if system not in registry.EDITORS and system not in baselines:
            raise BadRequest(f"systems: '{system}' is no editor ({', '.join(registry.EDITORS)}) and not under [baselines].")
    return Protocol(cases, systems, baselines, tuple(data.get("seeds", (0, 1, 2))))


def _case(entry: Mapping[str, Any], number: int, folder: Path) -> Case:
    where = f"case {number}"
    if set(entry) - KEYS or not {"image", "prompt"} <= set(entry):
        raise BadRequest(f"{where} needs image and prompt, and may have {', '.join(sorted(KEYS))}; it has {', '.join(entry)}.")
    image = _path(entry["image"], folder)
    if not image.is_file():
        raise BadRequest(f"{where}: there is no image {image}.")
    return Case(str(entry.get("name", image.stem)), image, str(entry["prompt"]), entry.get("polygon"), entry.get("exemplar"),
                entry.get("options", {}))


def _path(text: str, folder: Path) -> Path:
    path = Path(text).expanduser()
    return path if path.is_absolute() else folder / path


def run(protocol: Protocol, folder: Path, say: Callable[[str], None]) -> Path:
    """Pictures, settings and tables in the folder; returns the table's path. A system that cannot run is a dash, and why."""
    named = weights.chosen("image-text")
    if not named:
        raise ModelNotNamed(f"CLIP scores need an image-text model. {image_text.WHERE}")
    # Whoever guides must not judge alone: with a second model both columns are given.
    judges = [image_text.load(Path(path)) for path in dict.fromkeys((named, weights.chosen("second-image-text"))) if path]
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    scores: dict[str, dict[str, list[float]]] = {}
    failures: dict[str, str] = {}
    for case in protocol.cases:
        before, mask = _picture(case)
        for judge in judges:
            scores.setdefault(f"unedited, {judge.name}", {})[case.name] = [clip_score(judge, before, case.prompt)]
        for system in protocol.systems:
            for seed in protocol.seeds:
                try:
                    picture = _edited(protocol, case, system, seed, (before, mask))
                except ServerError as error:
                    failures[f"{system}, {case.name}"] = str(error)
                    say(f"{case.name}: {system}: {error}")
                    continue
                Image.fromarray(picture).save(folder / "pictures" / f"{_plain(case.name)}-{_plain(system)}-{seed}.png")
                for judge in judges:
                    score = clip_score(judge, picture, case.prompt)
                    scores.setdefault(f"{system}, {judge.name}", {}).setdefault(case.name, []).append(score)
                    say(f"{case.name}: {system}, seed {seed}: {score:.2f} by {judge.name}")
    about = {"score": "100 x cosine of the whole picture and the prompt", "judges": ", ".join(j.name for j in judges),
             "seeds": ", ".join(map(str, protocol.seeds)), "not run": failures or "nothing",
             "guided by": named, "cases": [json.loads(json.dumps(vars(case), default=str)) for case in protocol.cases]}
    return tables.write(folder, "Text-guided editing of single images", scores, about, "system, judge")


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


def _picture(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The image as bytes (H, W, 3), and where it is edited (H, W)."""
    with opened(case.image) as dataset:
        picture = _shown(dataset)
        profile = bands.Layer.of(dataset, {}).profile
    mask = np.ones(picture.shape[:2], bool)
    if case.polygon is not None:
        mask = masks.burn(masks.pixel_polygons(_polygons(case.polygon, profile.transform), profile), profile.box)
    return picture, mask


def _shown(dataset: rasterio.DatasetReader) -> np.ndarray:
    layer = bands.Layer.of(dataset, {})
    block = read_window(dataset, layer.profile.box)
    return bands.picture(bands.stretch_of(layer.profile, layer.roles, block).seen(block.values), layer.roles)


def _polygons(ring: Ring, transform: Any) -> Polygons:
    corners = [list(transform * (float(x), float(y))) for x, y in ring]
    return Polygons({"type": "Polygon", "coordinates": [[*corners, corners[0]]]})


def _edited(
    protocol: Protocol, case: Case, system: str, seed: int, shown: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """The picture (H, W, 3) that a system makes of a case."""
    picture, mask = shown
    if system in protocol.baselines:
        return inpainted(protocol.baselines[system], picture, mask, case.prompt, seed)
    with opened(case.image) as dataset:
        transform = dataset.transform
    height, width = picture.shape[:2]
    whole = [(0, 0), (width, 0), (width, height), (0, height)]
    options = dict(case.options) if system == "text" else {}
    if system == "text" and case.polygon is None:
        options.setdefault("mode", "same layout")
    exemplar = Exemplar(_polygons(case.exemplar, transform)) if case.exemplar else None
    request = EditRequest(RasterRef(path=str(case.image)), _polygons(case.polygon or whole, transform), prompt=case.prompt,
                          options=options, seed=seed, exemplar=exemplar, output=Output("layer"))
    with tempfile.TemporaryDirectory() as job:
        edit(request, system, Files(case.image), Path(job), lambda *_: None)
        with opened(Path(job) / "result.tif") as dataset:
            return _shown(dataset)
