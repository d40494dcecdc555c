"""What of a polygon words mean that name a thing in it: of "remove all cars" the cars, of "turn the
pool into grass" the pool, and not the houses and gardens around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..scene.network import COARSEST_M
from ..scene.parse import Parse
from .plan import Plan

NAMED = {"vehicles": "vehicle", "forest": "tree", "water": "water", "grass": "low"}
"""Classes of the ground by what words call them. Houses are none: who replaces houses means their
plots."""
CALLED = {"vehicles": "vehicles", "forest": "trees", "water": "water", "grass": "grass"}
THERE = {"vehicle": 0.25, "tree": 0.45, "water": 0.4, "low": 0.45}
FEWEST_PX = 9
MOST = 0.6
"""Probability from which a pixel is of a class; fewest pixels that are something; and the share of
a polygon from which on the words are for all of it."""
DRAWN_M2 = {"vehicle": 80.0, "tree": 250.0, "water": 400.0, "low": 1000.0}
"""A polygon up to this size is drawn around the thing itself, even where that is not made out."""
EDGE_M = {"vehicle": 0.6, "tree": 0.6, "water": 1.2, "low": 0.0}
SHADOW_M = {"vehicle": 2.5, "tree": 6.0}
"""What belongs to a thing around it; and how far its shadow may reach, which goes with it."""


def named_class(plan: Plan, gsd_m: float, roles: Sequence[str]) -> str:
    """The class of the ground that the words name as what goes, where it can be told in such a
    picture; empty: none."""
    found = plan.understood
    if found is None or found.from_class not in NAMED or gsd_m > COARSEST_M:
        return ""
    if not {"red", "green", "blue"} <= set(roles):
        return ""
    return found.from_class if found.operation == "remove" or found.to_class else ""


def parts_of(
    mask: np.ndarray, numbers: np.ndarray, parse: Parse, what: tuple[str, float]
) -> tuple[np.ndarray, list[str]]:
    """The same of each polygon by itself (`numbers`: H, W, which a pixel lies in, from 1), and each
    sentence once; `what`: the class as words call it, and the ground size of a pixel in metres."""
    named, gsd_m = what
    out = np.zeros_like(mask)
    notes: dict[str, None] = {}
    margin = int(np.ceil(max(SHADOW_M.values()) / gsd_m)) + 2
    for number, box in enumerate(ndimage.find_objects(numbers), 1):
        if box is None:
            continue
        wide = tuple(slice(max(one.start - margin, 0), one.stop + margin) for one in box)
        own = (numbers[wide] == number) & mask[wide]
        if not own.any():
            continue
        near = Parse(parse.shares[(slice(None), *wide)], parse.sun, parse.sources)
        part, said = part_of(own, near, named, gsd_m)
        out[wide] |= part
        notes.update({said: None} if said else {})
    return out, list(notes)


def part_of(mask: np.ndarray, parse: Parse, named: str, gsd_m: float) -> tuple[np.ndarray, str]:
    """The part of a mask (H, W) that is what words name, and a sentence for the user; all of it
    where most of it is that, or it is drawn around one such thing; nothing of it where hardly
    anything of that is found: nothing else was to go."""
    kind, called = NAMED[named], CALLED[named]
    there = (parse.share(kind) > THERE[kind]) & mask
    there = ndimage.binary_opening(there) | (there & (kind == "vehicle"))
    share = there.sum() / max(int(mask.sum()), 1)
    if there.sum() < FEWEST_PX:
        if mask.sum() * gsd_m**2 <= DRAWN_M2[kind]:
            return mask, ""
        return np.zeros_like(mask), (
            f"No {called} can be made out in the polygon, and nothing else was to go. To take all "
            "of it, choose the editor 'remove', or say only what should be there."
        )
    if share > MOST:
        return mask, ""
    if kind in SHADOW_M:
        near = ndimage.distance_transform_edt(~there) * gsd_m <= SHADOW_M[kind]
        there |= ndimage.binary_propagation(
            ndimage.binary_dilation(there, iterations=2), mask=(parse.share("shadow") > 0.5) & near
        )
    edge = round(EDGE_M[kind] / gsd_m)
    if edge:
        there = ndimage.binary_dilation(there, iterations=edge)
    part = ndimage.binary_fill_holes(there) & mask
    return part, (
        f"Only what looks like {called} in the polygon was taken; some may be missed. To take all "
        "of it, say only what should be there."
    )
