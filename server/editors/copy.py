"""Copy: the content of a source polygon at the target places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..api import EditorInfo, Option
from ..errors import CannotEdit
from ..synthesis.copying import copy
from ..synthesis.pyramid import Level
from .base import Editor, OnStep, Scene


class Copy(Editor):
    """Pastes a source polygon's pixels, with their gradients kept and their tone fitted at the rim."""

    soft_edge = False
    info = EditorInfo(
        id="copy",
        title="Copy",
        description="Puts the content of a source polygon (drawn as the exemplar) into every target polygon, "
        "middle on middle, and blends it in.",
        engine="gradient-domain pasting (robust screened Poisson)",
        needs=("exemplar",),
        options=(
            Option("turn_degrees", "integer", 0, "Turn", minimum=0, maximum=270, unit="degrees",
                   help="Rotates the source in steps of 90 degrees; shadows turn with it."),
            Option("tone", "number", 0.08, "Keep the source's own tone", minimum=0.0, maximum=1.0,
                   help="0: takes on the tone of the new place; 1: keeps its own."),
        ),
    )

    def edit(self, scene: Scene, prompt: str, options: Mapping[str, Any], seed: int, on_step: OnStep) -> np.ndarray:
        """Paste the first exemplar; several are pasted in turn, seed by seed."""
        exemplars = [p for p in scene.exemplars if p.usable.any()]
        if not exemplars:
            raise CannotEdit("Copy needs a source: draw the object to copy as the exemplar.")
        if options["turn_degrees"] % 90:
            raise CannotEdit(f"turn_degrees is {options['turn_degrees']}; it must be 0, 90, 180 or 270.")
        on_step(0, 1)
        source = exemplars[seed % len(exemplars)]
        return copy(Level(scene.image, scene.mask, scene.valid), source.image, source.usable,
                    options["turn_degrees"] // 90, options["tone"])
