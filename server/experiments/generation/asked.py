"""What a comparison of systems that draw from words asks, as a TOML file and a list of prompts say
it.

kind = "generation"
title = "MMM-RS, Table 2"
prompts = "mmm-rs-table2.txt"         # a prompt a line, beside the file or in resources/prompts
each = 10                             # pictures a prompt
seed = 99
[[system]]
name = "ours"
model = "mmm-rs"                      # of the store, one that 'generate' takes
options = { steps = 30 }              # of 'generate'
[[system]]
name = "dall-e-3"
service = "image-service"             # as 'models set image-service URL' names it
[[system]]
name = "another"
folder = "pictures-made-elsewhere"
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...editors.registry import Editors
from ...ground.errors import BadRequest
from ...ground.files import read_toml
from ...models import weights

PROMPTS = Path(__file__).resolve().parents[3] / "resources" / "prompts"
EDITOR = "generate"
KEYS = {"kind", "title", "prompts", "each", "seed", "system", "needs", "data"}
OF_SYSTEM = {"name", "model", "options", "service", "folder"}
MOST_PROMPTS = 100_000
MOST_EACH = 10_000


@dataclass(frozen=True)
class SystemAsked:
    """One column. `name`: of it. `model`: of the store; `options`: of the editor `generate`.
    `service`: kind of a service that draws; `folder`: of pictures made elsewhere. One of model,
    service and folder is given. `identity`: who draws, as far as it is known: hashes of a model's
    files, a service's address and model."""

    name: str
    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    service: str = ""
    folder: Path | None = None
    identity: str = ""


@dataclass(frozen=True)
class Request:
    """All that is drawn. `prompts`: a text each. `systems`: who draws them. `each`: pictures a
    prompt. `seed`: of the first picture of a prompt; the others' follow. `title`: of the page."""

    prompts: tuple[str, ...]
    systems: tuple[SystemAsked, ...]
    each: int = 1
    seed: int = 0
    title: str = "Pictures from words"


def read(path: Path, editors: Editors, more: Mapping[str, Any]) -> Request:
    """The request in a TOML file; `more`: values by key that stand in place of the file's
    (`prompts`, `each`, `seed`). Raises BadRequest that names the place."""
    data = read_toml(path)
    if set(data) - KEYS or not data.get("system") or not isinstance(data["system"], list):
        raise BadRequest(
            f"{path} needs a [[system]], and may have {', '.join(sorted(KEYS))}; it has "
            f"{', '.join(data)}."
        )
    data = {**data, **{key: value for key, value in more.items() if value is not None}}
    systems = tuple(
        _system(entry, number, path.parent, editors)
        for number, entry in enumerate(data["system"], 1)
    )
    names = [one.name for one in systems]
    if len(set(names)) < len(names):
        raise BadRequest(f"{path}: two systems have one name; they are {', '.join(names)}.")
    return Request(
        _prompts(data.get("prompts"), path.parent),
        systems,
        _whole(data.get("each", 1), "each", 1, MOST_EACH),
        _whole(data.get("seed", 0), "seed", 0, 2**31 - 1),
        str(data.get("title", Request.title)),
    )


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadRequest(f"{name}: {value!r:.40} is no whole number from {least} to {most:,}.")
    return value


def _prompts(given: Any, folder: Path) -> tuple[str, ...]:
    """Lines that are not empty, and do not begin with #."""
    if not given:
        raise BadRequest("No prompts: give --prompts FILE, with one a line.")
    path = Path(str(given)).expanduser()
    places = [path] if path.is_absolute() else [folder / path, path, PROMPTS / path]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise BadRequest(f"prompts: there is no file {given}.")
    try:
        lines = [line.strip() for line in found.read_text("utf8").splitlines()]
    except ValueError as error:
        raise BadRequest(f"{found} is no text in UTF-8: {error}.") from error
    lines = [line for line in lines if line and not line.startswith("#")]
    if not 1 <= len(lines) <= MOST_PROMPTS:
        raise BadRequest(f"{found} holds {len(lines)} prompts; 1 to {MOST_PROMPTS:,} are taken.")
    return tuple(lines)


def _service(name: str, service: str, where: str, editors: Editors) -> SystemAsked:
    if f"{service}-model" not in weights.KINDS:
        raise BadRequest(f"{where} ({name}): '{service[:40]}' is no service; image-service is.")
    chosen = editors.models.chosen
    told = f"{chosen(f'{service}-model')} at {chosen(service)}"
    return SystemAsked(name, service=service, identity=told)


def _files_of(editors: Editors, model: str) -> str:
    """The hashes of a model's files and its bases', as one; empty: it is not here."""
    store = editors.models.store
    records = [store.record(one.id) for one in store.lineage(store.entry(model))]
    if None in records:
        return ""
    hashes = sorted(kept.sha256 for record in records if record for kept in record.files.values())
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def _system(entry: Any, number: int, folder: Path, editors: Editors) -> SystemAsked:
    where = f"system {number}"
    ways = {"model", "service", "folder"}
    if not isinstance(entry, dict) or set(entry) - OF_SYSTEM or len(ways & set(entry)) != 1:
        raise BadRequest(
            f"{where} needs name, and one of model, service, folder; options go with a model."
        )
    name = str(entry.get("name") or entry.get("model") or "")
    if not name or not all(letter.isalnum() or letter in " -_.," for letter in name):
        raise BadRequest(f"{where}: '{name[:60]}' is no name (letters, digits, blanks, - _ . ,).")
    if "model" in entry:
        found = editors.models.store.entry(str(entry["model"]))
        if EDITOR not in found.editors:
            raise BadRequest(f"{where} ({name}): {found.title} does not draw from words alone.")
        options = entry.get("options", {})
        if not isinstance(options, dict):
            raise BadRequest(f"{where} ({name}): options is a table, as {{ steps = 30 }}.")
        editors.get(EDITOR).parse(options)
        return SystemAsked(name, found.id, options, identity=_files_of(editors, found.id))
    if "service" in entry:
        return _service(name, str(entry["service"]), where, editors)
    place = Path(str(entry["folder"])).expanduser()
    place = place if place.is_absolute() else folder / place
    if not place.is_dir():
        raise BadRequest(f"{where} ({name}): there is no folder {place}.")
    return SystemAsked(name, folder=place)
