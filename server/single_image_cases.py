"""The protocol of Han et al.'s Table I on the user's own images: prompts for whole pictures and for masked ones.

A TOML file names the cases; every system edits every case with every seed; a named CLIP scores the results.

    seeds = [0, 1, 2]
    systems = ["text", "stable-diffusion"]       # editors of this server, or names under [baselines]
    [baselines]
    stable-diffusion = "sd15-inpainting"         # a model of the store ('landbrush-server models list')
    [[case]]
    name = "river"
    image = "river.png"                          # beside the TOML file, any raster
    prompt = "a flooded river"
    polygon = [[10, 10], [90, 10], [90, 80]]     # in pixels; without it the whole picture
    options = { mode = "new content" }           # of the editor "text", for this case
    [options.sinddm]                             # of any editor, for all cases
    steps = 2000
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

from . import bands, masks, provenance, registry
from .api import EditRequest, Exemplar, Output, Polygons, RasterRef
from .edit import Files, edit
from .errors import BadRequest, ModelNotNamed
from .evaluation import tables
from .evaluation.clip_score import clip_score
from .models import image_text, weights
from .models.image_text import ImageText
from .raster import opened, read_window
from .store import shelf

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Ring = Sequence[Sequence[float]]
TOP_KEYS = {"seeds", "systems", "baselines", "options", "case"}
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
    """What is run: cases, systems (editors, or baselines with their models), seeds, options of systems for every case."""

    cases: tuple[Case, ...]
    systems: tuple[str, ...]
    baselines: Mapping[str, str]
    seeds: tuple[int, ...]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read(path: Path) -> Protocol:
    """The protocol in a TOML file; raises BadRequest that names the place."""
    try:
        data = tomllib.loads(path.read_text("utf8"))
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read as TOML: {error}") from error
    if set(data) - TOP_KEYS:
        raise BadRequest(f"{path} has the key '{sorted(set(data) - TOP_KEYS)[0]}'; known are {', '.join(sorted(TOP_KEYS))}.")
    entries = data.get("case", [])
    if not entries:
        raise BadRequest(f"{path} names no [[case]].")
    cases = tuple(_case(entry, number, path.parent) for number, entry in enumerate(entries, 1))
    names = [_plain(case.name) for case in cases]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadRequest(f"Two cases are called '{twice[0]}'; give each a name of its own.")
    seeds = data.get("seeds", [0, 1, 2])
    if not isinstance(seeds, list) or not seeds or not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
        raise BadRequest(f"seeds: {seeds!r} is no list of whole numbers, as [0, 1, 2].")
    baselines = {str(name): _baseline(str(name), model) for name, model in data.get("baselines", {}).items()}
    systems = tuple(data.get("systems", ["text", *baselines]))
    for system in systems:
        if system not in registry.EDITORS and system not in baselines:
            raise BadRequest(f"systems: '{system}' is no editor ({', '.join(registry.EDITORS)}) and not under [baselines].")
    return Protocol(cases, systems, baselines, tuple(seeds), data.get("options", {}))


def _baseline(name: str, model_id: Any) -> str:
    """A model that an editor can work with; whether it is here shows when it is run."""
    if not isinstance(model_id, str) or not shelf.entry(model_id).editors:
        raise BadRequest(f"baselines.{name}: {model_id!r:.60} is no model of an editor. See 'landbrush-server models list'.")
    return model_id


def _case(entry: Mapping[str, Any], number: int, folder: Path) -> Case:
    where = f"case {number}"
    if set(entry) - KEYS or not {"image", "prompt"} <= set(entry):
        raise BadRequest(f"{where} needs image and prompt, and may have {', '.join(sorted(KEYS))}; it has {', '.join(entry)}.")
    image = _path(entry["image"], folder)
    if not image.is_file():
        raise BadRequest(f"{where}: there is no image {image}.")
    for key in ("polygon", "exemplar"):
        ring = entry.get(key)
        fits = ring is None or (isinstance(ring, list) and len(ring) >= 3 and all(
            isinstance(p, list) and len(p) == 2 and all(isinstance(n, (int, float)) for n in p) for p in ring))
        if not fits:
            raise BadRequest(f"{where}: {key} is no ring of pixels, as [[10, 10], [90, 10], [90, 80]].")
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
    rows = [f"{system}, {judge.name}" for system in ("unedited", *protocol.systems) for judge in judges]
    scores: dict[str, dict[str, list[float]]] = {row: {case.name: [] for case in protocol.cases} for row in rows}
    failures: dict[str, str] = {}
    path = folder
    for case in protocol.cases:
        before, mask = _picture(case)
        for judge in judges:
            scores[f"unedited, {judge.name}"][case.name].append(clip_score(judge, before, case.prompt))
        for system in protocol.systems:
            for seed in protocol.seeds:
                stem = f"{_plain(case.name)}-{_plain(system)}-{seed}"
                try:
                    run_of = _Run(system, seed, folder / "manifests" / f"{stem}.json")
                    picture = _edited(protocol, case, run_of, (before, mask))
                except Exception as error:  # a system that breaks must not take the others' results with it
                    failures[f"{system}, {case.name}"] = f"{type(error).__name__}: {error}"
                    say(f"{case.name}: {system}: {error}")
                    break
                Image.fromarray(picture).save(folder / "pictures" / f"{stem}.png")
                for judge in judges:
                    score = clip_score(judge, picture, case.prompt)
                    scores[f"{system}, {judge.name}"][case.name].append(score)
                    say(f"{case.name}: {system}, seed {seed}: {score:.2f} by {judge.name}")
        path = tables.write(folder, "Text-guided editing of single images", scores, _about(protocol, judges, failures),
                            "system, judge")
    return path


def _about(protocol: Protocol, judges: Sequence[ImageText], failures: Mapping[str, str]) -> dict[str, Any]:
    """The settings, for the table."""
    return {"score": "100 x cosine of the whole picture and the prompt", "judges": ", ".join(j.name for j in judges),
            "guided by": weights.chosen("image-text"), "second model": weights.chosen("second-image-text") or "none",
            "seeds": ", ".join(map(str, protocol.seeds)), "not run": failures or "nothing",
            **{f"not run: {what}": why for what, why in failures.items()},
            **{f"baseline {name}": model for name, model in protocol.baselines.items()},
            **{f"version of {name}": version for name, version in provenance.versions().items()},
            "options": dict(protocol.options),
            "cases": [json.loads(json.dumps(vars(case), default=str)) for case in protocol.cases]}


@dataclass(frozen=True)
class _Run:
    """One edit: by what, with which seed, and where its manifest goes."""

    system: str
    seed: int
    manifest: Path


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
    protocol: Protocol, case: Case, what: _Run, shown: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """The picture (H, W, 3) that a system makes of a case; an editor's manifest is kept."""
    system, seed, (picture, _) = what.system, what.seed, shown
    with opened(case.image) as dataset:
        transform = dataset.transform
    height, width = picture.shape[:2]
    whole = [(0, 0), (width, 0), (width, height), (0, height)]
    options = {**protocol.options.get(system, {}), **(case.options if system == "text" else {})}
    editor = system
    if system in protocol.baselines:
        editor, options = shelf.entry(protocol.baselines[system]).editors[0], {"model": protocol.baselines[system], **options}
    if system == "text" and case.polygon is None:
        options.setdefault("mode", "same layout")
    exemplar = Exemplar(_polygons(case.exemplar, transform)) if case.exemplar else None
    request = EditRequest(RasterRef(path=str(case.image)), _polygons(case.polygon or whole, transform), prompt=case.prompt,
                          options=options, seed=seed, exemplar=exemplar, output=Output("layer"))
    with tempfile.TemporaryDirectory() as job:
        report = edit(request, editor, Files(case.image), Path(job), lambda *_: None)
        what.manifest.parent.mkdir(exist_ok=True)
        provenance.write_json(what.manifest, report)
        with opened(Path(job) / "result.tif") as dataset:
            return _shown(dataset)
