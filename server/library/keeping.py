"""Keeping a part of a raster as an exemplar of the user's own, and reading it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from rasterio.windows import transform as transform_of
from scipy import ndimage

from ..contract.library import KeepRequest
from ..contract.requests import Polygons
from ..editors.models import Models
from ..ground.errors import BadRequest
from ..ground.files import whole_file, write_json
from ..operators.ground import Ground
from ..raster.bands import Layer, stretch_of
from ..raster.grid import Box
from ..raster.masks import draw_mask
from ..raster.polygons import pixel_polygons
from ..raster.raster import opened, read_window
from ..scene.parse import Parse
from . import own
from .chips import SIDES, Chip, shipped_picture, tones_of
from .fitting import Exemplar

MOST_PX = 1024
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
        box = box_of(layer, shapes).grown(AROUND_PX, layer.profile.box)
        return keep(folder, about, layer, shapes, light_of(layer, box, models))


def _shapes(polygons: Polygons, layer: Layer) -> list:
    found = pixel_polygons(polygons, layer.profile)
    if not found:
        raise BadRequest("polygons: none.")
    return found


def light_of(layer: Layer, box: Box, models: Models) -> own.Light:
    """Where the sun stands in a window, and the tone of its ground by class."""
    block = read_window(layer.dataset, box)
    shown = stretch_of(layer.profile, layer.roles, block).normalise(block.values)
    at = [layer.roles.index(role) for role in SIDES]
    chosen = [0 if one is None else one for one in at] if None not in at else [0, 0, 0]
    rgb = np.where(block.valid, shown[chosen], 0)
    ground = Ground(rgb, block.valid, SIDES, layer.profile.gsd_m)
    parse = models.understanding.of(ground, {})
    return own.Light(parse.sun, tones_of(parse, rgb))


def own_picture(chip: Chip) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Bands of a kept exemplar by role, as seen, and what of it may be copied."""
    with opened(chip.path) as dataset:
        layer = Layer.of(dataset, {})
        block = read_window(dataset, layer.profile.box)
        shown = stretch_of(layer.profile, layer.roles, block).normalise(block.values)
        roles = layer.roles.names
    bands = {role: band for role, band in zip(roles, shown, strict=False) if role}
    if not bands:
        bands = {"red": shown[0], "green": shown[0], "blue": shown[0]}
    elif "red" not in bands:
        grey = bands.get("pan", shown[0])
        bands |= {"red": grey, "green": grey, "blue": grey}
    return bands, block.valid


def keep(folder: Path, kept: own.Kept, layer: Layer, shapes: list[Any], light: own.Light) -> Chip:
    """Write what lies in shapes (in pixels of a layer) to the folder. Raises BadRequest where it is
    too small, too large, or its name is taken."""
    kept = own.checked(kept)
    target = folder / f"{kept.name}.tif"
    if target.exists() or target.with_suffix(".json").exists():
        raise BadRequest(f"name: an exemplar '{kept.name}' is there already. Choose another name.")
    box = box_of(layer, shapes)
    block = read_window(layer.dataset, box)
    usable = block.valid & draw_mask(shapes, box)
    if usable.sum() < FEWEST_PX:
        raise BadRequest(
            f"The exemplar holds {int(usable.sum())} pixels of data; at least {FEWEST_PX} are "
            "needed. Draw a larger area."
        )
    folder.mkdir(parents=True, exist_ok=True)
    profile = layer.profile
    told = {
        "name": kept.name,
        "words": list(kept.words),
        "credit": kept.credit,
        "gsd_m": profile.gsd_m,
        "sun": light.sun,
        "tones": {name: list(tone) for name, tone in light.tones.items()},
    }
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
    with (
        whole_file(target) as draft,
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(draft, "w", **options) as out,
    ):
        out.write(block.values)
        out.write_mask(usable)
        out.colorinterp = layer.dataset.colorinterp
        out.descriptions = layer.dataset.descriptions
    shown = stretch_of(profile, layer.roles, block).normalise(block.values)
    with whole_file(target.with_suffix(".png")) as draft:
        Image.fromarray(_bytes(shown, layer)).save(draft)
    write_json(target.with_suffix(".json"), told)
    found = own.chip_of(target.with_suffix(".json"))
    assert found is not None
    return found


def _bytes(shown: np.ndarray, layer: Layer) -> np.ndarray:
    """Bands (C, h, w) as they are seen, as bytes (h, w, 3) for the eye."""
    at = [layer.roles.index(role) for role in SIDES]
    chosen = [int(one or 0) for one in at] if None not in at else [0, 0, 0]
    return (255 * np.clip(shown[chosen], 0, 1)).round().astype(np.uint8).transpose(1, 2, 0)


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


def exemplar_of(chip: Chip, word: str, parse: Parse | None) -> Exemplar:
    """A chip as it is copied from; `parse`: what its ground is, where only a part shows the
    word."""
    if chip.own:
        bands, usable = own_picture(chip)
    else:
        bands = dict(zip(("red", "green", "blue"), shipped_picture(chip), strict=True))
        usable = np.ones(bands["red"].shape, bool)
    classes = OF_CLASS.get(word, OF_CLASS.get(chip.words[0], ()))
    if classes and parse is not None and not chip.own:
        share = parse.share(*classes) > 0.5
        inner = ndimage.binary_erosion(share, iterations=max(1, round(INSIDE_M / chip.gsd_m)))
        usable = inner if inner.mean() >= ENOUGH else usable
    return Exemplar(bands, usable, chip.gsd_m, chip.sun, chip.tones)
