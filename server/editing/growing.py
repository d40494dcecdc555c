"""Polygons grown to all of what they mostly cover, and to the shadow that falls from it.

Footprints are often some metres off, and nobody draws a shadow: what is taken away would leave an
edge of its roof and its shadow behind. The polygons of the request are replaced before anything
else looks at them, so that the judge, the manifest and the map know one outline, the grown one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from rasterio.features import shapes as outlines
from rasterio.transform import Affine
from scipy import ndimage
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from ..contract.requests import EditRequest, Polygons
from ..editors.models import Models
from ..editors.operator import MOST_SEEN_PX, SEEN_M
from ..editors.registry import Editors
from ..operators.cast_shadow import STANDS, SURE, Light, heights
from ..operators.ground import Ground
from ..raster import masks, polygons
from ..raster.bands import stretch_of
from ..raster.composed import composed
from ..raster.grid import Box
from ..raster.raster import Profile
from ..scene.evidence import cast
from ..scene.network import COARSEST_M, MULTIPLE
from .path import Job, Progress
from .plan import decide
from .region import to_ground
from .source import Source, opened_source

MOSTLY = 0.7
"""Share of a thing that a polygon covers from which on all of it is meant."""
MOST_MORE = 0.4
"""What is added to a polygon at most, by its own area: more is another thing that touches."""
SHADE = 0.3
"""Share of a pixel's sun that a thing takes from which on it lies in its shadow."""
REACH_M = 1.0
"""By which the shadow that is seen may lie beside where it is reckoned."""
RIM_M = 0.4
"""Around what is added, where its own colour still shows."""
FINEST_M = 0.03
LEAST_M2 = 2.0
"""Area below which nothing is added."""
LEAST_ROOF_M2 = 8.0
LARGEST_PX = 1200
"""Side of a polygon from which on no single object is meant, and in which they would take long to
find."""
MOST_POLYGONS = 500


@dataclass(frozen=True)
class Grown:
    """What came of it. `job`: with the polygons as they are now. `notes`: what the user should know
    of that."""

    job: Job
    notes: tuple[str, ...] = ()


def grown(job: Job, editors: Editors, folder: Path, progress: Progress) -> Grown:
    """The job with whole objects, where its request asks for them and its editor takes things
    away."""
    request = job.request
    if not request.blend.whole_objects or request.raster.extent is not None:
        return Grown(job)
    with (
        composed(job.rasters, folder) as rasters,
        opened_source(request, rasters) as source,
    ):
        plan = decide(request, job.process_id, editors, source.satellite)
        if not plan.editor.takes_away or not _can_be_told(source):
            return Grown(job)
        drawn = polygons.pixel_polygons(request.polygons, source.profile)
        if len(drawn) > MOST_POLYGONS:
            note = (
                f"{len(drawn):,} polygons are more than the {MOST_POLYGONS:,} that are grown to "
                "whole objects: they are taken as drawn."
            )
            return Grown(job, (note,))
        added = []
        for number, one in enumerate(drawn):
            progress("understanding", number, len(drawn))
            added.append(_more(one, source, editors.models))
        more = [part for part in added if part is not None]
        if not more:
            return Grown(job)
        profile = source.profile
        both = shapely.union_all([*drawn, *more])
        area = (both.area - shapely.union_all(drawn).area) * profile.gsd_m**2 * profile.aspect
        note = (
            f"The polygons were grown by {area:,.0f} m² to all of what they mostly cover and to "
            "its shadow. To take them as drawn, leave 'Whole objects' (whole_objects) off."
        )
        whole = _with(request, both, profile)
        return Grown(replace(job, request=whole, drawn=request.polygons), (note,))


def _can_be_told(source: Source) -> bool:
    """Whether what stands on the ground shows: how large that is is known, pixels are fine enough,
    and so are colours."""
    profile = source.profile
    known = not profile.is_picture and FINEST_M <= profile.gsd_m <= COARSEST_M
    return known and "red" in source.layer.roles.names


def _with(request: EditRequest, whole: BaseGeometry, profile: Profile) -> EditRequest:
    """A request with other polygons, given in pixels, as the raster's own coordinates."""
    ground = shapely.transform(whole, to_ground(profile))
    blend = replace(request.blend, whole_objects=False)
    return replace(request, polygons=Polygons(_plain(mapping(ground))), blend=blend)


