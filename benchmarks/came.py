"""How far the editors' pictures are from what really came later: the tornado of Joplin, and lakes
of North Dakota that rose.

usage: python benchmarks/came.py [FOLDER [joplin] [lakes]]   (FOLDER: before, made, came side by
side as PNGs, too)

Both what was there before and what was made of it get the tone of the later picture, by a line for
each band through the pixels that did not change. Distances are Fréchet distances of EfficientNet-
Lite0's features between tiles of one half of the places and of the other, the mean of some ways to
halve them, since the distance depends on how many there are; `floor` is that between two halves of
what really came.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cases
import numpy as np
import rasterio
import torch
from landbrush.server.contract.requests import EditRequest
from landbrush.server.editing.path import Job, edit
from landbrush.server.evaluation.features import lite0
from landbrush.server.evaluation.fid import frechet
from landbrush.server.raster.rasters import Rasters
from PIL import Image
from rasterio.enums import Resampling
from rasterio.features import shapes
from rasterio.warp import reproject
from scipy import ndimage

SIDE = 96
"""Of a tile, in pixels."""
LEAST_CAME = 0.12
"""Share of a tile that has to have changed to count."""
HALVES = 5
"""Ways in which places are halved."""
LAKES = "naip_landsat_timeseries/naip"
LEAST_RISE = 0.02
LEAST_LAKE_PX = 400


@dataclass(frozen=True)
class Came:
    """A place before and after. `before`: its file. `after` (3, H, W): bytes. `changed` (H, W,
    bool): where it came. `steady` (H, W, bool): what stayed. `polygons`: what is asked for.
    `editor`, `options`: by what."""

    name: str
    before: Path
    after: np.ndarray
    changed: np.ndarray
    steady: np.ndarray
    polygons: list[Any]
    editor: str
    options: dict[str, Any]


def joplin() -> Iterator[Came]:
    """Chips where xView2's winner sees destroyed or badly damaged houses."""
    folder = cases.DATA / "joplin_tornado_geotiff" / "output"
    for path in sorted((folder / "chips" / "pre").glob("*_pre.tif")):
        number = path.stem.split("_")[0]
        with rasterio.open(folder / "chips" / "post" / f"{number}_post.tif") as source:
            after = source.read([1, 2, 3])
        with rasterio.open(folder / "dmg" / path.name) as source:
            damage, transform = source.read(1), source.transform
        there = after.sum(axis=0) > 0
        hit = ndimage.binary_dilation((damage >= 3) & there, iterations=20)
        hit = ndimage.binary_closing(hit, iterations=12) & there
        around = [one for one, _ in shapes(hit.astype(np.uint8), hit, transform=transform)]
        steady = there & ~ndimage.binary_dilation(hit, iterations=10)
        options = {"cause": "tornado", "severity": 0.95, "debris": 0.8}
        changed = ndimage.binary_dilation((damage >= 3) & there, iterations=6)
        yield Came(f"joplin_{number}", path, after, changed, steady, around, "damage", options)


def lakes() -> Iterator[Came]:
    """Dates between which much of a landscape of lakes became water."""
    files = sorted((cases.DATA / LAKES).glob("*.tif"))
    for first, second in itertools.combinations(files, 2):
        with rasterio.open(first) as one, rasterio.open(second) as two:
            old, transform = one.read(), one.transform
            new = np.zeros_like(old)
            reproject(
                two.read(), new, src_transform=two.transform, src_crs=two.crs,
                dst_transform=transform, dst_crs=one.crs, resampling=Resampling.bilinear,
            )  # fmt: skip
        was, now = (wet(image) for image in (old, new))
        there = (old.sum(axis=0) > 0) & (new.sum(axis=0) > 0)
        rose = ndimage.binary_opening(now & ~was & there, iterations=2)
        parts, _ = ndimage.label(rose)
        rose = (np.bincount(parts.ravel()) >= LEAST_LAKE_PX)[parts] & rose
        if rose.mean() < LEAST_RISE:
            continue
        around = [one for one, _ in shapes(rose.astype(np.uint8), rose, transform=transform)]
        years = "_".join(path.stem[-8:-4] for path in (first, second))
        yield Came(
            f"lakes_{years}", first, new[:3], rose, (now == was) & there, around, "flood",
            {"level_m": 2.0, "mud": 0.3},
        )  # fmt: skip


def wet(image: np.ndarray) -> np.ndarray:
    """Open water (H, W, bool) by NDWI."""
    green, nir = image[1].astype(float), image[3].astype(float)
    return np.asarray((green - nir) / np.maximum(green + nir, 1) > 0.1)


