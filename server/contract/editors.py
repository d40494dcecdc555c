"""What an editor is, needs and can be told; and how it declares its options.

An editor declares a dataclass whose fields are made by `option`: from it come the form in the
panel, the parameters in Processing, the OpenAPI page and the checks of a request. Each limit stands
there and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Optional, Tuple, get_type_hints

from .message import Message, declare
from .routes import Route

AUTO = "auto"
"""The process that lets the interpreter choose the editor from the prompt."""
LEVEL, LEVEL_FROM = "level_m", "counts_from"
"""Options by which an editor takes a level of water over an elevation model, and what it counts
from."""
LOWEST_GROUND, MODEL_ZERO = "the lowest ground", "the elevation model's zero"
"""Values of LEVEL_FROM: the lowest ground of each polygon, or what the model counts from."""
TYPE_NAMES = {bool: "boolean", str: "string", int: "integer", float: "number"}
"""What the types of options are called on the wire (JSON schema's words)."""


@dataclass(frozen=True)
class Option(Message):
    """One option of an editor.

    `name`: its key in a request. `type`: boolean, string, integer or number. `default`: its value
    where none is given. `title`: what the form calls it. `help`: a sentence or two. `unit`: of a
    number. `minimum`, `maximum`: its limits, themselves allowed. `choices`: the values a string may
    have; none: any. `formerly`: keys by which earlier versions of the contract knew it.
    """

    name: str
    type: str
    default: Any
    title: str
    help: str = ""
    unit: str = ""
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    choices: Tuple[str, ...] = ()
    formerly: Tuple[str, ...] = ()


def option(title: str, default: Any, help: str = "", **rules: Any) -> Any:
    """A field of an editor's options: `rules` are unit, minimum, maximum, choices, formerly."""
    return field(default=default, metadata={"option": {"title": title, "help": help, **rules}})


def options_of(declared: type) -> Tuple[Option, ...]:
    """The options that a dataclass declares, in the order of its fields."""
    hints = get_type_hints(declared)
    return tuple(
        Option(one.name, TYPE_NAMES[hints[one.name]], one.default, **one.metadata["option"])
        for one in fields(declared)
        if "option" in one.metadata
    )


@dataclass(frozen=True)
class NoOptions:
    """Of an editor that has nothing to choose."""


@dataclass(frozen=True)
class EditorInfo(Message):
    """What an editor is, needs and can be told.

    `id`: of its process. `title`, `description`: for users. `engine`: how it works, in words; part
    of every result. `native_size_px`: the side of the pictures its network was made for, 0 where it
    has none. `licence`: of what it makes results with. `weights`: ids of the models it can use.
    `options`: what it can be told.
    """

    id: str
    title: str
    description: str
    engine: str
    bands: str = declare("which bands it takes", "all", choices=("all", "rgb", "radar", "nir"))
    makes: Tuple[str, ...] = declare(
        "roles of bands that it appends, in the whole layer where no polygons limit it", ()
    )
    new_layer: bool = declare(
        "whether the bands it makes are a new layer, of the same grid, instead of being appended",
        False,
    )
    options: Tuple[Option, ...] = ()
    needs: Tuple[str, ...] = declare(
        "prompt, exemplar, examples, elevation, ground; with '?', also raster: can do without", ()
    )
    native_size_px: int = 0
    licence: str = "GPL-2.0-or-later"
    weights: Tuple[str, ...] = ()
    missing: str = declare("why it cannot run now; empty: it can", "")

    def takes(self, what: str) -> bool:
        """Whether it has a use for a prompt, an exemplar, an elevation model or what layers tell of
        the ground, needed or not."""
        return what in self.needs or f"{what}?" in self.needs


def process_id(text: str) -> str:
    """The id of a process as it is written now: words with hyphens. Contract 1.0 wrote some of
    them with underscores, which are read as hyphens still."""
    return text.replace("_", "-")


PROCESSES = Route("GET", "/processes", "the editors")
PROCESS = Route("GET", "/processes/{process_id}", "one editor")
