"""Writing a GeoTIFF on the very grid of its source: the source's pixels with patches laid over
them."""

from __future__ import annotations

import copy
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.rpc import RPC

from ..ground.errors import NoSpace, RasterUnreadable
from .grid import Box
from .metadata import Metadata, metadata_of, write_domains, write_rest
from .raster import OnPart, Profile, part_side, profile_of

SYNTHETIC_BAND = "Pixels of this band inside the polygons were made by a program. Not measured."


LARGEST_TILE = 1024
"""Pixels a side of the largest tiles that are kept."""


@dataclass(frozen=True)
class WriteOptions:
    """How a result is written. `compression`: deflate, zstd or none. `cog`: as a cloud-optimised
    GeoTIFF. `tags`: pairs to add to the default domain. `changed`: bands (from 0) to mark as
    synthetic. `classes`: values are names, of which overviews take one instead of a mean.
    `source_type`: IPTC's term for how the picture came to be; empty: nothing is said.
    `metadata`: what the file says of itself; None: what the source does."""

    compression: str = "deflate"
    cog: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    changed: frozenset[int] = frozenset()
    classes: bool = False
    source_type: str = ""
    metadata: Metadata | None = None


def _creation_options(profile: Profile, box: Box, options: WriteOptions) -> dict[str, object]:
    creation: dict[str, object] = {
        "driver": "GTiff",
        "width": box.width,
        "height": box.height,
        "count": profile.count,
        "dtype": profile.dtype,
        "crs": profile.crs,
        "nodata": profile.nodata,
        "bigtiff": "IF_SAFER",
        # A dropped block reads back as +0 or nodata: of floats that loses -0 and the bits of NaN.
        "sparse_ok": "FALSE" if profile.dtype.startswith("float") else "TRUE",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
    }
    if not profile.is_picture:  # whose result has no place either
        creation["transform"] = profile.transform_of(box)
    if options.compression != "none":
        creation["compress"] = options.compression
        if options.compression == "deflate":
            creation["zlevel"] = 4  # level 6 takes a third longer for two percent
        if not profile.bits:
            creation["predictor"] = 3 if profile.dtype.startswith("float") else 2
    if profile.bits:
        creation["nbits"] = profile.bits
    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    creation["photometric"] = "RGB" if profile.colorinterp[:3] == rgb else profile.photometric
    if profile.palette is not None:
        creation["photometric"] = "PALETTE"
    if profile.alpha is not None and profile.alpha == profile.count - 1:
        creation["alpha"] = "YES"
    return creation


def _layout(source: rasterio.DatasetReader) -> dict[str, object]:
    """Tiles and the order of bands as in the source, where that is a GeoTIFF with tiles; strips
    become tiles."""
    if source.driver != "GTiff":
        return {}
    found: dict[str, object] = {}
    if source.count > 1 and source.interleaving is not None:
        found["interleave"] = source.interleaving.value.lower()
    height, width = source.block_shapes[0]
    tiled = width < source.width or source.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG"
    if tiled and not (height % 16 or width % 16) and max(height, width) <= LARGEST_TILE:
        found |= {"blockxsize": width, "blockysize": height}
    return found


def _describe(target: rasterio.io.DatasetWriter, profile: Profile, options: WriteOptions) -> None:
    stale = ("STATISTICS_",)
    # What the source says of edits before this one is in the tags given.
    told = ("LANDBRUSH_",) if options.tags else ()
    target.update_tags(
        **{k: v for k, v in profile.tags.items() if not k.startswith((*stale, *told))}
    )
    target.update_tags(**dict(options.tags))
    if profile.palette is not None:
        target.write_colormap(1, profile.palette)
    target.colorinterp = profile.colorinterp
    target.scales = profile.scales
    target.offsets = profile.offsets
    target.units = tuple(u or "" for u in profile.units)
    for index in range(1, profile.count + 1):
        if profile.descriptions[index - 1]:
            target.set_band_description(index, profile.descriptions[index - 1])
        tags = {k: v for k, v in profile.band_tags[index - 1].items() if not k.startswith(stale)}
        if index - 1 in options.changed:
            tags.setdefault("LANDBRUSH_SYNTHETIC", SYNTHETIC_BAND)
        target.update_tags(index, **tags)


@dataclass(frozen=True)
class Patch:
    """Pixels to lay over the copy. `box`: where. `pixels` (bands, H, W): in the native type.
    `only` (H, W): which of them; None: all."""

    box: Box
    pixels: np.ndarray
    only: np.ndarray | None = None


@dataclass(frozen=True)
class Mosaic:
    """What is written. `box`: window of the raster, in its pixels. `patches`: edited windows, laid
    over it in their order. `laid`: what is done to the pixels (C, h, w) of each part besides, for
    patches that are too many to hold."""

    box: Box
    patches: Sequence[Patch] = ()
    laid: Callable[[Box, np.ndarray], None] | None = None


