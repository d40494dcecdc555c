"""Results of several edits of one raster, and the raster, as one file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.features import rasterize
from scipy import ndimage

from ..contract.bundle import AREAS_END
from ..ground.errors import BadRequest
from ..promise.flattened import judge_flattened
from ..raster.classes import classes_of
from ..raster.composed import box_over, disclosed_by
from ..raster.disclosure import disclosed, disclosure_of_history
from ..raster.geotiff import Mosaic, WriteOptions, write_geotiff
from ..raster.grid import Box
from ..raster.metadata import metadata_of
from ..raster.raster import OnPart, opened, part_side, profile_of
from ..raster.rasters import Rasters
from ..raster.source_type import EDITED

SIDECAR_END = ".aux.xml"


@dataclass(frozen=True)
class _Over:
    """A result that is laid over the raster. `dataset`: opened. `name`: of its file. `box`: where
    on the raster. `edited`: the ground that it says was edited, in the raster's CRS, also by the
    edits that it was made over. `coarse`: that holds more ground than was edited."""

    dataset: rasterio.DatasetReader
    name: str
    box: Box
    edited: shapely.Geometry
    coarse: bool

    def laid(self, part: Box, beneath: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Its pixels (C, h, w) in a part of the raster that lies in its box, and which of them are
        its own (h, w): what it says was edited, since an edit may have put back what lies beneath,
        and what differs from the raster (C, h, w) there. Raises BadRequest where it differs
        elsewhere: it was made from another raster."""
        window = part.relative_to(self.box).window
        values = self.dataset.read(window=window)
        differs = (_bits(values) != _bits(beneath)).any(axis=(0, -1))
        place = rasterio.windows.transform(window, self.dataset.transform)
        shape = differs.shape
        own = rasterize([self.edited], out_shape=shape, transform=place) > 0
        touched = rasterize([self.edited], out_shape=shape, transform=place, all_touched=True) > 0
        strange = int((differs & ~ndimage.binary_dilation(touched, np.ones((3, 3)))).sum())
        if strange:
            raise BadRequest(
                f"over: {self.name} was not made from this raster: {strange:,} pixels of it differ "
                "where it says that nothing was edited."
            )
        return values, differs if self.coarse else own | differs


def _bits(values: np.ndarray) -> np.ndarray:
    """The bytes of each value (..., n): NaN is NaN, and -0 is not 0."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, -1)


def flatten(
    rasters: Rasters, target: Path, progress: OnPart = lambda part, parts: None
) -> dict[str, int]:
    """Write a raster with the edits of `rasters.over` on it, the lowest first, as a
    cloud-optimised GeoTIFF with what lies beside it; how many pixels differ from the raster, and
    how many results took part. Where a result fails, or the file is not right, some of it may lie
    in the folder of `target`: that is to be a folder for drafts.

    Of each result its edited pixels count: where two windows overlap, the upper one hides the lower
    one's edit only where it was edited. Raises BadRequest where a result was not made from the
    raster, PromiseBroken where the file does not hold just that, NoSpace.
    """
    if not rasters.over:
        raise BadRequest("Name at least one result that is laid over the raster.")
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(opened(rasters.raster, rasters.roots))
        over = [stack.enter_context(_opened(base, path, rasters)) for path in rasters.over]
        profile = profile_of(base)
        box = Box(0, 0, base.width, base.height)
        parts = list(box.squares(part_side(base)))
        told = disclosure_of_history(disclosed_by(base, box, rasters))
        kept = metadata_of(base)
        options = WriteOptions(
            cog=True,
            tags=told.tags,
            changed=_changed(base, over, parts),
            classes=classes_of(base, profile) is not None,
            source_type=EDITED,
            metadata=kept,
        )
        mosaic = Mosaic(box, laid=lambda part, values: _lay(over, part, values))
        write_geotiff(base, mosaic, target, options, progress)
        differing = judge_flattened(base, [one.dataset for one in over], target)
        if kept.sidecar:
            target.with_name(target.name + SIDECAR_END).write_text(kept.sidecar, encoding="utf8")
        if told.areas:
            crs = "" if base.crs is None else base.crs.to_wkt(version="WKT2_2019")
            told.write_areas(target.with_name(target.name + AREAS_END), crs)
    return {"pixels": differing, "results": len(over)}


@contextlib.contextmanager
def _opened(base: rasterio.DatasetReader, path: Path, rasters: Rasters) -> Iterator[_Over]:
    """A result as long as it is used, with the place it has on the raster."""
    with opened(path, rasters.roots) as dataset:
        if profile_of(base).is_picture and dataset.shape != base.shape:
            raise BadRequest(
                f"{path.name} does not say where on the raster it lies, and has another size."
            )
        box = box_over(base, dataset, path.name)
        told = disclosed(dataset, Box(0, 0, dataset.width, dataset.height), path)
        if told.mask is None:
            raise BadRequest(f"{path.name} does not say what was edited in it: it is no result.")
        yield _Over(dataset, path.name, box, told.mask, told.coarse)


def _lay(over: Sequence[_Over], part: Box, values: np.ndarray) -> None:
    """Lay the results over a part of the raster (C, h, w), the lowest first."""
    was = values.copy()
    for one in over:
        both = one.box.clipped(part)
        if both.width and both.height:
            rows, cols = both.relative_to(part).slices
            pixels, own = one.laid(both, was[:, rows, cols])
            values[:, rows, cols][:, own] = pixels[:, own]


def _changed(
    base: rasterio.DatasetReader, over: Sequence[_Over], parts: Sequence[Box]
) -> frozenset[int]:
    """Numbers of the bands, from 0, in which something differs from the raster."""
    found: set[int] = set()
    for part in parts:
        if len(found) < base.count and any(one.box.clipped(part).width for one in over):
            was = base.read(window=part.window)
            made = was.copy()
            _lay(over, part, made)
            differs = (_bits(was) != _bits(made)).any(axis=-1)
            found |= set(np.flatnonzero(differs.any(axis=(1, 2))).tolist())
    return frozenset(found)
