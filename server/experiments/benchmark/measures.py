"""The measures of a benchmark: what each is, in which direction it is good, and what it claims to
tell apart.

Every measure is taken of one result (`Shot`) and gives a number, or None where it has no place to
be taken at. `claims` names the pairs that it should put in order, by their parts: the reference
(what really came), the sensible edit, the source as it is (identity), random numbers (noise).
Whether it does is part of every report.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...editing.quality import agreement_of
from ...evaluation import change, likeness
from ...models.scene_words import SceneWords
from ...raster import bands, display
from ...raster.raster import opened
from .protocol import Case
from .seen import Drawn, Seen
from .systems import IDENTITY, NOISE, REFERENCE

EDIT = "edit"
"""The sensible edit of a case."""
LOWER = "lower"
HIGHER = "higher"
ALL = ((REFERENCE, EDIT), (EDIT, IDENTITY), (EDIT, NOISE))
CROP_PX = 8
"""Ground around the polygon that networks see."""
TEXTURE_AT_LEAST = 1e-4
SHIFT_DIGITS = 3
"""What is less is rounding of the transform."""


@dataclass(frozen=True)
class Shot:
    """All that a measure may look at. `case`: what was asked. `made`: the result's file and report.
    `seen`: source, result and reference as pictures."""

    case: Case
    made: Drawn
    seen: Seen

    @functools.cached_property
    def crops(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The polygon's bounding rectangle with a little ground around it in colours (3, h, w):
        after, and reference or None."""
        rows, cols = (np.nonzero(self.seen.mask.any(axis=axis))[0] for axis in (1, 0))
        part = tuple(
            slice(max(int(found[0]) - CROP_PX, 0), int(found[-1]) + CROP_PX + 1)
            for found in (rows, cols)
        )

        def cut(image: np.ndarray) -> np.ndarray:
            return coloured(np.ascontiguousarray(image[(slice(None), *part)]), self.seen.roles)

        return cut(self.seen.after), None if self.seen.reference is None else cut(
            self.seen.reference
        )


def coloured(image: np.ndarray, roles: bands.Roles) -> np.ndarray:
    """A picture of any bands in three colours (3, H, W) in [0, 1]."""
    return np.ascontiguousarray(
        display.picture(image, roles.names).transpose(2, 0, 1).astype(np.float32) / 255
    )


@dataclass(frozen=True)
class Measure:
    """What is measured. `name`: key of its numbers; `title` and `source` for people; `better`:
    LOWER or HIGHER; `low`, `high`: its range (None: open); `claims`: pairs (better, worse) that it
    should put in order."""

    name: str
    title: str
    better: str
    low: float | None
    high: float | None
    source: str
    claims: tuple[tuple[str, str], ...] = ()

    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.better == HIGHER else -1


