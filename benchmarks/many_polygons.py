"""What an edit of 10^5 polygons with 10^6 vertices costs, on 8,000 x 8,000 pixels: CPU-seconds and
memory of the command line, what lies beside the result, and what the judge counts.

.venv/bin/python benchmarks/many_polygons.py
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

SIDE = 8000
ACROSS = 316
VERTICES = 9
RADIUS_PX = 5.0


def figure(name: str, value: float, unit: str) -> None:
    print(f"figure {name} {value:.4g} {unit}", flush=True)


def make(folder: Path) -> int:
    """A raster of noise and polygons on a grid; how many vertices they have."""
    rng = np.random.default_rng(0)
    place = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 400_000, 0, -0.5, 3_285_000)}
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8"}
    layout = {"tiled": True, "compress": "deflate"}
    with rasterio.open(folder / "r.tif", "w", **profile, **place, **layout) as out:
        for row in range(0, SIDE, 1000):
            values = np.clip(110 + 25 * rng.standard_normal((3, 1000, SIDE)), 1, 254)
            out.write(values.astype("uint8"), window=rasterio.windows.Window(0, row, SIDE, 1000))
    middles = (np.arange(ACROSS) + 0.5) * SIDE / ACROSS
    turns = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    ring = np.column_stack([np.cos(turns), np.sin(turns)]) * RADIUS_PX
    ring = np.vstack([ring, ring[:1]])
    polygons = []
    for x in middles:
        for y in middles:
            there = (ring + [x, y]) * [0.5, -0.5] + [400_000, 3_285_000]
            polygons.append([there.tolist()])
    data = {"type": "MultiPolygon", "coordinates": polygons}
    (folder / "p.geojson").write_text(json.dumps(data))
    return len(polygons) * len(ring)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vertices = make(folder)
        command = f"edit {folder}/r.tif --polygons {folder}/p.geojson --crs EPSG:32617"
        more = f"--editor snow --output {folder}/out.tif"
        subprocess.run(
            [sys.executable, "-m", "landbrush.server", *command.split(), *more.split()],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        gate = json.loads((folder / "out.manifest.json").read_text())["gate"]
        figure("many_polygons", ACROSS**2, "polygons")
        figure("many_vertices", vertices, "vertices")
        figure("many_cpu", used.ru_utime + used.ru_stime, "CPU-s")
        figure("many_peak_rss", used.ru_maxrss / 1024, "MB")
        figure("many_areas_beside", (folder / "out.tif.mask.fgb").stat().st_size / 1e6, "MB")
        figure("many_outside_different", gate["pixels_outside_different"], "px")
        figure("many_not_disclosed", gate["pixels_wanted_missed"], "px")


if __name__ == "__main__":
    main()
