"""Keeping a part of a raster as an exemplar of the user's own, and reading it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.windows import transform as transform_of
from scipy import ndimage

from ..contract.library import KeepRequest
from ..contract.requests import Polygons
from ..editors.models import Models
from ..ground.errors import BadRequest
from ..ground.files import whole_file, write_json
from ..library import own
from ..library.chips import SIDES, Chip, shipped_picture, tones_of
from ..library.fitting import Exemplar
from ..operators.ground import Ground
from ..raster.bands import Layer, stretch_of
from ..raster.grid import Box
from ..raster.masks import draw_mask
from ..raster.polygons import pixel_polygons
from ..raster.raster import Block, opened, read_window
from ..scene.parse import Parse
from ..synthesis.nearest import filled

MOST_PX = 1024
LONGEST_PX = 1400
"""Side in pixels of what is kept, of its own, and of what is copied from, of the layer's."""
FEWEST_PX = 150

OF_CLASS = {
    "forest": ("tree",),
    "leafless forest": ("tree",),
    "water": ("water",),
    "river": ("water",),
    "canal": ("water",),
    "grass": ("low",),
    "bare": ("bare",),
}
"""What of a chip may be copied for a word, where not all of it shows that."""
ENOUGH = 0.2
"""Share of a chip that has to be left then."""
INSIDE_M = 1.0
"""Of the edge of a class, that is left out."""
AROUND_PX = 200
"""Surroundings by which the direction of shadows is told."""


def kept(
    wanted: KeepRequest,
    path: Path,
    roots: Sequence[Path] | None,
    models: Models,
    folder: Path,
) -> Chip:
    """The exemplar, written to a folder; raises BadRequest for what cannot be kept."""
    about = own.checked(own.Kept(wanted.name, wanted.words, wanted.credit))
    with opened(path, roots) as dataset:
        layer = Layer.of(dataset, wanted.band_roles)
        shapes = _shapes(wanted.polygons, layer)
        _written(folder / f"{about.name}.tif", layer, shapes)
        box = box_of(layer, shapes).grown(AROUND_PX, layer.profile.box)
        block = read_window(dataset, box)
        sun = understood(_seen(layer, block), block.valid, layer.profile.gsd_m, models)[0].sun
        gsd_m = layer.profile.gsd_m
    return _listed(folder, about, gsd_m, sun, models)


def _shapes(polygons: Polygons, layer: Layer) -> list:
    found = pixel_polygons(polygons, layer.profile)
    if not found:
        raise BadRequest("polygons: none.")
    return found


def _seen(layer: Layer, block: Block) -> np.ndarray:
    """A block's colours (3, H, W) as they are seen; the first band three times where it has
    none."""
    shown = stretch_of(layer.profile, layer.roles, block).normalise(block.values)
    at = [layer.roles.index(role) for role in SIDES]
    return np.asarray(shown[[int(one or 0) for one in at] if None not in at else [0, 0, 0]])


def understood(
    rgb: np.ndarray, valid: np.ndarray, gsd_m: float, models: Models
) -> tuple[Parse, dict[str, tuple[float, ...]]]:
    """What the ground of a picture (3, H, W) is, and its tone by class; nodata is taken for what
    lies beside it."""
    whole = filled(rgb, valid)
    ground = Ground(whole, np.ones(valid.shape, bool), SIDES, gsd_m)
    parse = models.understanding.of(ground, {})
    return parse, tones_of(parse, whole, valid)


