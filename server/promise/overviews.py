"""Whether a file's overviews and statistics are those of its pixels, not of what was there
before."""

from __future__ import annotations

import numpy as np
import rasterio
from rasterio.windows import Window
from scipy import ndimage

SIDE = 512
"""Pixels a side of the part that is looked at, around the middle of what was edited."""
MOST_BANDS = 4
STRAY = 0.02
"""Share of an overview's pixels that may be no mean of what lies under them: rounding and the way
in which a program weighs are its own."""


def stale(result: rasterio.DatasetReader, centre: tuple[float, float]) -> list[str]:
    """What is not of the new pixels, in words. `centre`: column and row of the middle of the
    edit."""
    found = []
    tags = [result.tags(), *(result.tags(band) for band in result.indexes)]
    if any(key.startswith("STATISTICS_") for one in tags for key in one):
        found.append("it holds statistics of the pixels before")
    bands = [band for band in result.indexes if result.overviews(band)]
    if not all(_are_means(result, band, centre) for band in bands[:MOST_BANDS]):
        found.append("its overviews are not made of its pixels")
    return found


def _are_means(result: rasterio.DatasetReader, band: int, centre: tuple[float, float]) -> bool:
    """Whether the finest overview of a band holds means of the pixels under it; true where
    means are not what an overview is made of (classes, transparency)."""
    colours = {colour.name for colour in result.colorinterp}
    factor = result.overviews(band)[0]
    if colours & {"palette", "alpha"} or result.width < factor or result.height < factor:
        return True
    col, row = (
        int(np.clip(at - SIDE / 2, 0, max(0, size - SIDE))) // factor * factor
        for at, size in zip(centre, (result.width, result.height), strict=True)
    )
    width = min(SIDE, result.width - col) // factor * factor
    height = min(SIDE, result.height - row) // factor * factor
    window = Window(col, row, width, height)
    shape = (height // factor, width // factor)
    pixels = result.read(band, window=window).astype(float)
    valid = result.read_masks(band, window=window) > 0
    thinned = result.read(band, window=window, out_shape=shape).astype(float)
    cells = pixels.reshape(shape[0], factor, shape[1], factor)
    whole = valid.reshape(cells.shape).all(axis=(1, 3)) & np.isfinite(cells).all(axis=(1, 3))
    # With odd sizes the pixels of an overview lie across those of the next cell.
    low = ndimage.minimum_filter(cells.min(axis=(1, 3)), 3)
    high = ndimage.maximum_filter(cells.max(axis=(1, 3)), 3)
    room = 1.0 if np.issubdtype(result.dtypes[0], np.integer) else 1e-5 * (1 + np.abs(high))
    stray = whole & ((thinned < low - room) | (thinned > high + room))
    return bool(stray.sum() <= STRAY * max(whole.sum(), 1))
