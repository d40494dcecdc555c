"""A car park, houses on plots or a vineyard, laid out by plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators import plots as operator
from ..operators.ground import Ground
from .base import Scene
from .operator import COLOURLESS, ENGINE, OperatorEditor

COARSEST_M = {operator.PARKING: 1.0, operator.HOUSES: 1.2, operator.VINES: 0.8}
"""Ground size of a pixel from which on bays, roofs or rows no longer show."""

COUNTED = {operator.PARKING: "bays", operator.HOUSES: "houses", operator.VINES: "rows"}
MOST_M2 = 500_000.0
"""Ground that is laid out at once: some 10,000 cars."""


class PlotsEditor(OperatorEditor[operator.Plots]):
    """Ground with a plan: what is in the polygon goes."""

    Options = operator.Plots

    info = EditorInfo(
        id="plots",
        title="Lay out by plan",
        description="Lays a car park with bays, houses on plots along a street, or a vineyard out "
        "in the polygon, along its longest side, in the layer's own colours and light.",
        engine=ENGINE,
        needs=("ground?",),
    )

    def made(
        self, ground: Ground, scene: Scene, options: operator.Plots, seed: int
    ) -> tuple[np.ndarray, Mapping[str, Any]]:
        """The image (C, H, W) with it (operators.plots.lay_out), and how much of it there is."""
        if scene.band("red") is None:
            raise CannotEdit(COLOURLESS)
        coarsest = COARSEST_M[options.thing]
        if scene.gsd_m > coarsest:
            raise CannotEdit(
                f"A pixel here is {scene.gsd_m:.3g} m wide: what is laid out by plan shows up to "
                f"{coarsest:g} m. Use 'Fill like there'."
            )
        area = float(ground.mask.sum()) * ground.gsd_m**2
        if area > MOST_M2:
            raise CannotEdit(
                f"{area / 10_000:,.0f} ha are more than the {MOST_M2 / 10_000:,.0f} ha that are "
                "laid out at once. Take a smaller polygon."
            )
        done = operator.lay_out(ground, options, seed)
        return done.image, {"counts": {COUNTED[options.thing]: done.count}}

    def summary(self, facts: Mapping[str, Any]) -> Sequence[str]:
        """How much was laid out; raises CannotEdit where there was room for nothing."""
        if "counts" not in facts:
            return ()
        bays, houses, rows = (facts["counts"].get(name, 0) for name in COUNTED.values())
        if not (bays or houses or rows):
            raise CannotEdit(
                "There is no room in the polygon for what is laid out: a bay takes 2.5 m by 5.2 m, "
                "a plot 17 m by about 20 m, a row of vines 2.3 m. Draw it larger."
            )
        if bays:
            return (f"{bays:,} bays were laid out.",)
        if houses:
            return (f"{houses:,} houses were laid out.",)
        return (f"{rows:,} rows of vines were laid out.",)

    def apply(self, ground: Ground, scene: Scene, options: operator.Plots, seed: int) -> np.ndarray:
        """The image (C, H, W) with it."""
        return self.made(ground, scene, options, seed)[0]
