"""Fog, snow and low light."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators.ground import Ground
from ..operators.weather import Fog, LowLight, Snow, estimated, fog, low_light, snow
from .base import Scene
from .operator import ENGINE, OperatorEditor

FEWEST_FOG_PX = 16
"""Along a side of the real fog that is measured."""


class FogEditor(OperatorEditor[Fog]):
    """Fog by Koschmieder's law, thicker in valleys where heights are known."""

    Options = Fog

    matches_exemplars = False

    info = EditorInfo(
        id="fog",
        title="Fog",
        description="Lays fog or haze over the polygon: scattering by Koschmieder's law, in "
        "swaths; with an elevation model in "
        "the valleys, with an exemplar (fog in a real picture) as thick and as bright as it is "
        "there.",
        engine=ENGINE,
        needs=("exemplar?", "elevation?"),
    )

    def apply(self, ground: Ground, scene: Scene, options: Fog, seed: int) -> np.ndarray:
        """The image (C, H, W) in fog (operators.weather.fog)."""
        real = max(scene.exemplars, key=lambda patch: patch.image[0].size, default=None)
        seen = None
        if real is not None:
            inside = _largest_square(real.usable)
            if inside[0].stop - inside[0].start < FEWEST_FOG_PX:
                raise CannotEdit(
                    f"The exemplar shows too little fog: a square of {FEWEST_FOG_PX} pixels "
                    "without nodata, outside the edited polygons, is needed."
                )
            seen = estimated(real.image[:, inside[0], inside[1]], scene.roles, scene.gsd_m)
        return fog(ground, options, seed, scene.elevation, seen)


class SnowEditor(OperatorEditor[Snow]):
    """Snow on what is not steep, wet or shaded, by its depth."""

    Options = Snow

    spares = "open water, steep edges and crowns keep less snow"

    info = EditorInfo(
        id="snow",
        title="Snow",
        description="Covers the ground with snow; steep edges, crowns and open water keep less.",
        engine=ENGINE,
    )

    def apply(self, ground: Ground, scene: Scene, options: Snow, seed: int) -> np.ndarray:
        """The image (C, H, W) under snow (operators.weather.snow)."""
        return snow(ground, options, seed)


class LowLightEditor(OperatorEditor[LowLight]):
    """Less light, with its colour and the noise of a sensor."""

    Options = LowLight

    info = EditorInfo(
        id="low-light",
        title="Low light",
        description="Dusk or night: less light on the sensor, with its shot and read noise.",
        engine=ENGINE,
    )

    def apply(self, ground: Ground, scene: Scene, options: LowLight, seed: int) -> np.ndarray:
        """The image (C, H, W) at dusk (operators.weather.low_light)."""
        return low_light(ground, options, seed)


def _largest_square(usable: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a square, as large as the distance to what is not usable allows; empty
    where nothing is usable."""
    if not usable.any():
        return slice(0, 0), slice(0, 0)
    depth = ndimage.distance_transform_cdt(np.pad(usable, 1), "chessboard")[1:-1, 1:-1]
    row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    reach = max(int(depth[row, col]) - 1, 0)
    return slice(int(row) - reach, int(row) + reach + 1), slice(
        int(col) - reach, int(col) + reach + 1
    )
