"""Reading windows of a raster and writing results on the very same grid.

A raster is described by its `Profile`, which carries everything that must come
back unchanged: CRS, affine (also rotated or sheared), type, bands, descriptions,
colour interpretation, nodata, scale and offset, mask, tags. Windows are
`Box(col, row, width, height)` in pixels of the native grid; only the windows
asked for are read, whatever the size of the file.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from .errors import NoSpace, RasterUnreadable

EDITABLE_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
COPY_SIDE = 2048
"""Side of the squares in which unchanged pixels are copied and compared."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: first column, first row, width, height."""

    col: int
    row: int
    width: int
    height: int

    @property
    def window(self) -> Window:
        """The same rectangle for rasterio."""
        return Window(self.col, self.row, self.width, self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices into an array of the whole raster."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    def grown(self, by: int, within: Box) -> Box:
        """Larger by `by` pixels on every side, clipped."""
        return Box(self.col - by, self.row - by, self.width + 2 * by, self.height + 2 * by).clipped(within)

    def clipped(self, within: Box) -> Box:
        """The part inside `within`; width or height 0 where there is none."""
        col, row = max(self.col, within.col), max(self.row, within.row)
        right = min(self.col + self.width, within.col + within.width)
        bottom = min(self.row + self.height, within.row + within.height)
        return Box(col, row, max(0, right - col), max(0, bottom - row))

    def joined(self, other: Box) -> Box:
        """The smallest rectangle around both."""
        col, row = min(self.col, other.col), min(self.row, other.row)
        right = max(self.col + self.width, other.col + other.width)
        bottom = max(self.row + self.height, other.row + other.height)
        return Box(col, row, right - col, bottom - row)

    def seen_from(self, origin: Box) -> Box:
        """The same pixels, counted from the corner of `origin`."""
        return Box(self.col - origin.col, self.row - origin.row, self.width, self.height)

    def squares(self, side: int = COPY_SIDE) -> Iterator[Box]:
        """Cut into squares of at most `side` pixels, counted from this box's own corner.

        So they fall on whole blocks of a file that holds this box.
        """
        for row in range(self.row, self.row + self.height, side):
            for col in range(self.col, self.col + self.width, side):
                yield Box(col, row, side, side).clipped(self)


@dataclass(frozen=True)
class Profile:
    """What a raster is, apart from its pixels."""

    crs: CRS | None
    transform: Affine
    width: int
    height: int
    count: int
    dtype: str
    nodata: float | None
    descriptions: tuple[str | None, ...]
    colorinterp: tuple[ColorInterp, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    units: tuple[str | None, ...]
    has_mask: bool
    tags: dict[str, str]
    band_tags: tuple[dict[str, str], ...]
    bits: str
    photometric: str = "MINISBLACK"

    @property
    def box(self) -> Box:
        """All pixels."""
        return Box(0, 0, self.width, self.height)

    @property
    def alpha(self) -> int | None:
        """Index of the alpha band, counted from 0."""
        return self.colorinterp.index(ColorInterp.alpha) if ColorInterp.alpha in self.colorinterp else None

    def transform_of(self, box: Box) -> Affine:
        """Affine of a window of this raster."""
        return self.transform @ Affine.translation(box.col, box.row)

    @property
    def gsd_m(self) -> float:
        """Ground size of a pixel in metres: the root of its area, at the raster's middle."""
        t = self.transform
        area = abs(t.a * t.e - t.b * t.d)
        if self.crs is None:
            return area**0.5
        if self.crs.is_geographic:
            _, latitude = t @ (self.width / 2, self.height / 2)
            area *= 111_320.0**2 * max(np.cos(np.radians(latitude)), 1e-3)
            return float(area**0.5)
        return float(area**0.5 * _metres(self.crs))


def _metres(crs: CRS) -> float:
    try:
        return crs.linear_units_factor[1]
    except RasterioError:
        return 1.0


@contextlib.contextmanager
def opened(path: str | Path, **options: object) -> Iterator[rasterio.DatasetReader]:
    """Open for reading; raises RasterUnreadable with a sentence where GDAL cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, **options) as dataset:
                yield dataset
    except RasterioError as error:
        raise RasterUnreadable(f"{Path(path).name} cannot be read as a raster: {error}") from error


def profile_of(dataset: rasterio.DatasetReader) -> Profile:
    """Describe an open raster; raises RasterUnreadable for kinds that cannot be edited."""
    name = Path(dataset.name).name
    types = set(dataset.dtypes)
    if len(types) > 1:
        raise RasterUnreadable(f"{name} mixes types {', '.join(sorted(types))}; give its bands one type.")
    dtype = types.pop()
    if "complex" in dtype or dtype == "cint16":
        raise RasterUnreadable(
            f"{name} holds complex numbers ({dtype}); make an amplitude or dB raster of it first.")
    if dtype not in EDITABLE_TYPES:
        raise RasterUnreadable(f"{name} is of type {dtype}; editable are {', '.join(EDITABLE_TYPES)}.")
    if ColorInterp.palette in dataset.colorinterp:
        raise RasterUnreadable(
            f"{name} has a colour palette; its values are classes, not brightness. "
            "Convert it to RGB first (Raster > Conversion > PCT to RGB).")
    nodata = dataset.nodatavals
    if len({repr(v) for v in nodata}) > 1:
        raise RasterUnreadable(f"{name} has a nodata value per band ({nodata}); give its bands one.")
    flags = {flag for band in dataset.mask_flag_enums for flag in band}
    return Profile(
        crs=dataset.crs,
        transform=dataset.transform,
        width=dataset.width,
        height=dataset.height,
        count=dataset.count,
        dtype=dtype,
        nodata=nodata[0],
        descriptions=dataset.descriptions,
        colorinterp=dataset.colorinterp,
        scales=dataset.scales,
        offsets=dataset.offsets,
        units=dataset.units,
        has_mask=MaskFlags.per_dataset in flags and not {MaskFlags.alpha, MaskFlags.nodata} & flags,
        tags=dataset.tags(),
        band_tags=tuple(dataset.tags(i) for i in dataset.indexes),
        bits=dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", ""),
        photometric="MINISWHITE" if dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES" else "MINISBLACK",
    )


@dataclass(frozen=True)
class Block:
    """Pixels of one window: values (bands, rows, columns) and where they are valid."""

    box: Box
    values: np.ndarray
    valid: np.ndarray


def read_window(dataset: rasterio.DatasetReader, box: Box) -> Block:
    """Read a window in the native type.

    A pixel is valid where the file's own mask says so (nodata in every band,
    alpha 0 or mask 0 make it invalid) and every band is finite.
    """
    try:
        values = dataset.read(window=box.window)
        valid = dataset.dataset_mask(window=box.window) > 0
    except RasterioError as error:
        raise RasterUnreadable(f"{Path(dataset.name).name}, window {box}: {error}") from error
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    return Block(box, values, valid)


@dataclass(frozen=True)
class WriteOptions:
    """Compression (deflate, zstd, none), COG layout, tags to add."""

    compression: str = "deflate"
    cog: bool = False
    tags: tuple[tuple[str, str], ...] = ()


def _creation_options(profile: Profile, box: Box, options: WriteOptions) -> dict[str, object]:
    creation: dict[str, object] = {
        "driver": "GTiff",
        "width": box.width,
        "height": box.height,
        "count": profile.count,
        "dtype": profile.dtype,
        "crs": profile.crs,
        "transform": profile.transform_of(box),
        "nodata": profile.nodata,
        "bigtiff": "IF_SAFER",
        # A dropped block reads back as +0 or nodata: of floats that loses -0 and the bits of NaN.
        "sparse_ok": "FALSE" if profile.dtype.startswith("float") else "TRUE",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
    }
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
    if profile.alpha is not None and profile.alpha == profile.count - 1:
        creation["alpha"] = "YES"
    return creation


def _describe(target: rasterio.io.DatasetWriter, profile: Profile, options: WriteOptions) -> None:
    stale = ("STATISTICS_",)
    target.update_tags(**{k: v for k, v in profile.tags.items() if not k.startswith(stale)})
    target.update_tags(**dict(options.tags))
    target.colorinterp = profile.colorinterp
    target.scales, target.offsets = profile.scales, profile.offsets
    target.units = tuple(u or "" for u in profile.units)
    for index in range(1, profile.count + 1):
        if profile.descriptions[index - 1]:
            target.set_band_description(index, profile.descriptions[index - 1])
        tags = {k: v for k, v in profile.band_tags[index - 1].items() if not k.startswith(stale)}
        target.update_tags(index, **tags)


Patch = tuple[Box, np.ndarray]
"""Pixels to lay over the copy: where, and values (bands, rows, columns) in the native type."""


OnPart = Callable[[int, int], None]
"""Called as on_part(part, parts) while a file is copied or compared; may raise Dismissed."""


@dataclass(frozen=True)
class Mosaic:
    """What is written: the window `box` of a raster, with patches laid over it."""

    box: Box
    patches: Sequence[Patch] = ()


def write_geotiff(
    source: rasterio.DatasetReader, mosaic: Mosaic, target: str | Path, options: WriteOptions,
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
            f"{target} could not be written: {error}. Is the disk full or the folder read-only?") from error


def _write_draft(
    source: rasterio.DatasetReader, mosaic: Mosaic, draft: Path, options: WriteOptions, on_part: OnPart
) -> None:
    profile, box, patches = profile_of(source), mosaic.box, mosaic.patches
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(draft, "w", **_creation_options(profile, box, options)) as out:
            _describe(out, profile, options)
            parts = list(box.squares())
            for number, part in enumerate(parts):
                on_part(number, len(parts))
                covered = any(where.clipped(part) == part for where, _ in patches)
                shape = (profile.count, part.height, part.width)
                values = np.empty(shape, profile.dtype) if covered else source.read(window=part.window)
                for where, pixels in patches:
                    _lay(values, part, where, pixels)
                here = part.seen_from(box).window
                out.write(values, window=here)
                if profile.has_mask:
                    out.write_mask(source.dataset_mask(window=part.window), window=here)
            _add_overviews(out, box)


def _lay(values: np.ndarray, part: Box, where: Box, pixels: np.ndarray) -> None:
    both = where.clipped(part)
    if both.width and both.height:
        rows, cols = both.seen_from(part).slices
        from_rows, from_cols = both.seen_from(where).slices
        values[:, rows, cols] = pixels[:, from_rows, from_cols]


def _add_overviews(out: rasterio.io.DatasetWriter, box: Box) -> None:
    """Before the file is closed, while its blocks are still in memory."""
    levels = [2**k for k in range(1, 12) if max(box.width, box.height) / 2**k > 128]
    if levels:
        with rasterio.Env(ZLEVEL_OVERVIEW="1"):  # only looked at; packing them better would cost more than it saves
            out.build_overviews(levels, rasterio.enums.Resampling.average)


def _as_cog(draft: Path, target: Path, options: WriteOptions, predict: bool) -> Path:
    creation = {"COMPRESS": options.compression.upper(), "BLOCKSIZE": 256, "BIGTIFF": "IF_SAFER"}
    if options.compression != "none" and predict:
        creation["PREDICTOR"] = "YES"
    rasterio.shutil.copy(draft, target, driver="COG", **creation)
    return target
