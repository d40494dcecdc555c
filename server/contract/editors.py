"""What an editor is, needs and can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Tuple

from .message import Message, declare

AUTO = "auto"
"""The process that lets the interpreter choose the editor from the prompt."""


@dataclass(frozen=True)
class Option(Message):
    """One option of an editor: drives the dock's form, Processing and the OpenAPI page."""

    name: str
    type: str
    default: Any
    title: str
    help: str = ""
    unit: str = ""
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    choices: Tuple[str, ...] = ()


@dataclass(frozen=True)
class EditorInfo(Message):
    """What an editor is, needs and can be told."""

    id: str
    title: str
    description: str
    engine: str
    bands: str = declare("which bands it takes", "all", choices=("all", "rgb", "radar", "nir"))
    makes: Tuple[str, ...] = declare(
        "roles of bands that it appends, in the whole layer where no polygons limit it", ()
    )
    apart: bool = declare(
        "whether the bands it makes are a new layer, of the same grid, instead of being appended",
        False,
    )
    options: Tuple[Option, ...] = ()
    needs: Tuple[str, ...] = declare(
        "prompt, exemplar, elevation; with '?', also raster: can do without", ()
    )
    native_size_px: int = 0
    licence: str = "GPL-2.0-or-later"
    weights: Tuple[str, ...] = ()
    missing: str = declare("why it cannot run now; empty: it can", "")

    def takes(self, what: str) -> bool:
        """Whether it has a use for a prompt, an exemplar or an elevation model, needed or not."""
        return what in self.needs or f"{what}?" in self.needs
