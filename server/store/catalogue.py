"""What pretrained models there are: where from, under which licence, for which editor, with which
published settings.

The entries are resources/pretrained.json; models of the user's own making are added in the store's
folder.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..contract.editors import process_id
from ..ground.errors import BadRequest, UnknownModel

FILE = Path(__file__).resolve().parents[2] / "resources" / "pretrained.json"
OWN = "own.json"
SEGMENTER = "segmenter"
"""The one part of a network that outlines things; its files lie at the top of their repository."""
UNRESTRICTED = ("Apache-2.0", "MIT", "BSD-3-Clause", "CC0-1.0", "your own")


@dataclass(frozen=True)
class Entry:
    """One model: where it comes from, what it is for, and how it is used."""

    id: str
    """Names it in commands and requests; its folder in the store."""
    title: str
    """Its name for users."""
    repo: str
    """Repository on the Hugging Face hub; empty: it can only be imported."""
    licence: str
    """One that is not among UNRESTRICTED must be accepted first."""
    good_for: str
    """What users should take it for, in a sentence or two."""
    parts: tuple[str, ...]
    """Folders of its pipeline as diffusers lays it out ("lora": adapter weights alone)."""
    family: str = ""
    """The networks it is made of (diffusion.families); empty in old lists: its base's."""
    editors: tuple[str, ...] = ()
    """Ids of the editors that can work with it; empty: it is a base for others, or a segmenter."""
    native_px: int = 512
    """Side of the pictures that it was trained on, in pixels."""
    gsd_m: tuple[float, float] = (0.0, 0.0)
    """Ground sizes of a pixel it was trained on, from and to; (0, 0): no matter."""
    work_gb: float = 2.5
    """Memory beside the weights, about, in 10^9 bytes."""
    about_gb: float = 0.0
    """Size of its own parts, about, in 10^9 bytes; 0: not known."""
    revision: str = ""
    """Commit of the repository; empty: none is pinned, the user names one."""
    subfolder: str = ""
    """Where its parts lie in the repository; empty: at the top."""
    base: str = ""
    """Id of the model that has the parts it lacks; empty: it has all."""
    restrictions: str = ""
    """What the licence asks or forbids, in sentences for users; empty: nothing to tell."""
    lora: str = ""
    """The part that its adapter changes (unet, transformer); empty: it is no adapter."""
    paper: Mapping[str, Any] = field(default_factory=dict)
    """Published settings: scheduler, steps, guidance and strength, and the canvas that its code
    draws on (editors.frame.CANVASES)."""
    generate: Mapping[str, Any] = field(default_factory=dict)
    """What of `paper` is otherwise where it draws from words alone."""
    fast: Mapping[str, Any] = field(default_factory=dict)
    """What of `paper` is otherwise for a quick result."""
    expects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By part: values that its config must have; of a list, one of them."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Of files by path, where they are known beforehand."""

    @property
    def asks(self) -> bool:
        """Whether the licence must be accepted first."""
        return self.licence not in UNRESTRICTED

    @property
    def outlines(self) -> bool:
        """Whether it outlines things that are clicked."""
        return SEGMENTER in self.parts

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Entry:
        """From JSON; raises BadRequest for what is not of this form."""
        known = {f.name for f in fields(cls)}
        try:
            values: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known
            }
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise BadRequest(f"A model's entry is not of the store's form: {error}") from error


@dataclass(frozen=True)
class EditorEntry:
    """An editor whose models the user brings.

    `id`: of its process. `family`: that of its preferred model, by which it is known what users may
    choose. `recipe`: the name of the way it draws, which the family of whatever model it uses must
    have. `title`, `description`, `engine`, `licence`: for users. `native_size_px`: the side of the
    pictures its networks were made for. `weights`: ids of its models, the preferred first.
    """

    id: str
    family: str
    recipe: str
    title: str
    description: str
    engine: str
    native_size_px: int
    weights: tuple[str, ...]
    licence: str = "of the model, see Models"


@functools.lru_cache(maxsize=1)
def _catalogue() -> tuple[dict[str, Entry], tuple[EditorEntry, ...]]:
    """The file as it came with this program; it does not change while that runs."""
    found = json.loads(FILE.read_text("utf8"))
    models = {data["id"]: Entry.of(data) for data in found["models"]}
    editors = tuple(
        EditorEntry(**{**data, "weights": tuple(data["weights"])}) for data in found["editors"]
    )
    return models, editors


def published() -> dict[str, Entry]:
    """The models of the papers and their baselines."""
    return dict(_catalogue()[0])


def editors() -> tuple[EditorEntry, ...]:
    """The editors whose models the user brings."""
    return _catalogue()[1]


def list_all(store: Path) -> dict[str, Entry]:
    """The published models and the user's own in that store."""
    path = store / OWN
    known = published()
    try:
        own = json.loads(path.read_text("utf8")) if path.is_file() else []
        for data in own:
            known[data["id"]] = _own(data, known)
        return known
    except (OSError, ValueError, KeyError, TypeError, BadRequest) as error:
        raise BadRequest(
            f"{path} cannot be read ({type(error).__name__}: {error}). Mend or delete it."
        ) from error


def _own(data: Mapping[str, Any], known: Mapping[str, Entry]) -> Entry:
    """An entry of the user's list; lists of earlier versions name no family, and spell the ids of
    editors with underscores."""
    entry = Entry.of(data)
    base = known.get(entry.base)
    family = entry.family or (base.family if base else "")
    return replace(entry, family=family, editors=tuple(process_id(one) for one in entry.editors))


def entry(store: Path, model_id: str) -> Entry:
    """The model of that id; raises UnknownModel."""
    known = list_all(store)
    if model_id not in known:
        raise UnknownModel(f"There is no model '{model_id[:80]}'; there are {', '.join(known)}.")
    return known[model_id]


def serving(store: Path, editor_id: str) -> list[Entry]:
    """The models an editor can work with, the preferred first: in the catalogue's order, then the
    user's own."""
    return [e for e in list_all(store).values() if editor_id in e.editors]
