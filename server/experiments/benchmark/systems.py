"""What a benchmark compares: editors of this server, models of the store, and variants of both
under names of their own; each in the product's way or as its paper ran it.

systems = ["reference", "identity", "text", "sd"]       # REFERENCES, editors, names below
ways = ["as published", "product"]                      # rows that each gets; default: ["product"]
[baselines]
sd = "sd15-inpainting"                                  # a model of the store
[options.sd]
steps = 50
[[system]]                                              # a variant: an ablation is a table of them
name = "without ensembling"
editor = "text"                                         # or model = "sd15"
options = { ensemble = "none" }
uses = { image-text = "/models/ViT-B-32.safetensors" }  # or a kind named by 'models set'
way = "product"                                         # default: ways
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...contract.editors import AUTO
from ...editors.models import Models
from ...editors.registry import Editors
from ...ground.errors import BadRequest
from ...models import weights

REFERENCE = "reference"
IDENTITY = "identity"
NOISE = "noise"
REFERENCES = (REFERENCE, IDENTITY, NOISE)
"""Systems that are no editors: the pixels of the reference, the source as it is, random numbers;
each in the polygon."""
PRODUCT = "product"
PUBLISHED = "as published"
TAUGHT_HERE = ("sinddm",)
"""Published editors that learn from the picture itself, so that no weights are brought."""
WAYS = (PUBLISHED, PRODUCT)
"""`PUBLISHED`: the editor's own picture on the canvas that its paper drew on, nothing of the source
laid over it. `PRODUCT`: what a user gets, on the raster's grid, outside the polygon unchanged."""
STEERING = ("image-text", "second-image-text", "language")
"""Kinds of models that the user names once, and that choose or guide what some editors draw."""
KEYS = {"name", "editor", "model", "options", "uses", "way"}


@dataclass(frozen=True)
class System:
    """One row of a table. `name`: of the row. `base`: as the cases and `systems` name it. `editor`:
    its id. `model`: of the store; empty: the editor has none, or chooses. `options`: for all cases.
    `uses`: paths by kinds of STEERING, in place of what the user has named. `way`: of WAYS."""

    name: str
    base: str
    editor: str
    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    uses: Mapping[str, str] = field(default_factory=dict)
    way: str = PRODUCT

    def editors(self, of: Editors) -> Editors:
        """The editors that it is asked with: those given, or such as are steered otherwise."""
        if not self.uses:
            return of
        key = ("editors", tuple(sorted(self.uses.items())))
        return of.models.cached(key, lambda: Editors(_with(of.models, self.uses)))


def _with(models: Models, uses: Mapping[str, str]) -> Models:
    """The models of the same home, steered by others."""
    found = Models(models.home, models.folder.given)
    for kind, value in uses.items():
        found.folder.give(kind, models.chosen(value) if value in weights.KINDS else value)
    return found


def read(data: Mapping[str, Any], editors: Editors, folder: Path) -> dict[str, System]:
    """The systems of a TOML file by their rows' names, REFERENCES left out; raises BadRequest that
    names the place. `folder`: what paths are relative to."""
    ways = _ways(data.get("ways", [PRODUCT]))
    options = data.get("options", {})
    named = _baselines(data.get("baselines", {}), options, editors)
    fixed: dict[str, str] = {}
    for number, entry in enumerate(data.get("system", []), 1):
        one = _variant(entry, f"system {number}", editors, folder)
        _free(one.base, f"system {number}", named, editors)
        named[one.base] = one
        if "way" in entry:
            fixed[one.base] = one.way
    _check_options(options, named, editors)
    wanted = data.get("systems", [*({} if data.get("system") else {"text": 0}), *named])
    found: dict[str, System] = {}
    for base in map(str, wanted):
        if base in REFERENCES:
            continue
        one = named.get(base) or _of_editor(base, named, options.get(base, {}), editors)
        mine = (fixed[base],) if base in fixed else ways
        if not _of_paper(one, editors):
            mine = (PRODUCT,)
        for way in mine:
            name = f"{base}, {way}" if len(mine) > 1 else base
            if name in found and found[name].base != base:
                raise BadRequest(f"systems: two rows would be called '{name}'; rename one.")
            found[name] = System(name, base, one.editor, one.model, one.options, one.uses, way)
    return found


def _baselines(
    given: Mapping[str, Any], options: Mapping[str, Any], editors: Editors
) -> dict[str, System]:
    found: dict[str, System] = {}
    for name, model in given.items():
        one = _of_model(name, model, options.get(name, {}), editors)
        if one.editor != name:  # a model may be called as the one editor that runs it
            _free(name, f"baselines.{name}", found, editors)
        found[name] = one
    return found


def _free(name: str, where: str, named: Mapping[str, System], editors: Editors) -> None:
    """Raises BadRequest where a row's name says something else already."""
    if name in named or name in (*REFERENCES, AUTO, *editors.ids):
        raise BadRequest(f"{where}: the name '{name}' is taken; choose another.")