def _plain(geometry: dict) -> dict:
    """GeoJSON of lists, as it comes over the wire."""

    def lists(part: object) -> object:
        return [lists(one) for one in part] if isinstance(part, tuple | list) else part

    return {"type": geometry["type"], "coordinates": lists(geometry["coordinates"])}


def _more(drawn: BaseGeometry, source: Source, models: Models) -> BaseGeometry | None:
    """What a polygon (in pixels) is to take more; None where that is nothing."""
    profile = source.profile
    reach = min(round(SEEN_M / profile.gsd_m), MOST_SEEN_PX)
    # On the network's own grid, and whatever a change of CRS adds in the last digits.
    xmin, ymin, xmax, ymax = (round(value, 3) for value in drawn.bounds)
    if max(xmax - xmin, ymax - ymin) > LARGEST_PX:
        return None
    left, top = ((int(value) - reach) // MULTIPLE * MULTIPLE for value in (xmin, ymin))
    right, bottom = (-(-(int(value) + reach + 1) // MULTIPLE) * MULTIPLE for value in (xmax, ymax))
    box = Box(left, top, right - left, bottom - top).clipped(profile.box)
    if box.width < 8 or box.height < 8:
        return None
    block = source.read(box)
    mask = masks.draw_mask([drawn], box) & block.valid
    if not mask.any():
        return None
    stretch = stretch_of(profile, source.layer.roles, block)
    image = np.where(block.valid, stretch.normalise(block.values), 0).astype(np.float32)
    roles = tuple(source.layer.roles.names)
    ground = Ground(image, mask, roles, profile.gsd_m, (box.row, box.col), aspect=profile.aspect)
    ground = replace(ground, parse=models.understanding.of(ground, {}))
    added = whole_of(ground) & block.valid
    if added.sum() * profile.gsd_m**2 * profile.aspect < LEAST_M2:
        return None
    return _polygon(added, box)


def whole_of(ground: Ground) -> np.ndarray:
    """The pixels (H, W) that belong to what the mask mostly covers and are not in it: the rest of
    things that stand there, and the shadows that these throw."""
    mask = ground.mask
    meant = _meant(ground)
    whole = mask | meant
    most = MOST_MORE * mask.sum()
    if (meant & ~mask).sum() > most:
        whole = mask.copy()
    shadow = _shadow_of(ground, meant & whole)
    if (shadow & ~mask).sum() <= 2 * most:
        whole |= shadow
    more = whole & ~mask
    if not more.any():
        return more
    rim = max(1, round(RIM_M / ground.gsd_m))
    more = ndimage.binary_dilation(more, iterations=rim)
    more = ndimage.binary_closing(more | mask) | more
    stands = np.any([_pieces(ground, name) for name in STANDS], axis=0)
    return more & ~mask & ~(stands & ~whole)


def _meant(ground: Ground) -> np.ndarray:
    """All of the things (H, W) that the mask mostly covers."""
    found = np.zeros_like(ground.mask)
    for name in STANDS:
        parts, count = ndimage.label(_pieces(ground, name))
        areas = np.bincount(parts.ravel(), minlength=count + 1)
        covered = np.bincount(parts[ground.mask], minlength=count + 1)
        meant = (covered > 0) & (covered >= MOSTLY * areas)
        meant[0] = False
        found |= meant[parts]
    return found


def _pieces(ground: Ground, name: str) -> np.ndarray:
    """Where things of a kind stand (H, W)."""
    if name == "roof":
        return ground.cover.pieces(name, LEAST_ROOF_M2, ground.gsd_m) > 0.5
    return ground.cover.sure(name) > 0.5


def _shadow_of(ground: Ground, things: np.ndarray) -> np.ndarray:
    """The shadow (H, W) that is seen where things throw one."""
    light = Light.of(ground)
    tall = heights(ground.cover, things)
    if light is None or not tall.any():
        return np.zeros_like(things)
    thrown = (cast(tall, light.azimuth, light.slope, ground.gsd_m) > SHADE) & (tall == 0)
    near = ndimage.binary_dilation(thrown, iterations=max(1, round(REACH_M / ground.gsd_m)))
    seen = (ground.cover.share("shadow") > SURE) & ~things
    return seen & near


def _polygon(where: np.ndarray, box: Box) -> BaseGeometry:
    """The outline of pixels (h, w) of a box, in pixels of the raster."""
    origin = Affine.translation(box.col, box.row)
    found: Sequence = list(outlines(where.astype(np.uint8), where, transform=origin))
    return shapely.union_all([shape(one) for one, _ in found])
