"""The outline of what lies at a place: by a network for it where the user has brought one, else
the piece of a class of the scene parser where that is a thing, else what is alike around the place
up to its edges."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from rasterio.features import shapes as outlines
from rasterio.transform import Affine
from scipy import ndimage
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from ..editors.models import Models
from ..ground.errors import NotFoundInLayer, OutsideRaster, ServerError
from ..models.segmenter import Segmenter
from ..operators.ground import Ground
from ..raster.bands import COLOURS, Layer, stretch_of
from ..raster.grid import Box
from ..raster.raster import read_window
from ..scene.classes import CLASSES, THINGS, TITLES
from ..scene.network import COARSEST_M, MULTIPLE
from ..synthesis.nearest import filled

REACHES_M = (32.0, 96.0, 256.0)
"""Half the side of the window that is looked at, larger while what is found reaches its border."""
REACHES_PX = (64, 192, 448)
"""The same where ground sizes are not known, and the most."""
LEAST_PX = (48, 128, 192)
"""The same where pixels are so large that few lie in those metres."""
FEWEST_PX = 9
"""Pixels of a thing that is worth an outline."""
THREAD_PX, WIDER_PX = 3, 9
"""Width of what joins two things by chance; of what joins two lawns."""
LOOSER = 2.0
STANDING = tuple(CLASSES.index(name) for name in ("roof", "tree", "shadow", "vehicle"))
MOST_BANDS = 6
"""Bands by which ground is told to be alike; of hundreds the first would say the same."""
NEAR_PX = 2
"""So far beside a thing it may be clicked."""
APART = 3.0
"""Times the spread of values at the place up to which others are like them ..."""
TOLERANCE = (0.025, 0.07)
"""... within these bounds, of values in [0, 1]."""
SMOOTH_PX = 1.2
STEP_PX = 0.8
"""Corners of pixels are cut so far."""
SURE = 0.6
"""Of a network's own score for an outline, from which it is taken."""
NEARLY_ALL = 0.8
"""Share of a window that is no thing in it."""
LIKELY = 0.4
"""Share of a class from which a thing is called after it."""


@dataclass(frozen=True)
class Thing:
    """`polygon`: its outline in pixels of the raster. `what`: what it is taken for; empty: what is
    alike. `by`: the network that found it; empty: none did. `note`: why a network that was brought
    did not look; empty: nothing to say."""

    polygon: BaseGeometry
    what: str
    by: str = ""
    note: str = ""


@dataclass(frozen=True)
class _Found:
    """A thing in a window. `mask`: its pixels (H, W). `what`, `by`: as of a Thing."""

    mask: np.ndarray
    what: str
    by: str = ""


