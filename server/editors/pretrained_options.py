"""What an editor with a pretrained network can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from ..contract.editors import option
from ..diffusion import schedules
from ..diffusion.placement import PRECISIONS
from ..synthesis.spectral import FROM_IMAGE, KEPT
from . import scenario_prompts
from .ranking import JUDGES, WORDS_AND_REST
from .scenario_prompts import GRADES, REPORTS, SCENARIOS

PAPER = "paper"


FAST = "fast"


AS_PUBLISHED = "as the preset"


@dataclass(frozen=True)
class PretrainedOptions:
    """How a pretrained network draws; an editor shows those of them that its recipe takes."""

    model: str = option("Model", "", "Name of an installed model; empty: the first installed.")
    preset: str = option(
        "Preset",
        PAPER,
        "Paper: solver, steps and guidance as published. Fast: a solver that needs few steps.",
        choices=(PAPER, FAST),
    )
    scenario: str = option(
        "Scenario",
        scenario_prompts.NONE,
        "Words for the model, in the style of damage reports; a prompt of yours is added to them.",
        choices=(scenario_prompts.NONE, *SCENARIOS, *REPORTS),
    )
    grade: str = option(
        "Grade", "major", "Of the scenario.", choices=GRADES, formerly=("severity",)
    )
    steps: int = option("Steps", 0, "0: the preset's.", minimum=0, maximum=1000)
    scheduler: str = option(
        "Solver",
        AS_PUBLISHED,
        "Of the noise schedule.",
        choices=(AS_PUBLISHED, *schedules.CLASSES),
    )
    guidance_scale: float = option(
        "Guidance by words",
        0.0,
        "How strictly the words are followed; 0: as published, 1: not reinforced.",
        minimum=0,
        maximum=100,
    )
    image_guidance_scale: float = option(
        "Guidance by the picture",
        0.0,
        "How strictly the picture is kept: lower changes more; 0: as published.",
        minimum=0,
        maximum=20,
    )
    strength: float = option(
        "Strength",
        0.0,
        "How much noise the picture gets before it is redrawn; 0: as published, 1: all new.",
        minimum=0,
        maximum=1,
    )
    candidates: int = option(
        "Candidates",
        1,
        minimum=1,
        maximum=16,
        help="So many are drawn, each with another seed, and the best is kept (RSEdit's future "
        "work): as many times as long.",
    )
    ranked_by: str = option(
        "Best by",
        WORDS_AND_REST,
        choices=JUDGES,
        help="Of several candidates: how well an image-text model says the words fit, times how "
        "much of the rest the model kept; or what a vision-language model says of them.",
    )
    negative_prompt: str = option("Not wanted", "", "What should not be there.")
    gsd_m: float = option(
        "Ground size it works at",
        0.0,
        "Of a pixel; 0: the raster's own, or the finest the model was trained on where the raster "
        "is finer.",
        unit="m",
        minimum=0,
        maximum=10_000,
    )
    keep_detail: bool = option(
        "Keep the raster's own detail",
        True,
        "Where the model changes little, the raster's pixels take on the change alone.",
    )
    other_bands: str = option(
        "Bands beside red, green and blue",
        KEPT,
        "Keep them, or find them for the new colours among the window's own pixels.",
        choices=(KEPT, FROM_IMAGE),
    )
    precision: str = option("Precision", "automatic", "Of the weights.", choices=PRECISIONS)
    compile: bool = option(
        "Compile the network",
        False,
        "Faster after some dozen steps on a GPU; the first takes minutes.",
    )
    text_mask: bool = option(
        "Mask the text's padding",
        True,
        "As it was released; it was trained without, which is worth a try.",
    )


P = TypeVar("P", bound=PretrainedOptions)


NOT_FOR_ALL = ("image_guidance_scale", "strength", "negative_prompt", "text_mask")
"""Options that an editor has where its recipe takes them."""