Taken = Mapping[str, float | None]
OURS = "this project, docs/evaluate.md"
CHANGES = (
    Measure(
        "outside_changed",
        "changed outside",
        LOWER,
        0,
        1,
        "share of pixels outside the polygon that changed; " + OURS,
    ),
    Measure(
        "outside_gradient",
        "structure lost outside",
        LOWER,
        0,
        1,
        "mean difference of gradients outside; " + OURS,
    ),
    Measure(
        "shift_px",
        "ground moved",
        LOWER,
        0,
        None,
        "length of the shift outside by masked normalised correlation, in pixels (Padfield 2012)",
    ),
    Measure(
        "changed_inside",
        "changed inside",
        HIGHER,
        0,
        1,
        "share of the polygon's pixels that changed; " + OURS,
        ((REFERENCE, IDENTITY), (EDIT, IDENTITY)),
    ),
    Measure(
        "rim_colour",
        "colour step at the rim",
        LOWER,
        0,
        1,
        "mean colour 3 pixels inside against 3 outside, less what it was before; " + OURS,
        ((EDIT, NOISE),),
    ),
    Measure(
        "rim_gradient",
        "jumps at the rim",
        LOWER,
        1,
        None,
        "jumps across the rim by those within 8 pixels beside it, 1 where they are no larger "
        "(noise jumps everywhere, so it has no seam); " + OURS,
    ),
    Measure(
        "texture_gap",
        "texture unlike the reference's",
        LOWER,
        0,
        None,
        "absolute logarithm of the ratio of mean gradients inside, after by reference; " + OURS,
        ((REFERENCE, EDIT), (EDIT, NOISE)),
    ),
    Measure(
        "l1",
        "L1 to the reference",
        LOWER,
        0,
        1,
        "mean absolute difference inside the polygon (MagicBrush, Zhang et al. 2023, inside alone)",
        ((REFERENCE, EDIT), (EDIT, NOISE)),
    ),
    Measure(
        "l2",
        "L2 to the reference",
        LOWER,
        0,
        1,
        "mean squared difference inside the polygon (MagicBrush, inside alone)",
        ((REFERENCE, EDIT), (EDIT, NOISE)),
    ),
    Measure(
        "scene_agreement",
        "looks like the land cover",
        HIGHER,
        0,
        1,
        "share of windows inside that the small heads on EfficientNet-Lite0 take for the land "
        "cover; " + OURS,
        ((REFERENCE, NOISE), (REFERENCE, IDENTITY), (EDIT, IDENTITY), (EDIT, NOISE)),
    ),
)


def changes(shot: Shot) -> Taken:
    """What needs no network: outside, inside, rim, distances."""
    seen = shot.seen
    kept = change.preservation(seen.before, seen.after, seen.mask | ~seen.valid)
    place = change.localisation(seen.before, seen.after, seen.mask)
    edge = change.rim(seen.before, seen.after, seen.mask)
    moved = kept.shift_px if kept and kept.shift_px else None
    found: dict[str, float | None] = {
        "outside_changed": kept.changed if kept else None,
        "outside_gradient": kept.gradient if kept else None,
        "shift_px": round(float(np.hypot(*moved)), SHIFT_DIGITS) if moved else None,
        "changed_inside": place.recall if place else 0.0,
        "rim_colour": edge.colour if edge else None,
        "rim_gradient": max(edge.gradient, 1.0) if edge else None,
    }
    if seen.reference is not None:
        found["l1"], found["l2"] = likeness.distances(
            seen.after[:, seen.mask], seen.reference[:, seen.mask]
        )
        textures = [_texture(image, seen.mask) for image in (seen.after, seen.reference)]
        found["texture_gap"] = float(abs(np.log(textures[0] / textures[1])))
    return found


def _texture(image: np.ndarray, mask: np.ndarray) -> float:
    across, down = (np.abs(np.diff(image, axis=axis)).mean(axis=0) for axis in (2, 1))
    parts = np.concatenate([across[mask[:, 1:] & mask[:, :-1]], down[mask[1:] & mask[:-1]]])
    return max(float(parts.mean()), TEXTURE_AT_LEAST) if parts.size else TEXTURE_AT_LEAST


def scenes(words: SceneWords, shot: Shot) -> Taken:
    """Whether what was drawn looks like the land cover that the case names."""
    if not shot.case.land_cover or shot.made.path.suffix == ".png":
        return {}  # a picture on a canvas of its own has no ground size to look at it by
    with opened(shot.made.path) as written:
        layer = bands.Layer.of(written, {})
        shapes = shot.seen.place.shapes
        found = agreement_of(words, layer, shot.made.box, shapes, shot.case.land_cover)
    return {"scene_agreement": found.alike / found.windows if found else None}


Taker = Callable[[Shot], Taken]


def measured(shot: Shot, takers: tuple[Taker, ...]) -> dict[str, float | None]:
    """The numbers of all takers."""
    found: dict[str, Any] = {}
    for taker in takers:
        found.update(taker(shot))
    return found
