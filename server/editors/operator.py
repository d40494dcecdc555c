"""What the editors have in common that apply a physical scene operator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..ground.errors import CannotEdit
from ..operators.ground import Ground
from ..scene.parse import Parse, Understanding
from .base import Editor, OnStep, Opt, Scene

ENGINE = "physical scene operator (no weights)"
SEEN_M = 25.0
"""Surroundings that tell what the ground is: a house with its shadow."""
MOST_SEEN_PX = 160
COLOURLESS = (
    "This layer has no red, green and blue: what grows and what is built is not told by one band. "
    "State which band is what where the file does not (--band red=1, Bands in the panel)."
)


def ground_of(scene: Scene) -> Ground:
    """A scene as operators draw on it."""
    return Ground(
        scene.filled(),
        scene.mask,
        scene.roles,
        scene.gsd_m,
        scene.origin,
        aspect=scene.aspect,
        even=scene.even,
    )


def understood_of(scene: Scene, understanding: Understanding) -> Parse:
    """What the ground of a scene is, by its bands on one scale."""
    ground = ground_of(scene)
    if scene.even is not None:
        ground = replace(ground, image=scene.even)
    return understanding.of(ground, scene.known)


class OperatorEditor(Editor[Opt]):
    """An operator makes its own soft border inside the polygon, so it needs no feather."""

    soft_edge = False
    reads_light = True
    bytes_a_pixel = 260

    def context_wanted(self, side_px: int, gsd_m: float, options: Opt) -> int:
        """As much as is needed to understand the ground at the rim."""
        return int(np.clip(SEEN_M / max(gsd_m, 0.01), self.context_px(side_px), MOST_SEEN_PX))

    def edit(
        self, scene: Scene, prompt: str, options: Opt, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Understand the ground, then apply the operator inside the mask."""
        ground = ground_of(scene)
        if not ground.optical:
            raise CannotEdit(
                f"{self.info.title} changes how things look in light; this layer is radar (VV, VH)."
            )
        on_step(0, 2)
        told: dict[str, list[str]] = {"notes": self.notes(scene, options)}
        if self.info.takes("ground"):
            parse = understood_of(scene, self.models.understanding)
            ground = replace(ground, parse=parse)
            told["ground"] = list(parse.sources)
        on_step(1, 2)
        out, facts = self.made(ground, scene, options, seed)
        told["notes"] += facts.get("notes", [])
        on_step(2, 2, None, "", {**facts, **told})
        return np.where(scene.mask, out, scene.image)

    def notes(self, scene: Scene, options: Opt) -> list[str]:
        """What the user should know of how the options were taken here."""
        return []

    def made(
        self, ground: Ground, scene: Scene, options: Opt, seed: int
    ) -> tuple[np.ndarray, Mapping[str, Any]]:
        """The whole image (C, H, W) with the operator applied, and facts to record."""
        return self.apply(ground, scene, options, seed), {}

    @abstractmethod
    def apply(self, ground: Ground, scene: Scene, options: Opt, seed: int) -> np.ndarray:
        """The whole image (C, H, W) with the operator applied; `edit` keeps what is inside the
        mask."""