def thing_at(models: Models, layer: Layer, column: float, row: float) -> Thing:
    """The thing at a place, in pixels of the raster. Raises OutsideRaster, NotFoundInLayer."""
    profile = layer.profile
    if not (0 <= column < profile.width and 0 <= row < profile.height):
        raise OutsideRaster("The place lies outside of the layer. Click on it.")
    if profile.crs is None and not profile.is_picture:
        profile = replace(profile, is_picture=True)  # in units that nobody knows
        layer = replace(layer, profile=profile)
    segmenter, note = _segmenter(models)
    found = best = None
    for number, (metres, least, most) in enumerate(
        zip(REACHES_M, LEAST_PX, REACHES_PX, strict=True)
    ):
        reach = most if profile.is_picture else min(most, round(metres / profile.gsd_m))
        reach = -(-max(reach, least) // MULTIPLE) * MULTIPLE
        left, top = ((int(at) - reach) // MULTIPLE * MULTIPLE for at in (column, row))
        box = Box(left, top, 2 * reach, 2 * reach).clipped(profile.box)
        window = _window(models, layer, box, (row - box.row, column - box.col))
        found = window.by_network(segmenter) if segmenter else None
        # What a network was sure of stays, where it doubts the wider window.
        if found is None and (best is None or not best[0].by):
            found = window.by_likeness()
        if found is not None:
            best = found, box
        # Lawns and streets go on for ever: as much of them is taken as is seen at first.
        last = found is not None and not (found.what or found.by) and number > 0
        if last or (found is not None and not _cut_off(found.mask, box, profile.box)):
            break
        if found is None and best is not None:
            break
    if best is None:
        raise NotFoundInLayer(
            "Nothing there stands out from its surroundings. Click on the middle of it, or draw it."
        )
    found, box = best
    return Thing(_outline(found.mask, box), found.what, found.by, note)


def _segmenter(models: Models) -> tuple[Segmenter | None, str]:
    """The network that outlines things, where the user has brought one; and why it cannot be used,
    where it cannot: outlines are found without one, too."""
    try:
        return models.segmenter(), ""
    except ModuleNotFoundError as error:
        return None, (
            f"The model for outlines needs {error.name}, which is not installed: set up the server "
            "for pretrained models. Outlines are found without it."
        )
    except ServerError as error:
        return None, f"{error} Outlines are found without it."


def _outline(mask: np.ndarray, box: Box) -> BaseGeometry:
    """The outline of the largest piece of a window's mask (H, W), in pixels of the raster."""
    origin = Affine.translation(box.col, box.row)
    parts = [shape(one) for one, _ in outlines(mask.astype(np.uint8), mask, transform=origin)]
    whole = shapely.union_all(parts)
    smooth = shapely.make_valid(shapely.simplify(whole, STEP_PX))
    polygons = [part for part in shapely.get_parts(smooth) if part.geom_type == "Polygon"]
    return max(polygons, key=lambda part: part.area, default=whole)


def _window(models: Models, layer: Layer, box: Box, spot: tuple[float, float]) -> _Window:
    """What is looked at; raises NotFoundInLayer where there is nothing at the place."""
    block = read_window(layer.dataset, box)
    stretch = stretch_of(layer.profile, layer.roles, block)
    image = filled(stretch.normalise(block.values), block.valid)
    if not block.valid[int(spot[0]), int(spot[1])]:
        raise NotFoundInLayer("The layer has no data there. Click beside it.")
    roles = tuple(layer.roles.names)
    profile = layer.profile
    shares = None
    if not profile.is_picture and profile.gsd_m <= COARSEST_M and set(COLOURS) <= set(roles):
        origin = (box.row, box.col)
        ground = Ground(image, block.valid, roles, profile.gsd_m, origin, aspect=profile.aspect)
        shares = models.understanding.of(ground, {}).shares
        shares = ndimage.gaussian_filter(shares, (0, SMOOTH_PX, SMOOTH_PX))
    return _Window(image, block.valid, roles, spot, shares)


@dataclass(frozen=True)
class _Window:
    """A part of a layer around a place.

    `image` (C, H, W): its bands in about [0, 1]. `valid` (H, W): where it has data. `roles`: of the
    bands. `spot`: row and column of the place in it, in pixels. `shares` (classes, H, W): what the
    ground is, in [0, 1]; None: not known.
    """

    image: np.ndarray
    valid: np.ndarray
    roles: tuple[str, ...]
    spot: tuple[float, float]
    shares: np.ndarray | None

    @property
    def at(self) -> tuple[int, int]:
        """The pixel of the place."""
        return int(self.spot[0]), int(self.spot[1])

    def by_network(self, segmenter: Segmenter) -> _Found | None:
        """The thing as a network outlines it, called by what most of it is; None where the network
        is not sure."""
        known = [self.roles.index(role) if role in self.roles else 0 for role in COLOURS]
        chosen = known if set(COLOURS) <= set(self.roles) else [0, 0, 0]
        picture = (self.image[chosen].clip(0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
        row, column = self.spot
        for one in segmenter.at(np.ascontiguousarray(picture), column, row):
            if one.score < SURE or one.mask.mean() > NEARLY_ALL:
                continue
            piece = _piece(one.mask & self.valid, self.at, 0)
            if piece is not None:
                return _Found(piece & self.valid, self._called(piece), segmenter.name)
        return None

    def _called(self, mask: np.ndarray) -> str:
        """What most of a mask (H, W) is, where that is a thing; empty: it is not known."""
        if self.shares is None:
            return ""
        means = self.shares[:, mask].mean(axis=1)
        name = CLASSES[int(means.argmax())]
        return TITLES[name] if name in THINGS and means.max() > LIKELY else ""

    def by_likeness(self) -> _Found | None:
        """The piece of a class where that is a thing, else what is alike around the place; None:
        nothing."""
        at = self.at
        few = self.image[:MOST_BANDS]
        if self.shares is None:
            alike = _alike(few, at)
        else:
            kinds = self.shares.argmax(axis=0)
            name = CLASSES[int(kinds[at])]
            if name in THINGS and self.shares[kinds[at]][at] > LIKELY:
                piece = _piece(kinds == kinds[at], at, THREAD_PX)
                if piece is not None:
                    return _Found(piece & self.valid, TITLES[name])
            # Neither over a fence into a house, nor along a kerb into a lawn.
            alike = (_alike(few, at) | (kinds == kinds[at])) & ~np.isin(kinds, STANDING)
            alike &= _alike(few, at, LOOSER)
        piece = _piece(alike & self.valid, at, WIDER_PX)
        return None if piece is None else _Found(piece, "")


def _alike(image: np.ndarray, at: tuple[int, int], times: float = 1.0) -> np.ndarray:
    """Pixels (H, W) whose smoothed bands (C, H, W) are near those at a place; `times`: how much
    further than usual they may lie."""
    smooth = ndimage.gaussian_filter(image, (0, SMOOTH_PX, SMOOTH_PX))
    row, col = at
    near = smooth[:, max(0, row - 4) : row + 5, max(0, col - 4) : col + 5].reshape(len(image), -1)
    here = np.median(
        smooth[:, max(0, row - 1) : row + 2, max(0, col - 1) : col + 2].reshape(len(image), -1),
        axis=1,
    )
    apart = np.sqrt(((smooth - here[:, None, None]) ** 2).mean(axis=0))
    spread = float(np.median(np.sqrt(((near - here[:, None]) ** 2).mean(axis=0))))
    return np.asarray(apart <= times * np.clip(APART * spread, *TOLERANCE))


def _piece(where: np.ndarray, at: tuple[int, int], thread_px: int) -> np.ndarray | None:
    """The connected piece (H, W) at a place or just beside it, without holes and without what hangs
    on it by a thread, which is up to `thread_px` wide; None where it is too small."""
    widths = [width for width in (WIDER_PX, THREAD_PX) if width <= thread_px] + [0]
    for width in widths:
        chosen = ndimage.binary_opening(where, np.ones((width, width))) if width else where
        parts, _ = ndimage.label(chosen, np.ones((3, 3)))
        row, col = at
        near = parts[
            max(0, row - NEAR_PX) : row + NEAR_PX + 1, max(0, col - NEAR_PX) : col + NEAR_PX + 1
        ]
        numbers = np.bincount(near[near > 0]) if (near > 0).any() else np.zeros(0)
        number = int(parts[at]) or (int(numbers.argmax()) if numbers.size else 0)
        if number and (parts == number).sum() >= FEWEST_PX:
            return np.asarray(ndimage.binary_fill_holes(parts == number))
    return None


def _cut_off(mask: np.ndarray, box: Box, whole: Box) -> bool:
    """Whether pixels of a window reach a border of it that is none of the raster's."""
    sides = (
        (mask[0], box.row > whole.row),
        (mask[-1], box.row + box.height < whole.row + whole.height),
        (mask[:, 0], box.col > whole.col),
        (mask[:, -1], box.col + box.width < whole.col + whole.width),
    )
    return any(inner and bool(side.any()) for side, inner in sides)
