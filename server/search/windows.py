"""The ground that is searched, as a picture at the working ground size, and what is found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import rasterio
from affine import Affine
from rasterio.features import rasterize
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from ..models.scene_words import GSD_M, WINDOW_PX
from ..raster.bands import COLOURS, Layer, Roles, data_bands
from ..raster.grid import Box
from ..raster.raster import validity

LARGEST_SIDE_PX = 3072
"""At most so many pixels a side are searched, at the working GSD; more of the layer is not looked
at."""
MOST_SOURCES = 8
LEAST_VALID = 0.97
"""A window may hold a few nodata pixels: saturated white is often marked so."""
ELSEWHERE = "Draw an exemplar, here or in another layer."


class Method(Enum):
    """How windows are told to look like words."""

    NONE = "none"
    RULE = "index rule"
    HEADS = "scene agreement"
    IMAGE_TEXT = "image-text model"


@dataclass(frozen=True)
class Hit:
    """A window that was found. `box`: in pixels of the layer. `agreement`: how well it agrees with
    the word; what is searched by decides the scale."""

    box: Box
    agreement: float


@dataclass(frozen=True)
class Search:
    """What was searched for and what was found.

    `word`: the land cover, or the sentence, that was looked for. `method`: how. `hits`: best first.
    `reason`: a sentence where nothing was found. `model`: name of the image-text model, where one
    was asked.
    """

    word: str
    method: Method
    hits: tuple[Hit, ...] = ()
    reason: str = ""
    model: str = ""

    @property
    def rule(self) -> str:
        """How it was searched, in words."""
        return f"{self.method.value} {self.model}" if self.model else self.method.value


@dataclass(frozen=True)
class View:
    """The searched ground at its working ground size.

    `bands`: by role, each (H, W) in [0, 255]. `first`: the first band, for layers without colours.
    `valid`: where there is data. `blocked`: what is not to be found. `area`: the window of the
    layer that is shown, in its pixels. `native_per_px`: pixels of the layer a side of one here.
    `gsd_m`: ground size of a pixel here, in metres.
    """

    bands: dict[str, np.ndarray]
    first: np.ndarray
    valid: np.ndarray
    blocked: np.ndarray
    area: Box
    native_per_px: float
    gsd_m: float

    @property
    def rgb(self) -> np.ndarray:
        """(H, W, 3); grey where there are no colours."""
        seen = [self.bands.get(role, self.first) for role in COLOURS]
        if not all(role in self.bands for role in COLOURS):
            seen = [self.first] * 3
        return np.stack(seen, axis=-1)

    def native(self, box: Box) -> Box:
        """A box of the view in pixels of the layer."""
        f = self.native_per_px
        return Box(
            self.area.col + round(box.col * f),
            self.area.row + round(box.row * f),
            max(1, round(box.width * f)),
            max(1, round(box.height * f)),
        ).clipped(self.area)


def view_of(layer: Layer, area: Box, avoid: Sequence[BaseGeometry] = ()) -> View:
    """The middle of the area at its working ground size; `avoid`: shapes, in pixels of the layer,
    that nothing is to be found on."""
    return _read_view(layer, _middle(area, reach_px(layer)), avoid)


def _read_view(layer: Layer, area: Box, avoid: Sequence[BaseGeometry]) -> View:
    """Read at 0.6 m (finer layers are averaged down), or natively where the layer is coarser or too
    small."""
    dataset = layer.dataset
    profile = layer.profile
    roles = layer.roles
    factor = max(1.0, GSD_M / profile.gsd_m)
    # A layer of only a few windows is searched at its own detail.
    factor = min(factor, max(1.0, min(area.width, area.height) / (3 * WINDOW_PX)))
    factor = max(factor, max(area.width, area.height) / LARGEST_SIDE_PX)
    shape = (max(1, round(area.height / factor)), max(1, round(area.width / factor)))
    bands = data_bands(profile)
    data = dataset.read(
        [b + 1 for b in bands],
        window=area.window,
        out_shape=(len(bands), *shape),
        resampling=rasterio.enums.Resampling.average,
    ).astype(np.float32)
    valid = validity(dataset, area.window, shape)
    valid &= np.isfinite(data).all(axis=0) & ~voids(data)
    low, high = _display_range(data, valid, roles, profile.dtype)
    shown = {
        role: np.clip((np.nan_to_num(data[i]) - low) / (high - low), 0, 1) * 255
        for i, role in enumerate(roles.names)
        if role
    }
    first = np.clip((np.nan_to_num(data[0]) - low) / (high - low), 0, 1) * 255
    blocked = _blocked(avoid, area, shape)
    return View(shown, first, valid, blocked, area, factor, profile.gsd_m * factor)


def voids(data: np.ndarray) -> np.ndarray:
    """Where a picture (C, H, W) is empty without saying so (H, W, bool): 0 in all bands, over more
    than a shadow's speck."""
    return np.asarray(ndimage.binary_opening(~np.nan_to_num(data).any(axis=0), iterations=2))


def _display_range(
    data: np.ndarray, valid: np.ndarray, roles: Roles, dtype: str
) -> tuple[float, float]:
    if dtype == "uint8" or not valid.any():
        return 0.0, 255.0
    seen = [i for i, n in enumerate(roles.names) if n in ("red", "green", "blue", "pan")] or [0]
    low, high = np.percentile(data[seen][:, valid], (1, 99))
    return float(low), float(high if high > low else low + 1)


def reach_px(layer: Layer) -> int:
    """Largest side that is searched, in pixels of the layer."""
    return round(LARGEST_SIDE_PX * max(1.0, GSD_M / layer.profile.gsd_m))


def _middle(area: Box, side: int) -> Box:
    width = min(area.width, side)
    height = min(area.height, side)
    return Box(
        area.col + (area.width - width) // 2, area.row + (area.height - height) // 2, width, height
    )


def _blocked(shapes: Sequence[BaseGeometry], area: Box, shape: tuple[int, int]) -> np.ndarray:
    """Pixels of the view that a shape touches."""
    height, width = shape
    if not shapes:
        return np.zeros((height, width), bool)
    scale = Affine.translation(area.col, area.row) @ Affine.scale(
        area.width / width, area.height / height
    )
    return (
        rasterize(
            [(shape, 1) for shape in shapes],
            out_shape=(height, width),
            transform=scale,
            all_touched=True,
        )
        > 0
    )
