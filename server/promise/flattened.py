"""Whether a file holds a raster with results of its edits on it, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from ..ground.errors import PromiseBroken
from .grids import faults

SIDE_PX = 512


def judge_flattened(
    base: rasterio.DatasetReader, results: Sequence[rasterio.DatasetReader], written: Path
) -> int:
    """How many pixels of the file differ from the raster; raises PromiseBroken.

    It is on the raster's grid, of its bands and their kind, with its mask. Each pixel is that of
    the uppermost result that differs from the raster there, but where a result above that has put
    back what the raster has: there it may be the raster's. Where no result differs it is the
    raster's. By values alone: which ground was edited is not asked.
    """
    differing = 0
    with rasterio.open(written) as made:
        found = faults(base, made, (0, 0, base.width, base.height), 0, False)
        if found:
            raise PromiseBroken(f"The file that was written is no copy: {'; '.join(found)}.")
        boxes = [_box(base, one) for one in results]
        for top in range(0, base.height, SIDE_PX):
            for left in range(0, base.width, SIDE_PX):
                width, height = min(SIDE_PX, base.width - left), min(SIDE_PX, base.height - top)
                part = Window(left, top, width, height)
                was, here = (_bytes(file.read(window=part)) for file in (base, made))
                wanted, put_back = was.copy(), np.zeros(was.shape[1:3], bool)
                for one, box in zip(results, boxes, strict=True):
                    _lay(one, box, part, (was, wanted, put_back))
                right = (here == wanted).all(axis=(0, -1))
                right |= put_back & (here == was).all(axis=(0, -1))
                masks = (file.dataset_mask(window=part) for file in (base, made))
                same_mask = base.nodatavals != (None,) * base.count or np.array_equal(*masks)
                if not right.all() or not same_mask:
                    raise PromiseBroken(
                        f"The file that was written was not kept: {int((~right).sum()):,} pixels "
                        f"from column {left} and row {top} on are neither the raster's nor those "
                        "of a result, or its mask is another."
                    )
                differing += int((here != was).any(axis=(0, -1)).sum())
    return differing


def _box(base: rasterio.DatasetReader, result: rasterio.DatasetReader) -> tuple[int, int]:
    """First column and row of a result on the raster."""
    col, row = ~base.transform @ (result.transform.c, result.transform.f)
    return round(col), round(row)


def _lay(
    result: rasterio.DatasetReader,
    box: tuple[int, int],
    part: Window,
    below: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Lay a result over a part. `below`: the raster's bytes, what is seen (C, h, w, n each), and
    where a result has put back what the raster has (h, w); the last two are changed."""
    was, wanted, put_back = below
    left, top = max(part.col_off, box[0]), max(part.row_off, box[1])
    right = min(part.col_off + part.width, box[0] + result.width)
    bottom = min(part.row_off + part.height, box[1] + result.height)
    if right <= left or bottom <= top:
        return
    its = Window(left - box[0], top - box[1], right - left, bottom - top)
    pixels = _bytes(result.read(window=its))
    here = (
        slice(top - part.row_off, bottom - part.row_off),
        slice(left - part.col_off, right - part.col_off),
    )
    rows, cols = here
    beneath, seen = was[:, rows, cols], wanted[:, rows, cols]
    own = (pixels != beneath).any(axis=(0, -1))
    covered = (seen != beneath).any(axis=(0, -1))
    put_back[here] = (put_back[here] | covered) & ~own
    seen[:, own] = pixels[:, own]


def _bytes(values: np.ndarray) -> np.ndarray:
    """The bytes of each value (..., n): NaN is NaN, and -0 is not 0."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, -1)
