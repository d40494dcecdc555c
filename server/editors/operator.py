"""What the editors have in common that apply a physical scene operator."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..ground.errors import CannotEdit
from ..operators.ground import Ground
from .base import Editor, OnStep, Opt, Scene

ENGINE = "physical scene operator (no weights)"


class OperatorEditor(Editor[Opt]):
    """An operator makes its own soft border inside the polygon, so it needs no feather."""

    soft_edge = False

    def edit(
        self, scene: Scene, prompt: str, options: Opt, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Apply the operator inside the mask."""
        ground = Ground(scene.image, scene.mask, scene.roles, scene.gsd_m, scene.origin)
        if not ground.optical:
            raise CannotEdit(
                f"{self.info.title} changes how things look in light; this layer is radar (VV, VH)."
            )
        on_step(0, 1)
        out = self.apply(ground, scene, options, seed)
        on_step(1, 1, None, "", {"notes": self.notes(scene, options)})
        return np.where(scene.mask, out, scene.image)

    def notes(self, scene: Scene, options: Opt) -> list[str]:
        """What the user should know of how the options were taken here."""
        return []

    @abstractmethod
    def apply(self, ground: Ground, scene: Scene, options: Opt, seed: int) -> np.ndarray:
        """The whole image (C, H, W) with the operator applied; `edit` keeps what is inside the
        mask."""
