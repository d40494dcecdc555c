"""Opening rasters, describing them, and reading windows of them; geotiff.py writes.

A raster is described by its `Profile`, which carries everything that must come
back unchanged: CRS, affine (also rotated or sheared), type, bands, descriptions,
colour interpretation, nodata, scale and offset, mask, tags. Windows are
`Box(col, row, width, height)` in pixels of the native grid; only the windows
asked for are read, whatever the size of the file.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio import warp
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ..ground.errors import RasterUnreadable
from .doors import opened as opened
from .grid import COPY_SIDE, Box
from .metadata import described
from .palette import palette_of
from .refused import check_crs, check_numbers, type_of

COPY_BYTES = 64 << 20
"""Bytes of all bands of such a square, at most ..."""
LEAST_COPY_SIDE = 256
"""... but never smaller than a file's own block."""


OnPart = Callable[[int, int], None]
"""Called as on_part(part, parts) while a file is copied or compared; may raise Dismissed."""


@dataclass(frozen=True)
class Profile:
    """What a raster is, apart from its pixels."""

    crs: CRS | None
    """None: it has none."""
    transform: Affine
    """From (column, row) to CRS coordinates, of the upper left corner of a pixel."""
    width: int
    """In pixels."""
    height: int
    """In pixels."""
    count: int
    """Bands, with an alpha band."""
    dtype: str
    """Of the values, as NumPy names it."""
    nodata: float | None
    """One for all bands; None: none is stated."""
    descriptions: tuple[str | None, ...]
    """A name a band; None: it has none."""
    colorinterp: tuple[ColorInterp, ...]
    """Colour interpretation a band."""
    scales: tuple[float, ...]
    """A band; physical value = stored * scale + offset."""
    offsets: tuple[float, ...]
    """A band."""
    units: tuple[str | None, ...]
    """Of the physical values a band; None: not stated."""
    has_mask: bool
    """Whether a mask band says which pixels are valid."""
    tags: dict[str, str]
    """Of the default domain."""
    band_tags: tuple[dict[str, str], ...]
    """Of the default domain of each band."""
    bits: str
    """Bits a value uses of its type (GDAL's NBITS); empty: all."""
    photometric: str = "MINISBLACK"
    """How TIFF says what the bands are."""
    palette: Mapping[int, tuple[int, ...]] | None = None
    """Red, green, blue and alpha (0 to 255) of each value; None: values are not classes of one."""
    is_picture: bool = False
    """Whether it states no place on the ground: a photo, a scan. Its affine is the identity."""

    @property
    def box(self) -> Box:
        """The window of all pixels."""
        return Box(0, 0, self.width, self.height)

    @property
    def alpha(self) -> int | None:
        """Index of the alpha band, counted from 0."""
        return (
            self.colorinterp.index(ColorInterp.alpha)
            if ColorInterp.alpha in self.colorinterp
            else None
        )

    def transform_of(self, box: Box) -> Affine:
        """Affine of a window of this raster."""
        return self.transform @ Affine.translation(box.col, box.row)

    @functools.cached_property
    def gsd_m(self) -> float:
        """Ground size of a pixel in metres: the root of its area, at the raster's middle.

        Measured on the ellipsoid, since a map's metres may be far from the ground's: those of Web
        Mercator are half as long at 60 degrees. Map units where the CRS has no place on the Earth.
        """
        return self._ground[0]

    @property
    def aspect(self) -> float:
        """A pixel's height by its width on the ground; pixels of degrees are taller than wide away
        from the equator."""
        return self._ground[1]

    @functools.cached_property
    def _ground(self) -> tuple[float, float]:
        """Root of a pixel's area in metres, and its height by its width."""
        t = self.transform
        plain = float(abs(t.a * t.e - t.b * t.d) ** 0.5)
        sides = float(np.hypot(t.a, t.d)), float(np.hypot(t.b, t.e))
        flat = sides[1] / sides[0] if min(sides) > 0 else 1.0
        if self.crs is None:
            return plain, flat
        col = self.width / 2
        row = self.height / 2
        xs, ys = zip(*(t @ at for at in ((col, row), (col + 1, row), (col, row + 1))), strict=True)
        try:
            lon, lat = warp.transform(self.crs, "EPSG:4326", xs, ys)
            (across, down), (first, second) = _bearings(lon, lat)
        except (RasterioError, CPLE_BaseError, ValueError):
            return plain * _metres(self.crs), flat
        ground = (first * second * abs(np.sin(np.radians(across - down)))) ** 0.5
        if not (np.isfinite(ground) and ground > 0):
            return plain * _metres(self.crs), flat
        return float(ground), float(second / first)


