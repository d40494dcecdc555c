"""Where an edit happens: polygons on the raster's own grid, the windows they are edited in, and the
window that is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ..contract.editors import EditorInfo
from ..contract.requests import PIXELS, PIXELS_UP, EditRequest, Polygons
from ..ground.errors import CannotEdit, OutsideRaster
from ..raster import masks, polygons
from ..raster.grid import Box, around_all
from ..raster.masks import Region
from ..raster.outlines import parts_of
from ..raster.placing import Placing
from ..raster.raster import OnPart, Profile
from .new_ground import all_of_it
from .plan import Plan
from .source import Source

WINDOW_MARGIN_PX = 8
"""Unchanged pixels around the polygons in a window result: enough to see that it fits, not more."""
TOUCHED_PX = 0.75
"""From a polygon that holds no pixel's centre to the centres of pixels that it touches, at most."""
SPECK_PX = 0.5
"""Nobody draws so small a polygon on a picture."""
LARGEST_SIDE_PX = 4096
"""Side of a polygon for which surroundings are asked; those of a larger one grow no further."""


@dataclass(frozen=True)
class Place:
    """Where.

    `shapes`: the polygons in pixels, apart from one another. `regions`: the windows that are
    edited, one after the other, and their masks. `window`: what is written. `beyond`: share of the
    polygons' area that lies outside the raster, or the extent that was asked for. `grow_px`: by
    which they are widened. `limits`: where something may change.
    `spared_elsewhere`: whether what is to stay as it is lies beside the polygons altogether.
    """

    shapes: Sequence[BaseGeometry]
    regions: Sequence[Region]
    window: Box
    beyond: float = 0.0
    grow_px: int = 0
    limits: tuple[Box, ...] = ()
    spared_elsewhere: bool = False

    def edited_ground(self, profile: Profile) -> BaseGeometry:
        """All ground that may be changed, in the raster's CRS: the polygons, widened as they were
        to be; thin ones by what they touch."""
        shapes = np.asarray(self.shapes, dtype=object)
        areas = shapely.area(shapes)
        thin = (areas <= 4.0) | (2 * areas < shapely.length(shapes))
        reach = self.grow_px + np.where(thin, TOUCHED_PX, 0.0)
        wide = reach > 0
        shapes[wide] = shapely.buffer(shapes[wide], reach[wide], join_style="mitre")
        parts = shapely.get_parts(shapely.union_all(shapes) if wide.any() else shapes)
        limits = [shapely.box(b.col, b.row, b.col + b.width, b.row + b.height) for b in self.limits]
        frame = limits[0] if len(limits) == 1 else shapely.union_all(limits)
        if len(limits) > 1 or not shapely.contains(frame, shapely.envelope(parts)).all():
            cut = shapely.get_parts(shapely.get_parts(shapely.intersection(parts, frame)))
            parts = cut[shapely.get_type_id(cut) == 3]
        return shapely.transform(shapely.multipolygons(list(parts)), to_ground(profile))

    def cover(self, profile: Profile) -> BaseGeometry:
        """The rectangle of pixels around all that was edited, in the raster's CRS."""
        found = around_all([_edited_span(region) for region in self.regions])
        corner = (found.col + found.width, found.row + found.height)
        return shapely.transform(shapely.box(found.col, found.row, *corner), to_ground(profile))


def to_ground(profile: Profile) -> Callable[[np.ndarray], np.ndarray]:
    """From pixels (N, 2) to the raster's CRS."""
    return lambda xy: np.column_stack(profile.transform @ (xy[:, 0], xy[:, 1]))


def placing_of(
    plan: Plan, profile: Profile, shapes: Sequence[BaseGeometry], planes: int = 0
) -> Placing:
    """Where the polygons may be edited, with how much around them, and what that takes; `planes`:
    that an editor sees instead of the bands, 0 where it sees those."""
    seen = planes or profile.count
    limits = tuple(polygons.extent_boxes(plan.request.extent, profile))
    blend = plan.blend
    bounds = [shape.bounds for shape in shapes]
    sides = [int(max(b[2] - b[0], b[3] - b[1])) for b in bounds]
    side = min(max(sides, default=1), LARGEST_SIDE_PX)
    wanted = plan.editor.context_wanted(side, profile.gsd_m, plan.options)
    return Placing(
        profile.box,
        limits,
        blend.grow_px,
        max(blend.context_px, wanted) + blend.beyond_px,
        profile.count,
        lambda pixels: plan.editor.memory_bytes(pixels, seen, plan.options),
        profile.count * np.dtype(profile.dtype).itemsize,
    )