def own_picture(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Bands of a kept exemplar by role, as seen, and what of it may be copied."""
    with opened(path) as dataset:
        layer = Layer.of(dataset, {})
        block = read_window(dataset, layer.profile.box)
        shown = stretch_of(layer.profile, layer.roles, block).normalise(block.values)
        roles = layer.roles.names
    bands = {role: band for role, band in zip(roles, shown, strict=False) if role}
    if not bands:
        bands = {"red": shown[0], "green": shown[0], "blue": shown[0]}
    elif not set(SIDES) <= set(bands):
        grey = bands.get("pan", shown[0])
        bands |= {"red": grey, "green": grey, "blue": grey}
    return bands, block.valid


def _written(target: Path, layer: Layer, shapes: list[Any]) -> None:
    """Write what lies in shapes (in pixels of a layer). Raises BadRequest where it is too small or
    too large."""
    box = box_of(layer, shapes)
    block = read_window(layer.dataset, box)
    usable = block.valid & draw_mask(shapes, box)
    if usable.sum() < FEWEST_PX:
        raise BadRequest(
            f"The exemplar holds {int(usable.sum())} pixels of data; at least {FEWEST_PX} are "
            "needed. Draw a larger area."
        )
    profile = layer.profile
    options = {
        "driver": "GTiff",
        "width": box.width,
        "height": box.height,
        "count": profile.count,
        "dtype": profile.dtype,
        "crs": profile.crs,
        "transform": transform_of(box.window, layer.dataset.transform),
        "compress": "deflate",
    }
    values = block.values.copy()
    for number, meaning in enumerate(layer.dataset.colorinterp):
        if meaning == ColorInterp.alpha:  # counts before a mask
            values[number] = np.where(usable, values[number], 0)
    with (
        whole_file(target) as draft,
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(draft, "w", **options) as out,
    ):
        out.write(values)
        out.write_mask(usable)
        out.colorinterp = layer.dataset.colorinterp
        out.descriptions = layer.dataset.descriptions


def _listed(folder: Path, kept: own.Kept, gsd_m: float, sun: float | None, models: Models) -> Chip:
    """The JSON and the picture of what was written; its tones are those of what will be read."""
    target = folder / f"{kept.name}.tif"
    bands, usable = own_picture(target)
    rgb = np.stack([bands[role] for role in SIDES])
    tones = understood(rgb, usable, gsd_m, models)[1]
    shown = (255 * np.clip(np.where(usable, rgb, 1.0), 0, 1)).round().astype(np.uint8)
    with whole_file(target.with_suffix(".png")) as draft:
        Image.fromarray(shown.transpose(1, 2, 0)).save(draft)
    told = {
        "name": kept.name,
        "words": list(kept.words),
        "credit": kept.credit,
        "gsd_m": gsd_m,
        "sun": sun,
        "tones": {name: list(tone) for name, tone in tones.items()},
    }
    write_json(target.with_suffix(".json"), told)
    found = own.chip_of(target.with_suffix(".json"))
    if found is None:
        raise BadRequest("The raster states no ground size: it cannot be kept as an exemplar.")
    return found


def box_of(layer: Layer, shapes: list[Any]) -> Box:
    """The window around shapes; raises BadRequest where it is empty or too large."""
    bounds = np.array([shape.bounds for shape in shapes])
    left, top = np.floor(bounds[:, :2].min(axis=0)).astype(int)
    right, bottom = np.ceil(bounds[:, 2:].max(axis=0)).astype(int)
    box = Box(int(left), int(top), int(right - left), int(bottom - top)).clipped(layer.profile.box)
    if not (box.width and box.height):
        raise BadRequest("The polygons do not touch the raster.")
    if max(box.width, box.height) > MOST_PX:
        raise BadRequest(
            f"An exemplar of {box.width} x {box.height} pixels is too large to keep; at most "
            f"{MOST_PX} a side. Draw a smaller one."
        )
    return box


def exemplar_of(chip: Chip, word: str, parse: Parse | None, gsd_m: float) -> Exemplar:
    """A chip as it is copied from; `parse`: what its ground is, where only a part shows the
    word. `gsd_m`: of the layer; no more of it is taken than is copied from there."""
    if chip.own:
        bands, usable = own_picture(chip.path)
    else:
        bands = dict(zip(("red", "green", "blue"), shipped_picture(chip), strict=True))
        usable = np.ones(bands["red"].shape, bool)
    classes = OF_CLASS.get(word, OF_CLASS.get(chip.words[0], ()))
    if classes and parse is not None and not chip.own:
        share = parse.share(*classes) > 0.5
        inner = ndimage.binary_erosion(share, iterations=max(1, round(INSIDE_M / chip.gsd_m)))
        usable = inner if inner.mean() >= ENOUGH else usable
    here = _middle(usable, max(16, int(LONGEST_PX * gsd_m / chip.gsd_m)))
    bands = {role: band[here] for role, band in bands.items()}
    return Exemplar(bands, usable[here], chip.gsd_m, chip.sun, chip.tones)


def _middle(usable: np.ndarray, side: int) -> tuple[slice, slice]:
    """Rows and columns of the middle of what may be copied, at most so many."""
    rows, cols = np.nonzero(usable) if usable.any() else (np.zeros(1), np.zeros(1))
    found = []
    for at, length in zip((rows, cols), usable.shape, strict=True):
        first = int(np.clip(round(at.mean() - side / 2), 0, max(length - side, 0)))
        found.append(slice(first, min(first + side, length)))
    return found[0], found[1]
