"""What an editor of colour pictures sees of a layer, and how its edit goes back into all of the
layer's bands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..ground.errors import CannotEdit
from ..raster.bands import COLOURS, Roles
from ..synthesis.spectral import FROM_IMAGE, carried

RADAR = ("vv", "vh")


@dataclass(frozen=True)
class View:
    """Indices of red, green and blue among the data bands; the same thrice for a single band."""

    colours: tuple[int, int, int]
    others: tuple[int, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, roles: Roles, title: str) -> View:
        """The bands to show; raises CannotEdit where a layer has no colours."""
        found = [roles.index(role) for role in COLOURS]
        names = tuple(name or f"band {i + 1}" for i, name in enumerate(roles.names))
        if None not in found:
            red, green, blue = (int(i) for i in found if i is not None)
            others = tuple(i for i in range(len(names)) if i not in (red, green, blue))
            return cls((red, green, blue), others, names)
        if any(role in roles.names for role in RADAR):
            raise CannotEdit(
                f"{title} knows pictures in colour; this layer is radar ({', '.join(names)})."
            )
        if len(names) == 1:
            return cls((0, 0, 0), (), names)
        raise CannotEdit(
            f"{title} needs to know which bands are red, green and blue; of this layer's "
            f"{len(names)} they are "
            "not all named. State them (band roles; --band red=1 ...)."
        )

    def seen(self, image: np.ndarray) -> np.ndarray:
        """(3, H, W) of all data bands as an editor sees them."""
        return image[list(self.colours)]

    def back(
        self,
        image: np.ndarray,
        made: np.ndarray,
        where: tuple[np.ndarray, np.ndarray],
        others: str,
        told: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """All data bands with an edit (3, H, W) in them; `where`: what is drawn, what is ground;
        `others`: what the rest does."""
        out = image.copy()
        if len(set(self.colours)) == 1:
            out[0] = made.mean(axis=0)
            return out
        out[list(self.colours)] = made
        if others == FROM_IMAGE and self.others:
            rest = list(self.others)
            out[rest] = carried(image[list(self.colours)], image[rest], made, where, told)
        return out

    def note(self, others: str) -> str:
        """What became of the other bands, for the user; empty where there are none."""
        if not self.others:
            return ""
        rest = ", ".join(self.names[i] for i in self.others)
        if others == FROM_IMAGE:
            return (
                f"{rest}: found for the new colours among the window's own pixels; an "
                "estimate, not a measurement."
            )
        return f"{rest}: kept as before; they do not show the edit."
