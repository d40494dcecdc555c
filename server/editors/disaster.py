"""Flood and burn scar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators.fire import Burn, burn
from ..operators.flood import EITHER, LOWEST, Flood, flood
from ..operators.ground import Ground
from ..operators.standing import COARSEST_OBJECTS_M
from .base import Scene
from .operator import ENGINE, OperatorEditor

WET = 0.05
"""Change in brightness, of 1, from which on a pixel came under water."""
LITTLE_WET = 0.3
DEEPEST_M = 30.0
"""Of water that is said as a depth."""


class FloodEditor(OperatorEditor[Flood]):
    """Flood water up to a level, by an elevation model where there is one."""

    Options = Flood

    spares = "ground, roofs and crowns above the water stay"

    info = EditorInfo(
        id="flood",
        title="Flood",
        description="Floods the polygon, or what an elevation model shows below a water level "
        "inside it. "
        "Roofs and crowns may stay above water.",
        engine=ENGINE,
        needs=("elevation?", "ground?"),
    )

    def apply(self, ground: Ground, scene: Scene, options: Flood, seed: int) -> np.ndarray:
        """The image (C, H, W) under water (operators.flood.flood)."""
        heights = scene.elevation
        if heights is not None:
            least, most = _span(scene)
            if not np.isfinite(least):
                raise CannotEdit(
                    "The elevation model holds no height inside the polygon. Does it cover it?"
                )
            if _from_lowest(scene, options):
                heights = heights - _lowest(scene)
            elif least > options.level_m:
                raise CannotEdit(
                    f"The water level {options.level_m:g} m is below all the ground in the "
                    f"polygon, which lies from {least:.1f} to {most:.1f} m in the elevation "
                    f"model. Raise the level, for instance to {least + 1:.1f} m, or let it count "
                    "from the lowest ground."
                )
        return flood(ground, options, seed, heights)

    def notes(self, scene: Scene, options: Flood) -> list[str]:
        """At which height the water stands, and what of it cannot be shown."""
        return [*_unseen(scene, options), *self._levels(scene, options)]

    def made(
        self, ground: Ground, scene: Scene, options: Flood, seed: int
    ) -> tuple[np.ndarray, Mapping[str, Any]]:
        """The image (C, H, W) under water, and how many pixels it covers."""
        out = self.apply(ground, scene, options, seed)
        wet = np.abs(out - ground.image).max(axis=0) > WET
        counts = {"flooded": int((wet & scene.mask).sum()), "in_polygons": int(scene.mask.sum())}
        return out, {"counts": counts}

    def summary(self, facts: Mapping[str, Any]) -> Sequence[str]:
        """How little of the polygons came under water, where it is little."""
        counts = facts.get("counts", {})
        share = counts.get("flooded", 0) / max(counts.get("in_polygons", 0), 1)
        if not counts or share > LITTLE_WET:
            return ()
        return (
            f"Only {share:.0%} of the polygons came under water: the rest lies higher, or is taken "
            "for roofs, crowns and water that are there. Raise the level, or let the water cover "
            "what stands (option keep_tall).",
        )

    def _levels(self, scene: Scene, options: Flood) -> list[str]:
        """At which height the water stands."""
        level = options.level_m
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
            f"The water stands {level:g} m above the lowest ground of each polygon: at {where} in "
            "the elevation model."
        ]


def _unseen(scene: Scene, options: Flood) -> list[str]:
    """What was asked for and is too small to be seen."""
    told = []
    if scene.elevation is None and scene.band("red") is None and options.keep_tall:
        told.append(
            "One band does not tell roofs and crowns from the ground: all of it goes under water."
        )
    if not options.debris or scene.gsd_m <= COARSEST_OBJECTS_M:
        return told
    return [*told, f"At {scene.gsd_m:.3g} m a pixel no drifting debris is seen: none is drawn."]


def _from_lowest(scene: Scene, options: Flood) -> bool:
    """Whether the level counts from the lowest ground."""
    level = options.level_m
    least = _span(scene)[0]
    if options.counts_from == EITHER:
        return bool(0 < level <= DEEPEST_M and level < least)
    return bool(options.counts_from == LOWEST)


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


class BurnEditor(OperatorEditor[Burn]):
    """The scar of a vegetation fire: char, ash, and what was spared."""

    Options = Burn

    spares = "water, roads and roofs do not burn"

    info = EditorInfo(
        id="burn",
        title="Burn scar",
        description="Chars vegetation, with ash and unburned patches; water, roads and roofs are "
        "spared.",
        engine=ENGINE,
        needs=("ground?",),
    )

    def apply(self, ground: Ground, scene: Scene, options: Burn, seed: int) -> np.ndarray:
        """The image (C, H, W) burnt (operators.fire.burn)."""
        return burn(ground, options, seed)
