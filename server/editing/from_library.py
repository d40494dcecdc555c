"""Exemplars for a word out of a library, brought to the light and the sensor of the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ..contract.manifest import SearchReport
from ..editors.models import Models
from ..ground.errors import NotFoundInLayer
from ..library.chips import Chip, shipped_picture, tones_of
from ..library.fitting import Surroundings, fitted
from ..library.keeping import exemplar_of
from ..library.shelf import LIBRARY, Library, fitting
from ..operators.ground import Ground
from ..raster.bands import Stretch, stretch_of
from ..raster.grid import Box
from ..raster.raster import Block
from ..scene.parse import Parse
from .cuts import Cut, Cuts
from .source import Source

SEEN_M = 120.0
SEEN_PX = (256, 640)
"""Surroundings whose light and tone are taken, and their side in pixels, least and most."""
LEAST_USABLE = 150
SIDES = ("red", "green", "blue")


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
    library = Library(models.home / LIBRARY)
    having = library.having(wanted.word)
    before = f"'{wanted.word}' {wanted.looked} " if wanted.looked else ""
    if not having:
        raise NotFoundInLayer(
            f"{before}No library of exemplars holds '{wanted.word}' either: draw an exemplar, or "
            "keep one under that word."
        )
    if not {"red", "pan", ""} & set(source.layer.roles.names):
        raise NotFoundInLayer(
            f"{before}The library's exemplars are pictures in light; this is not."
        )
    scene = surroundings(source, models, shapes)
    chosen = fitting(having, scene, wanted.word, wanted.seed)
    if not chosen:
        sizes = sorted(chip.gsd_m for chip in having)
        raise NotFoundInLayer(
            f"{before}The library's exemplars of '{wanted.word}' have pixels of {sizes[0]:.2g} to "
            f"{sizes[-1]:.2g} m, the layer of {scene.gsd_m:.3g} m: too far apart. Draw an exemplar."
        )
    stretch = stretch_of(source.profile, source.layer.roles, _around(source, shapes)[1])
    patches = []
    for number, chip in enumerate(chosen):
        parse = None if chip.own else _understood(shipped_picture(chip), chip.gsd_m, models)
        exemplar = exemplar_of(chip, wanted.word, parse)
        seen, usable = fitted(exemplar, scene, wanted.seed + number)
        if usable.sum() >= LEAST_USABLE:
            patches.append(Cut(_native(seen, stretch), usable))
    if not patches:
        raise NotFoundInLayer(f"{before}The library's exemplars are too small on this layer.")
    pixels = sum(int(cut.usable.sum()) for cut in patches)
    report = SearchReport(
        wanted.word, "library", (), pixels, tuple(chip.id for chip in chosen), credits_of(chosen)
    )
    return Cuts(tuple(patches), report)


def _native(seen: np.ndarray, stretch: Stretch) -> np.ndarray:
    """Bands (C, h, w) as they are seen in the layer's own units."""
    low, high = (np.array(part)[:, None, None] for part in (stretch.low, stretch.high))
    return seen * (high - low) + low


def credits_of(chips: Sequence[Chip]) -> tuple[str, ...]:
    """Whose imagery chips are, each once."""
    told = (f"{chip.credit} ({chip.licence})" if chip.licence else chip.credit for chip in chips)
    return tuple(dict.fromkeys(filter(None, told)))


def surroundings(source: Source, models: Models, shapes: Sequence[BaseGeometry]) -> Surroundings:
    """The layer around the polygons, as it is seen, and what its ground and its sun are."""
    box, block = _around(source, shapes)
    stretch = stretch_of(source.profile, source.layer.roles, block)
    image = np.where(block.valid, stretch.normalise(block.values), 0)
    roles = tuple(source.layer.roles.names)
    gsd_m = source.profile.gsd_m
    plain = Surroundings(image, block.valid, roles, gsd_m, None, {})
    parse = _understood(plain.rgb, gsd_m, models)
    return Surroundings(image, block.valid, roles, gsd_m, parse.sun, tones_of(parse, plain.rgb))


def _around(source: Source, shapes: Sequence[BaseGeometry]) -> tuple[Box, Block]:
    """The window around the polygons, and its pixels."""
    profile = source.profile
    xmin, ymin, xmax, ymax = shapely.total_bounds(list(shapes))
    side = int(np.clip(max(xmax - xmin, ymax - ymin) + 2 * SEEN_M / profile.gsd_m, *SEEN_PX))
    middle = (xmin + xmax) / 2, (ymin + ymax) / 2
    left, top = (
        int(np.clip(round(at - side / 2), 0, max(length - side, 0)))
        for at, length in zip(middle, (profile.width, profile.height), strict=True)
    )
    box = Box(left, top, side, side).clipped(profile.box)
    return box, source.read(box)


def _understood(rgb: np.ndarray, gsd_m: float, models: Models) -> Parse:
    ground = Ground(rgb, np.ones(rgb.shape[1:], bool), SIDES, gsd_m)
    return models.understanding.of(ground, {})
