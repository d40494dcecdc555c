"""The user's own exemplars: a folder of GeoTIFFs, each with a picture and with a JSON of the same
name that says what it shows. The folder may be copied to a colleague as it is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..ground.errors import BadRequest, UnknownExemplar
from .chips import Chip

LONGEST_NAME = 60
NAME = re.compile(r"[^\W_][\w .()-]*")


@dataclass(frozen=True)
class Kept:
    """What is to be kept. `name`: of the exemplar. `words`: what it shows. `credit`: whose imagery
    it is."""

    name: str
    words: tuple[str, ...]
    credit: str = ""


@dataclass(frozen=True)
class Light:
    """Of a picture. `sun`: where it stands, degrees clockwise from up; None where nobody knows.
    `tones`: share and median colour of its ground by class."""

    sun: float | None
    tones: Mapping[str, tuple[float, ...]]


def chips(folder: Path) -> tuple[Chip, ...]:
    """All that are kept, by name; what cannot be read is left out."""
    found = []
    for listed in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        chip = chip_of(listed)
        if chip is not None:
            found.append(chip)
    return tuple(found)


def chip_of(listed: Path) -> Chip | None:
    """The exemplar that a JSON tells of; None where it cannot be read."""
    try:
        told = json.loads(listed.read_text(encoding="utf8"))
        return Chip(
            str(told["name"]),
            tuple(str(word) for word in told["words"]),
            float(told["gsd_m"]),
            None if told["sun"] is None else float(told["sun"]),
            {str(name): tuple(map(float, tone)) for name, tone in told["tones"].items()},
            str(told["credit"]),
            "",
            "",
            listed.with_suffix(".tif"),
            own=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def checked(kept: Kept) -> Kept:
    """What is to be kept; raises BadRequest for a name or words that cannot be."""
    name = kept.name.strip()
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise BadRequest(
            f"name: {kept.name[:LONGEST_NAME]!r}. An exemplar's name has letters, digits, spaces, "
            f"and . ( ) -, at most {LONGEST_NAME}."
        )
    words = tuple(dict.fromkeys(word.strip().lower() for word in kept.words if word.strip()))
    if not words:
        raise BadRequest("words: empty. Say what the exemplar shows, for instance 'parking'.")
    return Kept(name, words, kept.credit.strip())


def moved(name: str, drafts: Path, folder: Path) -> Chip:
    """Take a kept exemplar from one folder to another, what says that it is there last. Raises
    BadRequest where its name is taken."""
    target = folder / f"{name}.json"
    if target.exists():
        raise BadRequest(f"name: an exemplar '{name}' is there already. Choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    for ending in (".tif", ".png", ".json"):
        shutil.move(drafts / f"{name}{ending}", folder / f"{name}{ending}")
    found = chip_of(target)
    assert found is not None
    return found


def remove(folder: Path, name: str) -> None:
    """Delete a kept exemplar; raises UnknownExemplar."""
    found = {chip.id: chip for chip in chips(folder)}
    if name not in found:
        raise UnknownExemplar(f"There is no exemplar '{name[:LONGEST_NAME]}' of your own.")
    path = found[name].path
    for ending in (".json", ".png", ".tif"):
        path.with_suffix(ending).unlink(missing_ok=True)
