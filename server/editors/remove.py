"""Remove: the ground around the polygon goes on inside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..api import EditorInfo, Option
from ..errors import CannotEdit
from ..synthesis.pyramid import Level
from ..synthesis.remove import RemoveSettings, remove
from .base import Editor, OnStep, Scene

ENGINE = "exemplar-based inpainting (coherent copying of the layer's own pixels)"


class Remove(Editor):
    """Exemplar-based inpainting; every band copies from the same place, so spectra stay real."""

    soft_edge = False
    bytes_a_pixel = 1000
    info = EditorInfo(
        id="remove",
        title="Remove",
        description="Takes an object away: the ground around the polygon goes on inside it. "
        "Draw the polygon generously and include the object's shadow.",
        engine=ENGINE,
        options=(
            Option("reach_px", "integer", 40, "Copy from within", minimum=8, maximum=1024, unit="px",
                   help="How far from the polygon ground is copied. Small values keep to the neighbourhood."),
            Option("guard", "boolean", True, "Do not copy look-alikes",
                   help="Keeps other pixels that look like the removed object from being copied in."),
        ),
    )

    def context_px(self, side_px: int) -> int:
        """Enough to copy from, also where the nearest ground is no good."""
        return max(64, side_px // 2)

    def edit(self, scene: Scene, prompt: str, options: Mapping[str, Any], seed: int, on_step: OnStep) -> np.ndarray:
        """Fill the mask; needs some valid ground in the window."""
        if (scene.valid & ~scene.mask).sum() < 200:
            raise CannotEdit("There is too little valid ground around the polygon to copy from.")
        settings = RemoveSettings(reach_px=options["reach_px"], guard=options["guard"])
        return remove(Level(scene.image, scene.mask, scene.valid), seed, settings, on_step)
