"""Any two rasters of one ground compared: what changed where, against where it was asked for."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from ..contract.comparison import Comparison
from ..contract.requests import Polygons
from ..evaluation import change
from ..ground.errors import BadRequest, CannotEdit
from ..raster import bands, masks
from ..raster.bands import Layer
from ..raster.grid import Box, Grid, onto
from ..raster.polygons import pixel_polygons
from ..raster.raster import opened, part_side, read_window

MARGIN_PX = 128
LARGEST_PX = 16_000_000


def compared(
    before: Path, after: Path, polygons: Polygons | None, roots: Sequence[Path] | None = None
) -> Comparison:
    """Measures of `after` against `before`, on the grid of `before`; without polygons how much of
    all of it changed.

    `roots`: as in opened(). Raises BadRequest, CannotEdit where the two cannot be compared.
    """
    with (
        opened(before, roots) as first,
        opened(after, roots) as second,
        onto(second, Grid.of(first)) as brought,
    ):
        layer = Layer.of(first, {})
        sides = _Sides(layer, Layer.of(brought, {}), *_shared(layer, Layer.of(second, {})))
        if polygons is None:
            found = _everywhere(sides)
        else:
            shapes = pixel_polygons(polygons, layer.profile)
            if not shapes:
                raise BadRequest(f"The polygons do not touch {before.name}. Is their CRS right?")
            found = _about(sides, shapes)
        if not found.pixels_compared:
            raise CannotEdit(f"{before.name} and {after.name} share no ground.")
        return replace(found, on_one_grid=Grid.of(first).meets(Grid.of(second)))


@dataclass(frozen=True)
class _Sides:
    """Two layers on one grid, and their bands (in the files) that show the same."""

    first: Layer
    second: Layer
    ours: list[int]
    theirs: list[int]

    @functools.cached_property
    def stretch(self) -> bands.Stretch:
        """Of the first, for both."""
        layer = self.first
        return bands.stretch_of(layer.profile, layer.roles, bands.overview(layer)).of(self.ours)

    def read(self, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A window of both as pictures (C, H, W), 0 where not both are valid; where they are (H,
        W)."""
        old = read_window(self.first.dataset, box)
        new = read_window(self.second.dataset, box)
        both = old.valid & new.valid
        shown = (
            np.where(both, np.nan_to_num(self.stretch.normalise(values)), 0)
            for values in (old.values[self.ours], new.values[self.theirs])
        )
        return (*shown, both)


def _about(sides: _Sides, shapes: list) -> Comparison:
    """Inside and outside polygons (in pixels), and at their rim."""
    box = _window(shapes, sides.first.profile.box)
    mask = masks.draw_mask(shapes, box)
    seen, made, both = sides.read(box)
    if not both.any():
        return Comparison(0, False)
    kept = change.preservation(seen, made, mask | ~both)
    place = change.localisation(seen, made, mask & both)
    edge = change.rim(seen, made, mask & both)
    outside, inside, around = ({} if one is None else asdict(one) for one in (kept, place, edge))
    found = Comparison(int(both.sum()), False, outside, inside, around)
    return replace(found, said=sentences(found))


def _everywhere(sides: _Sides) -> Comparison:
    """How much of all changed, square by square, whatever the size of the rasters: change was asked
    for everywhere."""
    compared = 0
    changed = 0
    total = 0.0
    for box in sides.first.profile.box.squares(part_side(sides.first.dataset)):
        seen, made, both = sides.read(box)
        difference = np.abs(made - seen)
        compared += int(both.sum())
        changed += int((difference.max(axis=0) > change.SEEN).sum())
        total += float(difference.mean(axis=0).sum(dtype=np.float64))
    if not changed:
        return Comparison(compared, False, said=("Nothing changed.",))
    share = changed / compared
    said = (
        f"{share:.1%} of the pixels changed by more than {change.SEEN:.1%} in some band, all of "
        f"them by {total / compared:.1%} on average. With polygons it is told what changed inside "
        "and outside of them."
    )
    return Comparison(
        compared,
        False,
        localisation=asdict(change.Localisation(1.0, share, share, 1.0)),
        said=(said,),
    )


def sentences(found: Comparison) -> tuple[str, ...]:
    """What the numbers mean."""
    said = []
    kept = found.preservation
    place = found.localisation
    edge = found.rim
    said.append(
        f"Compared were {found.pixels_compared:,} pixels: the polygons and {MARGIN_PX} around them."
    )
    if not kept:
        said.append("Nothing lies outside the polygons, so nothing is said of what was kept.")
    elif kept["changed"] == 0:
        said.append("Outside the polygons nothing changed that could be seen.")
    else:
        said.append(
            f"Outside the polygons {kept['changed']:.1%} of the pixels changed, by "
            f"{kept['magnitude']:.1%} on average."
        )
    moved = kept and kept["shift_px"]
    if moved and max(map(abs, moved)) > 0.5:
        said.append(
            f"The ground lies about {moved[0]:.1f} pixels lower and {moved[1]:.1f} to the right: "
            "align the layers first."
        )
    if not place:
        said.append("Nothing changed.")
    else:
        said.append(
            f"{place['recall']:.0%} of the polygons changed; {place['energy_inside']:.0%} of all "
            "change lies in them."
        )
    if edge:
        said.append(
            f"At the rim colours step by {edge['colour']:.0%}, jumps are {edge['gradient']:.1f} "
            "times those beside it."
        )
    return tuple(said)


def _shared(first: Layer, second: Layer) -> tuple[list[int], list[int]]:
    """Bands of both (in their files) that show the same: by role, else by number where there are as
    many."""
    roles = [role for role in first.roles.names if role and role in second.roles.names]
    data = [bands.data_bands(layer.profile) for layer in (first, second)]
    if roles:
        return tuple(
            [d[layer.roles.names.index(role)] for role in roles]  # type: ignore[return-value]
            for layer, d in zip((first, second), data, strict=True)
        )
    if len(data[0]) != len(data[1]):
        raise CannotEdit(
            f"The layers have {len(data[0])} and {len(data[1])} bands, of which none is known to "
            "show the same."
        )
    return data[0], data[1]


def _window(shapes: list, whole: Box) -> Box:
    """The polygons with a margin."""
    left, top, right, bottom = shapely.total_bounds(shapes)
    if right <= 0 or bottom <= 0 or left >= whole.width or top >= whole.height:
        raise BadRequest("The polygons lie outside the first raster. Is their CRS right?")
    box = Box(
        int(left),
        int(top),
        max(int(np.ceil(right)) - int(left), 1),
        max(int(np.ceil(bottom)) - int(top), 1),
    )
    box = box.grown(MARGIN_PX, whole)
    if box.width * box.height > LARGEST_PX:
        raise BadRequest(
            f"{box.width:,} x {box.height:,} pixels are too many: at most {LARGEST_PX:,} are "
            "compared at once. Draw polygons around the part that matters."
        )
    return box
