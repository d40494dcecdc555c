"""Damage to buildings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators import damage as operator
from ..operators.buildings import BROKEN, DESTROYED, INTACT, SWEPT
from ..operators.cast_shadow import left_shadow
from ..operators.damage import TSUNAMI, WINDS, Damage
from ..operators.ground import Ground
from .base import Scene
from .operator import COLOURLESS, ENGINE, OperatorEditor

_DRAW = "Give their outlines (Known ground), or draw the polygon along the walls of one."
_CUT = "Its edge cuts through those that are there: draw it around all of them."
COARSEST_M = 3.0
"""At a coarser ground size a house is a pixel or two."""


class DamageEditor(OperatorEditor[Damage]):
    """Buildings that are broken or rubble, with debris around them."""

    Options = Damage

    spares = "ground between the buildings and cleared roads stay"

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
        return self.made(ground, scene, options, seed)[0]

    def made(
        self, ground: Ground, scene: Scene, options: Damage, seed: int
    ) -> tuple[np.ndarray, Mapping[str, Any]]:
        """The same, with how many buildings there are, and what became of them."""
        if ground.band("red") is None:
            raise CannotEdit(COLOURLESS)
        if ground.gsd_m > COARSEST_M:
            raise CannotEdit(
                f"At {ground.gsd_m:.3g} m a pixel single buildings are not seen. Damage needs a "
                f"layer of {COARSEST_M:g} m or finer."
            )
        hit = operator.hit_by(ground, options, seed, scene.alone)
        counts = {
            "buildings": hit.count(INTACT, BROKEN, DESTROYED, SWEPT),
            "destroyed": hit.count(DESTROYED, SWEPT),
            "damaged": hit.count(BROKEN),
            "outlined": hit.outlined,
            "portions": hit.portions,
            "cut": hit.cut,
            "without": int(self._else_hit(ground, scene, options)),
        }
        if scene.alone:
            _require(counts)
        side = left_shadow(ground, hit.are(DESTROYED, SWEPT))
        shadow = (
            [
                "The shadow of a building that fell stays where it lies outside of the polygon, "
                f"towards the {side} of the picture. Draw the polygon around both."
            ]
            if side
            else []
        )
        image = operator.damage(ground, options, seed, hit)
        return image, {"counts": counts, "notes": shadow}

    def _else_hit(self, ground: Ground, scene: Scene, options: Damage) -> bool:
        """Whether something that is no building is hit too: trees, and ground that a wave covers
        with mud."""
        cover = ground.cover
        trees = options.cause in WINDS and bool((cover.sure("tree") * scene.mask).any())
        open_ground = (1 - cover.sure("water")) * scene.mask
        return trees or (options.cause == TSUNAMI and bool((open_ground > 0.5).any()))

    def summary(self, facts: Mapping[str, Any]) -> list[str]:
        """How many buildings there are, and what became of them."""
        counts = facts.get("counts", {})
        if not counts:
            return []
        _require(counts)
        every = counts["buildings"]
        if not every:
            return ["No building is found in the polygon: trees and open ground alone are changed."]
        one = "building" if every == 1 else "buildings"
        told = [
            f"{counts['destroyed']} of {every} {one} destroyed, {counts['damaged']} damaged, as "
            "far as roofs are recognised."
        ]
        if counts["outlined"]:
            told.append(_of(counts["outlined"]) + " taken for outlines: no roof is recognised.")
        if counts["portions"]:
            some = counts["portions"]
            told.append(
                f"{some} of them {'reaches' if some == 1 else 'reach'} out of the polygon, and "
                f"{'breaks' if some == 1 else 'break'} inside it alone."
            )
        if counts["cut"]:
            told.append(
                f"{counts['cut']} more {'stays' if counts['cut'] == 1 else 'stay'}: the "
                "polygon's edge cuts through."
            )
        return told


def _require(counts: Mapping[str, int]) -> None:
    """Raise CannotEdit where there is nothing to damage."""
    if not counts["buildings"] and not counts["without"]:
        cut = counts["cut"]
        raise CannotEdit(f"No building is found in the polygon. {_CUT if cut else _DRAW}")


def _of(count: int) -> str:
    """How many polygons are something."""
    return "1 polygon is" if count == 1 else f"{count} polygons are"
