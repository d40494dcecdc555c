"""Copy: the content of a source polygon at the target places."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo, option
from ..ground import memory
from ..ground.errors import CannotEdit
from ..ground.optional import best_device
from ..models.noise import AnchoredNoise
from ..models.patch_modes import content_copied
from ..models.patch_sampler import Draw
from ..operators.cast_shadow import Light, with_shadow
from ..scene.network import COARSEST_M
from ..synthesis.copying import OwnShadow, Source, copy, size_that_fits
from ..synthesis.pyramid import Level
from ..synthesis.scaling import Scaling
from .base import Editor, OnStep, Patch, Scene
from .operator import MOST_SEEN_PX, ground_of, understood_of
from .placing import PlacedOptions, cut_out, set_out

FEWEST_PIXELS = 600
TURNED_BYTES = 40
"""What a turned pixel of a band takes."""
MOSTLY = 0.8
"""Share of a polygon that an object should cover."""
BY_ITSELF, WHOLE, OBJECT = "what stands out", "all that is drawn", "the object alone"
GRADIENTS = "gradients"
PATCHES = "patch diffusion"
SUN_SEEN_M = 60.0
"""Surroundings whose shadows tell where the sun stands."""
WHOLLY = 0.9
FEWEST_LIT = 30
SHADE = 0.06
"""Share of an object from which on what is dark of it is its own shadow."""
ROOM = 0.97
LEAST_SIZE = 0.7
SHORT = 0.4
"""Share of a shadow without room from which on that is said."""


@dataclass(frozen=True)
class CopyOptions(PlacedOptions):
    """How the source is turned, set out and blended in."""

    take: str = option(
        "Take",
        BY_ITSELF,
        choices=(BY_ITSELF, WHOLE, OBJECT),
        help="What stands out of the ground at the outline, with its shadow, and all where nothing "
        "does; all that was drawn, with the ground around the object; or the object alone, cut "
        "out, for which it casts its shadow anew.",
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

    takes_things = True
    looks_around = True
    soft_edge = False
    spares = "the object that is copied covers no more"
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
        if options.count == 1:
            source = _made_to_fit(window, source, on_step)
        window = set_out(window, source, options.count, on_step)
        laid, hole = copy(window, source, options.tone)
        share = hole.sum() / max(int((scene.mask & scene.valid).sum()), 1)
        if share < MOSTLY and source.alpha is None and options.count == 1:
            note = (
                f"The exemplar is smaller than the polygon: it covers {share:.0%} of it, and the "
                "rest stays as it is."
            )
            on_step(0, 1, None, "", {"notes": [note]})
        if options.count == 1:
            _tell_cut_off(source, hole, scene.mask, on_step)
        if source.shadow is None:
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
        whole = Source(np.where(exemplar.usable, exemplar.image, 0), exemplar.usable)
        by_itself = options.take == BY_ITSELF
        if options.take == WHOLE or (by_itself and options.method == PATCHES):
            return whole
        if by_itself and scene.band("red") is None:
            return whole
        # Its own shadow comes along as it lies, unless it would point another way.
        own = by_itself and options.shadow and not options.turn_degrees and options.scale == 1
        found, shadow = cut_out(scene, exemplar, self.models.understanding, own)
        if found is None or (by_itself and not found.clear):
            if not by_itself:
                note = (
                    "No object stands out of the ground in the exemplar, so all that was drawn is "
                    "copied. Draw it around the object with a little ground on every side."
                )
                on_step(0, 1, None, "", {"notes": [note]})
            return whole
        usable = exemplar.usable | (found.alpha > 0)
        image = _without_ground(exemplar.image, usable, found.alpha)
        own_shadow = _own_shadow(exemplar.image, usable, found.alpha, shadow) if own else None
        return Source(image, usable, found.alpha, own_shadow)

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


def _without_ground(image: np.ndarray, usable: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """An exemplar's bands (C, h, w) with what shines through at the object's soft edge taken out:
    a pixel there is the object's nearest whole one."""
    whole = alpha > WHOLLY
    if not whole.any():
        return np.where(usable, image, 0)
    near = ndimage.distance_transform_edt(~whole, return_distances=False, return_indices=True)
    return np.where(usable, image[:, near[0], near[1]], 0)


def _own_shadow(
    image: np.ndarray, usable: np.ndarray, alpha: np.ndarray, shadow: np.ndarray
) -> OwnShadow | None:
    """The shadow (h, w) that a cut out object brings; None: hardly any."""
    shade = shadow & (alpha > 0.5)
    lit = usable & (alpha < 0.1) & ~shadow
    if shade.sum() < SHADE * alpha.sum() or lit.sum() < FEWEST_LIT:
        return None
    share = ndimage.gaussian_filter(shade.astype(np.float32), 0.6)
    return OwnShadow(share, np.median(image[:, lit], axis=1))


def _made_to_fit(window: Level, source: Source, on_step: OnStep) -> Source:
    """A source a little smaller where that gives an object room in the polygon, and says so."""
    size = size_that_fits(window, source, LEAST_SIZE)
    if size == 1:
        return source
    note = (
        f"The object was made {1 - size:.0%} smaller, so that the polygon has room for all of it. "
        "Draw the polygon larger to keep its size."
    )
    on_step(0, 1, None, "", {"notes": [note]})
    return source.turned(0, size)


def _tell_cut_off(source: Source, hole: np.ndarray, mask: np.ndarray, on_step: OnStep) -> None:
    """Say where one object has no room in its polygon."""
    if source.alpha is None:
        return
    parts = max(int(ndimage.label(mask, np.ones((3, 3)))[1]), 1)
    whole = float((source.alpha > 0.5).sum()) * parts
    if hole.sum() < ROOM * whole:
        note = (
            f"The object has no room in the polygon: {1 - hole.sum() / whole:.0%} of it was cut "
            "off. Draw the polygon larger, or take a smaller size."
        )
        on_step(0, 1, None, "", {"notes": [note]})
