"""Weather, light and disaster operators as editors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo, Option
from ..ground.errors import CannotEdit
from ..operators.disaster import Burn, Flood, burn, flood
from ..operators.ground import Ground
from ..operators.weather import Fog, LowLight, Snow, estimated, fog, low_light, snow
from .base import Editor, OnStep, Scene

ENGINE = "physical scene operator (no weights)"
EITHER = "either"
ZERO = "the elevation model's zero"
LOWEST = "the lowest ground"
DEEPEST_M = 30.0
"""Of water that is said as a depth."""
FEWEST_FOG_PX = 16
"""Along a side of the real fog that is measured."""


class _Operator(Editor):
    """An operator makes its own soft border inside the polygon, so it needs no feather."""

    soft_edge = False

    def edit(
        self, scene: Scene, prompt: str, options: Mapping[str, Any], seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Apply the operator inside the mask."""
        ground = Ground(scene.image, scene.mask, scene.roles, scene.gsd_m, scene.origin)
        if not ground.optical:
            raise CannotEdit(
                f"{self.info.title} changes how things look in light; this layer is radar (VV, VH)."
            )
        on_step(0, 1)
        out = self.apply(ground, scene, options, seed)
        on_step(1, 1, None, "", {"notes": self.notes(scene, options)})
        return np.where(scene.mask, out, scene.image)

    def notes(self, scene: Scene, options: Mapping[str, Any]) -> list[str]:
        """What the user should know of how the options were taken here."""
        return []

    @abstractmethod
    def apply(
        self, ground: Ground, scene: Scene, options: Mapping[str, Any], seed: int
    ) -> np.ndarray:
        """The whole image (C, H, W) with the operator applied; `edit` keeps what is inside the
        mask."""


class FogEditor(_Operator):
    """Koschmieder fog."""

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
        options=(
            Option(
                "visibility_m",
                "number",
                250.0,
                "Visibility",
                minimum=10.0,
                maximum=20000.0,
                unit="m",
            ),
            Option(
                "thickness_m",
                "number",
                60.0,
                "Thickness of the layer",
                minimum=1.0,
                maximum=2000.0,
                unit="m",
            ),
            Option("patchiness", "number", 0.6, "Patchiness", minimum=0.0, maximum=1.0),
            Option(
                "patch_m", "number", 120.0, "Size of swaths", minimum=1.0, maximum=20000.0, unit="m"
            ),
        ),
    )

    def apply(
        self, ground: Ground, scene: Scene, options: Mapping[str, Any], seed: int
    ) -> np.ndarray:
        """See operators.weather.fog."""
        real = max(scene.exemplars, key=lambda patch: patch.image[0].size, default=None)
        seen = None
        if real is not None:
            inside = _largest_square(real.usable)
            if inside[0].stop - inside[0].start < FEWEST_FOG_PX:
                raise CannotEdit(
                    f"The exemplar shows too little fog: a square of {FEWEST_FOG_PX} pixels "
                    "without nodata, outside "
                    "the edited polygons, is needed."
                )
            seen = estimated(real.image[:, inside[0], inside[1]], scene.roles, scene.gsd_m)
        return fog(ground, Fog(**options), seed, scene.elevation, seen)


class SnowEditor(_Operator):
    """Snow cover."""

    spares = "open water, steep edges and crowns keep less snow"

    info = EditorInfo(
        id="snow",
        title="Snow",
        description="Covers the ground with snow; steep edges, crowns and open water keep less.",
        engine=ENGINE,
        options=(
            Option("cover", "number", 0.85, "Snow cover", minimum=0.0, maximum=1.0),
            Option("depth_cm", "number", 12.0, "Depth", minimum=0.5, maximum=300.0, unit="cm"),
            Option(
                "drift_m", "number", 8.0, "Size of patches", minimum=0.2, maximum=2000.0, unit="m"
            ),
            Option("keep_water", "boolean", True, "Open water stays open"),
        ),
    )

    def apply(
        self, ground: Ground, scene: Scene, options: Mapping[str, Any], seed: int
    ) -> np.ndarray:
        """See operators.weather.snow."""
        return snow(ground, Snow(**options), seed)


class LowLightEditor(_Operator):
    """Dusk and night."""

    info = EditorInfo(
        id="low-light",
        title="Low light",
        description="Dusk or night: less light on the sensor, with its shot and read noise.",
        engine=ENGINE,
        options=(
            Option(
                "light", "number", 0.18, "Light, as a share of daylight", minimum=0.002, maximum=1.0
            ),
            Option(
                "well_electrons",
                "number",
                6000.0,
                "Signal of white in daylight",
                minimum=50.0,
                maximum=1e6,
                unit="electrons",
            ),
            Option(
                "noise_electrons",
                "number",
                6.0,
                "Read noise",
                minimum=0.0,
                maximum=500.0,
                unit="electrons",
            ),
            Option("blue_shift", "number", 0.25, "Blue shift", minimum=0.0, maximum=1.0),
        ),
    )

    def apply(
        self, ground: Ground, scene: Scene, options: Mapping[str, Any], seed: int
    ) -> np.ndarray:
        """See operators.weather.low_light."""
        return low_light(ground, LowLight(**options), seed)


