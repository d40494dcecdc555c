"""Bands of another kind, made from those a layer has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract.editors import EditorInfo, NoOptions, option
from ..models import colours, near_infrared
from ..operators import radar
from ..synthesis.resampling import BILINEAR, resized
from .base import Editor, OnStep, Scene

FEWEST_PX = 64
"""Of the network's pixels along a side, below which it sees too little ground to tell what is
smooth."""
CONTEXT_M = 400.0
"""Surroundings from which brightness and contrast of the picture are taken."""


class NearInfrared(Editor[NoOptions]):
    """A near-infrared band for colour imagery, by the project's own network."""

    soft_edge = False
    info = EditorInfo(
        id="near-infrared",
        title="Near infrared from colours",
        description="Appends a near-infrared band, estimated from colours and texture; the bands "
        "there are stay bit for bit. For "
        "false-colour views and plausible vegetation indices, not for measurements.",
        engine="near-infrared network (multi-scale colour and texture, trained on NAIP and "
        "Sentinel-2)",
        bands="rgb",
        makes=("nir",),
    )

    def context_wanted(self, side_px: int, gsd_m: float, options: NoOptions) -> int:
        """Enough ground for the picture's own brightness and contrast."""
        return int(min(max(CONTEXT_M / max(gsd_m, 1e-6), 64), 1024))

    def edit(
        self, scene: Scene, prompt: str, options: NoOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """The band (1, H, W), in the units of the colours."""
        scale = _Scale.of(scene)
        small, valid = scale.shrunk(scene)
        made = scale.enlarged(
            near_infrared.near_infrared(small, valid, on_step)[None], scene.filled(), small
        )
        notes = [
            "The near-infrared band is an estimate from colours and texture; indices made of it "
            "are no measurements."
        ]
        on_step(
            1, 1, None, "", {"notes": notes + scale.notes(), "worked_at_m": round(scale.gsd_m, 3)}
        )
        return np.maximum(made, 0).astype(np.float32)


class ColoursFromInfrared(Editor[NoOptions]):
    """Red, green and blue for a near-infrared band, by the project's own network."""

    soft_edge = False
    info = EditorInfo(
        id="infrared-colours",
        title="Colours from near infrared",
        description="Makes a layer of red, green and blue from near infrared alone, on the same "
        "grid: a guess at colours, to be "
        "looked at. What one band does not tell (bare soil or leaves) it cannot know.",
        engine="colour network (multi-scale brightness and texture, trained on NAIP)",
        bands="nir",
        makes=("red", "green", "blue"),
        new_layer=True,
    )

    def context_wanted(self, side_px: int, gsd_m: float, options: NoOptions) -> int:
        """As for the near infrared."""
        return int(min(max(CONTEXT_M / max(gsd_m, 1e-6), 64), 1024))

    def edit(
        self, scene: Scene, prompt: str, options: NoOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """The colours (3, H, W) in 0 ... 1."""
        scale = _Scale.of(scene)
        small, valid = scale.shrunk(scene)
        made = scale.enlarged(colours.colours(small[0], valid, on_step), scene.filled(), small)
        notes = [
            "The colours are a guess from near infrared alone; do not classify or measure by them."
        ]
        on_step(
            1, 1, None, "", {"notes": notes + scale.notes(), "worked_at_m": round(scale.gsd_m, 3)}
        )
        return np.clip(made, 0, 1).astype(np.float32)


@dataclass(frozen=True)
class RadarOptions:
    """By which backscatter the ground is told apart."""

    water_db: float = option(
        "Water below",
        -14.0,
        unit="dB",
        minimum=-40.0,
        maximum=0.0,
        help=("Of VV without speckle; wind on water needs a higher value, dry sand a lower one."),
    )
    built_db: float = option(
        "Buildings above", -3.0, unit="dB", minimum=-20.0, maximum=30.0, help="Of VV."
    )


class ColoursFromRadar(Editor[RadarOptions]):
    """Red, green and blue for radar backscatter, by rules."""

    Options = RadarOptions

    soft_edge = False
    info = EditorInfo(
        id="radar-colours",
        title="Colours from radar",
        description="Makes a layer of red, green and blue from radar (VV, with VH where there is "
        "one), on the same grid: dark "
        "smooth ground as water, volume scatter as plants, strong echoes as buildings. Radar "
        "itself holds no colour.",
        engine="backscatter rules (Lee filter, radar vegetation index; no weights)",
        bands="radar",
        makes=("red", "green", "blue"),
        new_layer=True,
    )

    def context_px(self, side_px: int) -> int:
        """What the filters reach."""
        return 32

    def edit(
        self, scene: Scene, prompt: str, options: RadarOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """The colours (3, H, W) in 0 ... 1."""
        db = scene.filled() * (radar.TOP_DB - radar.FLOOR_DB) + radar.FLOOR_DB
        vv = db[0]
        vh = db[1] if len(db) > 1 else None
        notes = ["The colours are chosen by rules from backscatter; radar measures none."]
        if vh is None:
            notes.append(
                "Without VV and VH together, plants are told from bare ground by brightness "
                "alone: often wrong."
            )
        on_step(0, 1)
        made = radar.colours(vv, vh, radar.Reading(options.water_db, options.built_db))
        on_step(1, 1, None, "", {"notes": notes})
        return made


@dataclass(frozen=True)
class _Scale:
    """The grid on which the networks work: that of the scene, or averaged down to the ground size
    they know."""

    gsd_m: float
    scene_gsd_m: float
    shape: tuple[int, int]

    @classmethod
    def of(cls, scene: Scene) -> _Scale:
        working = min(max(scene.gsd_m, near_infrared.FINEST_GSD_M), near_infrared.COARSEST_GSD_M)
        height, width = (
            max(1, round(side * min(scene.gsd_m / working, 1.0))) for side in scene.mask.shape
        )
        return cls(max(scene.gsd_m, working), scene.gsd_m, (height, width))

    def shrunk(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """Image and validity on it."""
        valid = resized(scene.valid[None].astype(np.float32), self.shape, BILINEAR)[0] > 0.99
        if not valid.any():
            valid[:] = True
        return resized(scene.filled(), self.shape, BILINEAR), valid

    def enlarged(self, made: np.ndarray, seen: np.ndarray, small: np.ndarray) -> np.ndarray:
        """What was made, on the scene's grid; detail finer than that is that of the brightness of
        what was `seen`."""
        shape = seen.shape[1:]
        whole = resized(made, shape, BILINEAR)
        if shape == self.shape:
            return whole
        light, smooth = (
            part.mean(axis=0, keepdims=True) for part in (seen, resized(small, shape, BILINEAR))
        )
        return whole * np.clip((light + 0.02) / (smooth + 0.02), 0.25, 4)

    def notes(self) -> list[str]:
        """What the user should know of the ground size."""
        found = []
        if self.scene_gsd_m > near_infrared.COARSEST_GSD_M * 1.05:
            found.append(
                f"The network works at {near_infrared.FINEST_GSD_M:g} to "
                f"{near_infrared.COARSEST_GSD_M:g} m a pixel; this layer has "
                f"{self.scene_gsd_m:.3g} m."
            )
        if min(self.shape) < FEWEST_PX:
            found.append(
                f"The window is only {min(self.shape) * self.gsd_m:.0f} m wide: too little ground "
                "to tell water from meadows by their surroundings."
            )
        return found