def made(came: Came) -> np.ndarray:
    """What the editor makes of it (3, H, W), the whole layer; raises what it refuses with."""
    rings = [one["coordinates"] for one in came.polygons]
    body = {
        "raster": {"path": str(came.before)},
        "polygons": {"geometry": {"type": "MultiPolygon", "coordinates": rings}},
        "seed": 1,
        "options": came.options,
        "output": {"area": "layer"},
    }
    with tempfile.TemporaryDirectory() as folder:
        job = Job(EditRequest.from_json(body), came.editor, Rasters(came.before))
        edit(job, cases.EDITORS, Path(folder), lambda *a: None)
        with rasterio.open(Path(folder) / "result.tif") as result:
            return result.read([1, 2, 3])


def toned(image: np.ndarray, before: np.ndarray, came: Came) -> np.ndarray:
    """An image (3, H, W) of the first date in the tone of the second."""
    out = np.empty(image.shape, np.float32)
    for band in range(3):
        old, new = (part[band][came.steady].astype(float) for part in (before, came.after))
        gain = new.std() / max(old.std(), 1e-6)
        out[band] = (image[band] - old.mean()) * gain + new.mean()
    return np.clip(out, 0, 255)


def tiles(images: Sequence[np.ndarray], changed: np.ndarray) -> list[list[np.ndarray]]:
    """Tiles of each image where enough changed and none is without data."""
    found: list[list[np.ndarray]] = [[] for _ in images]
    for row in range(0, changed.shape[0] - SIDE + 1, SIDE):
        for col in range(0, changed.shape[1] - SIDE + 1, SIDE):
            here = (slice(row, row + SIDE), slice(col, col + SIDE))
            whole = all((image[:, here[0], here[1]].sum(axis=0) > 0).all() for image in images)
            if whole and changed[here].mean() >= LEAST_CAME:
                for mine, image in zip(found, images, strict=True):
                    mine.append(image[:, here[0], here[1]] / 255)
    return found


def features(some: list[np.ndarray]) -> np.ndarray:
    """Features (n, 1280) of tiles."""
    network = lite0().network
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(np.stack(some[at : at + 16]).astype(np.float32)))[0]
            for at in range(0, len(some), 16)
        ]
    return torch.cat(parts).numpy()


def halved(real: np.ndarray, other: np.ndarray) -> float:
    """Mean distance between features (n, 1280) of half of the tiles, and those of the other half in
    another set of pictures."""
    found = []
    for turn in range(HALVES):
        order = np.random.default_rng(turn).permutation(len(real))
        one, two = order[: len(real) // 2], order[len(real) // 2 :]
        found.append(frechet(real[one], other[two]))
    return float(np.mean(found))


def compared(name: str, places: Iterator[Came], pictures: Path | None) -> None:
    """Distances of a kind of places, and the mean error inside what changed."""
    sets: list[list[np.ndarray]] = [[], [], []]
    errors: list[tuple[float, float]] = []
    for came in places:
        with rasterio.open(came.before) as source:
            before = source.read([1, 2, 3])
        try:
            after = made(came)
        except Exception as error:  # an editor that refuses is a figure too
            print(f"{came.name}: refused: {error}")
            after = before
        shown = [toned(before, before, came), toned(after, before, came), came.after.astype(float)]
        for mine, more in zip(sets, tiles(shown, came.changed), strict=True):
            mine += more
        where = came.changed
        errors.append(
            tuple(float(np.abs(one - shown[2])[:, where].mean()) / 255 for one in shown[:2])
        )
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            row = np.concatenate(shown, axis=2).astype(np.uint8).transpose(1, 2, 0)
            Image.fromarray(row).save(pictures / f"{came.name}.png")
    if len(sets[0]) < 8:
        print(f"{name}: skipped, {len(sets[0])} tiles")
        return
    was, ours, real = (features(one) for one in sets)
    print(f"figure {name}_tiles {len(real)} tiles")
    for what, one in (("distance_before", was), ("distance_made", ours), ("floor", real)):
        print(f"figure {name}_{what} {halved(real, one):.1f} distance")
    for number, what in enumerate(("before", "made")):
        print(f"figure {name}_error_{what} {np.mean([e[number] for e in errors]):.3f} share")


PLACES = {"joplin": joplin, "lakes": lakes}


def main() -> None:
    """Both kinds of places."""
    if not cases.DATA.exists():
        print(f"skipped: {cases.DATA} is not there")
        return
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for name in sys.argv[2:] or PLACES:
        compared(name, PLACES[name](), pictures)


if __name__ == "__main__":
    main()
