"""What makes a raster one that cannot be edited, told before anything is done."""

from __future__ import annotations

import contextlib
import functools

import numpy as np
import pyproj
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from ..ground.errors import RasterUnreadable

EDITABLE_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


def type_of(dataset: rasterio.DatasetReader, name: str) -> str:
    """The type of all bands; raises RasterUnreadable where that is none or cannot be edited."""
    types = set(dataset.dtypes)
    if not types:
        inner = ", ".join(s.rpartition(":")[2] for s in dataset.subdatasets[:8])
        raise RasterUnreadable(
            f"{name} holds no raster of its own"
            + (f" but several inside ({inner})" if inner else "")
            + "; export the one to edit as a GeoTIFF."
        )
    if len(types) > 1:
        raise RasterUnreadable(
            f"{name} mixes types {', '.join(sorted(types))}; give its bands one type."
        )
    dtype = types.pop()
    if "complex" in dtype or dtype == "cint16":
        raise RasterUnreadable(
            f"{name} holds complex numbers ({dtype}); make an amplitude or dB raster of it first."
        )
    if dtype not in EDITABLE_TYPES:
        raise RasterUnreadable(
            f"{name} is of type {dtype}; editable are {', '.join(EDITABLE_TYPES)}."
        )
    return str(dtype)


def check_numbers(dataset: rasterio.DatasetReader, name: str) -> None:
    """Raise RasterUnreadable where a number in the header makes no grid, or no values."""
    t = dataset.transform
    if not np.isfinite(tuple(t)[:6]).all() or abs(t.a * t.e - t.b * t.d) < 1e-300:
        raise RasterUnreadable(
            f"{name} has no usable pixel grid: its transform is {tuple(t)[:6]}. Assign its extent "
            "anew (Raster > Conversion > Translate, -a_ullr), or its world file."
        )
    for what, values in (("scale", dataset.scales), ("offset", dataset.offsets)):
        if not np.isfinite(values).all() or (what == "scale" and 0 in values):
            raise RasterUnreadable(
                f"{name} has a {what} that is no usable number ({values[:8]}); export it with "
                "another."
            )


@functools.lru_cache(maxsize=64)
def check_crs(wkt: str, name: str) -> None:
    """Raise RasterUnreadable for a CRS that a GeoTIFF does not hold as it is: one that calls itself
    by a code and is another."""
    crs = CRS.from_wkt(wkt)
    about = {"driver": "GTiff", "width": 1, "height": 1, "count": 1, "dtype": "uint8", "crs": crs}
    held = None
    with contextlib.suppress(RasterioError, CPLE_BaseError), MemoryFile() as file:
        with file.open(**about, transform=Affine(1, 0, 0, 0, -1, 0)):
            pass
        with file.open() as again:
            held = again.crs
    # As the judge compares the two.
    told = None if held is None else pyproj.CRS.from_wkt(held.to_wkt(version="WKT2_2019"))
    if held != crs and told != pyproj.CRS.from_wkt(wkt):
        raise RasterUnreadable(
            f"{name} has a CRS that a GeoTIFF holds as another one ({held}): it says so of itself, "
            "and differs from it. Assign the right one (Raster > Projections > Assign Projection)."
        )
