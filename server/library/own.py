"""The user's own exemplars: a folder of GeoTIFFs, each with a JSON of the same name that says what
it shows. The folder may be copied to a colleague as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import transform as transform_of

from ..ground.errors import BadRequest, UnknownExemplar
from ..ground.files import whole_file, write_json
from ..raster.bands import Layer, stretch_of
from ..raster.grid import Box
from ..raster.masks import draw_mask
from ..raster.raster import opened, read_window
from .chips import Chip

MOST_PX = 1024
FEWEST_PX = 150
LONGEST_NAME = 60
NAME = re.compile(r"[^\W_][\w .()-]*")


@dataclass(frozen=True)
class Kept:
    """What is to be kept. `name`: of the exemplar. `words`: what it shows. `credit`: whose imagery
    it is."""

    name: str
    words: tuple[str, ...]
    credit: str = ""


def chips(folder: Path) -> tuple[Chip, ...]:
    """All that are kept, by name; what cannot be read is left out."""
    found = []
    for listed in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        chip = _chip(listed)
        if chip is not None:
            found.append(chip)
    return tuple(found)


def _chip(listed: Path) -> Chip | None:
    try:
        told = json.loads(listed.read_text(encoding="utf8"))
        return Chip(
            str(told["name"]),
            tuple(str(word) for word in told["words"]),
            float(told["gsd_m"]),
            None if told["sun"] is None else float(told["sun"]),
            {str(name): tuple(map(float, tone)) for name, tone in told["tones"].items()},
            str(told["credit"]),
            "",
            "",
            listed.with_suffix(".tif"),
            own=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def picture_of(chip: Chip) -> tuple[dict[str, np.ndarray], np.ndarray]:
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


def checked(kept: Kept) -> Kept:
    """What is to be kept; raises BadRequest for a name or words that cannot be."""
    name = kept.name.strip()
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise BadRequest(
            f"name: {kept.name[:LONGEST_NAME]!r}. An exemplar's name has letters, digits, spaces, "
            f"and . ( ) -, at most {LONGEST_NAME}."
        )
    words = tuple(dict.fromkeys(word.strip().lower() for word in kept.words if word.strip()))
    if not words:
        raise BadRequest("words: empty. Say what the exemplar shows, for instance 'parking'.")
    return Kept(name, words, kept.credit.strip())


def keep(
    folder: Path, kept: Kept, layer: Layer, shapes: list[Any], light: Mapping[str, Any]
) -> Chip:
    """Write what lies in shapes (in pixels of a layer) to the folder; `light`: its `sun` and
    `tones`. Raises BadRequest where it is too small, too large, or its name is taken."""
    kept = checked(kept)
    target = folder / f"{kept.name}.tif"
    if target.exists() or target.with_suffix(".json").exists():
        raise BadRequest(f"name: an exemplar '{kept.name}' is there already. Choose another name.")
    box = _box_of(layer, shapes)
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
        "sun": light["sun"],
        "tones": {name: list(tone) for name, tone in light["tones"].items()},
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
    write_json(target.with_suffix(".json"), told)
    found = _chip(target.with_suffix(".json"))
    assert found is not None
    return found


def _box_of(layer: Layer, shapes: list[Any]) -> Box:
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


def remove(folder: Path, name: str) -> None:
    """Delete a kept exemplar; raises UnknownExemplar."""
    found = {chip.id: chip for chip in chips(folder)}
    if name not in found:
        raise UnknownExemplar(f"There is no exemplar '{name[:LONGEST_NAME]}' of your own.")
    path = found[name].path
    path.with_suffix(".json").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
