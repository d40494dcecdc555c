"""Damage to buildings."""

from __future__ import annotations

import numpy as np

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators import damage as operator
from ..operators.buildings import BROKEN, DESTROYED, INTACT, SWEPT
from ..operators.damage import WINDS, Damage
from ..operators.ground import Ground
from .base import Scene
from .operator import COLOURLESS, ENGINE, OperatorEditor

COARSEST_M = 3.0
"""At a coarser ground size a house is a pixel or two."""


class DamageEditor(OperatorEditor[Damage]):
    """Buildings that are broken or rubble, with debris around them."""

    Options = Damage

    spares = "what the polygon's edge cuts through and cleared roads stay"

    info = EditorInfo(
        id="damage",
        title="Damage",
        description="Breaks buildings, each as a whole, by an earthquake, tornado, hurricane, "
        "tsunami or explosion: roofs with holes or sheets, heaps of rubble, debris and dust "
        "around, broken trees, mud.",
        engine=ENGINE,
        needs=("ground?",),
    )

    def apply(self, ground: Ground, scene: Scene, options: Damage, seed: int) -> np.ndarray:
        """The image (C, H, W) after it (operators.damage.damage)."""
        if ground.band("red") is None:
            raise CannotEdit(COLOURLESS)
        if ground.gsd_m > COARSEST_M:
            raise CannotEdit(
                f"At {ground.gsd_m:.3g} m a pixel single buildings are not seen. Damage needs a "
                f"layer of {COARSEST_M:g} m or finer."
            )
        hit = operator.hit_by(ground, options, seed)
        trees = options.cause in WINDS and (ground.cover.sure("tree") * scene.mask).any()
        if not hit.count(INTACT, BROKEN, DESTROYED, SWEPT) and not trees:
            raise CannotEdit(
                "No building is found in the polygon. Give their outlines (Known ground), or draw "
                "the polygon along the walls of one."
            )
        return operator.damage(ground, options, seed, hit)

    def found(self, ground: Ground, options: Damage, seed: int) -> list[str]:
        """How many buildings there are, and what became of them."""
        hit = operator.hit_by(ground, options, seed)
        every = hit.count(INTACT, BROKEN, DESTROYED, SWEPT)
        if not every:
            return ["No building is found in the polygon: trees and open ground alone are changed."]
        if hit.outlined:
            return ["No roof is recognised: the polygon is taken for the outline of a building."]
        one = "building" if every == 1 else "buildings"
        return [
            f"{hit.count(DESTROYED, SWEPT)} of {every} {one} destroyed, {hit.count(BROKEN)} "
            "damaged, as far as roofs are recognised."
        ]
