"""Remove: the ground around the polygon goes on inside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo, option
from ..ground.errors import CannotEdit
from ..operators.cast_shadow import left_shadow
from ..operators.ground import Ground
from ..scene.network import COARSEST_M
from ..synthesis.pyramid import Level
from ..synthesis.remove import Removal, Removed, RemoveSettings, chosen
from ..synthesis.repeats import SHOWS
from .base import Editor, OnStep, Scene
from .operator import MOST_SEEN_PX, SEEN_M, ground_of, understood_of

STRANGERS = {
    "roof": (0.15, 0.12),
    "vehicle": (0.1, 0.04),
    "water": (2.0, 0.03),
    "tree": (0.35, 0.04),
    "paved": (2.0, 0.08),
    "bare": (2.0, 0.06),
}
"""Classes that are not copied in: by the share of the polygon from which on they are what is
removed (above 1: never), and the share of the ring around it below which they belong elsewhere."""
Around = tuple[slice, slice]
RING_M, EAVES_M = 4.0, 0.6
LEAST_GROUND = 0.25
"""Of the hole's pixels that there must be to copy from."""
PLAIN = 1.5
"""How much of a fill may show before that is said: of 17 results of three methods above it 15 were
graded sketches or wrong (benchmarks/removals.py)."""
CUTS = 2.0
"""Jump across the rim over jumps near it from which the polygon cuts through something."""
ENGINE = "exemplar-based inpainting (the layer's own pixels, patch by patch or in whole pieces)"


@dataclass(frozen=True)
class RemoveOptions:
    """From where the ground is copied."""

    reach_px: int = option(
        "Copy from within",
        40,
        unit="px",
        minimum=8,
        maximum=1024,
        help=("How far from the polygon ground is copied. Small values keep to the neighbourhood."),
    )
    guard: bool = option(
        "Do not copy look-alikes",
        True,
        help="Keeps other pixels that look like the removed object from being copied in.",
    )


