"""Numbers beside a result, each with a sentence: how the edge shows, how much changed, what it
looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ..contract.manifest import Quality
from ..evaluation import change
from ..models.scene_words import WINDOW_PX, SceneWords
from ..raster.bands import Layer, Stretch
from ..raster.grid import Box
from ..search.rules import FINEST_NETWORK_GSD_M
from ..search.windows import view_of

MOST_PX = 1_000_000
"""Of a region that is measured."""
FEWEST_PX = 64
COLOUR_SHOWS = 0.04
GRADIENT_SHOWS = 1.8
"""A step of colour at the rim, of 1, and a jump by those beside it, from which an edge is said to
show."""
LOOKS = {
    "forest": 0.0, "shrub": -0.5, "farmland": -0.5, "beach": -0.5, "industrial": 0.0,
}  # fmt: skip
"""Scene agreement from which on a place looks like a word, where it is not 0.5: of windows in UC
Merced's test half and in California (NAIP) that show something else at most a tenth reach it. A
place also looks like the word that fits it better than all others."""
INSIDE = 0.6
"""Share of a window that must lie in the polygons."""


@dataclass(frozen=True)
class RegionQuality:
    """How one region came out. `pixels`: that were edited. `rim`: how its edge shows; None where it
    has none inside the raster. `changed`: share of them that changed visibly, 0 to 1."""

    pixels: int
    rim: change.Rim | None
    changed: float


@dataclass(frozen=True)
class Agreement:
    """How much of the result looks like a word. `word`: the land cover. `alike`: windows inside the
    polygons that look like it. `windows`: that were looked at."""

    word: str
    alike: int
    windows: int


def measured(
    before: np.ndarray, after: np.ndarray, where: tuple[np.ndarray, np.ndarray], stretch: Stretch
) -> RegionQuality | None:
    """A region before, as a picture (C, H, W) in about [0, 1], and after, as native pixels; None
    for one that is too large or too small. `where`: what is edited and what is valid (H, W)."""
    mask, valid = where
    rows, cols = (np.nonzero(mask.any(axis=axis))[0] for axis in (1, 0))
    margin = 2 * change.RIM_PX
    high, wide = (
        slice(max(found[0] - margin, 0), found[-1] + margin + 1) for found in (rows, cols)
    )
    inside = mask[high, wide]
    if not inside.sum() >= FEWEST_PX or inside.size > MOST_PX:
        return None
    first = before[:, high, wide]
    second = stretch.normalise(np.ascontiguousarray(after[:, high, wide]))
    visible = np.abs(second - first).max(axis=0) > change.SEEN
    known = valid[high, wide]
    if not known.all():  # a hole is no edge
        first, second = (np.where(known, one, np.nan) for one in (first, second))
    rim = change.rim(first, second, inside)
    return RegionQuality(int(inside.sum()), rim, float(visible[inside].mean()))


def quality_of(
    regions: Sequence[RegionQuality], outside_changed: int, agreement: Agreement | None
) -> Quality:
    """The numbers of all regions, each weighed by its pixels, and sentences; `outside_changed`:
    pixels, counted by the gate."""
    rims = [(region.pixels, region.rim) for region in regions if region.rim is not None]
    colour = _mean([(pixels, rim.colour) for pixels, rim in rims])
    gradient = _mean([(pixels, rim.gradient) for pixels, rim in rims])
    said = []
    if colour is not None and gradient is not None:
        faint = colour < COLOUR_SHOWS and gradient < GRADIENT_SHOWS
        said.append(
            f"The edge {'hardly shows' if faint else 'shows'}: a step of {colour:.0%} in colour, "
            f"jumps {gradient:.1f} times those beside it."
        )
    share = None
    if agreement is not None:
        share = agreement.alike / agreement.windows
        said.append(
            f"{agreement.alike} of {agreement.windows} places inside look like {agreement.word}."
        )
    changed = _mean([(region.pixels, region.changed) for region in regions])
    return Quality(outside_changed, colour, gradient, changed, share, tuple(said))


def _mean(weighed: Sequence[tuple[int, float]]) -> float | None:
    total = sum(weight for weight, _ in weighed)
    return round(sum(weight * value for weight, value in weighed) / total, 4) if total else None


def agreement_of(
    words: SceneWords, made: Layer, box: Box, shapes: Sequence[BaseGeometry], word: str
) -> Agreement | None:
    """How many places inside the polygons (pixels of the source) look like a land cover in the
    written window `box`.

    None where there is no detector for it, the pixels are too coarse, or no place lies inside.
    """
    if word not in words.words or made.profile.gsd_m > FINEST_NETWORK_GSD_M:
        return None
    moved = [shapely.transform(shape, lambda xy: xy - (box.col, box.row)) for shape in shapes]
    view = view_of(made, made.profile.box, moved)
    inside = view.blocked
    side = WINDOW_PX
    height, width = inside.shape
    corners = [
        (row, col)
        for row in range(0, height - side + 1, side // 2)
        for col in range(0, width - side + 1, side // 2)
        if inside[row : row + side, col : col + side].mean() >= INSIDE
    ]
    if not corners:
        return None
    pixels = view.rgb.round().astype(np.uint8)
    windows = np.stack(
        [
            pixels[row : row + side, col : col + side]
            for row, col in corners[:: len(corners) // 64 + 1]
        ]
    )
    scores = words.agreement(words.features(windows))
    mine = words.words.index(word)
    alike = (scores[:, mine] >= LOOKS.get(word, 0.5)) | (scores.argmax(axis=1) == mine)
    return Agreement(word, int(alike.sum()), len(scores))
