"""The same pixels of a source and its result, band by band and by what says which are valid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.windows import Window as Pixels

from .case import Case, broken
from .pixels import Window


@dataclass(frozen=True)
class Pair:
    """The same pixels of two files, `source` and `result`: `old` and `new` (bands, H, W). `case`:
    what is judged."""

    source: rasterio.DatasetReader
    result: rasterio.DatasetReader
    old: np.ndarray
    new: np.ndarray
    case: Case

    def unequal(self) -> np.ndarray:
        """Pixels (H, W) that differ in a band both have, or hold something in one that was made."""
        made = self.case.made
        kept = 0 if self.case.alone else len(self.old)
        found = np.zeros(self.new.shape[1:], bool)
        for before, after in zip(self.old[:kept], self.new[:kept], strict=True):
            found |= _bits(before) != _bits(after)
        if made and found.any():
            raise broken("bands that the layer had are not what they were")
        nodata = self.result.nodata
        for band in self.new[kept:]:
            empty = band.dtype.type(0 if nodata is None else nodata)
            found |= ~((band == empty) | (np.isnan(band) & np.isnan(empty)))
        return found

    def valid(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each is no nodata (H, W), by the bands that both have."""
        return _valid(self.source, self.old), _valid(self.result, self.new[: len(self.old)])


def _bits(values: np.ndarray) -> np.ndarray:
    """The same memory as unsigned integers, so that NaN equals itself and -0 differs from 0."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def _valid(dataset: rasterio.DatasetReader, values: np.ndarray) -> np.ndarray:
    """Where no nodata: alpha above 0, and a band of another value than nodata."""
    colours = [colour.name for colour in dataset.colorinterp[: len(values)]]
    found = np.ones(values.shape[1:], bool)
    seen = [band for band, colour in zip(values, colours, strict=True) if colour != "alpha"]
    if dataset.nodata is not None:
        empty = dataset.nodata
        found = np.zeros(values.shape[1:], bool)
        for band in seen:
            found |= ~np.isnan(band) if np.isnan(empty) else band != band.dtype.type(empty)
    for band, colour in zip(values, colours, strict=True):
        if colour == "alpha":
            found &= band > 0
    return found


def masks_differ(pair: Pair, part: Window) -> np.ndarray:
    """Where the mask bands of two files differ (H, W), which have one both or none."""
    if not _has_mask(pair.source):  # the result has one then too
        return np.zeros(part.shape, bool)
    x, y, _, _ = pair.case.window
    here = Pixels(part.col - x, part.row - y, part.width, part.height)
    old = pair.source.read_masks(1, window=Pixels(part.col, part.row, part.width, part.height))
    return np.asarray((old > 0) != (pair.result.read_masks(1, window=here) > 0))


def count_of(pixels: np.ndarray) -> int:
    """How many pixels of a mask are true, as Python's own number."""
    return int(np.count_nonzero(pixels))


def tells_validity(dataset: rasterio.DatasetReader) -> bool:
    """Whether some pixels may be invalid."""
    alpha = any(colour.name == "alpha" for colour in dataset.colorinterp)
    return alpha or dataset.nodata is not None or _has_mask(dataset)


def _has_mask(dataset: rasterio.DatasetReader) -> bool:
    flags = {flag.name for band in dataset.mask_flag_enums for flag in band}
    return "per_dataset" in flags and not flags & {"alpha", "nodata"}
