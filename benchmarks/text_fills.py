"""Fills by words on a machine without image-text weights, and what an independent judge makes of
them.

Each case is a 512 px window at 0.6 m with a 128 px square in it: parts of Joplin, and mosaics of UC
Merced images that neither retrieval nor the judge has seen. Asked for: every word that the judge
knows and the window shows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cases
import judge
import numpy as np
import rasterio
from affine import Affine
from PIL import Image
from scipy import ndimage

SIDE = 512
HOLE = 128
JOPLIN = "joplin_tornado_geotiff/output/chips/pre/{}_pre.tif"
WINDOWS = (
    (0, 0, 0),
    (0, 512, 0),
    (0, 0, 512),
    (0, 512, 512),
    (2, 0, 0),
    (2, 440, 0),
    (2, 0, 512),
    (2, 440, 512),
)
WORDS = ("forest", "residential", "parking", "farmland", "water", "grass")
UNSEEN = slice(75, 80)
"""Of the `train` images of a class: neither retrieval (the first 60, and `test`) nor the judge (60
to 75) has seen them."""
FOLDER_OF = {
    "forest": "forest",
    "residential": "mediumresidential",
    "parking": "parkinglot",
    "farmland": "agricultural",
    "water": "river",
    "grass": "golfcourse",
}
MOSAICS = 6


@dataclass(frozen=True)
class Ask:
    """A window (3, 512, 512), the corner (row, column) of the square to fill, the word, where it is
    from."""

    image: np.ndarray
    corner: tuple[int, int]
    word: str
    kind: str


def asks() -> Iterator[Ask]:
    for number, (chip, col, row) in enumerate(WINDOWS):
        with rasterio.open(cases.DATA / JOPLIN.format(chip)) as dataset:
            image = dataset.read()[:, row : row + SIDE, col : col + SIDE]
        for place, word in enumerate(("forest", "residential", "parking", "grass")):
            rng = np.random.default_rng((number, place))
            for _ in range(100):
                r, c = (int(v) for v in rng.integers(48, SIDE - HOLE - 48, 2))
                here = image[:, r : r + HOLE, c : c + HOLE]
                if (here.sum(axis=0) > 0).all() and judge.named(
                    judge.alike(here.transpose(1, 2, 0), image.transpose(1, 2, 0))
                ) != word:
                    yield Ask(image, (r, c), word, "joplin")
                    break
    for number in range(MOSAICS):
        image, layout = mosaic(number)
        for place, word in enumerate(WORDS):
            others = [spot for spot, name in layout.items() if name != word]
            yield Ask(image, others[(7 * number + 3 * place) % len(others)], word, "mosaic")


def mosaic(number: int) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """16 images of 128 px, at least two of each word, and which word is where."""
    rng = np.random.default_rng(1000 + number)
    names = [*WORDS, *WORDS, *rng.choice(WORDS, 4)]
    rng.shuffle(names)
    image = np.zeros((3, SIDE, SIDE), np.uint8)
    layout = {}
    for spot, name in enumerate(names):
        paths = sorted((cases.DATA / "ucmerced_jpg" / "train" / FOLDER_OF[name]).glob("*.jpg"))[
            UNSEEN
        ]
        tile = (
            Image.open(paths[int(rng.integers(len(paths)))])
            .convert("RGB")
            .resize((HOLE, HOLE), Image.Resampling.BOX)
        )
        row = spot // 4 * HOLE
        col = spot % 4 * HOLE
        image[:, row : row + HOLE, col : col + HOLE] = np.asarray(tile).transpose(2, 0, 1)
        layout[(row, col)] = str(name)
    return image, layout


def written(image: np.ndarray, path: Path) -> None:
    profile = {
        "driver": "GTiff",
        "width": SIDE,
        "height": SIDE,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32615",
        "transform": Affine(0.6, 0, 360_000, 0, -0.6, 4_100_000),
        "photometric": "RGB",
    }
    with rasterio.open(path, "w", **profile) as out:
        out.write(image)


@dataclass(frozen=True)
class Filled:
    """The window after the edit (3, 512, 512), how many CPU-seconds it took, how many pixels
    outside differ."""

    image: np.ndarray
    cpu_s: float
    outside: int


def fill(ask: Ask, folder: Path, **options) -> Filled:
    """The whole main path: text, retrieval, exemplars, rim, gate. Raises NotFoundInLayer where the
    word is refused."""
    from landbrush.server.contract.requests import EditRequest, Output, Polygons, RasterRef
    from landbrush.server.editing.path import Job, edit
    from landbrush.server.raster.rasters import Rasters

    path = folder / "window.tif"
    written(ask.image, path)
    row, col = ask.corner
    left = 360_000 + 0.6 * col
    top = 4_100_000 - 0.6 * row
    size = 0.6 * HOLE
    ring = [
        [left, top],
        [left + size, top],
        [left + size, top - size],
        [left, top - size],
        [left, top],
    ]
    request = EditRequest(
        RasterRef(path=str(path)),
        Polygons({"type": "Polygon", "coordinates": [ring]}),
        prompt=ask.word,
        options=options,
        output=Output("layer", "none"),
    )
    with tempfile.TemporaryDirectory(dir=folder) as job:
        start = time.process_time()
        manifest = edit(
            Job(request, "text", Rasters(path)), cases.EDITORS, Path(job), lambda *_: None
        )
        spent = time.process_time() - start
        with rasterio.open(Path(job) / "result.tif") as dataset:
            return Filled(dataset.read(), spent, manifest.gate.pixels_outside_different)


def judged(ask: Ask, image: np.ndarray) -> str:
    """The class that the judge names in the square of an image (3, 512, 512)."""
    row, col = ask.corner
    cut = image[:, row : row + HOLE, col : col + HOLE].transpose(1, 2, 0)
    return judge.named(
        judge.alike(cut, ask.image.transpose(1, 2, 0)) if ask.kind == "joplin" else cut
    )


def hole_of(ask: Ask) -> np.ndarray:
    hole = np.zeros((SIDE, SIDE), bool)
    hole[ask.corner[0] : ask.corner[0] + HOLE, ask.corner[1] : ask.corner[1] + HOLE] = True
    return hole


def rim_colour(band: np.ndarray, hole: np.ndarray, width: int = 4, off: int = 12) -> float:
    """Step of the local mean colour across the rim, over the same across a line `off` pixels
    outside it."""
    return _step(band, hole, width) / max(
        _step(band, ndimage.binary_dilation(hole, iterations=off), width), 1e-6
    )


def _step(band: np.ndarray, hole: np.ndarray, width: int) -> float:
    """Mean absolute difference of the means of what lies within `width` inside and outside of the
    rim, along it."""
    within = ndimage.distance_transform_edt(hole)
    without = ndimage.distance_transform_edt(~hole)
    inner = hole & (within <= width)
    outer = ~hole & (without <= width)
    means = []
    for part in (inner, outer):
        weight = ndimage.uniform_filter(part.astype(np.float32), 4 * width + 1)
        means.append(
            ndimage.uniform_filter(np.where(part, band, 0).astype(np.float32), 4 * width + 1)
            / np.maximum(weight, 1e-6)
        )
    edge = inner & (within <= 1)
    return float(np.abs(means[0] - means[1])[edge].mean())


LAYERS = {
    "naip": ("naip_landsat_timeseries/naip", (0, 1, 3), (331, 62)),
    "sentinel2": ("sen1floods11_sample", (3, 2, 7), (99, 353)),
}
"""Folder, the bands red, green and near infrared (from 0), the corner (column, row) of the area to
edit."""


def index_after(layer: str, editor: str, index: str, folder: Path) -> tuple[float, float]:
    """Mean index inside an edited square of 96 px and in the ring around it."""
    from landbrush.server.contract.requests import EditRequest, Output, Polygons, RasterRef
    from landbrush.server.editing.path import Job, edit
    from landbrush.server.raster.rasters import Rasters

    where, (red, green, nir), (col, row) = LAYERS[layer]
    path = sorted(
        p for p in (cases.DATA / where).rglob("*.tif") if "S2" in p.name or layer == "naip"
    )[-1]
    with rasterio.open(path) as dataset:
        corners = [
            dataset.transform * (col + x, row + y)
            for x, y in ((0, 0), (96, 0), (96, 96), (0, 96), (0, 0))
        ]
    request = EditRequest(
        RasterRef(path=str(path)),
        Polygons({"type": "Polygon", "coordinates": [[list(c) for c in corners]]}),
        output=Output("layer", "none"),
    )
    edit(Job(request, editor, Rasters(path)), cases.EDITORS, folder, lambda *_: None)
    with rasterio.open(folder / "result.tif") as dataset:
        after = dataset.read().astype(np.float32)
    hole = np.zeros(after.shape[1:], bool)
    hole[row + 8 : row + 88, col + 8 : col + 88] = True
    ring = ndimage.binary_dilation(hole, iterations=60) & ~ndimage.binary_dilation(
        hole, iterations=10
    )
    first, second = (after[green], after[nir]) if index == "ndwi" else (after[nir], after[red])
    values = (first - second) / np.maximum(first + second, 1)
    return float(values[hole].mean()), float(values[ring].mean())
