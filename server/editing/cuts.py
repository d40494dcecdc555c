"""Pixels that an edit copies from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract.manifest import SearchReport
from ..editors.base import Patch
from ..raster.bands import Stretch


@dataclass(frozen=True)
class Cut:
    """What is copied from.

    `values`: (data bands, h, w) in the edited layer's units, stretched as the edited window is, so
    that a dark lake stays dark; or `seen`: from a raster of another type, and stretched already.
    `usable`: (h, w) bool, what may be copied. `log_weight`: by how much better it fits the words
    than another, as a log-odds; 0 for the best or a drawn one. `around`: (h, w) bool, what lies
    beside it and may be looked at too; None: nothing.
    """

    values: np.ndarray
    usable: np.ndarray
    log_weight: float = 0.0
    seen: bool = False
    around: np.ndarray | None = None

    def patch(self, stretch: Stretch) -> Patch:
        """As an editor sees it in a window with that stretch."""
        image = self.values if self.seen else stretch.normalise_data(self.values)
        known = self.usable if self.around is None else self.usable | self.around
        image = np.where(known, image, 0).astype(np.float32)
        return Patch(image, self.usable, self.log_weight, self.around)


@dataclass(frozen=True)
class Cuts:
    """What an edit copies from. `patches`: none where nothing is copied. `search`: how they were
    found; None: they were drawn, or not looked for."""

    patches: tuple[Cut, ...] = ()
    search: SearchReport | None = None
