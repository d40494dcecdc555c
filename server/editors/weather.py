"""Fog, snow, seasons and low light."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators.fog import Fog, estimated, fog
from ..operators.ground import Ground
from ..operators.low_light import LowLight, low_light
from ..operators.season import Season, season
from ..operators.snow import Snow, snow
from .base import Scene
from .operator import COLOURLESS, ENGINE, OperatorEditor

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
        """The image (C, H, W) in fog (operators.fog.fog)."""
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
        description="Covers the ground with snow: roofs and shadows keep their shape, crowns are "
        "twigs or needles with snow on them, roads may be tracked or cleared, open water stays.",
        engine=ENGINE,
        needs=("ground?",),
    )

    def apply(self, ground: Ground, scene: Scene, options: Snow, seed: int) -> np.ndarray:
        """The image (C, H, W) under snow (operators.snow.snow)."""
        return snow(ground, options, seed)


class LowLightEditor(OperatorEditor[LowLight]):
    """Less light, with its colour and the noise of a sensor."""

    Options = LowLight

    info = EditorInfo(
        id="low-light",
        title="Low light",
        description="Dusk or night: less light on the sensor, with its shot and read noise, no "
        "shadows of noon, and lamps along paved ground.",
        engine=ENGINE,
        needs=("ground?",),
    )

    def apply(self, ground: Ground, scene: Scene, options: LowLight, seed: int) -> np.ndarray:
        """The image (C, H, W) at dusk (operators.low_light.low_light)."""
        return low_light(ground, options, seed)


class SeasonEditor(OperatorEditor[Season]):
    """Another season, or a dry year, by what grows and what is wet."""

    Options = Season

    spares = "roofs, paved and bare ground stay"

    info = EditorInfo(
        id="season",
        title="Season and drought",
        description="Turns or takes leaves, dries or greens meadows, or lowers the water of rivers "
        "and shores; roofs, roads and bare ground stay as they are.",
        engine=ENGINE,
        needs=("ground?",),
    )

    def apply(self, ground: Ground, scene: Scene, options: Season, seed: int) -> np.ndarray:
        """The image (C, H, W) in that season (operators.season.season)."""
        if ground.band("red") is None:
            raise CannotEdit(COLOURLESS)
        return season(ground, options, seed)


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