class FloodEditor(_Operator):
    """Flood water."""

    spares = "ground, roofs and crowns above the water stay"

    info = EditorInfo(
        id="flood",
        title="Flood",
        description="Floods the polygon, or what an elevation model shows below a water level "
        "inside it. "
        "Roofs and crowns may stay above water.",
        engine=ENGINE,
        needs=("elevation?",),
        options=(
            Option(
                "level_m",
                "number",
                1.5,
                "Water level",
                minimum=-500.0,
                maximum=9000.0,
                unit="m",
                help="With an elevation model: height of the water surface in its units. "
                "Without: depth in the middle of "
                "the polygon.",
            ),
            Option(
                "counts_from",
                "string",
                EITHER,
                "Level counts from",
                choices=(EITHER, ZERO, LOWEST),
                help="With an elevation model: from its zero, or from the lowest ground of each "
                "polygon. Either: from the "
                "zero, unless a small level is below all the ground.",
            ),
            Option(
                "clarity_m",
                "number",
                0.4,
                "Depth at which the ground fades",
                minimum=0.02,
                maximum=50.0,
                unit="m",
                help="In clear water; mud shortens it.",
            ),
            Option("mud", "number", 0.8, "Mud", minimum=0.0, maximum=1.0, help="0 clear, 1 brown."),
            Option("keep_tall", "boolean", True, "Roofs and crowns stay above water"),
            Option(
                "object_height_m",
                "number",
                3.0,
                "Their height",
                minimum=0.0,
                maximum=100.0,
                unit="m",
            ),
        ),
    )

    def apply(
        self, ground: Ground, scene: Scene, options: Mapping[str, Any], seed: int
    ) -> np.ndarray:
        """See operators.disaster.flood."""
        heights = scene.elevation
        how = {name: value for name, value in options.items() if name != "counts_from"}
        if heights is not None:
            least, most = _span(scene)
            if not np.isfinite(least):
                raise CannotEdit(
                    "The elevation model holds no height inside the polygon. Does it cover it?"
                )
            if _from_lowest(scene, options):
                heights = heights - _lowest(scene)
            elif least > options["level_m"]:
                raise CannotEdit(
                    f"The water level {options['level_m']:g} m is below all the ground in the "
                    "polygon, which lies from "
                    f"{least:.1f} to {most:.1f} m in the elevation model. Raise the level, for "
                    f"instance to {least + 1:.1f} m, "
                    "or let it count from the lowest ground."
                )
        return flood(ground, Flood(**how), seed, heights)

    def notes(self, scene: Scene, options: Mapping[str, Any]) -> list[str]:
        """At which height the water stands."""
        level = options["level_m"]
        if scene.elevation is None:
            deep = (
                f"No elevation model is given, so {level:g} m are taken as the depth in the "
                "middle of the polygon."
            )
            return [deep] if level > DEEPEST_M else []
        if not _from_lowest(scene, options):
            return [f"The water stands at {level:g} m of the elevation model."]
        levels = np.unique(_lowest(scene)[scene.mask])
        shown = [f"{low + level:.1f} m" for low in levels[np.isfinite(levels)]]
        where = shown[0] if len(shown) == 1 else f"{shown[0]} to {shown[-1]}"
        return [
            f"The water stands {level:g} m above the lowest ground of each polygon: at {where} "
            "in the elevation model."
        ]


def _from_lowest(scene: Scene, options: Mapping[str, Any]) -> bool:
    """Whether the level counts from the lowest ground."""
    level = options["level_m"]
    least = _span(scene)[0]
    if options["counts_from"] == EITHER:
        return bool(0 < level <= DEEPEST_M and level < least)
    return bool(options["counts_from"] == LOWEST)


def _span(scene: Scene) -> tuple[float, float]:
    """The lowest and the highest ground inside the polygons; not a number where no height is
    known."""
    assert scene.elevation is not None
    here = scene.elevation[scene.mask]
    known = here[np.isfinite(here)]
    return (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)


def _lowest(scene: Scene) -> np.ndarray:
    """Height (H, W) of the lowest ground of the polygon that a pixel lies in, or of the nearest
    one; not a number where none is known. What is protected or nodata in a polygon does not divide
    it."""
    assert scene.elevation is not None
    parts = ndimage.label(scene.mask, np.ones((3, 3)))[0] if scene.parts is None else scene.parts
    if not parts.any():
        return np.full(parts.shape, np.nan, np.float32)
    known = np.where(np.isfinite(scene.elevation), scene.elevation, np.inf)
    lows = np.concatenate(
        [[np.nan], np.atleast_1d(ndimage.minimum(known, parts, np.arange(1, int(parts.max()) + 1)))]
    )
    near = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    return np.where(np.isfinite(lows), lows, np.nan)[parts[near[0], near[1]]].astype(np.float32)


class BurnEditor(_Operator):
    """Burn scar."""

    spares = "water, roads and roofs do not burn"

    info = EditorInfo(
        id="burn",
        title="Burn scar",
        description="Chars vegetation, with ash and unburned patches; water, roads and roofs are "
        "spared.",
        engine=ENGINE,
        options=(
            Option("severity", "number", 0.7, "Severity", minimum=0.0, maximum=1.0),
            Option(
                "patch_m", "number", 40.0, "Size of patches", minimum=0.5, maximum=5000.0, unit="m"
            ),
            Option("ash", "number", 0.25, "Ash", minimum=0.0, maximum=1.0),
        ),
    )

    def apply(
        self, ground: Ground, scene: Scene, options: Mapping[str, Any], seed: int
    ) -> np.ndarray:
        """See operators.disaster.burn."""
        return burn(ground, Burn(**options), seed)


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