def write_geotiff(
    source: rasterio.DatasetReader,
    mosaic: Mosaic,
    target: str | Path,
    options: WriteOptions,
    on_part: OnPart = lambda part, parts: None,
) -> None:
    """Write a mosaic on `source` as a GeoTIFF.

    Everything else is copied square by square, so memory does not follow the
    file's size. The file appears under its name only when it is complete.
    """
    target = Path(target)
    try:
        with tempfile.TemporaryDirectory(prefix=".landbrush-", dir=target.parent) as folder:
            draft = Path(folder) / "draft.tif"
            with rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_TIFF_INTERNAL_MASK="YES"):
                _write_draft(source, mosaic, draft, options, on_part)
                if options.cog:
                    bits = profile_of(source).bits
                    draft = _as_cog(draft, Path(folder) / "cog.tif", options, predict=not bits)
            os.replace(draft, target)
    except (OSError, RasterioError, CPLE_BaseError) as error:
        raise NoSpace(
            f"{target} could not be written: {error}. Is the disk full or the folder read-only?"
        ) from error


def _write_draft(
    source: rasterio.DatasetReader,
    mosaic: Mosaic,
    draft: Path,
    options: WriteOptions,
    on_part: OnPart,
) -> None:
    profile = profile_of(source)
    metadata = metadata_of(source) if options.metadata is None else options.metadata
    box = mosaic.box
    patches = mosaic.patches
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        creation = {**_creation_options(profile, box, options), **_layout(source)}
        if metadata.profile:
            creation["source_icc_profile"] = metadata.profile
        with rasterio.open(draft, "w", **creation) as out:
            _describe(out, profile, options)
            write_domains(out, metadata)
            rpcs = rpcs_of(source, box)
            if rpcs is not None:
                out.rpcs = rpcs
            parts = list(box.squares(part_side(source)))
            for number, part in enumerate(parts):
                on_part(number, len(parts))
                covered = any(p.only is None and p.box.clipped(part) == part for p in patches)
                shape = (profile.count, part.height, part.width)
                values = (
                    np.empty(shape, profile.dtype) if covered else source.read(window=part.window)
                )
                for patch in patches:
                    _lay(values, part, patch)
                if mosaic.laid is not None:
                    mosaic.laid(part, values)
                here = part.relative_to(box).window
                out.write(values, window=here)
                if profile.has_mask:
                    out.write_mask(_clear_mask(source, part), window=here)
            _add_overviews(out, box, options)
    write_rest(draft, metadata.disclosing(options.source_type))


def _clear_mask(source: rasterio.DatasetReader, part: Box) -> np.ndarray:
    """The mask of a window; one with values between valid and not cannot be kept in a GeoTIFF."""
    mask = source.dataset_mask(window=part.window)
    if ((mask != 0) & (mask != 255)).any():
        raise RasterUnreadable(
            f"{Path(source.name).name} has a mask with values between 0 and 255, which a GeoTIFF "
            "cannot hold; make an alpha band of it, or a mask of 0 and 255."
        )
    return mask


def rpcs_of(source: rasterio.DatasetReader, box: Box) -> RPC | None:
    """The rational polynomial camera model of a window, where the raster has one: counted from the
    window's corner."""
    if source.rpcs is None:
        return None
    found = copy.copy(source.rpcs)
    found.line_off -= box.row
    found.samp_off -= box.col
    return found


def _lay(values: np.ndarray, part: Box, patch: Patch) -> None:
    both = patch.box.clipped(part)
    if both.width and both.height:
        rows, cols = both.relative_to(part).slices
        here = both.relative_to(patch.box).slices
        pixels = patch.pixels[:, here[0], here[1]]
        if patch.only is None:
            values[:, rows, cols] = pixels
        else:
            only = patch.only[here]
            values[:, rows, cols][:, only] = pixels[:, only]


def _add_overviews(out: rasterio.io.DatasetWriter, box: Box, options: WriteOptions) -> None:
    """Before the file is closed, while its blocks are still in memory."""
    levels = [2**k for k in range(1, 12) if max(box.width, box.height) / 2**k > 128]
    if levels:
        with rasterio.Env(
            ZLEVEL_OVERVIEW="1"
        ):  # only looked at; packing them better would cost more than it saves
            out.build_overviews(levels, Resampling.mode if options.classes else Resampling.average)


def _as_cog(draft: Path, target: Path, options: WriteOptions, predict: bool) -> Path:
    creation = {
        "COMPRESS": options.compression.upper(),
        "BLOCKSIZE": 256,
        "BIGTIFF": "IF_SAFER",
        "COPY_SRC_MDD": "YES",
    }
    if options.compression != "none" and predict:
        creation["PREDICTOR"] = "YES"
    if options.classes:
        creation["OVERVIEW_RESAMPLING"] = "MODE"
    rasterio.shutil.copy(draft, target, driver="COG", **creation)
    return target