def locate(plan: Plan, source: Source, on_part: OnPart) -> Place:
    """Polygons in pixels, where is edited and what of it was asked for, and the window to write."""
    request = plan.request
    profile = source.profile
    shapes = polygons.pixel_polygons(request.polygons, profile)
    if request.raster.extent is not None:
        shapes = all_of_it(shapes, profile.box)
    if not any(shape.area for shape in shapes):
        raise CannotEdit("The polygons have no area: their corners lie on a line, or are one.")
    if profile.crs is None and max(map(_side, shapes)) < SPECK_PX:
        raise CannotEdit(
            "The polygons are smaller than a pixel: this raster has no place on the ground, so "
            "that their coordinates count as its pixels, and these look like degrees or "
            "kilometres. Draw on the raster itself, or give it a place first (in QGIS: "
            "Georeferencer)."
        )
    protect = []
    if request.protect:
        protect = polygons.pixel_polygons(request.protect, profile, "protect")
        protect += polygons.small_polygons(request.protect, profile, "protect", masks.SMALL_PX)
    planes = 0 if source.classes is None else source.classes.count
    placing = placing_of(plan, profile, shapes, planes)
    try:
        regions = masks.regions(shapes, protect, placing, on_part)
    except OutsideRaster as error:
        raise OutsideRaster(f"{error} {where_both_lie(request.polygons, profile)}") from error
    beyond = share_outside(shapes, placing.limit)
    window = _window(request, profile, placing.limit, regions)
    grown = plan.blend.grow_px
    elsewhere = request.protect is not None and not _near(shapes, protect, grown)
    return Place(shapes, regions, window, beyond, grown, placing.limits, elsewhere)


def _side(shape: BaseGeometry) -> float:
    left, top, right, bottom = shape.bounds
    return max(right - left, bottom - top)


def _near(shapes: Sequence[BaseGeometry], others: Sequence[BaseGeometry], reach_px: int) -> bool:
    """Whether any of the shapes comes as near as that to one of the others."""
    found = shapely.STRtree(shapes).query(others, predicate="dwithin", distance=reach_px)
    return bool(found.size)


@dataclass(frozen=True)
class KnownShapes:
    """What the user's layers tell of the ground. `shapes`: by class, in pixels of the raster."""

    shapes: Mapping[str, Sequence[BaseGeometry]]

    @classmethod
    def of(cls, request: EditRequest, profile: Profile, info: EditorInfo) -> KnownShapes:
        """Those of a request, brought to the raster, for an editor that goes by them; what lies
        elsewhere tells nothing."""
        found: dict[str, list[BaseGeometry]] = {}
        for one in request.known if info.takes("ground") else ():
            here = polygons.pixel_polygons(one.polygons, profile, f"known {one.kind}")
            found.setdefault(one.kind, []).extend(here)
        return cls(found)

    def on(self, box: Box) -> dict[str, np.ndarray]:
        """By class where it is (H, W, bool) in a window, those alone that are there."""
        frame = shapely.box(box.col, box.row, box.col + box.width, box.row + box.height)
        drawn = {}
        for kind, shapes in self.shapes.items():
            near = shapely.STRtree(shapes).query(frame)
            parts = [shapely.clip_by_rect(shapes[i], *frame.bounds) for i in near]
            drawn[kind] = masks.draw_mask([one for one in parts if one.area > 0], box)
        return {kind: where for kind, where in drawn.items() if where.any()}


def where_both_lie(given: Polygons, profile: Profile) -> str:
    """Where polygons lie as they were given, and where the raster does, for whoever wonders why
    they do not meet."""
    left, bottom, right, top = shapely.total_bounds(parts_of(given))
    crs = given.crs or "the raster's own coordinates"
    if given.crs not in ("", PIXELS, PIXELS_UP):
        crs = polygons.crs_of(given.crs, "polygons.crs").name
    own = polygons.profile_crs(profile)
    return (
        f"The polygons are given in {crs}, x {left:.8g} to {right:.8g}, y {bottom:.8g} to "
        f"{top:.8g}; the raster lies in {'no CRS' if own is None else own.name}, "
        f"{polygons.bounds_of(profile)}."
    )


def share_outside(shapes: Sequence[BaseGeometry], limit: Box) -> float:
    """Share of the polygons' area, 0 to 1, that lies where nothing may change."""
    area = float(sum(shape.area for shape in shapes))
    frame = shapely.box(limit.col, limit.row, limit.col + limit.width, limit.row + limit.height)
    inside = float(sum(shapely.intersection(shape, frame).area for shape in shapes))
    return max(0.0, 1 - inside / area) if area else 0.0


def _window(request: EditRequest, profile: Profile, limit: Box, regions: Sequence[Region]) -> Box:
    """What is written: all of the layer, the extent, or what is edited with a margin; of a picture
    that has no place on the ground all of it, since a part could not say where it lies."""
    if request.output.area == "layer" or profile.is_picture:
        return profile.box
    if request.extent is not None:
        return limit
    edited = around_all([_edited_span(region) for region in regions])
    return edited.grown(WINDOW_MARGIN_PX, profile.box)


def _edited_span(region: Region) -> Box:
    """The smallest window around what a region edits."""
    rows = np.nonzero(region.mask.any(axis=1))[0]
    cols = np.nonzero(region.mask.any(axis=0))[0]
    return Box(
        region.box.col + int(cols[0]),
        region.box.row + int(rows[0]),
        int(cols[-1] - cols[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
