"""Trees, solar panels and copies of an object, set out in rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators import rows as operator
from ..operators.ground import Ground
from .base import Scene
from .operator import ENGINE, OperatorEditor
from .placing import cut_out

COARSEST_M = 1.5
"""Ground size of a pixel from which on a tree or a row of panels is no more than a speck."""


class RowsEditor(OperatorEditor[operator.Rows]):
    """Things that stand in rows, on the ground as it is."""

    Options = operator.Rows
    takes_things = True

    info = EditorInfo(
        id="rows",
        title="Set out in rows",
        description="Sets trees, solar panels or an object that you draw as the exemplar out in "
        "rows, along the middle of the polygon (a street, drawn or buffered from a line), or "
        "scattered, with shadows; the ground between them stays.",
        engine=ENGINE,
        needs=("ground?", "exemplar?"),
    )

    def made(
        self, ground: Ground, scene: Scene, options: operator.Rows, seed: int
    ) -> tuple[np.ndarray, Mapping[str, Any]]:
        """The image (C, H, W) with them (operators.rows.set_out), and how many."""
        if scene.gsd_m > COARSEST_M:
            raise CannotEdit(
                f"A pixel here is {scene.gsd_m:.3g} m wide: single trees and rows of panels do not "
                f"show from {COARSEST_M} m on. Use 'Fill like there' (solar farm, orchard, forest)."
            )
        some = operator.wanted(ground, options)
        if some > operator.MOST:
            raise CannotEdit(
                f"About {some:,} things would stand in the polygon, more than the "
                f"{operator.MOST:,} that are set out at once. Take larger spaces (options "
                "spacing_m, row_m), or a smaller polygon."
            )
        objects, notes = self._objects(scene, options)
        done = operator.set_out(ground, options, seed, objects)
        if options.thing == operator.TREES and not done.own:
            notes.append(
                "No single trees stand around whose crowns could be taken, so crowns are drawn. "
                "Draw one as the exemplar (option thing=the exemplar) for better ones."
            )
        return done.image, {"counts": {"set_out": done.count}, "notes": notes}

    def summary(self, facts: Mapping[str, Any]) -> Sequence[str]:
        """How many were set out; raises CannotEdit where there was room for none."""
        if "counts" not in facts:
            return ()
        if not facts["counts"]["set_out"]:
            raise CannotEdit(
                "There is no room in the polygon: nothing of what is set out fits in. Draw it "
                "larger, or take smaller spaces (options spacing_m, row_m)."
            )
        return ()

    def apply(self, ground: Ground, scene: Scene, options: operator.Rows, seed: int) -> np.ndarray:
        """The image (C, H, W) with them."""
        return self.made(ground, scene, options, seed)[0]

    def _objects(
        self, scene: Scene, options: operator.Rows
    ) -> tuple[list[operator.Thing], list[str]]:
        """The exemplars' objects, cut out; as drawn, with a word on it, where none stands out."""
        if options.thing != operator.OBJECT:
            return [], []
        found = []
        notes = []
        for patch in scene.exemplars:
            if not patch.usable.any():
                continue
            # Its own shadow stays: one is thrown anew.
            cut, _ = cut_out(scene, patch, self.models.understanding, own_shadow=False)
            if cut is not None:
                alpha = cut.alpha
            else:
                alpha = ndimage.gaussian_filter(patch.usable.astype(np.float32), 0.8) * patch.usable
                notes = [
                    "No object stands out of the ground in the exemplar, so all that was drawn is "
                    "set out. Draw it around the object with a little ground on every side."
                ]
            found.append(operator.Thing(patch.image, alpha))
        if not found:
            raise CannotEdit("Draw the object to set out in rows as the exemplar.")
        return found, notes
