"""Joplin's chips before and after the tornado, with their damage, as a folder in xBD's layout.

usage: python benchmarks/joplin_pairs.py FOLDER

The outlines and classes are the predictions of the first-placed xView2 model that come with the
chips, not ground truth.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cases
import numpy as np
import rasterio
from PIL import Image
from rasterio.features import shapes
from scipy import ndimage

NAMES = ("", "no-damage", "minor-damage", "major-damage", "destroyed")
SMALLEST_PX = 60


def write(folder: Path) -> int:
    """Images and labels of every chip; the number of buildings."""
    source = cases.DATA / "joplin_tornado_geotiff" / "output"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    count = 0
    for chip in range(4):
        for when in ("pre", "post"):
            with rasterio.open(source / "chips" / when / f"{chip}_{when}.tif") as dataset:
                Image.fromarray(dataset.read().transpose(1, 2, 0)).save(
                    folder / "images" / f"joplin_{chip}_{when}_disaster.png"
                )
        with rasterio.open(source / "dmg" / f"{chip}_pre.tif") as dataset:
            damage = dataset.read(1)
        parts, _ = ndimage.label(ndimage.binary_opening(damage > 0))
        features = []
        for outline, number in shapes(parts.astype(np.int32), parts > 0):
            inside = damage[parts == int(number)]
            if len(inside) < SMALLEST_PX:
                continue
            ring = ", ".join(f"{x:.0f} {y:.0f}" for x, y in outline["coordinates"][0])
            kind = NAMES[int(np.bincount(inside, minlength=5)[1:].argmax()) + 1]
            features.append(
                {
                    "wkt": f"POLYGON (({ring}))",
                    "properties": {"feature_type": "building", "subtype": kind},
                }
            )
        text = json.dumps({"features": {"xy": features}})
        (folder / "labels" / f"joplin_{chip}_post_disaster.json").write_text(text, "utf8")
        count += len(features)
    return count


if __name__ == "__main__":
    print(write(Path(sys.argv[1])), "buildings")
