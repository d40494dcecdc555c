"""How large the ground of a pixel is, where the raster does not say it."""

from __future__ import annotations

import numpy as np

from ..editors.models import Models
from ..raster.bands import stretch_of
from ..raster.grid import Box
from ..raster.raster import read_window
from ..scene.parse import ENOUGH_PX, guessed_gsd_m
from .cuts import Cuts
from .plan import Plan
from .source import Source


def ground_size(source: Source, plan: Plan, cuts: Cuts) -> tuple[float, str]:
    """Metres a pixel, and what to tell of it; for a picture without a place on the ground the size
    at which its middle makes most sense, where an edit goes by what the ground is or takes
    exemplars of a library."""
    from_library = cuts.search is not None and bool(cuts.search.chips)
    needed = plan.editor.info.takes("ground") or from_library
    if not (needed or plan.editor.looks_around or source.stated_m):
        return source.profile.gsd_m, ""
    found = size_of_picture(source, plan.editor.models)
    if found is None or source.stated_m or not needed:
        return found or source.profile.gsd_m, ""
    return found, (
        f"The picture does not say how large its ground is: {found:g} m a pixel are assumed, by "
        "what is seen in its middle. State it where that is wrong (on the command line: "
        "--pixel-size METRES)."
    )


def size_of_picture(source: Source, models: Models) -> float | None:
    """Metres a pixel as the user states them, or at which the middle of a picture makes most sense;
    None for a raster that states its ground, and for one without colours."""
    profile = source.profile
    if not profile.is_picture:
        return None
    if source.stated_m:
        return source.stated_m
    side_x, side_y = min(ENOUGH_PX, profile.width), min(ENOUGH_PX, profile.height)
    middle = Box((profile.width - side_x) // 2, (profile.height - side_y) // 2, side_x, side_y)
    block = read_window(source.layer.dataset, middle)
    roles = source.layer.roles
    shown = stretch_of(profile, roles, block).normalise(block.values)
    colours = [roles.index(role) for role in ("red", "green", "blue")]
    if any(at is None for at in colours) or len(shown) <= max(at or 0 for at in colours):
        return None
    rgb = np.stack([shown[at] for at in colours if at is not None])
    return guessed_gsd_m(rgb, models.understanding.network)