class Remove(Editor[RemoveOptions]):
    """Exemplar-based inpainting; every band copies from the same place, so spectra stay real."""

    Options = RemoveOptions
    keeps_classes = True
    takes_away = True
    looks_around = True

    soft_edge = False
    bytes_a_pixel = 1000
    info = EditorInfo(
        id="remove",
        title="Remove",
        description="Takes an object away: the ground around the polygon goes on inside it. Draw "
        "the polygon generously and "
        "include the object's shadow.",
        engine=ENGINE,
    )

    def context_px(self, side_px: int) -> int:
        """Enough to copy from, also where the nearest ground is no good."""
        return max(64, side_px // 2)

    def edit(
        self, scene: Scene, prompt: str, options: RemoveOptions, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Fill the mask; needs some valid ground in the window."""
        if (scene.valid & ~scene.mask).sum() < 200:
            raise CannotEdit("There is too little valid ground around the polygon to copy from.")
        settings = RemoveSettings(reach_px=options.reach_px, guard=options.guard)
        window = Level(scene.image, scene.mask, scene.valid)
        near = self._near(scene, options)
        barred = None if near is None or not options.guard else _strangers(scene, near)
        removal = Removal(window, settings, barred)
        ground, hole = removal.ground()
        if ground < LEAST_GROUND * hole:
            unguarded = (
                Removal(window, replace(settings, guard=False)).ground()[0] if settings.guard else 0
            )
            also = (
                "let look-alikes be copied (option guard=false), "
                if unguarded >= LEAST_GROUND * hole
                else ""
            )
            raise CannotEdit(
                f"Only {ground:,} pixels of ground that can be copied lie around a hole of "
                f"{hole:,}, less than a quarter: it would be filled with stripes. Draw a smaller "
                f"polygon, {also}or use 'Fill like there' with an exemplar of what should be "
                "there."
            )
        if near is not None:
            _tell_of_shadow(near[1], on_step)
        return _best(removal, seed, on_step)

    def _near(self, scene: Scene, options: RemoveOptions) -> tuple[Around, Ground] | None:
        """The ground that is copied from and that shadows fall on: its rows and columns in the
        scene, and what it is; None where pixels or bands do not tell."""
        if scene.gsd_m > COARSEST_M or scene.band("red") is None:
            return None
        copied = max(2 * options.reach_px, self.context_px(max(scene.mask.shape)) // 2)
        reach = max(copied, round(SEEN_M / scene.gsd_m))
        where = _around(scene.mask, min(reach, MOST_SEEN_PX))
        part = scene.part(*where)
        parse = understood_of(part, self.models.understanding)
        return where, replace(ground_of(part), parse=parse)


def _strangers(scene: Scene, near: tuple[Around, Ground]) -> np.ndarray:
    """Things (H, W, bool) that are not to be copied in: of the kind that is removed, and of kinds
    that hardly lie right around the polygon."""
    where, ground = near
    hole = ground.mask
    ring = ndimage.binary_dilation(hole, iterations=max(6, round(RING_M / scene.gsd_m)))
    ring &= ~ndimage.binary_dilation(hole, iterations=2) & scene.valid[where]
    barred = np.zeros(hole.shape, bool)
    for name, (much, little) in STRANGERS.items():
        there = ground.cover.share(name) > 0.5
        if not ring.any() or there[hole].mean() > much or there[ring].mean() < little:
            barred |= there
    edge = max(1, round(EAVES_M / scene.gsd_m))
    whole = np.zeros_like(scene.mask)
    whole[where] = ndimage.binary_dilation(barred, iterations=edge) & ~hole
    return whole


def _tell_of_shadow(seen: Ground, on_step: OnStep) -> None:
    """Say where a shadow of what is removed would stay, because the polygon leaves it out."""
    side = left_shadow(seen)
    if side:
        note = (
            f"Its shadow stays: it lies outside of the polygon, towards the {side} of the "
            "picture. Draw the polygon around both, or let it grow to whole objects "
            "(whole_objects)."
        )
        on_step(0, 1, None, "", {"notes": [note]})


def _around(mask: np.ndarray, by_px: int) -> Around:
    """The rows and columns around a mask (H, W), and some more."""
    found = []
    for axis, side in ((1, mask.shape[0]), (0, mask.shape[1])):
        there = np.flatnonzero(mask.any(axis=axis))
        found.append(slice(max(int(there[0]) - by_px, 0), min(int(there[-1]) + by_px + 1, side)))
    return found[0], found[1]


def _best(removal: Removal, seed: int, on_step: OnStep) -> np.ndarray:
    """The fill of which least shows, and a plain word on what shows nevertheless."""
    made, tries = chosen(removal, seed, on_step)
    seen = made.verdict
    facts = {
        "way": made.way,
        "candidates": tries,
        "repeated": round(made.repeated, 3),
        "unlike": round(seen.unlike, 2),
        "grain": round(seen.grain, 2),
        "rim": round(seen.rim, 2),
    }
    on_step(1, 1, None, "", {"notes": _told(made, tries), **facts})
    return made.image


def _told(made: Removed, tries: int) -> list[str]:
    """What shows of a fill, most telling first, in at most one sentence of cause and cure."""
    if made.repeated > SHOWS:
        return [
            f"The fill repeats itself and may show stripes: {made.repeated:.0%} of it is copied "
            f"from the same few pixels, the best of {tries} tries. Draw a smaller polygon, "
            "copy from further away (option reach_px), or use 'Fill like there'."
        ]
    if made.shows <= PLAIN:
        return []
    if made.verdict.rim > CUTS:
        return [
            "The edge of the fill shows, in the best of "
            f"{tries} tries: the polygon's edge runs through something that stands out. Draw it "
            "around all of that, or leave it out."
        ]
    return [
        f"The fill shows, in the best of {tries} tries: there is too little ground like it around. "
        "Draw a smaller polygon, copy from further away (option reach_px), or use 'Fill like "
        "there'."
    ]
