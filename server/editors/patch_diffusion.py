"""Variation and harmonise: closed-form single-image diffusion over the window's own patches."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo, option
from ..ground.errors import CannotEdit
from ..ground.optional import best_device
from ..models.noise import AnchoredNoise
from ..models.patch_modes import harmonised
from ..models.patch_sampler import Draw, Schedule, sample
from ..synthesis.pyramid import Level
from ..synthesis.scaling import Scaling
from .base import Editor, OnStep, Opt, Scene

ENGINE = "closed-form single-image diffusion (the window's own patches)"
FEWEST_PIXELS = 600


class _PatchDiffusion(Editor[Opt]):
    tile_px = 1024
    bytes_a_pixel = 900
    overlap_px = 64

    def context_px(self, side_px: int) -> int:
        """Patches come from the window, so it must hold enough ground."""
        return max(48, side_px // 3)

    def edit(
        self, scene: Scene, prompt: str, options: Opt, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Sample inside the mask."""
        usable = self.usable(scene)
        if usable.sum() < FEWEST_PIXELS:
            raise CannotEdit(
                f"{self.info.title} needs more ground: the window holds {int(usable.sum())} valid "
                "pixels."
            )
        scaling = Scaling.of(scene.image, usable)
        image = scaling.scaled(scene.image)
        drawing = Draw(AnchoredNoise(seed, scene.origin), best_device(), on_step)
        out = self.draw(Level(image, scene.mask, usable), options, drawing)
        kept = ~scene.mask & (not self.redraws_surroundings)
        return np.where(kept, scene.image, scaling.restored(out)).astype(np.float32)

    def usable(self, scene: Scene) -> np.ndarray:
        """Pixels whose patches may be used."""
        return scene.valid

    @abstractmethod
    def draw(self, window: Level, options: Opt, drawing: Draw) -> np.ndarray:
        """The window's image (C, H, W, scaled to about [-1, 1]) with its hole drawn anew."""


@dataclass(frozen=True)
class VariationOptions:
    """How much is new."""

    strength: float = option(
        "Strength",
        1.0,
        minimum=0.1,
        maximum=1.0,
        help="1: everything new. Less keeps the large shapes.",
    )
    resampling: int = option(
        "Turns a step",
        1,
        minimum=1,
        maximum=8,
        help=(
            "Each step is taken so often, with fresh noise in between (RePaint): slower, smoother."
        ),
    )


class Variation(_PatchDiffusion[VariationOptions]):
    """Another picture of the same kind of ground."""

    Options = VariationOptions
    info = EditorInfo(
        id="variation",
        title="Variation",
        description="Redraws the polygon as another sample of the same ground. A little smoother "
        "than the original.",
        engine=ENGINE,
    )

    def draw(self, window: Level, options: VariationOptions, drawing: Draw) -> np.ndarray:
        """Other versions of the window by the closed-form sampler (models.patch_sampler.sample)."""
        return sample(window, options.strength, drawing, Schedule(turns=options.resampling))


@dataclass(frozen=True)
class HarmoniseOptions:
    """How much is drawn anew, and where."""

    strength: float = option(
        "Strength",
        0.35,
        "How much is drawn anew: low keeps all but the seams.",
        minimum=0.05,
        maximum=0.8,
    )
    rim_px: int = option(
        "Only a rim of",
        0,
        unit="px",
        minimum=0,
        maximum=512,
        help="0: the whole polygon. Else only this far from its outline.",
    )


class Harmonise(_PatchDiffusion[HarmoniseOptions]):
    """Make a pasted or odd patch fit in."""

    Options = HarmoniseOptions
    redraws_surroundings = True
    info = EditorInfo(
        id="harmonise",
        title="Harmonise",
        description="Draws the polygon's rim, or all of it, lightly anew with patches of its "
        "surroundings, "
        "to hide seams and soften what was pasted.",
        engine=ENGINE,
    )

    def usable(self, scene: Scene) -> np.ndarray:
        """Patches of the surroundings where there are enough, else of everything."""
        around = scene.valid & ~scene.mask
        return around if around.sum() > 4 * FEWEST_PIXELS else scene.valid

    def draw(self, window: Level, options: HarmoniseOptions, drawing: Draw) -> np.ndarray:
        """The window with its seams drawn anew (models.patch_modes.harmonised)."""
        rim = options.rim_px
        hole = window.hole
        if rim:
            hole = hole & (ndimage.distance_transform_edt(hole) <= rim)
        drawn = harmonised(Level(window.image, hole, window.usable), options.strength, drawing)
        return np.where(window.hole & ~hole, window.image, drawn)
