"""What an editor of radar or of near infrared sees of a layer that may have other bands too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators import radar
from ..raster.bands import Layer, Stretch, data_bands, stretch_of_infrared
from ..raster.raster import Block

RADAR = ("vv", "vh")
INFRARED = "nir"
WANTED = {"radar": "radar bands (VV, VH)", INFRARED: "a near-infrared band"}
VH_BELOW_VV_DB = 7.0
"""By how much cross-polarised echoes are weaker, about, of land and water at C band."""


@dataclass(frozen=True)
class OneBand:
    """What is decided once for a layer: which bands (in the file) are shown, as which roles, how; a
    note on what was assumed."""

    chosen: tuple[int, ...]
    roles: tuple[str, ...]
    note: str
    stretch: Stretch | None = None
    unit: radar.Unit | None = None
    scaled: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, layer: Layer, info: EditorInfo, overview: Block) -> OneBand:
        """Told from the layer's roles and an overview of it; raises CannotEdit where it has no such
        band."""
        names = layer.roles.names
        data = data_bands(layer.profile)
        alone = names in (("pan",), ("",))
        roles = RADAR if info.bands == "radar" else (INFRARED,)
        found = {role: data[names.index(role)] for role in roles if role in names} or (
            {roles[0]: data[0]} if alone else {}
        )
        if not found:
            there = ", ".join(name or f"band {number}" for number, name in enumerate(names, 1))
            raise CannotEdit(
                f"{info.title} needs {WANTED[info.bands]}; this layer has {there}. State them "
                "(band roles) if that "
                "is wrong."
            )
        assumed = f"The layer's only band was taken for {roles[0]}." if alone else ""
        chosen = tuple(found.values())
        if info.bands == INFRARED:
            return cls(
                chosen,
                tuple(found),
                assumed,
                stretch_of_infrared(layer.profile, chosen[0], overview),
            )
        scaled = tuple((layer.profile.scales[band], layer.profile.offsets[band]) for band in chosen)
        if {layer.profile.units[band] or "" for band in chosen} == {"dB"}:
            unit = radar.Unit("")
        else:
            unit = radar.Unit.of(_scaled(overview.values[list(chosen)][:, overview.valid], scaled))
        note = " ".join(part for part in (assumed, unit.said) if part)
        return cls(chosen, tuple(found), note, None, unit, scaled)

    def seen(self, block: Block) -> np.ndarray:
        """Image (C, H, W); radar from `radar.FLOOR_DB` (0) to `radar.TOP_DB` (1), VH alone raised
        to what VV would be."""
        if self.stretch is not None:
            return self.stretch.seen(block.values)
        assert self.unit is not None
        db = self.unit.decibels(_scaled(block.values[list(self.chosen)], self.scaled))
        if self.roles == RADAR[1:]:
            db = db + VH_BELOW_VV_DB
        image = (np.nan_to_num(db, neginf=radar.FLOOR_DB) - radar.FLOOR_DB) / (
            radar.TOP_DB - radar.FLOOR_DB
        )
        return np.asarray(image, np.float32)


def _scaled(values: np.ndarray, scaled: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Physical values of bands (C, ...), in their own type where nothing is scaled."""
    if all(pair == (1, 0) for pair in scaled):
        return values
    shape = (len(scaled),) + (1,) * (values.ndim - 1)
    scale, offset = (
        np.array(part, np.float32).reshape(shape) for part in zip(*scaled, strict=True)
    )
    return np.asarray(values * scale + offset, np.float32)
