"""What an edit copies from: drawn areas of the same or another raster, or windows found by a
word."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject
from scipy import ndimage

from ..contract.requests import Exemplar
from ..editors.base import Patch
from ..ground.errors import CannotEdit, NotFoundInLayer, OutsideRaster
from ..models.image_text import ImageText
from ..raster import tone
from ..raster.bands import Layer, Stretch, data_bands, roles_of, stretch_of
from ..raster.masks import burn, pixel_polygons
from ..raster.raster import Block, Box, Profile, profile_of, read_window
from ..search import image_text as text_retrieval
from ..search import retrieval

MOST_PIXELS = 4_000_000


@dataclass(frozen=True)
class Cut:
    """What is copied from: values (data bands, h, w) in the raster's own units, which pixels may be
    used, how well it fits.

    In the edited layer's units it is stretched as the edited window is, so that a dark lake stays
    dark; `seen`: it is from a raster of another type and is stretched already.
    """

    values: np.ndarray
    usable: np.ndarray
    log_weight: float = 0.0
    seen: bool = False

    def patch(self, stretch: Stretch) -> Patch:
        """As an editor sees it in a window with that stretch."""
        image = self.values if self.seen else stretch.seen_bands(self.values)
        return Patch(
            np.where(self.usable, image, 0).astype(np.float32), self.usable, self.log_weight
        )


TEXTURES = ("forest", "shrub")
"""Words for what has grain, unlike the gaps in it."""
OBJECTS = ("residential", "industrial")
"""Words for what is made of objects larger than a good part of a window."""
GRAIN_PX = 25
SMOOTHEST = 30
"""Per cent of the windows' pixels that are not copied where the word is for something with
grain."""
LEAST_DEEP_PX = 400


def drawn(
    exemplar: Exemplar,
    layer: Layer,
    other: rasterio.DatasetReader | None,
    keep_out: list,
    match: bool = True,
) -> list[Cut]:
    """The drawn polygons, one cut each; pixels inside the edited polygons are not copied.

    `match`: what comes from another raster that shows the same ground gets the edited layer's tone.
    """
    if other is not None:
        return _from_other(exemplar, layer, other, match)
    shapes = pixel_polygons(exemplar.polygons, layer.profile, "exemplar")
    return [p for shape in shapes if (p := _cut(layer, shape, keep_out)) is not None] or _nothing()


def _nothing() -> list[Cut]:
    raise OutsideRaster("The exemplar does not touch the layer it is taken from.")


def _cut(layer: Layer, shape: shapely.Polygon, keep_out: list) -> Cut | None:
    box = _limited(shape).clipped(layer.profile.box)
    if not (box.width and box.height):
        return None
    block = read_window(layer.dataset, box)
    usable = burn([shape], box) & block.valid & ~burn(keep_out, box)
    return _cut_of(layer.profile, block, usable)


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
    exemplar: Exemplar, layer: Layer, other: rasterio.DatasetReader, match: bool
) -> list[Cut]:
    """Resampled to the edited layer's CRS, pixel size and orientation."""
    theirs = profile_of(other)
    mine = data_bands(layer.profile)
    bands = data_bands(theirs)
    if len(mine) != len(bands):
        raise CannotEdit(
            f"The exemplar's raster has {len(bands)} bands, the edited one {len(mine)}; both "
            "must have the same."
        )
    if (theirs.crs is None) != (layer.profile.crs is None):
        raise CannotEdit(
            "One of the two rasters has no CRS; assign one, so that their scales can be compared."
        )
    roles = roles_of(theirs, {})
    toned = (
        tone.of_same_ground(layer, other) if match and theirs.dtype == layer.profile.dtype else None
    )
    in_target = pixel_polygons(exemplar.polygons, theirs, "exemplar")
    patches = []
    for shape in in_target:
        box = _limited(shape).clipped(theirs.box)
        if not (box.width and box.height):
            continue
        block = read_window(other, box)
        usable = burn([shape], box) & block.valid
        values = block.values[bands].astype(np.float64)
        if theirs.dtype != layer.profile.dtype:
            values = stretch_of(theirs, roles, block).seen(block.values)
        elif toned is not None:
            values = toned(values)
        values = np.where(block.valid, values, 0)
        patches.append(
            _resampled(
                Cut(values, usable, seen=theirs.dtype != layer.profile.dtype), theirs, layer.profile
            )
        )
    return patches or _nothing()


def _resampled(cut: Cut, theirs: Profile, target: Profile) -> Cut:
    scale = theirs.gsd_m / target.gsd_m
    height, width = (max(1, round(n * scale)) for n in cut.usable.shape)
    if height * width > MOST_PIXELS:
        raise CannotEdit(
            f"The exemplar is {scale:.3g} times coarser than the layer; resampled it would have "
            f"{width} x {height} pixels. Draw a smaller one."
        )
    method = Resampling.cubic if scale >= 1 else Resampling.average
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


def found(
    word: str, layer: Layer, keep_out: list, by_text: tuple[ImageText, list[str]] | None = None
) -> tuple[list[Cut], retrieval.Search]:
    """Cuts of windows around the shapes `keep_out` that look like the word, or like sentences to an
    image-text model.

    Raises NotFoundInLayer with the reason.
    """
    xmin, ymin, xmax, ymax = (round(v) for v in shapely.total_bounds(keep_out))
    whole = layer.profile.box
    reach = retrieval.reach_px(layer) // 2
    around = Box(xmin, ymin, xmax - xmin, ymax - ymin).clipped(whole).grown(reach, whole)
    if by_text is None:
        result = retrieval.search(layer, word, around, keep_out)
    else:
        result = text_retrieval.search(layer, *by_text, around, keep_out)
    hits = retrieval.sources(result)
    if not hits:
        where = (
            ""
            if around == whole
            else f" within {reach * layer.profile.gsd_m:,.0f} m of the polygons"
        )
        raise NotFoundInLayer(
            f"'{result.word[:80]}' was not found in this layer{where}. {result.reason}"
        )
    patches = []
    for hit in hits:
        # A window holds hardly more than one house: with what is around it, there are whole ones to
        # copy.
        box = hit.box.grown(hit.box.width // 2, whole) if result.word in OBJECTS else hit.box
        block = read_window(layer.dataset, box)
        usable = block.valid & ~burn(keep_out, box)
        weight = 0.0 if result.rule == "index rule" else hit.agreement - hits[0].agreement
        patches.append(replace(_cut_of(layer.profile, block, usable), log_weight=weight))
    return (_grainy(patches) if result.word in TEXTURES else patches), result


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
