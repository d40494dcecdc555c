"""Lakes, ponds and pools."""

from __future__ import annotations

import numpy as np

from ..contract.editors import EditorInfo
from ..operators import lake as operator
from ..operators.ground import Ground
from .base import Scene
from .operator import ENGINE, OperatorEditor


class LakeEditor(OperatorEditor[operator.Lake]):
    """Water in place of what is there, with a shore."""

    Options = operator.Lake

    info = EditorInfo(
        id="lake",
        title="Lake or pool",
        description="Puts a lake, pond or swimming pool into the polygon: a natural shore with a "
        "bank, the colour of the layer's own water, the bed showing through where it is shallow, "
        "shadows of what stands around.",
        engine=ENGINE,
        needs=("ground?",),
    )

    def apply(self, ground: Ground, scene: Scene, options: operator.Lake, seed: int) -> np.ndarray:
        """The image (C, H, W) with it (operators.lake.lake)."""
        return operator.lake(ground, options, seed)
