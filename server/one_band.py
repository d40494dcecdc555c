"""What an editor of radar or of near infrared sees of a layer that may have other bands too."""

from __future__ import annotations

import numpy as np

from .api import EditorInfo
from .bands import Layer, Stretch, data_bands
from .errors import CannotEdit
from .operators import radar
from .raster import Block

RADAR, INFRARED = ("vv", "vh"), "nir"
WANTED = {"radar": "radar bands (VV, VH)", INFRARED: "a near-infrared band"}


def seen(layer: Layer, block: Block, stretch: Stretch, info: EditorInfo) -> tuple[np.ndarray, tuple[str, ...], str]:
    """Image (C, H, W), the roles of its bands, and a note; raises CannotEdit where the layer has no such band.

    Radar is in steps from `radar.FLOOR_DB` (0) to `radar.TOP_DB` (1); a single band of no colour is taken for what is wanted.
    """
    names, data = layer.roles.names, data_bands(layer.profile)
    alone = names in (("pan",), ("",))
    roles = RADAR if info.bands == "radar" else (INFRARED,)
    found = {role: names.index(role) for role in roles if role in names} or ({roles[0]: 0} if alone else {})
    if not found:
        there = ", ".join(name or f"band {number}" for number, name in enumerate(names, 1))
        raise CannotEdit(f"{info.title} needs {WANTED[info.bands]}; this layer has {there}. State them (band roles) if that is "
                         "wrong.")
    assumed = f"The layer's only band was taken for {roles[0]}." if alone else ""
    if info.bands == INFRARED:
        return stretch.seen(block.values)[list(found.values())], tuple(found), assumed
    chosen = block.values[[data[i] for i in found.values()]]
    units = {layer.profile.units[data[i]] or "" for i in found.values()}
    scale, offset = (np.array([getattr(layer.profile, name)[data[i]] for i in found.values()])[:, None, None]
                     for name in ("scales", "offsets"))
    if (scale != 1).any() or (offset != 0).any():
        chosen = (chosen * scale + offset).astype(np.float32)
    told = ""
    if units != {"dB"}:
        chosen, told = radar.decibels(chosen, block.valid)
    image = (np.nan_to_num(chosen.astype(np.float32), neginf=radar.FLOOR_DB) - radar.FLOOR_DB) / (radar.TOP_DB - radar.FLOOR_DB)
    return image.astype(np.float32), tuple(found), " ".join(part for part in (assumed, told) if part)
