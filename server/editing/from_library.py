"""Exemplars for a word out of a library, brought to the light and the sensor of the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from ..contract.manifest import SearchReport
from ..editors.models import Models
from ..ground.errors import NotFoundInLayer
from ..library.chips import SIDES, Chip, shipped_picture
from ..library.fitting import Surroundings, fitted
from ..library.shelf import fitting
from ..raster.bands import Stretch, stretch_of
from ..raster.grid import Box
from ..raster.raster import Block
from ..scene.parse import Parse
from ..synthesis.nearest import filled
from .cuts import Cut, Cuts
from .ground_size import size_of_picture
from .keeping import exemplar_of, understood
from .source import Source

SEEN_M = 120.0
SEEN_PX = (256, 640)
"""Surroundings whose light and tone are taken, and their side in pixels, least and most."""
LEAST_USABLE = 150
IN_ROWS = 0.5
SAME_WAY = 8.0
"""Coherence from which a picture has rows, and degrees within which those of two run alike."""


@dataclass(frozen=True)
class Wanted:
    """What is looked for. `word`: its name. `looked`: what came of looking for it in the layer, as
    the end of a sentence; empty: it was not. `seed`: another may bring other chips."""

    word: str
    looked: str
    seed: int


def from_library(
    wanted: Wanted, source: Source, models: Models, shapes: Sequence[BaseGeometry]
) -> Cuts:
    """Chips that show a word, as the layer would show them. Raises NotFoundInLayer."""
    having = models.library.having(wanted.word)
    before = f"'{wanted.word}' {wanted.looked} " if wanted.looked else ""
    if not having:
        raise NotFoundInLayer(
            f"{before}No library of exemplars holds '{wanted.word}' either: draw an exemplar, or "
            "keep one under that word."
        )
    if not _is_picture(source):
        raise NotFoundInLayer(
            f"{before}The library's exemplars are pictures in red, green and blue; this layer "
            "shows something else. State its bands where the file does not (--band red=1, Bands "
            "in the panel), or draw an exemplar."
        )
    scene, stretch = surroundings(source, models, shapes)
    chosen = fitting(having, scene, wanted.word, wanted.seed)
    if not chosen:
        sizes = sorted(chip.gsd_m for chip in having)
        raise NotFoundInLayer(
            f"{before}The library's exemplars of '{wanted.word}' have pixels of {sizes[0]:.2g} to "
            f"{sizes[-1]:.2g} m, the layer of {scene.gsd_m:.3g} m: too far apart. Draw an exemplar."
        )
    patches, taken = _fitted(chosen, wanted, (scene, stretch), models)
    if not patches:
        raise NotFoundInLayer(f"{before}The library's exemplars are too small on this layer.")
    pixels = sum(int(cut.usable.sum()) for cut in patches)
    report = SearchReport(
        wanted.word, "library", (), pixels, tuple(chip.id for chip in taken), credits_of(taken)
    )
    return Cuts(tuple(patches), report)


def _fitted(
    chosen: Sequence[Chip], wanted: Wanted, layer: tuple[Surroundings, Stretch], models: Models
) -> tuple[list[Cut], list[Chip]]:
    """Chips as the layer would show them, and which: those with enough to copy from, and none whose
    rows run another way than those of the first."""
    scene, stretch = layer
    patches: list[Cut] = []
    taken: list[Chip] = []
    first: float | None = None
    for number, chip in enumerate(chosen):
        parse = None if chip.own else _understood(chip, models)
        exemplar = exemplar_of(chip, wanted.word, parse, scene.gsd_m)
        seen, usable = fitted(exemplar, scene, wanted.seed + number)
        if usable.sum() < LEAST_USABLE:
            continue
        along = row_direction(seen, usable)
        first = along if not patches else first
        if not _alike(first, along):
            continue
        patches.append(Cut(_native(seen, stretch), usable))
        taken.append(chip)
    return patches, taken


def _alike(one: float | None, other: float | None) -> bool:
    """Whether both have no rows, or rows that run the same way."""
    if one is None or other is None:
        return one is other
    return apart(one, other) <= SAME_WAY


def row_direction(seen: np.ndarray, usable: np.ndarray) -> float | None:
    """The direction in degrees, 0 ... 180, across the rows of a picture (C, H, W), by its structure
    tensor; None where it has no rows. Rows that run two ways would be mixed to a grey."""
    grey = ndimage.gaussian_filter(seen.mean(axis=0), 1)
    down, right = np.gradient(grey)
    inner = ndimage.binary_erosion(usable, iterations=2)
    if not inner.any():
        return None
    xx, yy, xy = (float(part[inner].mean()) for part in (right * right, down * down, right * down))
    if np.hypot(xx - yy, 2 * xy) <= IN_ROWS * (xx + yy):
        return None
    return float(np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)) % 180)


def apart(one: float, other: float) -> float:
    """How far two directions in degrees lie apart, at most 90."""
    return abs((one - other + 90) % 180 - 90)


def _native(seen: np.ndarray, stretch: Stretch) -> np.ndarray:
    """Bands (C, h, w) as they are seen in the layer's own units."""
    low, high = (np.array(part)[:, None, None] for part in (stretch.low, stretch.high))
    return seen * (high - low) + low


def credits_of(chips: Sequence[Chip]) -> tuple[str, ...]:
    """Whose imagery chips are, each once."""
    told = (f"{chip.credit} ({chip.licence})" if chip.licence else chip.credit for chip in chips)
    return tuple(dict.fromkeys(filter(None, told)))


def surroundings(
    source: Source, models: Models, shapes: Sequence[BaseGeometry]
) -> tuple[Surroundings, Stretch]:
    """The layer around the polygons, as it is seen by a stretch, and what its ground and its sun
    are."""
    gsd_m = size_of_picture(source, models) or source.profile.gsd_m
    block = _around(source, shapes, gsd_m)
    stretch = stretch_of(source.profile, source.layer.roles, block)
    image = filled(np.where(block.valid, stretch.normalise(block.values), 0), block.valid)
    roles = tuple(source.layer.roles.names)
    plain = Surroundings(image, block.valid, roles, gsd_m, None, {})
    parse, tones = understood(plain.rgb, block.valid, gsd_m, models)
    return replace(plain, sun=parse.sun, tones=tones), stretch


def _is_picture(source: Source) -> bool:
    """Whether a layer shows what eyes see: colours, or all light in one band."""
    roles = source.layer.roles
    if len(roles.names) == 1 and roles.assumed and source.profile.dtype != "uint8":
        return False  # heights, temperatures and the like have one band of numbers
    return "pan" in roles.names or roles.names == ("",) or set(SIDES) <= set(roles.names)


def _around(source: Source, shapes: Sequence[BaseGeometry], gsd_m: float) -> Block:
    """The pixels around the largest polygon: of several far apart the middle shows none."""
    profile = source.profile
    xmin, ymin, xmax, ymax = max(shapes, key=lambda shape: shape.area).bounds
    side = int(np.clip(max(xmax - xmin, ymax - ymin) + 2 * SEEN_M / gsd_m, *SEEN_PX))
    middle = (xmin + xmax) / 2, (ymin + ymax) / 2
    left, top = (
        int(np.clip(round(at - side / 2), 0, max(length - side, 0)))
        for at, length in zip(middle, (profile.width, profile.height), strict=True)
    )
    return source.read(Box(left, top, side, side).clipped(profile.box))


def _understood(chip: Chip, models: Models) -> Parse:
    rgb = shipped_picture(chip)
    return understood(rgb, np.ones(rgb.shape[1:], bool), chip.gsd_m, models)[0]
