"""Rasters whose values are names of classes (land cover, soil, zones), not brightness.

Between two classes there is nothing: a mean of 1 (forest) and 40 (housing) is neither. Such a layer
is edited as planes, one a class, 1 where a pixel is of it; what comes back is, for every pixel, the
class whose plane is the strongest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

from ..ground.errors import CannotEdit
from .bands import Stretch, data_bands
from .grid import Box
from .raster import Profile, read_window

MOST_CLASSES = 64
"""In one window: a plane each is held in memory."""
LOOKED_AT_PX = 512
"""Side of a window that is looked at, at full resolution."""
FEWEST_PX = 400
FEW = 16
"""Values that are classes wherever they lie together in patches."""
LEAST_ALIKE = 0.6
"""Share of neighbours that are equal in a map of classes; in pictures they differ."""
MOST_STEPS = 0.6
"""Share of unequal neighbours that are next to one another in order: where it is larger, the values
rise and fall step by step, as heights do."""


@dataclass(frozen=True)
class Classes:
    """That a layer holds classes. `band`: its index in the file, from 0. `stated_by`: how that was
    found, in words. `count`: how many there are, as far as was looked."""

    band: int
    stated_by: str
    count: int


def classes_of(dataset: rasterio.DatasetReader, profile: Profile) -> Classes | None:
    """Whether a raster holds classes: by its palette, or by few whole numbers in patches; None
    where its values are quantities."""
    bands = data_bands(profile)
    if len(bands) != 1 or np.dtype(profile.dtype).kind not in "iu":
        return None
    (band,) = bands
    coloured = profile.colorinterp[band] == ColorInterp.palette
    quantity = profile.scales[band] != 1 or profile.offsets[band] != 0 or profile.units[band]
    if quantity and not coloured:
        return None
    seen = [_looked_at(dataset, band, box) for box in _windows(profile)]
    found = [one for one in seen if one is not None]
    values = np.unique(np.concatenate([one.values for one in found])) if found else np.zeros(0)
    if coloured:
        return Classes(band, "it has a colour palette", max(len(values), 2))
    if not 2 <= len(values) <= MOST_CLASSES or not all(one.patched for one in found):
        return None
    if len(values) > FEW and any(one.stepwise for one in found):
        return None
    stated = f"{len(values)} whole numbers that lie together in patches"
    return Classes(band, stated, len(values))


@dataclass(frozen=True)
class _Look:
    """A window: its `values`, whether they lie in patches, and whether they rise step by step."""

    values: np.ndarray
    patched: bool
    stepwise: bool


def _windows(profile: Profile) -> list[Box]:
    """The middle, and the middles of the corners, at most `LOOKED_AT_PX` a side."""
    whole = profile.box
    width, height = (min(side, LOOKED_AT_PX) for side in (whole.width, whole.height))
    across, down = whole.width - width, whole.height - height
    places = {(across // 2, down // 2)}
    places |= {(across * i // 4, down * j // 4) for i in (1, 3) for j in (1, 3)}
    return [Box(col, row, width, height) for col, row in sorted(places)]


def _looked_at(dataset: rasterio.DatasetReader, band: int, box: Box) -> _Look | None:
    """None for a window with hardly any valid pixel, or with one value alone: it shows nothing."""
    block = read_window(dataset, box)
    pixels = block.values[band]
    if block.valid.sum() < FEWEST_PX:
        return None
    values, place = np.unique(pixels[block.valid], return_inverse=True)
    if len(values) == 1:
        return None
    if len(values) > MOST_CLASSES:
        return _Look(values, False, False)
    rank = np.full(pixels.shape, -1, np.int32)
    rank[block.valid] = place
    steps = [
        np.abs(one - other)[(one >= 0) & (other >= 0)]
        for one, other in ((rank[:, 1:], rank[:, :-1]), (rank[1:], rank[:-1]))
    ]
    step = np.concatenate(steps)
    unequal = step[step > 0]
    alike = 1 - len(unequal) / max(len(step), 1)
    return _Look(values, alike >= LEAST_ALIKE, bool((unequal == 1).mean() > MOST_STEPS))


@dataclass(frozen=True)
class Planes(Stretch):
    """How classes become what an editor sees: one plane a class, and back.

    `bands`: the one band of classes. `classes`: its values, ascending; no other comes back.
    """

    classes: tuple[int, ...] = ()

    @classmethod
    def among(cls, band: int, *values: np.ndarray) -> Planes:
        """The planes of the classes in some arrays; raises CannotEdit for too many."""
        found = np.unique(np.concatenate([np.unique(part) for part in values]))
        if not found.size:
            raise CannotEdit("There is no class where the polygons are, nor around them.")
        if len(found) > MOST_CLASSES:
            raise CannotEdit(
                f"The window holds {len(found)} classes; at most {MOST_CLASSES} are edited at "
                "once. Draw a smaller polygon, or put classes together first (Reclassify)."
            )
        return cls((band,), (0.0,), (1.0,), tuple(int(value) for value in found))

    def including(self, more: Sequence[np.ndarray]) -> Planes:
        """With the classes of what is copied from."""
        if not more:
            return self
        return self.among(self.bands[0], np.array(self.classes), *more)

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """Native values (bands, H, W) as planes (classes, H, W) of 0 and 1."""
        return self.normalise_data(values[list(self.bands)])

    def normalise_data(self, values: np.ndarray) -> np.ndarray:
        """The same of values (1, H, W)."""
        wanted = np.array(self.classes)[:, None, None]
        return (values[:1] == wanted).astype(np.float32)

    def denormalise(self, seen: np.ndarray, profile: Profile) -> np.ndarray:
        """The strongest class of each pixel, (1, H, W)."""
        kind = np.dtype(profile.dtype)
        return np.array(self.classes, kind)[seen.argmax(axis=0)][None]
