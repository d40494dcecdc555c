"""Colours of a band of classes."""

from __future__ import annotations

from pathlib import Path

import rasterio
from rasterio.enums import ColorInterp

from ..ground.errors import RasterUnreadable

TYPES = ("uint8", "uint16")
"""Of which a GeoTIFF can hold a palette."""
REMEDY = "Convert it to RGB first (Raster > Conversion > PCT to RGB)."


def palette_of(dataset: rasterio.DatasetReader) -> dict[int, tuple[int, ...]] | None:
    """Red, green, blue and alpha (0 to 255) of each value; None: the raster has no palette. Raises
    RasterUnreadable for one that no GeoTIFF could hold."""
    if ColorInterp.palette not in dataset.colorinterp:
        return None
    if dataset.count != 1 or dataset.dtypes[0] not in TYPES:
        raise RasterUnreadable(
            f"{Path(dataset.name).name} has a colour palette, which a GeoTIFF can only hold of a "
            f"single band of bytes or whole numbers of 16 bits (here {dataset.count} of "
            f"{dataset.dtypes[0]}). {REMEDY}"
        )
    return dict(dataset.colormap(1))


def refuse_palette(dataset: rasterio.DatasetReader) -> None:
    """Raise RasterUnreadable where a raster's values are classes of a palette."""
    if ColorInterp.palette in dataset.colorinterp:
        raise RasterUnreadable(
            f"{Path(dataset.name).name} has a colour palette; its values are classes, not "
            f"brightness. {REMEDY}"
        )
