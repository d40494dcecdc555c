"""The tone of one raster in another's: where both show the same ground, their bands are brought
together linearly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from rasterio.windows import from_bounds

from .bands import Layer, data_bands
from .raster import profile_of, validity

SIDE = 256
"""Pixels a side that are compared."""
LEAST_SHARE = 0.25
"""Of the smaller raster that the common ground must be."""


def of_same_ground(
    layer: Layer, other: rasterio.DatasetReader
) -> Callable[[np.ndarray], np.ndarray] | None:
    """A map of values (bands, H, W) of `other` to the layer's mean and deviation on their common
    ground, band by band.

    None where they hardly overlap: the means of different places say nothing of the sensors.
    """
    mine = layer.dataset
    turned = any(dataset.transform.b or dataset.transform.d for dataset in (mine, other))
    if mine.crs is None or other.crs is None or turned:
        return None
    try:
        theirs = transform_bounds(other.crs, mine.crs, *other.bounds)
    except RasterioError:  # one lies where the other's CRS is not defined
        return None
    left = max(mine.bounds[0], theirs[0])
    bottom = max(mine.bounds[1], theirs[1])
    right = min(mine.bounds[2], theirs[2])
    top = min(mine.bounds[3], theirs[3])
    smaller = min(_area(tuple(mine.bounds)), _area(theirs))
    if right <= left or top <= bottom or (right - left) * (top - bottom) < LEAST_SHARE * smaller:
        return None
    common = (left, bottom, right, top)
    first = _values(mine, data_bands(layer.profile), common)
    second = _values(
        other, data_bands(profile_of(other)), transform_bounds(mine.crs, other.crs, *common)
    )
    if min(first.shape[1], second.shape[1]) < SIDE:
        return None
    spread = second.std(axis=1)
    # A band that is the same everywhere says nothing of its contrast.
    gain = np.divide(
        first.std(axis=1),
        spread,
        out=np.ones_like(spread),
        where=spread > 1e-6 * (1 + np.abs(second).max()),
    )
    shift = first.mean(axis=1) - gain * second.mean(axis=1)
    return lambda values: values * gain[:, None, None] + shift[:, None, None]


def _area(bounds: tuple[float, ...]) -> float:
    return abs((bounds[2] - bounds[0]) * (bounds[3] - bounds[1]))


def _values(
    dataset: rasterio.DatasetReader, bands: list[int], bounds: tuple[float, ...]
) -> np.ndarray:
    """Valid pixels (bands, n) of an area, thinned; black borders without a nodata value do not
    count."""
    window = from_bounds(*bounds, dataset.transform)
    shape = (min(SIDE, max(1, round(window.height))), min(SIDE, max(1, round(window.width))))
    read = {"window": window, "out_shape": (len(bands), *shape)}
    values = dataset.read([band + 1 for band in bands], **read).astype(np.float64)
    valid = validity(dataset, window, shape)
    valid &= np.isfinite(values).all(axis=0) & (values != 0).any(axis=0)
    return values[:, valid]
