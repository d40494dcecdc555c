"""What an edit copies from: drawn areas of the same or another raster, or windows found by a
word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from ..contract.manifest import FoundWindow, SearchReport
from ..contract.requests import Exemplar
from ..editors.models import Models
from ..ground.errors import CannotEdit, NotFoundInLayer, OutsideRaster
from ..raster import tone
from ..raster.bands import Layer, data_bands, roles_of, stretch_of
from ..raster.grid import Box
from ..raster.masks import draw_mask
from ..raster.polygons import pixel_polygons
from ..raster.raster import Block, Profile, profile_of, read_window
from ..search.find import find_sentences, find_word, sources
from ..search.windows import Hit, Method, Search, reach_px, voids
from ..words import land_cover
from ..words.land_cover import GRAINY, LARGE
from .cuts import Cut, Cuts
from .from_library import Wanted, from_library
from .plan import Plan
from .source import Source

MOST_PIXELS = 4_000_000
AROUND = 0.3
MOST_AROUND_PX = 128
"""So much beside a drawn thing is looked at, by the longer side of what was drawn, at most."""

GRAIN_PX = 25
SMOOTHEST = 30
"""Per cent of the windows' pixels that are not copied where the word is for something with
grain."""
LEAST_DEEP_PX = 400


@dataclass(frozen=True)
class Copying:
    """How pixels are taken. `match`: what shows the same ground in another raster gets the edited
    layer's tone. `classes`: values are names, and stay what they are. `around`: so much beside what
    was drawn in the layer is read too, by its longer side."""

    match: bool = True
    classes: bool = False
    around: float = 0.0


def copied_from_drawing(
    exemplar: Exemplar,
    layer: Layer,
    other: rasterio.DatasetReader | None,
    keep_out: list,
    how: Copying,
) -> list[Cut]:
    """The drawn polygons, one cut each; pixels inside the edited polygons are not copied."""
    if other is not None:
        return _from_other(exemplar, layer, other, how)
    shapes = pixel_polygons(exemplar.polygons, layer.profile, "exemplar")
    cuts = (_cut(layer, shape, keep_out, how.around) for shape in shapes)
    return [cut for cut in cuts if cut is not None] or _nothing()


def _nothing() -> list[Cut]:
    raise OutsideRaster("The exemplar does not touch the layer it is taken from.")


def _cut(layer: Layer, shape: shapely.Polygon, keep_out: list, around: float) -> Cut | None:
    box = _limited(shape).clipped(layer.profile.box)
    if not (box.width and box.height):
        return None
    margin = round(around * max(box.width, box.height))
    box = box.grown(min(margin, MOST_AROUND_PX), layer.profile.box)
    block = read_window(layer.dataset, box)
    free = block.valid & ~draw_mask(keep_out, box)
    usable = draw_mask([shape], box) & free
    cut = _cut_of(layer.profile, block, usable)
    return replace(cut, around=free & ~usable) if margin else cut


def _limited(shape: shapely.Polygon) -> Box:
    xmin, ymin, xmax, ymax = (
        int(v) for v in (*np.floor(shape.bounds[:2]), *np.ceil(shape.bounds[2:]))
    )
    if (xmax - xmin) * (ymax - ymin) > MOST_PIXELS:
        raise CannotEdit(
            f"An exemplar of {xmax - xmin} x {ymax - ymin} pixels is too large; at most "
            f"{MOST_PIXELS // 1_000_000} million pixels are copied from. Draw a smaller one."
        )
    return Box(xmin, ymin, xmax - xmin, ymax - ymin)


def _cut_of(profile: Profile, block: Block, usable: np.ndarray) -> Cut:
    return Cut(block.values[data_bands(profile)], usable)


def _from_other(
    exemplar: Exemplar, layer: Layer, other: rasterio.DatasetReader, how: Copying
) -> list[Cut]:
    """Resampled to the edited layer's CRS, pixel size and orientation."""
    theirs = profile_of(other)
    mine = data_bands(layer.profile)
    bands = data_bands(theirs)
    if len(mine) != len(bands):
        raise CannotEdit(
            f"The exemplar's raster has {len(bands)} bands, the edited one {len(mine)}; both must "
            "have the same."
        )
    if (theirs.crs is None) != (layer.profile.crs is None):
        raise CannotEdit(
            "One of the two rasters has no CRS; assign one, so that their scales can be compared."
        )
    roles = roles_of(theirs, {})
    alike = how.classes or theirs.dtype == layer.profile.dtype
    toned = tone.of_same_ground(layer, other) if how.match and alike else None
    in_theirs = pixel_polygons(exemplar.polygons, theirs, "exemplar")
    patches = []
    for shape in in_theirs:
        box = _limited(shape).clipped(theirs.box)
        if not (box.width and box.height):
            continue
        block = read_window(other, box)
        usable = draw_mask([shape], box) & block.valid
        if how.classes:
            usable = _of_classes(block.values[bands[0]], usable, layer.profile)
        values = block.values[bands].astype(np.float64)
        if not alike:
            values = stretch_of(theirs, roles, block).normalise(block.values)
        elif toned is not None:
            values = toned(values)
        values = np.where(block.valid, values, 0)
        cut = Cut(values, usable, seen=not alike)
        patches.append(_resampled(cut, theirs, layer.profile, how))
    return patches or _nothing()


