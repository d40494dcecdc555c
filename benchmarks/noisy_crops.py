"""Han et al.'s own subject: "ground after tsunami" on small noisy crops. Rubble and mud, no
confetti (sensor noise taken for things), no stripes.

usage: python benchmarks/noisy_crops.py [sheet.png]

The crops are of six places, at half their size, with noise of 0.035 of white in each band. Printed:
the share of changed pixels of a strong colour (confetti; of the crop itself as control), and how
much brighter the mean of a row or column is than those beside it (stripes; of the crop as control).
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import cases
import numpy as np
import rasterio
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job
from landbrush.server.editing.tries import edit_well
from landbrush.server.raster.rasters import Rasters
from PIL import Image
from run import figure
from scipy import ndimage

PROMPT = "ground after tsunami"
NOISE = 0.035
SIDE = 256
STRONG = 0.3
"""Difference of the bands, by white, from which on a colour is strong."""
CROPS = {
    cases.JOPLIN.format(0): (0.6, 300, 600),
    cases.JOPLIN.format(2): (0.6, 300, 500),
    cases.UCM.format("denseresidential", 24): (0.3, 0, 0),
    cases.UCM.format("mediumresidential", 34): (0.3, 0, 0),
    "exemplar_sources/gsi_noto_2024_pairs/post_18_230757_101675.png": (0.45, 0, 0),
    "exemplar_sources/naip_california_rgbn/santa_monica_2020_0.tif": (0.6, 0, 0),
}
"""Ground size of a pixel, and the left upper corner, by image."""
RING = ((0.12, 0.1), (0.9, 0.15), (0.88, 0.9), (0.1, 0.85))


def crop_of(name: str, left: int, top: int, rng: np.random.Generator) -> np.ndarray:
    """A noisy crop (3, h, w) in [0, 1] at half its size."""
    with rasterio.open(cases.DATA / name) as source:
        image = source.read([1, 2, 3]).astype(np.float32) / 255
    image = ndimage.zoom(image[:, top : top + SIDE, left : left + SIDE], (1, 0.5, 0.5), order=1)
    return np.clip(image + rng.normal(0, NOISE, image.shape), 0, 1)


def edited(crop: np.ndarray, gsd_m: float) -> np.ndarray:
    """The crop after the prompt (3, h, w)."""
    height, width = crop.shape[1:]
    transform = rasterio.Affine(gsd_m, 0, 400_000, 0, -gsd_m, 3_000_000)
    ring = [list(transform @ (x * width, y * height)) for x, y in RING]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "crop.tif"
        profile = {"width": width, "height": height, "count": 3, "dtype": "uint8"}
        with rasterio.open(
            path, "w", driver="GTiff", crs=32617, transform=transform, photometric="RGB", **profile
        ) as target:
            target.write(np.round(crop * 255).astype(np.uint8))
        request = EditRequest.from_json(
            {
                "raster": {"path": str(path)},
                "polygons": {"geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}},
                "prompt": PROMPT,
                "seed": 1,
                "output": {"area": "layer"},
            }
        )
        (folder / "out").mkdir()
        job = Job(request, "auto", Rasters(path))
        edit_well(job, cases.EDITORS, folder / "out", lambda *_: None)
        with rasterio.open(folder / "out" / "result.tif") as source:
            return source.read().astype(np.float32) / 255


def colourful(image: np.ndarray, where: np.ndarray) -> float:
    """Share of pixels (H, W) of a strong colour."""
    return float((np.ptp(image, axis=0) > STRONG)[where].mean())


def striped(image: np.ndarray, where: np.ndarray) -> float:
    """Largest step between the means of two neighbouring rows or columns, by white."""
    grey = image.mean(axis=0)
    steps = []
    for axis in (0, 1):
        count = where.sum(axis=axis)
        mean = (grey * where).sum(axis=axis) / np.maximum(count, 1)
        both = (count[1:] > 30) & (count[:-1] > 30)
        steps.append(np.abs(np.diff(mean))[both].max(initial=0))
    return float(max(steps))


def main() -> None:
    """Edit all crops and print what came of them."""
    if not cases.DATA.is_dir():
        sys.exit(f"no imagery at {cases.DATA} (set LANDBRUSH_DATA)")
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    rows = []
    found = {"colourful": [], "colourful_before": [], "striped": [], "striped_before": []}
    for name, (gsd_m, left, top) in CROPS.items():
        crop = crop_of(name, left, top, rng)
        after = edited(crop, 2 * gsd_m)
        changed = np.abs(after - crop).max(axis=0) > 3 / 255
        for told, image in (("", after), ("_before", crop)):
            found[f"colourful{told}"].append(colourful(image, changed))
            found[f"striped{told}"].append(striped(image, changed))
        print(f"# {Path(name).stem}: changed {changed.mean():.2f} of the crop", flush=True)
        rows.append(np.concatenate([crop, after], axis=2))
    for name, values in found.items():
        figure(f"noisy_crops_{name}", max(values), "worst of six")
    if len(sys.argv) > 1:
        sheet = Image.new("RGB", (3 * 400, 2 * 200))
        for number, row in enumerate(rows):
            picture = Image.fromarray((255 * row).astype(np.uint8).transpose(1, 2, 0))
            picture = picture.resize((400, 200), Image.Resampling.BICUBIC)
            sheet.paste(picture, (400 * (number % 3), 200 * (number // 3)))
        sheet.save(sys.argv[1])


if __name__ == "__main__":
    main()
