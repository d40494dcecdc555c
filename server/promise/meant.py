"""Where a result may differ from its source, where it must say that it does, and where it must
not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely

from ..contract.bundle import AREAS_END
from ..ground.errors import BadRequest
from ..raster.vectors import read_vectors
from .asked import ground_of, ground_of_shape, limits_of
from .case import Case, broken
from .pair import count_of
from .pixels import Ground, Window, meant_by, touched

MASK_TAG = "LANDBRUSH_MASK_WKB"
MASK_FILE_TAG = "LANDBRUSH_MASK_FILE"


@dataclass(frozen=True)
class Meant:
    """What was asked for, on pixels of the source. `polygons`, `protected`: of the request.
    `limits`: outside which nothing may change. `told`: what the result says was edited; None: it
    does not say. `grow_px`, `anywhere`: as of the case."""

    polygons: Ground
    protected: Ground | None
    limits: tuple[Window, ...]
    told: Ground | None
    grow_px: int
    anywhere: bool

    @classmethod
    def of(
        cls, source: rasterio.DatasetReader, result: rasterio.DatasetReader, case: Case
    ) -> Meant:
        """From the request, and the result's own disclosure."""
        request = case.request
        return cls(
            ground_of(request.polygons, source),
            ground_of(request.protect, source) if request.protect else None,
            limits_of(request.extent, source),
            _told(result, case, source),
            case.grow_px,
            case.anywhere,
        )

    def middle(self, window: tuple[int, int, int, int]) -> tuple[float, float]:
        """Column and row of the middle of the first polygon, in the window."""
        first = self.polygons.points[self.polygons.polygon == 0]
        if not len(first):
            return 0.0, 0.0
        x, y = first.mean(axis=0) - window[:2]
        return float(x), float(y)

    def inside(self, part: Window) -> np.ndarray:
        """Pixels (H, W) that may change."""
        if self.anywhere:
            return np.ones(part.shape, bool)
        found = self._limited(meant_by(self.polygons, part, self.grow_px), part)
        return found & ~self._spared(part) if self.protected is not None else found

    def surely_outside(self, part: Window, pixels: np.ndarray) -> np.ndarray:
        """Those pixels (H, W) that are in no doubt about an outline."""
        if not pixels.any():
            return pixels
        rows, cols = np.nonzero(pixels)
        x, y = cols + part.col, rows + part.row
        doubtful = self.polygons.near(x, y, self.polygons.doubt_px + self.grow_px)
        doubtful |= meant_by(self.polygons, part, self.grow_px)[rows, cols]
        doubtful &= self._limited(np.ones(part.shape, bool), part)[rows, cols]
        if self.protected is not None:
            spared = self._spared(part)[rows, cols]
            doubtful &= ~spared | self.protected.near(x, y, self.protected.doubt_px)
        sure = np.zeros(pixels.shape, bool)
        sure[rows[~doubtful], cols[~doubtful]] = True
        return sure

    def kept(self, part: Window, unequal: np.ndarray) -> tuple[int, int, int]:
        """Pixels that were asked for; those of them, and of what changed, that the result does not
        say were edited; those that were to stay and changed."""
        asked = self._limited(self.polygons.held(part), part)
        if len(self.polygons.surely_thin):
            asked |= self._limited(touched(self.polygons.surely_thin, part, surely=True), part)
        spoilt = 0
        if self.protected is not None:
            spared = self._spared(part)
            spoilt = count_of(_sure(self.protected, part, spared & unequal))
            asked = asked & ~spared & ~touched(self.protected.thin, part)
        wanted = count_of(asked)
        if self.anywhere:
            return wanted, 0, spoilt
        untold = asked | unequal
        if self.told is not None:
            untold &= ~self.told.held(part)
            doubt = max(self.polygons.doubt_px, self.told.doubt_px)
            untold = _sure(self.told, part, _sure(self.polygons, part, untold, doubt), doubt)
        return wanted, count_of(untold), spoilt

    def _spared(self, part: Window) -> np.ndarray:
        """Pixels (H, W) that must stay."""
        assert self.protected is not None
        found = self.protected.held(part)
        if len(self.protected.surely_thin):
            found |= touched(self.protected.surely_thin, part, surely=True)
        return found

    def _limited(self, pixels: np.ndarray, part: Window) -> np.ndarray:
        """Those pixels (H, W) that lie where something may change."""
        if any(limit.holds(part) for limit in self.limits):
            return pixels
        found = np.zeros(part.shape, bool)
        for limit in self.limits:
            found |= _inside_of(limit, part)
        return pixels & found


def _inside_of(limit: Window, part: Window) -> np.ndarray:
    rows = np.arange(part.row, part.row + part.height)[:, None]
    cols = np.arange(part.col, part.col + part.width)[None, :]
    return np.asarray(
        (rows >= limit.row)
        & (rows < limit.row + limit.height)
        & (cols >= limit.col)
        & (cols < limit.col + limit.width)
    )


def _sure(ground: Ground, part: Window, pixels: np.ndarray, doubt_px: float = 0.0) -> np.ndarray:
    """Those pixels (H, W) whose centres lie farther from every outline than is in doubt."""
    if not pixels.any():
        return pixels
    rows, cols = np.nonzero(pixels)
    near = ground.near(cols + part.col, rows + part.row, doubt_px or ground.doubt_px)
    sure = np.zeros(pixels.shape, bool)
    sure[rows[~near], cols[~near]] = True
    return sure


def _told(
    result: rasterio.DatasetReader, case: Case, source: rasterio.DatasetReader
) -> Ground | None:
    """What the result says was edited, on pixels of the source; None where it does not say."""
    tags = result.tags()
    shapes: list[shapely.Geometry | None] = []
    if MASK_FILE_TAG in tags:
        try:
            shapes = list(read_vectors(Path(f"{case.result}{AREAS_END}")).shapes)
        except BadRequest as error:
            raise broken(f"its edited areas cannot be read ({error})") from error
    elif MASK_TAG in tags:
        shapes = [shapely.from_wkb(tags[MASK_TAG])]
    held = [shape for shape in shapes if shape is not None]
    if not held:
        return None
    return ground_of_shape(shapely.geometrycollections(held), source)
