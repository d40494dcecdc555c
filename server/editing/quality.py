"""Numbers beside a result, each with a sentence: how the edge shows, how much changed, what it
looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from ..evaluation import change
from ..models import scene_words
from ..raster.bands import Layer, Stretch
from ..raster.raster import Box
from ..search import retrieval

MOST_PX = 1_000_000
"""Of a region that is measured."""
FEWEST_PX = 64
COLOUR_SHOWS = 0.04
GRADIENT_SHOWS = 1.8
"""A step of colour at the rim, of 1, and a jump by those beside it, from which an edge is said to
show."""
INSIDE = 0.6
"""Share of a window that must lie in the polygons."""


@dataclass
class Quality:
    """Gathered over the regions of an edit, each weighed by its pixels."""

    weights: list[int] = field(default_factory=list)
    rims: list[change.Rim | None] = field(default_factory=list)
    changed: list[float] = field(default_factory=list)

    def add(
        self, before: np.ndarray, after: np.ndarray, mask: np.ndarray, stretch: Stretch
    ) -> None:
        """A region before, as a picture (C, H, W) in about [0, 1], and after, as native pixels; one
        too large or small: not."""
        rows, cols = (np.nonzero(mask.any(axis=axis))[0] for axis in (1, 0))
        margin = 2 * change.RIM_PX
        part = tuple(
            slice(max(found[0] - margin, 0), found[-1] + margin + 1) for found in (rows, cols)
        )
        inside = mask[part]
        if not inside.sum() >= FEWEST_PX or inside.size > MOST_PX:
            return
        first = before[:, part[0], part[1]]
        second = stretch.seen(np.ascontiguousarray(after[:, part[0], part[1]]))
        self.weights.append(int(inside.sum()))
        self.rims.append(change.rim(first, second, inside))
        self.changed.append(
            float((np.abs(second - first).max(axis=0) > change.SEEN)[inside].mean())
        )

    def to_json(
        self, outside_changed: int, agreement: tuple[str, int, int] | None
    ) -> dict[str, Any]:
        """The numbers (None where there is none), and sentences.

        `outside_changed`: pixels, counted by the gate; `agreement`: word, windows that look like
        it, of how many.
        """
        there = [
            (weight, rim)
            for weight, rim in zip(self.weights, self.rims, strict=True)
            if rim is not None
        ]
        colour, gradient = (
            _mean([(weight, getattr(rim, name)) for weight, rim in there])
            for name in ("colour", "gradient")
        )
        said = []
        if colour is not None and gradient is not None:
            faint = colour < COLOUR_SHOWS and gradient < GRADIENT_SHOWS
            said.append(
                f"The edge {'hardly shows' if faint else 'shows'}: a step of {colour:.0%} in "
                "colour, jumps "
                f"{gradient:.1f} times those beside it."
            )
        if agreement is not None:
            word, alike, windows = agreement
            said.append(f"{alike} of {windows} places inside look like {word}.")
        return {
            "outside_changed": outside_changed,
            "rim_colour": colour,
            "rim_gradient": gradient,
            "changed_inside": _mean(list(zip(self.weights, self.changed, strict=True))),
            "scene_agreement": agreement[1] / agreement[2] if agreement else None,
            "said": said,
        }


def _mean(weighed: Sequence[tuple[int, float]]) -> float | None:
    total = sum(weight for weight, _ in weighed)
    return round(sum(weight * value for weight, value in weighed) / total, 4) if total else None


def agreement(
    made: Layer, box: Box, shapes: Sequence[shapely.Geometry], word: str
) -> tuple[str, int, int] | None:
    """How many places inside the polygons (pixels of the source) look like a land cover in the
    written window `box`.

    None where there is no detector for it, the pixels are too coarse, or no place lies inside.
    """
    if word not in scene_words.words() or made.profile.gsd_m > retrieval.FINEST_NETWORK_GSD_M:
        return None
    moved = [shapely.transform(shape, lambda xy: xy - (box.col, box.row)) for shape in shapes]
    view, inside, _ = retrieval.view_of(made, made.profile.box, moved)
    side = scene_words.WINDOW_PX
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
    scores = scene_words.agreement(scene_words.features(windows))[
        :, scene_words.words().index(word)
    ]
    return word, int((scores >= retrieval.MARGIN).sum()), len(scores)
