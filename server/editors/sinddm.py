"""Variation, and text edit, by a network that learns the window: SinDDM, the reference under Han et
al.'s editing."""

from __future__ import annotations

import numpy as np

from ..contract.editors import EditorInfo
from ..ground.optional import installed, needed, without
from .base import Drawn, Editor, Given, OnStep, Scene
from .guided import with_paraphrases
from .learned import Learned, LearnedVariationOptions, shrunk


class LearnedVariation(Editor[LearnedVariationOptions]):
    """Trains on the window once, keeps what it learned, samples inside the polygon."""

    Options = LearnedVariationOptions

    info = EditorInfo(
        id="sinddm",
        title="Variation, learned",
        description="Redraws the polygon with a network that is trained on the window first: "
        "minutes to hours without a GPU, "
        "kept for the next time. The published reference: few steps give coloured blobs, "
        "Variation does better in "
        "seconds. With a prompt and an image-text model the words guide it.",
        engine="SinDDM (single-image denoising diffusion, trained on this window)",
        needs=("prompt?", "exemplar?"),
    )

    def missing(self) -> str:
        """What to do where networks cannot be trained."""
        return "" if installed("torch") else without("torch")

    def check(self, prompt: str, options: LearnedVariationOptions) -> None:
        """Raise NotInstalled where networks cannot be trained."""
        needed("torch")

    def resolve(self, options: LearnedVariationOptions, given: Given) -> LearnedVariationOptions:
        """With the sentences that guide."""
        return with_paraphrases(self.models, options, given.prompt)

    def context_px(self, side_px: int) -> int:
        """The window is all it learns from."""
        return max(64, side_px // 2)

    def edit(
        self,
        scene: Scene,
        prompt: str,
        options: LearnedVariationOptions,
        seed: int,
        on_step: OnStep,
    ) -> np.ndarray:
        """Train or go on training, then sample inside the mask."""
        return Learned(self.models, self.info.title).edit(scene, prompt, options, seed, on_step)

    def own_picture(
        self,
        scene: Scene,
        prompt: str,
        options: LearnedVariationOptions,
        seed: int,
        canvas: str = "",
    ) -> Drawn:
        """On the picture as SinDDM brings it to the size that it learns (at most 50,000 pixels)."""
        return super().own_picture(shrunk(scene), prompt, options, seed)
