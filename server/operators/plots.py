"""Ground laid out by plan: a car park with its bays, houses on plots along a street, vines in rows.

Rows and streets run along the polygon's longest side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract.editors import option
from .car_park import car_park
from .cast_shadow import DARKNESS, USUAL_SLOPE, Light
from .ground import Ground
from .house_plots import house_plots
from .on_plan import Work, frames
from .vines import vines

PARKING, HOUSES, VINES = "car park", "houses", "vines"


@dataclass(frozen=True)
class Plots:
    """What is laid out, and how full it is."""

    thing: str = option(
        "Lay out",
        PARKING,
        choices=(PARKING, HOUSES, VINES),
        help="A car park with bays, aisles and cars; houses with drives and gardens on plots along "
        "a street; or vines in rows.",
    )
    full: float = option(
        "Full",
        0.55,
        minimum=0.0,
        maximum=1.0,
        help="Share of bays with a car in them, or of plots that are built on.",
    )
    trees: float = option(
        "Trees",
        0.5,
        minimum=0.0,
        maximum=1.0,
        help="How many plots have trees in their gardens.",
    )


@dataclass(frozen=True)
class LaidOut:
    """What came of it. `image` (C, H, W). `count`: bays, houses or rows."""

    image: np.ndarray
    count: int


def lay_out(ground: Ground, how: Plots, seed: int) -> LaidOut:
    """The image (C, H, W) with what is laid out in the mask."""
    light = Light.of(ground) or Light(
        225.0, USUAL_SLOPE, np.full(len(ground.image), DARKNESS, np.float32)
    )
    work = Work(ground, light, seed)
    count = 0
    for frame in frames(ground):
        if how.thing == PARKING:
            count += car_park(work, frame, how.full)
        elif how.thing == HOUSES:
            count += house_plots(work, frame, how.full, how.trees)
        else:
            count += vines(work, frame)
    return LaidOut(work.finished(), count)