def _check_options(
    options: Mapping[str, Any], named: Mapping[str, System], editors: Editors
) -> None:
    """All options of all systems before the first of them runs; raises BadRequest."""
    for name, values in options.items():
        if name not in (AUTO, *editors.ids, *named):
            known = ", ".join((AUTO, *editors.ids, *named))
            raise BadRequest(f"options.{name}: there is no such system; there are {known}.")
        if not isinstance(values, dict):
            raise BadRequest(f"options.{name} is a table, as {{ steps = 50 }}, not {values!r:.40}.")
        editor = named[name].editor if name in named else name
        if editor != AUTO:
            try:
                editors.get(editor).parse(values)
            except BadRequest as error:
                raise BadRequest(f"options.{name}: {error}") from error


def rows(data: Mapping[str, Any], found: Mapping[str, System]) -> tuple[str, ...]:
    """The names of all rows, in the order in which they were asked for."""
    wanted = data.get("systems")
    if wanted is None:
        return tuple(found)
    out: list[str] = []
    for base in map(str, wanted):
        out += [base] if base in REFERENCES else _rows_of(base, found.values())
    return tuple(dict.fromkeys(out))


def _of_paper(one: System, editors: Editors) -> bool:
    """Whether there is a paper whose way it could be asked in: of the networks that users bring,
    and of SinDDM. Words that choose the editor, and the weight-free ones, are this product's."""
    return one.editor != AUTO and (
        bool(editors.get(one.editor).info.weights) or one.editor in TAUGHT_HERE
    )


def _rows_of(base: str, systems: Iterable[System]) -> list[str]:
    return [one.name for one in systems if one.base == base]


def sensible(asked: str, names: Iterable[str], found: Mapping[str, System]) -> str:
    """The row by which the measures are checked: as it was asked for, in the product's way where it
    has two; without a wish the first that is no reference. Raises BadRequest."""
    names = tuple(names)
    if not asked:
        return next((name for name in names if name not in REFERENCES), "")
    if asked in names:
        return asked
    mine = _rows_of(asked, found.values())
    if not mine:
        raise BadRequest(f"sensible: '{asked}' is none of systems = [{', '.join(names)}].")
    return next((name for name in mine if found[name].way == PRODUCT), mine[0])


def _ways(given: Any) -> tuple[str, ...]:
    found = tuple(given) if isinstance(given, list) else ()
    if not found or any(way not in WAYS for way in found) or len(set(found)) < len(found):
        raise BadRequest(f"ways: {given!r:.60} is no list of {', '.join(WAYS)}.")
    return found


def _of_editor(
    base: str, named: Mapping[str, System], options: Mapping[str, Any], editors: Editors
) -> System:
    if base not in (AUTO, *editors.ids):
        known = (*REFERENCES, AUTO, *editors.ids, *named)
        raise BadRequest(
            f"systems: '{base}' is no system ({', '.join(known)}) and not under [baselines]."
        )
    return System(base, base, base, options=options)


def _of_model(name: str, model_id: Any, options: Mapping[str, Any], editors: Editors) -> System:
    """A model that an editor can work with; whether it is here shows when it is run."""
    store = editors.models.store
    if not isinstance(model_id, str) or not store.entry(model_id).editors:
        raise BadRequest(
            f"baselines.{name}: {model_id!r:.60} is no model of an editor. See 'landbrush-server "
            "models list'."
        )
    return System(name, name, store.entry(model_id).editors[0], model_id, options)


def _variant(entry: Mapping[str, Any], where: str, editors: Editors, folder: Path) -> System:
    if not isinstance(entry, dict) or set(entry) - KEYS or not entry.get("name"):
        raise BadRequest(f"{where} needs a name, and may have {', '.join(sorted(KEYS))}.")
    name = str(entry["name"])
    if ("editor" in entry) == ("model" in entry):
        raise BadRequest(f"{where} ({name}): give either editor, or model of the store.")
    options = entry.get("options", {})
    if not isinstance(options, dict):
        raise BadRequest(f"{where} ({name}): options is a table, as {{ steps = 50 }}.")
    one = (
        _of_model(name, entry["model"], options, editors)
        if "model" in entry
        else _of_editor(str(entry["editor"]), {}, options, editors)
    )
    if one.editor != AUTO:
        editors.get(one.editor).parse(options)
    way = str(entry.get("way", PRODUCT))
    _ways([way])
    if way == PUBLISHED and not _of_paper(one, editors):
        raise BadRequest(f"{where} ({name}): {one.editor} has no published way; leave out way.")
    return System(name, name, one.editor, one.model, options, _uses(entry, where, folder), way)


def _uses(entry: Mapping[str, Any], where: str, folder: Path) -> dict[str, str]:
    """Paths by kind; a kind's own name stands for what the user has named it."""
    given = entry.get("uses", {})
    if not isinstance(given, dict) or set(given) - set(STEERING):
        raise BadRequest(f"{where}: uses names paths by {', '.join(STEERING)}, not {given!r:.60}.")
    found = {}
    for kind, value in given.items():
        path = Path(str(value)).expanduser()
        path = path if path.is_absolute() or str(value) in weights.KINDS else folder / path
        if str(value) not in weights.KINDS and not path.exists():
            raise BadRequest(f"{where}: uses.{kind}: there is no {path}.")
        found[str(kind)] = str(path)
    return found
