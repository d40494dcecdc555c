"""How an object that is copied is told from its ground, turned, sized and set out: what the editors
that copy share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..contract.editors import option
from ..ground.errors import CannotEdit
from ..operators.ground import Ground
from ..scene.classes import THINGS
from ..scene.network import COARSEST_M
from ..scene.parse import Understanding
from ..synthesis.copying import Source, spread
from ..synthesis.cut_out import CutOut, Hints, whole_object
from ..synthesis.pyramid import Level
from .base import OnStep, Patch, Scene

SHADED = 0.6
LIKELY = 0.6
SELDOM = 0.3
"""Share of a class from which on it is there; and of the outline up to which it is no ground."""


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


def cut_out(
    scene: Scene, exemplar: Patch, understanding: Understanding, own_shadow: bool
) -> tuple[CutOut | None, np.ndarray]:
    """The object that stands out of an exemplar, with its own shadow or without; None where none
    does. And where the exemplar (h, w) is shadow; nowhere where the scene does not tell."""
    none = np.zeros_like(exemplar.usable)
    around = none if exemplar.around is None else exemplar.around
    shadow, likely = none, none.copy()
    if scene.gsd_m <= COARSEST_M and scene.band("red") is not None:
        known = exemplar.usable | around
        parse = understanding.of(Ground(exemplar.image, known, scene.roles, scene.gsd_m), {})
        shadow = (parse.share("shadow") > SHADED) & known
        rim = exemplar.usable & ~ndimage.binary_erosion(exemplar.usable, iterations=2)
        for name in THINGS:
            there = parse.share(name) > LIKELY
            if rim.any() and there[rim].mean() < SELDOM:
                likely |= there & known
    hints = Hints(none if own_shadow else shadow, likely)
    return whole_object(exemplar.image, exemplar.usable, around, hints), shadow
