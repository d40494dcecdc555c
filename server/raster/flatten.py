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

from ..contract.bundle import AREAS_END
from ..ground.errors import BadRequest, PromiseBroken
from ..ground.files import whole_file
from .composed import box_over, disclosed_by
from .disclosure import disclosed, disclosure_of_history
from .geotiff import Mosaic, Patch, WriteOptions, write_geotiff
from .grid import Box
from .metadata import metadata_of
from .raster import OnPart, opened, part_side, profile_of
from .rasters import Rasters
from .source_type import EDITED


@dataclass(frozen=True)
class _Over:
    """A result that is laid over the raster. `dataset`: opened. `box`: where on the raster.
    `edited`: its last edit's ground, in the raster's CRS; None: not told."""

    dataset: rasterio.DatasetReader
    box: Box
    edited: shapely.Geometry | None

    def laid(self, part: Box, beneath: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Its pixels (C, h, w) in a part of the raster that lies in its box, and which of them are
        its own (h, w): what it says to have edited, and what differs from the raster (C, h, w);
        None where there are none."""
        values = self.dataset.read(window=part.relative_to(self.box).window)
        own = (_bits(values) != _bits(beneath)).any(axis=(0, -1))
        if self.edited is not None:
            # An edit may have put back what lies beneath: there it hides the results below it.
            place = rasterio.windows.transform(
                part.relative_to(self.box).window, self.dataset.transform
            )
            own |= rasterize([self.edited], out_shape=own.shape, transform=place) > 0
        return (values, own) if own.any() else None


def _bits(values: np.ndarray) -> np.ndarray:
    """The bytes of each value (..., n): NaN is NaN, and -0 is not 0."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, -1)


def flatten(
    rasters: Rasters, target: Path, progress: OnPart = lambda part, parts: None
) -> dict[str, int]:
    """Write a raster with the edits of `rasters.over` on it, the lowest first, as a
    cloud-optimised GeoTIFF; how many pixels differ from the raster, and how many results took part.

    Of each result its edited pixels count: where two windows overlap, the upper one hides the lower
    one's edit only where it was edited itself. Raises BadRequest where a result was not made from
    the raster, PromiseBroken where the file does not hold just that, NoSpace.
    """
    if not rasters.over:
        raise BadRequest("Name at least one result that is laid over the raster.")
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(opened(rasters.raster, rasters.roots))
        over = [stack.enter_context(_opened(base, path, rasters)) for path in rasters.over]
        box = Box(0, 0, base.width, base.height)
        parts = list(box.squares(part_side(base)))
        patches = [patch for part in parts for patch in _patches(base, over, part)]
        told = disclosure_of_history(disclosed_by(base, box, rasters))
        kept = metadata_of(base)
        options = WriteOptions(
            cog=True,
            tags=told.tags,
            changed=_changed(base, patches),
            source_type=EDITED if told.tags else "",
            metadata=kept,
        )
        with whole_file(target) as draft:
            write_geotiff(base, Mosaic(box, patches), draft, options, progress)
            differing = _checked(base, over, draft, parts)
        if told.areas:
            crs = "" if base.crs is None else base.crs.to_wkt(version="WKT2_2019")
            told.write_areas(target.with_name(target.name + AREAS_END), crs)
    return {"pixels": differing, "results": len(over)}


@contextlib.contextmanager
def _opened(base: rasterio.DatasetReader, path: Path, rasters: Rasters) -> Iterator[_Over]:
    """A result, and where it lies."""
    with opened(path, rasters.roots) as dataset:
        if profile_of(base).is_picture and dataset.shape != base.shape:
            raise BadRequest(
                f"{path.name} does not say where on the raster it lies, and has another size."
            )
        box = box_over(base, dataset, path.name)
        whole = Box(0, 0, dataset.width, dataset.height)
        areas = disclosed(dataset, whole, path).areas
        yield _Over(dataset, box, areas[-1][0] if areas else None)


def _patches(base: rasterio.DatasetReader, over: Sequence[_Over], part: Box) -> Iterator[Patch]:
    """What is laid over a part of the raster, the lowest first."""
    for one in over:
        both = one.box.clipped(part)
        if not (both.width and both.height):
            continue
        found = one.laid(both, base.read(window=both.window))
        if found is not None:
            yield Patch(both, *found)


def _changed(base: rasterio.DatasetReader, patches: Sequence[Patch]) -> frozenset[int]:
    """Numbers of the bands, from 0, in which something differs from the raster."""
    found: set[int] = set()
    for patch in patches:
        if len(found) == base.count:
            break
        was = base.read(window=patch.box.window)
        assert patch.only is not None
        differs = (_bits(was) != _bits(patch.pixels)).any(axis=-1)
        found |= set(np.flatnonzero(differs[:, patch.only].any(axis=1)).tolist())
    return frozenset(found)


def _checked(
    base: rasterio.DatasetReader, over: Sequence[_Over], draft: Path, parts: Sequence[Box]
) -> int:
    """How many pixels of the file differ from the raster; raises PromiseBroken where it is on
    another grid, or a pixel is neither the raster's nor that of the uppermost result which is its
    own there."""
    differing = 0
    with rasterio.open(draft) as made:
        same = (made.crs, made.shape, made.count, made.dtypes) == (
            base.crs,
            base.shape,
            base.count,
            base.dtypes,
        )
        if not same or made.transform != base.transform:
            raise PromiseBroken("The file that was written has another grid than the raster.")
        for part in parts:
            was = base.read(window=part.window)
            wanted = was.copy()
            for one in over:
                both = one.box.clipped(part)
                found = None
                if both.width and both.height:
                    rows, cols = both.relative_to(part).slices
                    found = one.laid(both, was[:, rows, cols])
                if found is not None:
                    values, own = found
                    wanted[:, rows, cols][:, own] = values[:, own]
            here = made.read(window=part.window)
            masks = [file.dataset_mask(window=part.window) for file in (base, made)]
            if not np.array_equal(_bits(here), _bits(wanted)) or not np.array_equal(*masks):
                raise PromiseBroken(
                    "The file that was written does not hold the pixels of the raster and its "
                    "results; it was not kept."
                )
            differing += int((_bits(here) != _bits(was)).any(axis=(0, -1)).sum())
    return differing
