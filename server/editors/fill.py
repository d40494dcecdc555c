"""Fill like there: the land cover of an exemplar inside the polygon."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..contract.editors import EditorInfo, option
from ..ground.errors import CannotEdit
from ..synthesis.fill import FillSettings, fill
from ..synthesis.pyramid import Level
from ..words.land_cover import NAMES
from .base import Editor, OnStep, Scene, thick_enough

REPEATS_FROM = 4.0
"""Times as much ground to fill as there is to copy from which repeats show."""
REPEATS = 0.8
"""Share of a fill that is copied from the same few pixels from which that is told."""
FEWEST_PIXELS = 150
EITHER, LAYER, LIBRARY = "layer, then library", "layer", "library"
PLACES = (EITHER, LAYER, LIBRARY)
"""Where exemplars of a word are looked for."""


@dataclass(frozen=True)
class FillOptions:
    """How the land cover is found and laid."""

    word: str = option(
        "Land cover",
        "",
        choices=("", *NAMES),
        help="The land cover to look for where no exemplar is drawn, in the layer and then in the "
        "library; empty: as the prompt says.",
    )
    look_in: str = option(
        "Look in",
        EITHER,
        choices=PLACES,
        help="Where exemplars of a word are looked for. Your own library comes before the one that "
        "is shipped.",
    )
    keep_objects: bool = option(
        "Keep objects whole",
        False,
        help=(
            "For buildings, cars and rows: large shifts only, so that objects are not recombined."
        ),
    )
    outline_px: float = option(
        "Natural outline",
        4.0,
        unit="px",
        minimum=0.0,
        maximum=64.0,
        help=(
            "How far the new land cover may stay inside the polygon, so that its shape does not "
            "show."
        ),
    )
    mirror: bool = option(
        "Mirror the exemplar too", False, help="More variety; turns shadows and rows the other way."
    )


class Fill(Editor[FillOptions]):
    """Exemplar-based synthesis from drawn or found exemplars."""

    Options = FillOptions
    keeps_classes = True

    soft_edge = False
    bytes_a_pixel = 1000
    info = EditorInfo(
        id="fill",
        title="Fill like there",
        description="Fills the polygon with the land cover of an exemplar: an area drawn in the "
        "same or "
        "another layer, or windows of the layer found by a word.",
        engine="exemplar-based synthesis (coherent copying of the exemplar's pixels)",
        needs=("exemplar?",),
    )

    def searches(self, options: FillOptions) -> bool:
        """Whatever is filled, it is filled like something."""
        return True

    def looks_in(self, options: FillOptions) -> tuple[bool, bool]:
        """As the options say."""
        return options.look_in != LIBRARY, options.look_in != LAYER

    def with_word(self, options: FillOptions, word: str, objects: bool | None) -> FillOptions:
        """The land cover that is looked for, and whether its objects are kept whole."""
        keep = options.keep_objects if objects is None else objects
        return replace(options, word=word, keep_objects=keep)

    def context_px(self, side_px: int) -> int:
        """Enough to find transitions like the one the rim needs."""
        return 64

    def edit(
        self, scene: Scene, prompt: str, options: FillOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Fill the mask from the scene's exemplars."""
        exemplars = [(p.image, p.usable) for p in thick_enough(scene.exemplars)]
        pixels = sum(int(usable.sum()) for _, usable in exemplars)
        if pixels < FEWEST_PIXELS:
            raise CannotEdit(
                f"The exemplar holds {pixels} usable pixels; at least {FEWEST_PIXELS} are needed. "
                "Draw a larger area."
            )
        settings = FillSettings(options.keep_objects, options.outline_px, options.mirror)
        wanted = int((scene.mask & scene.valid).sum())
        small = wanted > REPEATS_FROM * pixels
        if small:
            note = (
                f"There are {pixels:,} pixels to copy for {wanted:,} to fill, so it repeats. Draw "
                "a larger exemplar."
            )
            on_step(0, 1, None, "", {"notes": [note]})
        window = Level(scene.image, scene.mask, scene.valid)
        made = fill(window, exemplars, seed, settings, on_step)
        facts: dict[str, Any] = {
            "unlike": round(made.unlike, 2),
            "grain": round(made.grain, 2),
            "repeated": round(made.repeated, 3),
        }
        if made.repeated > REPEATS and not small:
            facts["notes"] = [
                f"{made.repeated:.0%} of the fill is copied from the same few pixels, which shows "
                "as repeats. Draw a larger or more varied exemplar, or a smaller polygon."
            ]
        on_step(4, 4, None, "", facts)
        return made.image
