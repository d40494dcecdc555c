"""The papers' tables, by name: how each is made, and what it takes that is not here.

A table is a TOML file in resources/tables. `kind`: "cases" (benchmark), "change-detection"
(augmentation) or "generation". `needs`: kinds of networks and services by 'models set' that its
figures take, "inception" among them. `[data]`: the dataset's name, about_gb, where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..editors.models import Models
from ..ground.errors import BadRequest
from ..ground.files import read_toml
from ..ground.optional import installed, without
from ..models import weights

TABLES = Path(__file__).resolve().parents[2] / "resources" / "tables"
CASES = "cases"
CHANGE = "change-detection"
GENERATION = "generation"
TABLE_KEYS = ("kind", "title", "needs", "data")
"""What a table's file may say whatever its kind."""
NETWORKS_GB = {
    "image-text": 1.7,
    "second-image-text": 1.7,
    "dino": 0.35,
    "lpips": 0.25,
    "damage": 0.4,
    "inception": 0.1,
}
"""Sizes, about, of what is usually named (ViT-L-14, DINOv2 base, AlexNet, ViT-B, Inception v3)."""


@dataclass(frozen=True)
class Need:
    """One thing that a table takes. `what`: its name. `here`: whether it is. `about_gb`: its size
    in 10^9 bytes; 0: not known, or nothing to fetch. `how`: how to get it, or where it is."""

    what: str
    here: bool
    about_gb: float
    how: str

    def sentence(self) -> str:
        """A line for the terminal."""
        size = f", about {self.about_gb:g} GB" if self.about_gb and not self.here else ""
        return f"{'here   ' if self.here else 'MISSING'}  {self.what}{size}: {self.how}"


def names() -> dict[str, Path]:
    """The tables by name."""
    return {path.stem: path for path in sorted(TABLES.glob("*.toml"))}


def path_of(name: str) -> Path:
    """The file of a table; raises BadRequest."""
    found = names()
    if name not in found:
        raise BadRequest(f"--table {name}: there are {', '.join(found)}.")
    return found[name]


def kind_of(path: Path) -> str:
    """CASES, CHANGE or GENERATION; raises BadRequest where it is another."""
    kind = read_toml(path).get("kind", CASES)
    if kind not in (CASES, CHANGE, GENERATION):
        raise BadRequest(f"{path}: kind = {kind!r:.60} is none of {CASES}, {CHANGE}, {GENERATION}.")
    return str(kind)


def needs(models: Models, path: Path, data: Path | None, inception: Path | None) -> list[Need]:
    """All that a table takes: libraries, models, networks and services, data. Nothing is run or
    fetched."""
    kind_of(path)
    found = read_toml(path)
    wanted, data_of = _strings(found, "needs", path), found.get("data", {})
    unknown = [kind for kind in wanted if kind not in (*NETWORKS_GB, *weights.KINDS)]
    if unknown or not isinstance(data_of, dict):
        what = f"needs: '{unknown[0]}' is no kind" if unknown else "data is a table"
        raise BadRequest(f"{path}: {what} ({', '.join(('inception', *weights.KINDS))}).")
    own_cases = any("pictures" not in case for case in _tables(found, "case", path))
    return [
        Need("PyTorch and diffusers", installed("torch"), 0, without("torch"))
        if not installed("torch")
        else Need("PyTorch and diffusers", True, 0, "installed"),
        *_models(models, _models_in(found, path)),
        *(_network(models, kind, inception) for kind in wanted),
        *(_with_it(models, wanted)),
        # Cases that name their pictures bring them; a table that says nothing of data asks pairs.
        *([] if own_cases and not data_of else [_data(data_of, data)]),
    ]


def _strings(table: Mapping[str, Any], key: str, path: Path) -> list[str]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadRequest(f'{path}: {key} is a list of names, as ["dino"], not {found!r:.60}.')
    return found


def _tables(table: Mapping[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadRequest(f"{path}: each {key} is a table of its own ([[{key}]]).")
    return found


def _models_in(table: Mapping[str, Any], path: Path) -> list[str]:
    baselines = table.get("baselines", {})
    if not isinstance(baselines, dict):
        raise BadRequest(f"{path}: baselines is a table of models by name, not {baselines!r:.60}.")
    listed = [*baselines.values()]
    listed += [entry["model"] for entry in _tables(table, "system", path) if "model" in entry]
    return list(dict.fromkeys(map(str, listed)))


def _models(models: Models, wanted: list[str]) -> Iterator[Need]:
    """The pretrained models and their bases, each once."""
    store = models.store
    lineages = (store.lineage(store.entry(model)) for model in wanted)
    entries = {one.id: one for lineage in lineages for one in lineage}
    for entry in entries.values():
        here = store.record(entry.id) is not None
        terms = " --accept-licence" if entry.asks else ""
        revision = "" if entry.revision else " --revision COMMIT"
        get = (
            f"landbrush-server models download {entry.id}{terms}{revision}  ({entry.repo}; "
            f"licence: {entry.licence})"
            if entry.repo
            else f"landbrush-server models import {entry.id} FILE{terms}  (not on a hub; licence: "
            f"{entry.licence})"
        )
        yield Need(
            f"model {entry.id} ({entry.title})",
            here,
            entry.about_gb,
            str(store.folder / entry.id) if here else get,
        )


def _network(models: Models, kind: str, inception: Path | None) -> Need:
    if kind == "inception":
        return Need(
            "Inception v3 of 2015, for the published figures",
            inception is not None and inception.is_file(),
            NETWORKS_GB[kind],
            str(inception)
            if inception
            else "--inception pt_inception-2015-12-05.pth, of "
            "https://github.com/mseitzer/pytorch-fid; without it figures by EfficientNet-Lite0",
        )
    chosen = models.chosen(kind)
    a_name = kind.endswith("-model")
    there = bool(chosen) and (a_name or chosen.startswith("http") or Path(chosen).exists())
    how = chosen if there else f"landbrush-server models set {kind} ...  ({weights.KINDS[kind]})"
    return Need(kind, there, NETWORKS_GB.get(kind, 0.0), how)


def _with_it(models: Models, wanted: list[str]) -> Iterator[Need]:
    """What goes with a network or a service: its package, the model that is asked there."""
    if "damage" in wanted:
        there = installed("torchange")
        how = "installed" if there else "pip install torchange ever-beta"
        yield Need("the package torchange, for F1 of damage", there, 0, how)
    for kind in wanted:
        if f"{kind}-model" in weights.KINDS:
            yield _network(models, f"{kind}-model", None)


def _data(wanted: Mapping[str, Any], given: Path | None) -> Need:
    name = str(wanted.get("name", "a dataset"))
    if given is not None and given.is_dir():
        return Need(f"data ({name})", True, 0, str(given))
    lost = f"{given} is not there; " if given is not None else ""
    return Need(
        f"data ({name})",
        False,
        float(wanted.get("about_gb", 0)),
        f"{lost}--data FOLDER, from {wanted.get('where', 'its publisher')}",
    )
