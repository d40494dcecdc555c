"""Ground that is not there yet: an empty grid in an extent, or an extent of a raster on a finer
grid."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
import shapely
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from scipy import ndimage

from ..contract.requests import Extent, RasterRef
from ..ground.errors import BadRequest, NoSpace
from ..raster import bands, sensor
from ..raster.bands import Layer
from ..raster.grid import Box, Grid, onto
from ..raster.polygons import crs_of
from ..raster.raster import Block, opened, validity

SMALLEST_GSD_M = 0.001
LARGEST_BLANK_PX = 100_000
"""Of a side of empty ground."""
LARGEST_FINER_PX = 48_000_000
"""Of ground that is made finer: what a model draws at once."""


@dataclass(frozen=True)
class _Ground:
    """A grid of new ground: CRS as asked, affine, (height, width)."""

    crs: Any
    transform: Affine
    shape: tuple[int, int]

    @classmethod
    def of(cls, extent: Extent, gsd_m: float) -> _Ground:
        """Pixels that are square on the ground; the extent is enlarged to the right and below to
        whole ones."""
        crs = crs_of(extent.crs, "raster.extent.crs")
        if not (crs.is_projected or crs.is_geographic):
            raise BadRequest(
                f"raster.extent: {crs.name} is neither projected nor geographic; choose a CRS of "
                "the ground."
            )
        if gsd_m < SMALLEST_GSD_M:
            raise BadRequest(f"raster.gsd_m: {gsd_m:g} m; at least {SMALLEST_GSD_M:g} m is taken.")
        across, down = _metres_a_unit(extent, crs)
        size = gsd_m / across, gsd_m / down
        sides = [(extent.xmax - extent.xmin) / size[0], (extent.ymax - extent.ymin) / size[1]]
        if not max(sides) <= LARGEST_BLANK_PX:
            raise BadRequest(
                f"raster: the extent has {sides[0]:.3g} x {sides[1]:.3g} pixels of {gsd_m:g} m; "
                f"at most {LARGEST_BLANK_PX:,} a side are made. Choose a smaller extent or a "
                "larger ground size."
            )
        width, height = (max(1, math.ceil(round(side, 6))) for side in sides)
        return cls(
            extent.crs, Affine(size[0], 0, extent.xmin, 0, -size[1], extent.ymax), (height, width)
        )

    def file(self, kind: str, folder: Path, *more: object) -> Path:
        """Its file, the same for the same request."""
        asked = repr(
            (crs_of(self.crs, "").to_wkt("WKT2_2019"), tuple(self.transform), self.shape, *more)
        ).encode()
        return folder / f"{kind}-{hashlib.sha256(asked).hexdigest()[:24]}.tif"

    def written(self, path: Path, fill: Callable[[rasterio.io.DatasetWriter], None]) -> None:
        """Make its file of red, green and blue bytes, whole or not at all; raises BadRequest,
        NoSpace."""
        height, width = self.shape
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".ground-", dir=path.parent) as draft:
                # A GeoTIFF, so that what such a file cannot hold of the CRS shows here and not
                # after the drawing.
                made = Path(draft) / path.name
                with rasterio.open(
                    made,
                    "w",
                    driver="GTiff",
                    width=width,
                    height=height,
                    count=3,
                    dtype="uint8",
                    crs=rasterio.crs.CRS.from_user_input(self.crs),
                    transform=self.transform,
                    photometric="RGB",
                    tiled=True,
                    compress="deflate",
                    sparse_ok=True,
                    bigtiff="IF_SAFER",
                ) as out:
                    fill(out)
                with rasterio.Env(GDAL_PAM_ENABLED="NO"), opened(made) as again:
                    held = again.crs
                    wanted = crs_of(self.crs, "").name
                if held is None or pyproj.CRS.from_wkt(held.to_wkt()).name != wanted:
                    raise BadRequest(
                        f"raster.extent.crs: a GeoTIFF holds {wanted} as {held}; choose that, or "
                        "another CRS."
                    )
                os.replace(made, path)
        except (OSError, RasterioError, CPLE_BaseError) as error:
            raise NoSpace(
                f"The new raster could not be written to {path.parent}: {error}."
            ) from error


def blank(extent: Extent, gsd_m: float, folder: Path) -> Path:
    """A file of empty ground, with pixels that are square on the ground; the same for the same
    request. Raises BadRequest."""
    ground = _Ground.of(extent, gsd_m)
    path = ground.file("blank", folder)
    if not path.is_file():
        ground.written(path, lambda out: None)
    return path


def _whole(pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """What is missing at the rim is as the nearest pixel that is there."""
    if valid.all():
        return pixels
    near = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return pixels[:, near[0], near[1]]


def finer(source: Path, ref: RasterRef, roles: Mapping[str, int], folder: Path) -> Path:
    """A file of the same ground as an extent of a raster, on a grid of other pixels, by cubic
    interpolation of its colours.

    Raises BadRequest where the raster does not cover the extent, or its colours are unknown
    (`roles`: bands, from 1, as stated).
    """
    assert ref.extent is not None
    ground = _Ground.of(ref.extent, ref.gsd_m)
    height, width = ground.shape
    if height * width > LARGEST_FINER_PX:
        raise BadRequest(
            f"raster: the extent has {width:,} x {height:,} pixels of {ref.gsd_m:g} m; at most "
            f"{LARGEST_FINER_PX:,} are made finer at once. Choose a smaller extent or a larger "
            "ground size."
        )
    with opened(source) as dataset:
        members = [
            (name, os.stat(name).st_mtime_ns, os.stat(name).st_size)
            for name in dataset.files
            if os.path.isfile(name)
        ]
        path = ground.file("finer", folder, members, sorted(roles.items()))
        if path.is_file():
            return path
        if dataset.crs is None:
            raise BadRequest(
                f"raster: {source.name} has no CRS, so where the extent lies in it is unknown."
            )
        layer = Layer.of(dataset, roles)
        named = [layer.roles.index(role) for role in bands.COLOURS]
        if None in named and len(layer.roles.names) > 1:
            raise BadRequest(
                f"raster: {source.name} names no red, green and blue; state them (band roles)."
            )
        data = bands.data_bands(layer.profile)
        chosen = [data[0 if i is None else i] for i in named]
        block = _brought(dataset, ground, chosen)
        if not block.valid[: max(height - 1, 1), : max(width - 1, 1)].all():
            raise BadRequest(
                f"raster: {source.name} covers {block.valid.mean():.0%} of the extent; what is "
                "made finer must lie in it whole, without nodata."
            )
        shown = (
            bands.stretch_of(layer.profile, layer.roles, bands.overview(layer))
            .of(chosen)
            .normalise(block.values)
        )
        satellite = sensor.satellite_of(layer.profile, source.name)
    pixels = _whole(
        (np.clip(np.nan_to_num(shown), 0, 1) * 255).round().astype(np.uint8), block.valid
    )

    def fill(out: rasterio.io.DatasetWriter) -> None:
        out.write(pixels)
        if satellite:
            out.update_tags(SATELLITE=satellite)

    ground.written(path, fill)
    return path


def _brought(dataset: rasterio.DatasetReader, ground: _Ground, chosen: list[int]) -> Block:
    """Some bands (from 0) on new ground; the last row and column, to which an extent was enlarged,
    may be invalid."""
    height, width = ground.shape
    grid = Grid(rasterio.crs.CRS.from_user_input(ground.crs), ground.transform, ground.shape)
    with onto(dataset, grid, Resampling.cubic) as warped:
        values = warped.read([band + 1 for band in chosen])
        return Block(Box(0, 0, width, height), values, validity(warped))


def all_of_it(shapes: list, box: Box) -> list:
    """All pixels of new ground where the polygons cover the extent that was asked for; it was
    enlarged to whole pixels."""
    whole = shapely.box(0, 0, box.width, box.height)
    covered = shapely.union_all(shapes).intersection(whole).area
    return [whole] if covered >= (box.width - 1.01) * (box.height - 1.01) else shapes


def _metres_a_unit(extent: Extent, crs: pyproj.CRS) -> tuple[float, float]:
    """Metres on the ground that a unit of the CRS measures across and down, in the middle of the
    extent."""
    x = (extent.xmin + extent.xmax) / 2
    y = (extent.ymin + extent.ymax) / 2
    step = 1e-3 if crs.is_geographic else 1.0
    try:
        to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        lon, lat = to_degrees.transform([x, x + step, x], [y, y, y + step], errcheck=True)
        geod = pyproj.Geod(ellps="WGS84")
        found = tuple(geod.inv(lon[0], lat[0], lon[i], lat[i])[2] / step for i in (1, 2))
    except pyproj.exceptions.ProjError as error:
        raise BadRequest(
            f"raster.extent: its middle ({x:g}, {y:g}) is no place of {crs.name} ({error})."
        ) from error
    if not all(math.isfinite(length) and length > 0 for length in found):
        raise BadRequest(f"raster.extent: {crs.name} measures no ground at ({x:g}, {y:g}).")
    return found[0], found[1]
