"""The contract's second room: comparing two rasters. The standard library alone, as `api`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple

from .message import Message
from .requests import Polygons, RasterRef
from .routes import Route


@dataclass(frozen=True)
class ComparisonRequest(Message):
    """What changed from `before` to `after`, on the grid of the first. `polygons`: where change was
    asked for; None: everywhere."""

    before: RasterRef
    after: RasterRef
    polygons: Optional[Polygons] = None


@dataclass(frozen=True)
class Comparison(Message):
    """Measures (docs/evaluate.md), each an object of numbers, empty where it has no place to be
    taken at.

    `pixels_compared`: that both rasters hold. `on_one_grid`: false where the second was brought
    onto the first's grid. `preservation`: outside the polygons. `localisation`: where the change
    lies. `rim`: how it meets its surroundings. `said`: what they mean, in sentences.
    """

    pixels_compared: int
    on_one_grid: bool
    preservation: dict = field(default_factory=dict)
    localisation: dict = field(default_factory=dict)
    rim: dict = field(default_factory=dict)
    said: Tuple[str, ...] = ()


COMPARISONS = Route(
    "POST",
    "/comparisons",
    "what changed between two rasters of one ground",
    request=ComparisonRequest,
    answer=Comparison,
)
