"""What a benchmark runs, as a TOML file says it: cases, systems (systems.py), seeds, and what
judges them.

seeds = [0, 1, 2]
systems = ["reference", "identity", "noise", "auto", "sd"]
sensible = "auto"                     # the system that is expected to do well
[[case]]
name = "river"
image = "river.tif"                   # beside the TOML file, any raster
prompt = "a flooded river"
polygon = [[10, 10], [90, 10], [90, 80]]     # in pixels; without it the whole picture
exemplar = [[0, 0], [40, 0], [40, 40]]       # to copy from
reference = "river-flooded.tif"       # what a perfect edit would give, on any grid
caption = "a river out of its banks"  # of the finished picture, for CLIP-T
land_cover = "water"                  # what the polygon should look like
systems = ["auto"]                    # of those above, if not all
options = { mode = "new content" }    # of the editor "text", for this case
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...editors.registry import Editors
from ...ground.errors import BadRequest
from ...ground.files import read_toml
from ...training.data import layouts
from ...words.land_cover import SEARCHABLE
from . import folders, systems
from .systems import IDENTITY, REFERENCE, REFERENCES, System

Ring = Sequence[Sequence[float]]
TOP_KEYS = {
    "title",
    "seeds",
    "systems",
    "sensible",
    "baselines",
    "options",
    "case",
    "system",
    "ways",
    "canvas_px",
    "kind",
    "needs",
    "data",
}
FORMS = {"baselines": dict, "options": dict, "case": list, "systems": list, "system": list}
OF_CASES = {"options": dict, "systems": list}
TEXTS = ("caption", "land_cover")
KEYS = {"name", "image", "prompt", "polygon", "exemplar", "options", "reference", "systems", *TEXTS}
OF_FOLDERS = {"pictures", "object", "middle"}


@dataclass(frozen=True)
class Case:
    """One row: a picture, what is asked of it, and what is known of a good answer."""

    name: str
    """Of this case alone; records and pictures are called by it."""
    image: Path
    """The raster that is edited."""
    prompt: str
    """The instruction."""
    polygon: Ring | None = None
    """Ring (x, y) in pixels of the image; None: the whole picture is edited."""
    exemplar: Ring | None = None
    """Ring (x, y) in pixels of the image to copy from; None: there is none."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the editor "text", for this case."""
    reference: Path | None = None
    """Raster of what a perfect edit would give, on any grid; None: not known."""
    caption: str = ""
    """Of the finished picture, for CLIP-T; empty: that is not measured."""
    land_cover: str = ""
    """What the polygon should look like, of SEARCHABLE; empty: that is not measured."""
    systems: tuple[str, ...] | None = None
    """Of the protocol's, beside REFERENCES; None: all."""
    labels: Path | None = None
    """xBD's JSON with the damage of buildings; None: that is not measured."""


