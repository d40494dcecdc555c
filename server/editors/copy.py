"""Copy: the content of a source polygon at the target places."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..contract.editors import EditorInfo, option
from ..ground import memory
from ..ground.errors import CannotEdit
from ..ground.optional import best_device
from ..models.noise import AnchoredNoise
from ..models.patch_modes import content_copied
from ..models.patch_sampler import Draw
from ..operators.cast_shadow import Light, with_shadow
from ..operators.ground import Ground
from ..scene.network import COARSEST_M
from ..synthesis.copying import Source, copy
from ..synthesis.cut_out import alpha_of
from ..synthesis.pyramid import Level
from ..synthesis.scaling import Scaling
from .base import Editor, OnStep, Patch, Scene
from .operator import MOST_SEEN_PX, ground_of, understood_of
from .placing import PlacedOptions, set_out

FEWEST_PIXELS = 600
TURNED_BYTES = 40
"""What a turned pixel of a band takes."""
SHADED = 0.6
MOSTLY = 0.8
"""Share of a polygon that an object should cover."""
WHOLE, OBJECT = "all that is drawn", "the object alone"
GRADIENTS = "gradients"
PATCHES = "patch diffusion"
SUN_SEEN_M = 60.0
"""Surroundings whose shadows tell where the sun stands."""
SHORT = 0.4
"""Share of a shadow without room from which on that is said."""


@dataclass(frozen=True)
class CopyOptions(PlacedOptions):
    """How the source is turned, set out and blended in."""

    take: str = option(
        "Take",
        WHOLE,
        choices=(WHOLE, OBJECT),
        help="All that was drawn, with the ground around the object; or the object alone, cut out "
        "of its ground, for which it casts its shadow anew.",
    )
    method: str = option(
        "Blend by",
        GRADIENTS,
        choices=(GRADIENTS, PATCHES),
        help=(
            "Gradients fit the tone alone, keep the object as it is, and are fast; patch "
            "diffusion draws the content anew with the window's patches, which suits ground "
            "better than objects."
        ),
    )
    tone: float = option(
        "Keep the source's own tone",
        0.08,
        minimum=0.0,
        maximum=1.0,
        help="0: takes on the tone of the new place; 1: keeps its own.",
    )
    shadow: bool = option(
        "Casts a shadow",
        True,
        help="What stands up throws a shadow as the scene's sun does, as far as the polygon goes; "
        "where it brings its own, none is added, wherever that points.",
    )
    height_m: float = option(
        "Its height",
        0.0,
        unit="m",
        minimum=0.0,
        maximum=300.0,
        help="For the length of the shadow. 0: by its kind (a house 5 m, a tree 7 m, a car 1.6 m).",
    )


class Copy(Editor[CopyOptions]):
    """Pastes a source polygon's pixels, with their gradients kept and their tone fitted at the
    rim."""

    Options = CopyOptions
    keeps_classes = True

    soft_edge = False
    bytes_a_pixel = 1000
    info = EditorInfo(
        id="copy",
        title="Copy",
        description="Puts the content of a source polygon (drawn as the exemplar) into every "
        "target polygon, "
        "middle on middle, and blends it in.",
        engine="gradient-domain pasting (robust screened Poisson), or closed-form single-image "
        "diffusion",
        needs=("exemplar",),
    )

    def context_px(self, side_px: int) -> int:
        """Enough ground to go over into."""
        return 48

    def context_wanted(self, side_px: int, gsd_m: float, options: CopyOptions) -> int:
        """For a shadow, as much as tells where the sun stands."""
        if not options.shadow or gsd_m > COARSEST_M:
            return self.context_px(side_px)
        return int(np.clip(SUN_SEEN_M / max(gsd_m, 0.01), self.context_px(side_px), MOST_SEEN_PX))

    def edit(
        self, scene: Scene, prompt: str, options: CopyOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Paste the first exemplar; several are pasted in turn, seed by seed."""
        exemplars = [p for p in scene.exemplars if p.usable.any()]
        if not exemplars:
            raise CannotEdit(
                "Copy needs a source: draw the object to copy as the exemplar."
                if not scene.exemplars
                else "Nothing of the exemplar can be copied: it is nodata, or lies inside the "
                "edited polygons. Draw "
                "it around an object elsewhere."
            )
        on_step(0, 1)
        window = Level(scene.image, scene.mask, scene.valid)
        chosen = exemplars[seed % len(exemplars)]
        source = self._source(scene, chosen, options, on_step)
        height, width = source.turned_size(options.turn_degrees, options.scale)
        if (height, width) != source.usable.shape:
            needed = TURNED_BYTES * height * width * len(source.image)
            memory.check(needed, "Turning the exemplar")
        source = source.turned(options.turn_degrees, options.scale)
        window = set_out(window, source, options.count, on_step)
        laid, hole = copy(window, source, options.tone)
        share = hole.sum() / max(int((scene.mask & scene.valid).sum()), 1)
        if share < MOSTLY and source.alpha is None and options.count == 1:
            note = (
                f"The exemplar is smaller than the polygon: it covers {share:.0%} of it, and the "
                "rest stays as it is."
            )
            on_step(0, 1, None, "", {"notes": [note]})
        laid = self._shaded(scene, laid, hole, options, on_step)
        # A window too small for patches to learn from is left at that.
        if (
            options.method == GRADIENTS
            or source.alpha is not None
            or (scene.valid & ~scene.mask).sum() < FEWEST_PIXELS
            or min(hole.shape) < 24
        ):
            return laid
        scaling = Scaling.of(laid, scene.valid | hole)
        draw = Draw(AnchoredNoise(seed, scene.origin), best_device(), on_step)
        drawn = content_copied(Level(scaling.scaled(laid), hole, scene.valid), draw)
        return np.where(hole, scaling.restored(drawn), laid).astype(np.float32)

    def _source(
        self, scene: Scene, exemplar: Patch, options: CopyOptions, on_step: OnStep
    ) -> Source:
        """What is copied of an exemplar: all, or the object that stands out of it."""
        whole = Source(exemplar.image, exemplar.usable)
        if options.take == WHOLE:
            return whole
        shadow = np.zeros_like(exemplar.usable)
        if scene.gsd_m <= COARSEST_M and scene.band("red") is not None:
            ground = Ground(exemplar.image, exemplar.usable, scene.roles, scene.gsd_m)
            parse = self.models.understanding.of(ground, {})
            shadow = (parse.share("shadow") > SHADED) & exemplar.usable
        alpha = alpha_of(exemplar.image, exemplar.usable, shadow)
        if alpha is None:
            note = (
                "No object stands out of the ground in the exemplar, so all that was drawn is "
                "copied. Draw it around the object with a little ground on every side."
            )
            on_step(0, 1, None, "", {"notes": [note]})
            return whole
        return replace(whole, alpha=alpha)

    def _shaded(
        self,
        scene: Scene,
        laid: np.ndarray,
        hole: np.ndarray,
        options: CopyOptions,
        on_step: OnStep,
    ) -> np.ndarray:
        """The image (C, H, W) with the shadow of what was put in, where the picture tells how its
        sun stands."""
        if not options.shadow or scene.gsd_m > COARSEST_M or scene.band("red") is None:
            return laid
        understanding = self.models.understanding
        ground = ground_of(scene)
        light = Light.of(replace(ground, parse=understood_of(scene, understanding)))
        if light is None:
            return laid
        with_it = replace(ground, image=np.where(scene.mask & scene.valid, laid, ground.image))
        with_it = replace(with_it, parse=understanding.of(with_it, {}))
        shaded = with_shadow(with_it, light, hole, options.height_m)
        note = ""
        if shaded.other:
            note = (
                "What is copied brings a shadow that points another way than the scene's, so none "
                "is added. Turn it (option turn_degrees) until both agree."
            )
        elif shaded.tall and shaded.outside > SHORT:
            note = (
                f"{shaded.outside:.0%} of its shadow lies outside of the polygon: draw it larger "
                f"towards the {light.away} of the picture."
            )
        if note:
            on_step(0, 1, None, "", {"notes": [note]})
        return np.where(scene.mask & scene.valid, shaded.image, laid)
