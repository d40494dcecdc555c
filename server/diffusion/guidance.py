"""Classifier-free guidance as the editors use it: which predictions are made, and how they become
one."""

from __future__ import annotations

from dataclasses import dataclass

from ..ground.optional import torch

FULL = "full"
IMAGE = "image"
NONE = "none"
"""Predictions that know words and picture, the picture alone, and neither."""


@dataclass(frozen=True)
class FreeGuidance:
    """Scales of guidance. `text`: for the words, s_T; 1 adds none. `image`: for the picture, s_I,
    where the model is shown it beside the words; None: it is not."""

    text: float
    image: float | None = None

    @property
    def branches(self) -> tuple[str, ...]:
        """What must be predicted, in the order that `combined` takes; with one scale for both, the
        middle one falls out."""
        if self.image is None or self.image == self.text:
            return (FULL, NONE) if self.text != 1 else (FULL,)
        return FULL, IMAGE, NONE

    def combined(self, *made: torch.Tensor) -> torch.Tensor:
        """One prediction: none + s_T (full - image) + s_I (image - none) (Brooks et al. 2023, eq.
        3), or none + s (full - none) (Ho and Salimans 2022), or the full one alone."""
        if len(made) == 1:
            return made[0]
        if len(made) == 2:
            full, none = made
            return none + self.text * (full - none)
        full, image, none = made
        return none + self.text * (full - image) + (self.image or 0.0) * (image - none)