@dataclass(frozen=True)
class Data:
    """A dataset of pairs whose cases are asked. `folder`: where it lies. `layout`: its name in
    training.data.layouts; empty: told from its files. `part`: train, val or test. `most`: ask so
    many cases, evenly spread; 0: all. `test_list`: file with RSCC's list of test pictures; None: as
    the layout says."""

    folder: Path
    layout: str = ""
    part: str = "test"
    most: int = 0
    test_list: Path | None = None

    def cases(self) -> tuple[Case, ...]:
        """A case a pair, its first of several sentences alone, as RSEdit's benchmark takes it: the
        instruction is the caption, the reference what came, all of the picture may change."""
        pairs = layouts.read(self.folder, self.layout, self.test_list)
        if layouts.told(self.folder, self.layout) in layouts.CAPTIONED:
            one = {(pair.control, pair.path): pair for pair in reversed(pairs)}
            pairs = list(reversed(one.values()))
        found = [pair for pair in pairs if pair.part == self.part]
        if not found:
            raise BadRequest(f"{self.folder} has no pairs to {self.part}.")
        most = min(self.most, len(found)) or len(found)
        chosen = [found[number * len(found) // most] for number in range(most)]
        return tuple(
            Case(
                f"{number:05d} {pair.control.stem}",
                pair.control,
                pair.caption,
                reference=pair.path,
                caption=pair.outcome,
                labels=pair.labels,
            )
            for number, pair in enumerate(chosen)
        )


@dataclass(frozen=True)
class Protocol:
    """What is run. `cases`: in the order they are run. `systems`: the rows' names, REFERENCES among
    them. `named`: those that are no references, by their names. `seeds`: with each of which every
    system draws. `title`: of the page. `sensible`: the row that is expected to do well, for the
    check of the measures; empty: none. `canvas_px`: side of the squares that all pictures as
    published are drawn on, which larger ones keep; 0: each model's own."""

    cases: tuple[Case, ...]
    systems: tuple[str, ...]
    named: Mapping[str, System]
    seeds: tuple[int, ...]
    title: str = "Benchmark of editors"
    sensible: str = ""
    canvas_px: int = 0

    def base(self, system: str) -> str:
        """A row's system, as cases and tables name it."""
        return self.named[system].base if system in self.named else system

    def way(self, system: str) -> str:
        """Of systems.WAYS; empty for REFERENCES."""
        return self.named[system].way if system in self.named else ""

    def of(self, case: Case) -> list[str]:
        """The rows that a case asks; without a reference it has none to show."""
        return [
            system
            for system in self.systems
            if (case.systems is None or self.base(system) in (*case.systems, *REFERENCES))
            and not (system == REFERENCE and case.reference is None)
        ]

    def seeds_of(self, system: str) -> tuple[int, ...]:
        """The source and the reference are the same with every seed."""
        return self.seeds[:1] if system in (REFERENCE, IDENTITY) else self.seeds


def _seeds(given: Any) -> tuple[int, ...]:
    whole = isinstance(given, list) and all(type(seed) is int and seed >= 0 for seed in given)
    if not whole or not given or len(set(given)) < len(given):
        raise BadRequest(f"seeds: {given!r} is no list of different whole numbers, as [0, 1, 2].")
    return tuple(given)


def read(path: Path, editors: Editors, pairs: Data | None = None) -> Protocol:
    """The protocol in a TOML file, its cases those of a dataset where one is given; raises
    BadRequest that names the place."""
    data = read_toml(path)
    _check_form(data, path)
    named = systems.read(data, editors, path.parent)
    rows = systems.rows(data, named)
    cases = _cases(data.get("case", []), path, pairs)
    _check_cases(cases, {*REFERENCES, *(one.base for one in named.values())})
    return Protocol(
        cases,
        rows,
        named,
        _seeds(data.get("seeds", [0, 1, 2])),
        str(data.get("title", Protocol.title)),
        systems.sensible(str(data.get("sensible", "")), rows, named),
        _canvas(data.get("canvas_px", 0)),
    )


def _canvas(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= 4096:
        raise BadRequest(f"canvas_px: {given!r:.40} is no side of a square from 1 to 4096 pixels.")
    return given


def _cases(
    entries: Sequence[Mapping[str, Any]], path: Path, pairs: Data | None
) -> tuple[Case, ...]:
    """Those of the file, of a dataset of pairs, or of a folder of pictures of the kinds that the
    file names."""
    of_kinds = [entry for entry in entries if "pictures" in entry]
    if of_kinds and not pairs:
        raise BadRequest(f"{path} asks pictures of kinds; give their folder (--data).")
    if len(of_kinds) < len(entries) and pairs:
        raise BadRequest(f"{path} names cases of its own; leave out --data, or the cases.")
    if not entries and not pairs:
        raise BadRequest(f"{path} names no [[case]], and no dataset is given (--data).")
    if pairs and not entries:
        return pairs.cases()
    found: list[Case] = []
    for number, entry in enumerate(entries, 1):
        if pairs:
            found += _of_kind(entry, number, pairs)
        else:
            found.append(_case(entry, number, path.parent))
    return tuple(found)


def _of_kind(entry: Mapping[str, Any], number: int, pairs: Data) -> list[Case]:
    """The cases of one kind of picture."""
    kinds = entry["pictures"]
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise BadRequest(f"case {number}: pictures is a list of folders' names, not {kinds!r:.60}.")
    plainly = {key: value for key, value in entry.items() if key not in OF_FOLDERS}
    found = []
    for at, picture in enumerate(folders.pictures_of(pairs.folder, kinds, pairs.most), 1):
        ring = folders.polygon_of(picture, entry)
        name = str(entry.get("name", kinds[0]))
        more = {"polygon": ring} if ring else {}
        one = {**plainly, "image": str(picture), "name": f"{name} {at}", **more}
        found.append(_case(one, number, pairs.folder))
    return found


def _check_form(data: Mapping[str, Any], path: Path) -> None:
    if set(data) - TOP_KEYS:
        raise BadRequest(
            f"{path} has the key '{sorted(set(data) - TOP_KEYS)[0]}'; known are "
            f"{', '.join(sorted(TOP_KEYS))}."
        )
    _check_kinds(data, FORMS, str(path))
    for key in ("case", "system"):
        if not all(isinstance(entry, dict) for entry in data.get(key, [])):
            raise BadRequest(f"{path}: each {key} is a table of its own ([[{key}]]).")


def _check_kinds(entry: Mapping[str, Any], forms: Mapping[str, type], where: str) -> None:
    for key, kind in forms.items():
        if not isinstance(entry.get(key, kind()), kind):
            raise BadRequest(
                f"{where}: {key} must be a {'table' if kind is dict else 'list'}, not "
                f"{entry[key]!r:.60}."
            )


def _check_cases(cases: Sequence[Case], known: Collection[str]) -> None:
    names: set[str] = set()
    for case in cases:
        name = plain(case.name)
        if name in names:
            raise BadRequest(f"Two cases are called '{name}'; give each a name of its own.")
        names.add(name)
        other = next((system for system in case.systems or () if system not in known), None)
        if other:
            raise BadRequest(
                f"case {case.name}: its system '{other}' is none of systems = "
                f"[{', '.join(sorted(known))}]."
            )


def _case(entry: Mapping[str, Any], number: int, folder: Path) -> Case:
    where = f"case {number}"
    if set(entry) - KEYS or not {"image", "prompt"} <= set(entry):
        raise BadRequest(
            f"{where} needs image and prompt, and may have {', '.join(sorted(KEYS))}; it has "
            f"{', '.join(entry)}."
        )
    files = {
        key: _file(entry[key], folder, f"{where}: {key}")
        for key in ("image", "reference")
        if key in entry
    }
    for key in ("polygon", "exemplar"):
        ring = entry.get(key)
        fits = ring is None or (
            isinstance(ring, list)
            and len(ring) >= 3
            and all(
                isinstance(p, list) and len(p) == 2 and all(type(n) in (int, float) for n in p)
                for p in ring
            )
        )
        if not fits:
            raise BadRequest(
                f"{where}: {key} is no ring of pixels, as [[10, 10], [90, 10], [90, 80]]."
            )
    _check_kinds(entry, OF_CASES, where)
    texts = {key: str(entry.get(key, "")) for key in TEXTS}
    if texts["land_cover"] and texts["land_cover"] not in SEARCHABLE:
        raise BadRequest(
            f"{where}: land_cover '{texts['land_cover']}' is none of {', '.join(SEARCHABLE)}."
        )
    asked = entry.get("systems")
    return Case(
        str(entry.get("name", files["image"].stem)),
        files["image"],
        str(entry["prompt"]),
        entry.get("polygon"),
        entry.get("exemplar"),
        entry.get("options", {}),
        files.get("reference"),
        texts["caption"],
        texts["land_cover"],
        systems=None if asked is None else tuple(map(str, asked)),
    )


def _file(text: str, folder: Path, where: str) -> Path:
    path = Path(text).expanduser()
    path = path if path.is_absolute() else folder / path
    if not path.is_file():
        raise BadRequest(f"{where}: there is no image {path}.")
    return path


def plain(name: str) -> str:
    """A name as part of a file's."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