def _of_classes(values: np.ndarray, usable: np.ndarray, profile: Profile) -> np.ndarray:
    """Which pixels (H, W) of another raster's classes may be copied: not those that would read as
    nodata here. Raises CannotEdit for classes that the edited layer's type cannot hold."""
    if values.dtype.kind not in "iu":
        raise CannotEdit(
            f"The exemplar's raster holds {values.dtype} numbers, the edited layer classes; give "
            "one of classes too."
        )
    limits = np.iinfo(profile.dtype)
    there = values[usable].astype(np.int64)
    odd = there[(there < limits.min) | (there > limits.max)]
    if odd.size:
        raise CannotEdit(
            f"The exemplar's raster has the class {odd[0]}, which the edited layer of type "
            f"{profile.dtype} cannot hold."
        )
    return usable if profile.nodata is None else usable & (values != profile.nodata)


def _resampled(cut: Cut, theirs: Profile, target: Profile, how: Copying) -> Cut:
    scale = theirs.gsd_m / target.gsd_m
    height, width = (max(1, round(n * scale)) for n in cut.usable.shape)
    if height * width > MOST_PIXELS:
        raise CannotEdit(
            f"The exemplar is {scale:.3g} times coarser than the layer; resampled it would have "
            f"{width} x {height} pixels. Draw a smaller one."
        )
    method = Resampling.cubic if scale >= 1 else Resampling.average
    if how.classes:
        method = Resampling.nearest
    image = np.zeros((cut.values.shape[0], height, width), np.float64)
    usable = np.zeros((height, width), np.float32)
    here = {
        "src_transform": Affine.identity(),
        "src_crs": "EPSG:3857",
        "dst_crs": "EPSG:3857",
        "dst_transform": Affine.scale(cut.usable.shape[1] / width, cut.usable.shape[0] / height),
    }
    reproject(cut.values.astype(np.float64), image, resampling=method, **here)
    reproject(cut.usable.astype(np.float32), usable, resampling=Resampling.average, **here)
    return replace(cut, values=image, usable=usable > 0.99)


