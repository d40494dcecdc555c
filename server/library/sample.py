"""A raster to try edits on: a chip of the library as a GeoTIFF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from ..ground.errors import BadRequest
from ..ground.files import whole_file
from .chips import Chip, shipped, shipped_picture

SAMPLE = "houses-naip-riverside_2020_36"
"""A housing estate with streets, gardens and pools."""


def write_sample(target: Path) -> Chip:
    """Write it, and tell which chip it is. Its grid counts metres from its own lower left corner,
    and it has no CRS: where on Earth the chip was taken is not kept. Raises BadRequest where
    something is there already."""
    if target.exists():
        raise BadRequest(f"{target} is already there; choose another name.")
    chip = next(one for one in shipped() if one.id == SAMPLE)
    values = np.round(shipped_picture(chip) * 255).astype(np.uint8)
    count, height, width = values.shape
    grid = Affine(chip.gsd_m, 0, 0, 0, -chip.gsd_m, height * chip.gsd_m)
    profile = {"driver": "GTiff", "dtype": "uint8", "transform": grid, "photometric": "RGB"}
    profile |= {"count": count, "height": height, "width": width, "compress": "deflate"}
    with whole_file(target) as draft, rasterio.open(draft, "w", **profile) as out:
        out.write(values)
        out.update_tags(
            TIFFTAG_IMAGEDESCRIPTION="Sample of Landbrush",
            TIFFTAG_COPYRIGHT=f"{chip.credit} ({chip.licence}), {chip.source}",
        )
    return chip
