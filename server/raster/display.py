"""The one way from a raster's bands to red, green and blue for the eye."""

from __future__ import annotations

import base64
import colorsys
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rasterio.enums import Resampling

from ..ground.files import whole_file
from .bands import COLOURS, Layer, Roles, data_bands
from .grid import Box
from .raster import Profile, opened

PREVIEW_PX = 512
THUMBNAIL_PX = 96
DARKEST, BRIGHTEST = 1.0, 99.0
"""Percentiles of the shown values that are drawn as black and white, where they are not bytes."""


def colour_bands(profile: Profile, roles: Roles) -> list[int]:
    """Indices (from 0) of the bands that are shown as red, green and blue; the first band three
    times where the layer has no colours."""
    data = data_bands(profile)
    found = [roles.index(role) for role in COLOURS]
    chosen = [data[index] for index in found if index is not None]
    return chosen if len(chosen) == len(COLOURS) else [data[0]] * 3


def picture(seen: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """An image as an editor sees it (C, H, W), its bands' roles in `names`, as bytes for the eye
    (H, W, 3); its first band where it has no colours."""
    names = list(names)
    known = len(names) == len(seen) and all(role in names for role in COLOURS)
    chosen = seen[[names.index(role) for role in COLOURS]] if known else seen[[0, 0, 0]]
    return (np.clip(np.nan_to_num(chosen), 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def shown_as_bytes(values: np.ndarray, dtype: str) -> np.ndarray:
    """Native values (3, H, W) as bytes for the eye (H, W, 3): bytes as they are, others between
    two percentiles."""
    finite = np.isfinite(values)
    low, high = 0.0, 255.0
    if dtype != "uint8" and finite.any():
        low, high = np.percentile(values[finite], (DARKEST, BRIGHTEST))
    share = (np.nan_to_num(values) - low) / max(high - low, 1e-9)
    return np.clip(share * 255, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def thumbnail(layer: Layer, box: Box, side: int = THUMBNAIL_PX) -> str:
    """A PNG of a window for the eye, base64."""
    chosen = colour_bands(layer.profile, layer.roles)
    data = layer.dataset.read(
        [band + 1 for band in chosen], window=box.window, out_shape=(3, side, side)
    )
    stream = io.BytesIO()
    shown = shown_as_bytes(data.astype(np.float32), layer.profile.dtype)
    Image.fromarray(shown).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")


def write_preview(result: Path, box: Box, chosen: Sequence[int], path: Path) -> None:
    """A PNG of a written result for the eye: bands `chosen` (from 0), at most PREVIEW_PX a side."""
    scale = min(1.0, PREVIEW_PX / max(box.width, box.height))
    shape = (3, max(1, round(box.height * scale)), max(1, round(box.width * scale)))
    numbers = [band + 1 for band in chosen]
    with opened(result) as dataset:
        data = dataset.read(numbers, out_shape=shape, resampling=Resampling.average)
        kind = dataset.dtypes[0]
    write_picture(shown_as_bytes(data.astype(np.float32), kind), path)


def write_class_preview(
    result: Path, palette: Mapping[int, tuple[int, ...]] | None, path: Path
) -> None:
    """A PNG of written classes for the eye, at most PREVIEW_PX a side: in the colours of their
    palette, else each in one of its own."""
    with opened(result) as dataset:
        scale = min(1.0, PREVIEW_PX / max(dataset.width, dataset.height))
        shape = (max(1, round(dataset.height * scale)), max(1, round(dataset.width * scale)))
        values, place = np.unique(dataset.read(1, out_shape=shape), return_inverse=True)
    hues = [colorsys.hsv_to_rgb((0.31 * index) % 1, 0.55, 0.85) for index in range(len(values))]
    colours = (np.array(hues) * 255).astype(np.uint8)
    if palette is not None:
        black = (0, 0, 0, 255)
        colours = np.array([palette.get(int(v), black)[:3] for v in values], np.uint8)
    write_picture(colours[place.reshape(shape)], path)


CORNERS = "landbrush:corners"
"""Text of a PNG: where its corners lie, as Preview has them."""


@dataclass(frozen=True)
class Preview:
    """An unfinished picture. `pixels`: bytes (H, W, 3) for the eye. `corners`: where its upper
    left, upper right, lower right and lower left corners lie, x and y in the raster's CRS."""

    pixels: np.ndarray
    corners: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, pixels: np.ndarray, box: Box, profile: Profile) -> Preview:
        """A picture of a window."""
        sides = ((0, 0), (box.width, 0), (box.width, box.height), (0, box.height))
        t = profile.transform
        return cls(pixels, tuple(t @ (box.col + x, box.row + y) for x, y in sides))


def write_picture(
    pixels: np.ndarray, path: Path, corners: Sequence[Sequence[float]] | None = None
) -> None:
    """Bytes (H, W, 3) as a PNG, whole or not at all; `corners`: to be told in it."""
    told = PngInfo()
    if corners is not None:
        told.add_text(CORNERS, json.dumps([[float(v) for v in corner] for corner in corners]))
    with whole_file(path, lasting=False) as draft:
        Image.fromarray(pixels).save(draft, "PNG", compress_level=1, pnginfo=told)
