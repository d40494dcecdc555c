"""How an object that is copied is turned, sized and set out: what the editors that copy share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..contract.editors import option
from ..ground.errors import CannotEdit
from ..synthesis.copying import Source, spread
from ..synthesis.pyramid import Level
from .base import OnStep


@dataclass(frozen=True)
class PlacedOptions:
    """What becomes of a source before it is blended in (Han et al., Figures 13 and 14)."""

    turn_degrees: int = option(
        "Turn",
        0,
        unit="degrees",
        minimum=0,
        maximum=359,
        help="Rotates the source against the clock; its own shadows turn with it.",
    )
    scale: float = option(
        "Size",
        1.0,
        unit="times",
        minimum=0.25,
        maximum=4.0,
        help="How large the copy is beside its source.",
    )
    count: int = option(
        "Copies",
        1,
        minimum=1,
        maximum=64,
        help="So many, in rows inside each polygon as far as they fit whole; 1: in its middle.",
    )


def set_out(window: Level, source: Source, count: int, on_step: OnStep) -> Level:
    """The window with its hole where `count` copies of a source lie in each polygon; of one copy as
    it is. Fewer than were asked for are said; raises CannotEdit where not one fits."""
    if count == 1:
        return window
    hole, fitted = spread(window.hole, source.usable, count)
    if not hole.any():
        raise CannotEdit(
            "Not one whole copy fits into the polygon: draw it larger, or choose a smaller size."
        )
    if fitted < count:
        note = f"{fitted} of {count} copies fit whole into a polygon."
        on_step(0, 1, None, "", {"notes": [note]})
    return replace(window, hole=hole)
