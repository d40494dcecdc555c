"""A small edit of made-up ground, by which a worker has loaded what any edit uses before somebody
waits for one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from ..contract.editors import AUTO
from ..contract.requests import EditRequest, Polygons, RasterRef
from ..editing.path import Job
from ..editing.tries import edit_well
from ..editors.registry import Editors
from ..raster.rasters import Rasters

SIDE_PX = 160
GSD_M = 0.5
CRS = "EPSG:32631"
CORNER = (500_000.0, 5_000_000.0)
INSIDE_PX = (40, 120)


def warm_up(editors: Editors) -> None:
    """Edit a made-up layer in the worker's own folder for temporary files, and delete it. Raises
    what an edit raises."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ground.tif"
        _write(path)
        low, high = (CORNER[0] + GSD_M * at for at in INSIDE_PX)
        top, bottom = (CORNER[1] - GSD_M * at for at in INSIDE_PX)
        ring = [[low, top], [high, top], [high, bottom], [low, bottom], [low, top]]
        request = EditRequest(
            raster=RasterRef(path=str(path)),
            polygons=Polygons({"type": "Polygon", "coordinates": [ring]}, CRS),
            prompt="snow",
        )
        rasters = Rasters.of({"raster": str(path)}, None)
        edit_well(Job(request, AUTO, rasters), editors, Path(folder), _unheard)


def _write(path: Path) -> None:
    rows, cols = np.mgrid[:SIDE_PX, :SIDE_PX]
    grain = np.random.default_rng(0).integers(0, 20, (3, SIDE_PX, SIDE_PX))
    ground = np.array([90, 105, 70])[:, None, None] + grain + 40 * (abs(rows - cols) < 6)
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "crs": CRS, "count": 3}
    with rasterio.open(
        path,
        "w",
        width=SIDE_PX,
        height=SIDE_PX,
        transform=from_origin(*CORNER, GSD_M, GSD_M),
        **profile,
    ) as dataset:
        dataset.write(ground.astype(np.uint8))


def _unheard(*_: Any, **__: Any) -> None:
    """Nobody waits for it."""