def find_exemplars(
    plan: Plan, source: Source, shapes: Sequence[BaseGeometry], models: Models, progress: Any
) -> Cuts:
    """What to copy from: drawn areas, or windows that look like the word or the sentences; nothing
    for editors that need none. Raises NotFoundInLayer with the reason."""
    request = plan.request
    editor = plan.editor
    if not editor.info.takes("exemplar"):
        return Cuts()
    if request.exemplar is not None:
        classes = source.classes is not None
        match = plan.blend.radiometric_match and editor.matches_exemplars and not classes
        how = Copying(match, classes, AROUND if editor.takes_things and not classes else 0.0)
        found = copied_from_drawing(
            request.exemplar, source.layer, source.exemplar, list(shapes), how
        )
        return Cuts(tuple(found))
    if not (plan.word or plan.sentences):
        return Cuts()
    progress("searching", 0, 1)
    layer = source.layer
    in_layer, in_library = editor.looks_in(plan.options)
    # A word of the user's own library need not be one that is known.
    word = land_cover.canonical(plan.word) if land_cover.is_known(plan.word) else plan.word
    result, where = _searched(plan, word if in_layer else "", layer, shapes, models)
    hits = sources(result)
    if not hits:
        looked = f"was not found in this layer{where}. {result.reason}" if in_layer else ""
        if word and in_library and source.classes is None:
            return from_library(Wanted(word, looked, request.seed), source, models, shapes)
        raise NotFoundInLayer(f"'{result.word[:80]}' {looked or 'cannot be looked for.'}")
    patches = _cuts_of(layer, result, hits, shapes)
    windows = tuple(
        FoundWindow(
            (hit.box.col, hit.box.row, hit.box.width, hit.box.height), round(hit.agreement, 2)
        )
        for hit in result.hits
    )
    pixels = sum(int(patch.usable.sum()) for patch in patches)
    return Cuts(tuple(patches), SearchReport(result.word, result.rule, windows, pixels))


def _searched(
    plan: Plan, word: str, layer: Layer, shapes: Sequence[BaseGeometry], models: Models
) -> tuple[Search, str]:
    """What the layer shows around the polygons of a word (empty: none is looked for) or of the
    plan's sentences, and where it was looked for, in words."""
    whole = layer.profile.box
    reach = reach_px(layer) // 2
    xmin, ymin, xmax, ymax = (round(v) for v in shapely.total_bounds(shapes))
    around = Box(xmin, ymin, xmax - xmin, ymax - ymin).clipped(whole).grown(reach, whole)
    near = f" within {reach * layer.profile.gsd_m:,.0f} m of the polygons"
    where = "" if around == whole else near
    model = models.image_text() if plan.sentences else None
    if model is not None:
        return find_sentences(model, plan.sentences, layer, around, shapes), where
    if word in land_cover.SEARCHABLE:
        return find_word(models, layer, word, around, shapes), where
    return Search(word or plan.word, Method.NONE), where


def _cuts_of(
    layer: Layer, result: Search, hits: Sequence[Hit], keep_out: Sequence[BaseGeometry]
) -> list[Cut]:
    """The windows that were found, as pixels to copy."""
    whole = layer.profile.box
    patches = []
    for hit in hits:
        # A window holds hardly more than one house: with what is around it, there are whole ones to
        # copy.
        box = hit.box.grown(hit.box.width // 2, whole) if result.word in LARGE else hit.box
        block = read_window(layer.dataset, box)
        usable = block.valid & ~voids(block.values) & ~draw_mask(keep_out, box)
        weight = 0.0 if result.method is Method.RULE else hit.agreement - hits[0].agreement
        patches.append(replace(_cut_of(layer.profile, block, usable), log_weight=weight))
    return _grainy(patches) if result.word in GRAINY else patches


def _grainy(patches: list[Cut]) -> list[Cut]:
    """Without the smoothest of the windows' ground: a window of forest holds clearings, and copying
    drifts to them."""
    energies = []
    for patch in patches:
        grey = patch.values.mean(axis=0, dtype=np.float32)
        energies.append(
            ndimage.uniform_filter(np.abs(grey - ndimage.uniform_filter(grey, 9)), GRAIN_PX)
        )
    least = np.percentile(
        np.concatenate([e[p.usable] for e, p in zip(energies, patches, strict=True)]), SMOOTHEST
    )
    kept = [
        replace(p, usable=p.usable & (e > least)) for e, p in zip(energies, patches, strict=True)
    ]
    deep = sum(int(ndimage.binary_erosion(p.usable, iterations=5).sum()) for p in kept)
    return [p for p in kept if p.usable.any()] if deep > LEAST_DEEP_PX else patches
