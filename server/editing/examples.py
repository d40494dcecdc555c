"""Edits as examples: the same ground before and after, as pictures for editors that go by such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio

from ..contract.requests import ExamplePair
from ..ground.errors import CannotEdit, OutsideRaster
from ..raster import bands, display
from ..raster.bands import Layer
from ..raster.grid import Box, Grid, onto
from ..raster.polygons import pixel_polygons
from ..raster.raster import opened, read_window
from ..synthesis.resampling import BICUBIC, resized

LONGEST_PX = 4096
"""Of a side that is read."""
SHOWN_PX = 1024
"""Of a side that an editor is shown."""
Pictures = tuple[np.ndarray, np.ndarray]
"""Before and after, (3, H, W) in [0, 1]."""


def read(
    asked: Sequence[ExamplePair],
    files: Sequence[tuple[Path, Path]],
    roots: tuple[Path, ...] | None,
) -> tuple[Pictures, ...]:
    """The pictures of each example, both on the grid of the raster before and seen by its stretch.
    Raises CannotEdit, OutsideRaster."""
    out = []
    for number, (pair, (first, second)) in enumerate(zip(asked, files, strict=True), 1):
        with opened(first, roots) as before, opened(second, roots) as after:
            out.append(_read(pair, before, after, f"example {number}"))
    return tuple(out)


def _read(
    pair: ExamplePair, before: rasterio.DatasetReader, after: rasterio.DatasetReader, where: str
) -> Pictures:
    layer = Layer.of(before, {})
    box = _box_of(pair, layer, where)
    with onto(after, Grid.of(before)) as brought:
        block, later = read_window(before, box), read_window(brought, box)
        count = layer.profile.count
        if after.count != before.count or brought.dtypes[0] != before.dtypes[0]:
            raise CannotEdit(
                f"{where}: the rasters before and after differ in their bands "
                f"({before.count} of {before.dtypes[0]}, {after.count} of {after.dtypes[0]})."
            )
    later = replace(later, values=later.values[:count])  # what is brought may carry a mask
    both = block.valid & later.valid
    if both.mean() < 0.5:
        raise OutsideRaster(f"{where}: the two rasters share too little ground there.")
    stretch = bands.stretch_of(layer.profile, layer.roles, bands.overview(layer))
    shown = [
        display.picture(stretch.normalise(one.values), layer.roles.names) for one in (block, later)
    ]
    height, width = shown[0].shape[:2]
    scale = min(1.0, SHOWN_PX / max(height, width))
    size = max(round(height * scale), 1), max(round(width * scale), 1)
    pictures = [
        np.clip(resized(one.transpose(2, 0, 1).astype(np.float32) / 255, size, BICUBIC), 0, 1)
        for one in shown
    ]
    return pictures[0], pictures[1]


def _box_of(pair: ExamplePair, layer: Layer, where: str) -> Box:
    """The window that is shown: around the polygons, else all of the raster."""
    whole = layer.profile.box
    if pair.polygons is None:
        box = whole
    else:
        shapes = pixel_polygons(pair.polygons, layer.profile, where)
        found = np.array([shape.bounds for shape in shapes])
        left, top = (int(value) for value in np.floor(found[:, :2].min(axis=0)))
        right, bottom = (int(value) for value in np.ceil(found[:, 2:].max(axis=0)))
        box = Box(left, top, max(right - left, 1), max(bottom - top, 1)).clipped(whole)
    if not (box.width and box.height):
        raise OutsideRaster(f"{where}: its polygons do not touch the raster before.")
    if max(box.width, box.height) > LONGEST_PX:
        raise CannotEdit(
            f"{where}: {box.width} x {box.height} pixels; draw a polygon around at most "
            f"{LONGEST_PX} a side."
        )
    return box
