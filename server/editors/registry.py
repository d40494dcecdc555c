"""The editors of this server: one line each; those with a model of the user's are in the
catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..contract.editors import EditorInfo, process_id
from ..ground.errors import UnknownProcess
from ..store import catalogue
from .base import Editor
from .controlnet import ColoursOfInfrared, ColoursOfRadar, InfraredOfColours, RadarOfColours
from .copy import Copy
from .cross_modal import ColoursFromInfrared, ColoursFromRadar, NearInfrared
from .damage import DamageEditor
from .disaster import BurnEditor, FloodEditor
from .fill import Fill
from .lake import LakeEditor
from .land_cover import LandCover
from .learned_weather import LearnedWeather
from .models import Models
from .patch_diffusion import Harmonise, Variation
from .plots import PlotsEditor
from .pretrained import Pretrained
from .remove import Remove
from .rows import RowsEditor
from .sinddm import LearnedVariation
from .text import TextEdit
from .text_to_image import Generate
from .weather import FogEditor, LowLightEditor, SeasonEditor, SnowEditor

BEFORE: tuple[Callable[[Models], Editor[Any]], ...] = (
    Remove,
    Fill,
    Copy,
    TextEdit,
    Variation,
    Harmonise,
    LearnedVariation,
    FogEditor,
    SnowEditor,
    SeasonEditor,
    LowLightEditor,
    LearnedWeather,
    FloodEditor,
    LakeEditor,
    RowsEditor,
    PlotsEditor,
    BurnEditor,
    DamageEditor,
)
AFTER: tuple[Callable[[Models], Editor[Any]], ...] = (
    LandCover,
    NearInfrared,
    ColoursFromInfrared,
    ColoursFromRadar,
    InfraredOfColours,
    ColoursOfInfrared,
    ColoursOfRadar,
    RadarOfColours,
    Generate,
)
"""Before and after those of the catalogue, in the order in which users see them."""


class Editors:
    """All editors, given the models of one home."""

    def __init__(self, models: Models) -> None:
        self.models = models
        brought: list[Editor[Any]] = [Pretrained(models, entry) for entry in catalogue.editors()]
        made = [
            *(make(models) for make in BEFORE),
            *brought,
            *(make(models) for make in AFTER),
        ]
        self._by_id: dict[str, Editor[Any]] = {editor.info.id: editor for editor in made}

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own."""
        return Editors, (self.models,)

    def __iter__(self) -> Iterator[Editor[Any]]:
        return iter(self._by_id.values())

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of their processes."""
        return tuple(self._by_id)

    def get(self, name: str) -> Editor[Any]:
        """The editor of that id; raises UnknownProcess."""
        found = self._by_id.get(process_id(name))
        if found is None:
            raise UnknownProcess(
                f"There is no editor '{name[:80]}'; there are {', '.join(self._by_id)}."
            )
        return found

    def described(self) -> list[EditorInfo]:
        """Every editor as it is now: what it can choose from, and what is missing."""
        return [editor.described() for editor in self]

    def ready_to_instruct(self) -> Editor[Any] | None:
        """The first editor that takes any instruction and can run; None where there is none."""
        return next((editor for editor in self if editor.instructs and editor.ready()), None)