def _bearings(
    lon: Sequence[float], lat: Sequence[float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bearings in degrees and lengths in metres from the first point to the second and to the
    third."""
    ellipsoid = pyproj.Geod(ellps="WGS84")
    found = [ellipsoid.inv(lon[0], lat[0], lon[i], lat[i]) for i in (1, 2)]
    return (found[0][0], found[1][0]), (found[0][2], found[1][2])


def _metres(crs: CRS) -> float:
    try:
        return crs.linear_units_factor[1]
    except (RasterioError, CPLE_BaseError, ValueError):
        return 1.0


def profile_of(dataset: rasterio.DatasetReader) -> Profile:
    """Describe an open raster; raises RasterUnreadable for kinds that cannot be edited."""
    name = Path(dataset.name).name
    dtype = type_of(dataset, name)
    palette = palette_of(dataset)
    if dataset.gcps[0]:
        raise RasterUnreadable(
            f"{name} has ground control points instead of a pixel grid; warp it first (Raster > "
            "Projections > Warp)."
        )
    nodata = dataset.nodatavals
    if len({repr(v) for v in nodata}) > 1:
        raise RasterUnreadable(
            f"{name} has a nodata value per band ({nodata}); give its bands one."
        )
    check_numbers(dataset, name)
    if dataset.driver != "GTiff" and dataset.crs is not None:
        check_crs(dataset.crs.to_wkt(version="WKT2_2019"), name)
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
        photometric="MINISWHITE"
        if dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
        else "MINISBLACK",
        palette=palette,
        is_picture=_is_picture(dataset),
    )


def _is_picture(dataset: rasterio.DatasetReader) -> bool:
    """Whether a raster states no affine, for which rasterio gives the identity."""
    if dataset.crs is not None or dataset.transform != Affine.identity():
        return False
    root = described(dataset)
    return root is not None and root.find("GeoTransform") is None


@dataclass(frozen=True)
class Block:
    """Pixels of one window. `box`: where it lies, in pixels of the raster. `values`: (bands, H, W)
    in the file's type. `valid`: (H, W) bool, false where all bands are nodata, where alpha or mask
    is 0, or where a value is not finite."""

    box: Box
    values: np.ndarray
    valid: np.ndarray


def part_side(dataset: rasterio.DatasetReader) -> int:
    """Side of the squares in which a raster is copied and compared: smaller where it has many
    bands."""
    side = COPY_SIDE
    pixel = dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    while side > LEAST_COPY_SIDE and side * side * pixel > COPY_BYTES:
        side //= 2
    return side


def validity(
    dataset: rasterio.DatasetReader,
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
) -> np.ndarray:
    """Where a window is no nodata (H, W): by alpha, by the file's mask, and where any band holds
    another value than nodata.

    rasterio's own answer takes the fourth band of a red-green-blue file for its mask, whatever it
    is. `shape`: thinned to it.
    """
    seen = [
        band
        for band, colour in zip(dataset.indexes, dataset.colorinterp, strict=True)
        if colour != ColorInterp.alpha
    ]
    if dataset.nodata is None and len(seen) == dataset.count:
        return np.asarray(dataset.dataset_mask(window=window, out_shape=shape) > 0)
    # rasterio's own answer for a warped raster that lies wholly elsewhere is "valid everywhere";
    # its alpha band says not.
    found = np.ones(
        shape or ((window.height, window.width) if window is not None else dataset.shape), bool
    )
    if dataset.nodata is not None:
        wanted = (len(seen), *shape) if shape else None
        found = np.asarray(
            (dataset.read_masks(seen, window=window, out_shape=wanted) > 0).any(axis=0)
        )
    for band in set(dataset.indexes) - set(seen):
        found = found & (dataset.read(band, window=window, out_shape=shape) > 0)
    return found


def read_window(dataset: rasterio.DatasetReader, box: Box) -> Block:
    """Read a window in the native type.

    A pixel is valid where the file's own mask says so (nodata in every band,
    alpha 0 or mask 0 make it invalid) and every band is finite.
    """
    try:
        values = dataset.read(window=box.window)
        valid = validity(dataset, box.window)
    except RasterioError as error:
        raise RasterUnreadable(
            f"{Path(dataset.name).name} is damaged or incomplete: columns {box.col} to "
            f"{box.col + box.width}, rows {box.row} to {box.row + box.height} cannot be read "
            f"({error.__cause__ or error})."
        ) from error
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    return Block(box, values, valid)
