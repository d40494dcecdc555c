"""Trees, solar panels and copies of an object, set out in rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators import rows as operator
from ..operators.ground import Ground
from ..synthesis.cut_out import alpha_of
from .base import Scene
from .operator import ENGINE, OperatorEditor

COARSEST_M = 1.5
"""Ground size of a pixel from which on a tree or a row of panels is no more than a speck."""


class RowsEditor(OperatorEditor[operator.Rows]):
    """Things that stand in rows, on the ground as it is."""

    Options = operator.Rows

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
        done = operator.set_out(ground, options, seed, self._objects(scene, options))
        if not done.count:
            raise CannotEdit(
                "There is no room in the polygon: nothing of what is set out fits in. Draw it "
                "larger, or take smaller spaces (options spacing_m, row_m)."
            )
        notes = []
        if options.thing == operator.TREES and not done.own:
            notes.append(
                "No single trees stand around whose crowns could be taken, so crowns are drawn. "
                "Draw one as the exemplar (option thing=the exemplar) for better ones."
            )
        return done.image, {"set_out": done.count, "notes": notes}

    def apply(self, ground: Ground, scene: Scene, options: operator.Rows, seed: int) -> np.ndarray:
        """The image (C, H, W) with them."""
        return self.made(ground, scene, options, seed)[0]

    def _objects(self, scene: Scene, options: operator.Rows) -> list[operator.Thing]:
        """The exemplars' objects, cut out; as drawn where none stands out."""
        if options.thing != operator.OBJECT:
            return []
        found = []
        for patch in scene.exemplars:
            if not patch.usable.any():
                continue
            alpha = alpha_of(patch.image, patch.usable, np.zeros_like(patch.usable))
            soft = patch.usable.astype(np.float32) if alpha is None else alpha
            found.append(operator.Thing(patch.image, soft))
        if not found:
            raise CannotEdit("Draw the object to set out in rows as the exemplar.")
        return found
