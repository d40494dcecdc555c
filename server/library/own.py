"""The user's own exemplars: a folder of GeoTIFFs, each with a picture and with a JSON of the same
name that says what it shows. The folder may be copied to a colleague as it is."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..ground.errors import BadRequest, UnknownExemplar
from ..ground.files import whole_file
from .chips import Chip, shipped

LONGEST_NAME = 60
LONGEST_WORD = 40
MOST_WORDS = 8
LONGEST_CREDIT = 300
NAME = re.compile(r"[^\W_][\w .()-]*")
RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")
"""Names that Windows keeps for devices."""


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
        chip = Chip(
            listed.stem,
            tuple(str(word).strip().lower() for word in told["words"]),
            float(told["gsd_m"]),
            None if told["sun"] is None else float(told["sun"]),
            {str(name): tuple(map(float, tone)) for name, tone in told["tones"].items()},
            str(told["credit"])[:LONGEST_CREDIT],
            "",
            "",
            listed.with_suffix(".tif"),
            own=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return chip if _is_whole(chip) else None


def _is_whole(chip: Chip) -> bool:
    """Whether what was read of an exemplar makes sense."""
    numbers = (chip.gsd_m, chip.sun or 0.0, *(one for tone in chip.tones.values() for one in tone))
    return (
        bool(chip.words)
        and isinstance(chip.words[0], str)
        and all(math.isfinite(one) for one in numbers)
        and 0 < chip.gsd_m < 1e5
        and all(len(tone) == 4 for tone in chip.tones.values())
        and chip.path.is_file()
    )


def checked(kept: Kept) -> Kept:
    """What is to be kept; raises BadRequest for a name or words that cannot be."""
    name = kept.name.strip()
    fits = NAME.fullmatch(name) and len(name) <= LONGEST_NAME and name[-1] not in ". "
    if not fits or RESERVED.fullmatch(name):
        raise BadRequest(
            f"name: {kept.name[:LONGEST_NAME]!r}. An exemplar's name has letters, digits, spaces, "
            f"and . ( ) -, at most {LONGEST_NAME}, and is none that a system keeps for itself."
        )
    if any(name.lower() == chip.id.lower() for chip in shipped()):
        raise BadRequest(f"name: an exemplar '{name}' is shipped already. Choose another name.")
    words = tuple(dict.fromkeys(word.strip().lower() for word in kept.words if word.strip()))
    if not words:
        raise BadRequest("words: empty. Say what the exemplar shows, for instance 'parking'.")
    odd = [word for word in words if not NAME.fullmatch(word) or not 2 < len(word) <= LONGEST_WORD]
    if odd or len(words) > MOST_WORDS:
        raise BadRequest(
            f"words: {(odd or list(words))[0][:LONGEST_WORD]!r}. At most {MOST_WORDS} words or "
            f"short phrases of letters, digits and spaces, of 3 to {LONGEST_WORD} characters."
        )
    return Kept(name, words, " ".join(kept.credit.split())[:LONGEST_CREDIT])


def moved(name: str, drafts: Path, folder: Path) -> Chip:
    """Take a kept exemplar from one folder to another, what says that it is there last. Raises
    BadRequest where its name is taken; nothing half of it stays."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = {path.stem.lower() for path in folder.iterdir()}
    target = folder / f"{name}.tif"
    try:
        if name.lower() in taken:
            raise FileExistsError
        target.open("xb").close()  # of two at a time one gets the name
    except FileExistsError:
        raise BadRequest(
            f"name: an exemplar '{name}' is there already. Choose another name."
        ) from None
    try:
        for ending in (".tif", ".png", ".json"):
            with whole_file(folder / f"{name}{ending}") as draft:
                shutil.copyfile(drafts / f"{name}{ending}", draft)
    except BaseException:
        for ending in (".json", ".png", ".tif"):
            target.with_suffix(ending).unlink(missing_ok=True)
        raise
    found = chip_of(target.with_suffix(".json"))
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
