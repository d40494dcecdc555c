"""Land cover: the scene parser's classes as a layer of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract.editors import EditorInfo, option
from ..ground.errors import CannotEdit
from ..scene.classes import CLASSES
from ..scene.network import COARSEST_M
from .base import Editor, OnStep, Scene
from .operator import COLOURLESS, MOST_SEEN_PX, SEEN_M, ground_of, understood_of


@dataclass(frozen=True)
class LandCoverOptions:
    """`least_share`: probability below which a pixel is unknown."""

    least_share: float = option(
        "Sure from",
        0.4,
        "Probability that the likeliest class needs; below it the ground is unknown.",
        minimum=0.0,
        maximum=0.99,
    )


class LandCover(Editor[LandCoverOptions]):
    """Roofs, paved ground, trees, low vegetation, bare ground, water, shadows and vehicles."""

    Options = LandCoverOptions
    soft_edge = False
    bytes_a_pixel = 200
    info = EditorInfo(
        id="land-cover",
        title="Land cover",
        description="Tells roofs, paved ground, trees, low vegetation, bare ground, water, shadows "
        "and vehicles apart and writes them as a layer of classes: an estimate from colours, "
        "near infrared where there is a band of it, shadows, and what your own layers know.",
        engine="scene parser (network trained on open labels, near infrared, shadows)",
        needs=("ground?",),
        makes=("cover",),
        new_layer=True,
    )

    def context_wanted(self, side_px: int, gsd_m: float, options: LandCoverOptions) -> int:
        """As much as an operator sees."""
        return int(np.clip(SEEN_M / max(gsd_m, 0.01), 16, MOST_SEEN_PX))

    def edit(
        self, scene: Scene, prompt: str, options: LandCoverOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """The numbers of the classes (1, H, W), from 1, over 255."""
        ground = ground_of(scene)
        if not ground.optical:
            raise CannotEdit(
                "Land cover is told by light and colour; this layer is radar (VV, VH)."
            )
        on_step(0, 1)
        if ground.band("red") is None:
            raise CannotEdit(COLOURLESS)
        parse = understood_of(scene, self.models.understanding)
        best = parse.shares.argmax(axis=0)
        number = np.where(parse.shares.max(axis=0) >= options.least_share, best, len(CLASSES)) + 1
        notes = ["Land cover is an estimate; check it before you count by it."]
        if ground.gsd_m > COARSEST_M:
            notes.append(
                f"At {ground.gsd_m:.3g} m a pixel roofs, trees and vehicles are not told apart: "
                "only water, vegetation, sealed and bare ground are."
            )
        on_step(1, 1, None, "", {"notes": notes, "ground": list(parse.sources)})
        return np.asarray(number[None] / 255, np.float32)
