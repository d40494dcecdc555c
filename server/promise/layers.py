"""Whether a raster with results over it is what its files say, read by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from ..raster.doors import opened

STRIP_PX = 1024
"""Rows that are looked at at a time."""


def composition_faults(
    composed: rasterio.DatasetReader,
    base: Path,
    over: Sequence[Path],
    window: tuple[int, int, int, int],
) -> list[str]:
    """What is wrong with the pixels of a composed raster in a window (column, row, width, height):
    each is the topmost result's there, to the bit, and elsewhere the base's."""
    col, row, width, height = window
    differ = 0
    for top in range(row, row + height, STRIP_PX):
        high = min(STRIP_PX, row + height - top)
        with opened(base) as below:
            wanted = below.read(window=Window(col, top, width, high))
            for path in over:
                with opened(path) as result:
                    _lay(wanted, (col, top), below, result)
        seen = composed.read(window=Window(col, top, width, high))
        differ += int((seen.view(_bits(seen)) != wanted.view(_bits(wanted))).any(axis=0).sum())
    return [f"{differ} pixels of what was edited are not those of the files"] if differ else []


def _bits(values: np.ndarray) -> str:
    return f"u{values.dtype.itemsize}" if values.dtype.kind == "f" else values.dtype.str


def _lay(
    wanted: np.ndarray,
    corner: tuple[int, int],
    below: rasterio.DatasetReader,
    result: rasterio.DatasetReader,
) -> None:
    """Lay a result over pixels whose upper left one is at `corner` (column, row) of the base."""
    col, row = (round(v) for v in ~below.transform @ (result.transform.c, result.transform.f))
    left, top = max(col, corner[0]), max(row, corner[1])
    right = min(col + result.width, corner[0] + wanted.shape[2])
    bottom = min(row + result.height, corner[1] + wanted.shape[1])
    if left < right and top < bottom:
        part = result.read(window=Window(left - col, top - row, right - left, bottom - top))
        wanted[:, top - corner[1] : bottom - corner[1], left - corner[0] : right - corner[0]] = part
