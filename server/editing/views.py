"""What an editor sees of a layer, and how its edit goes back among the layer's bands, still
stretched (`output.lay_back` makes native values of them): all data bands, the colours alone, or
radar or near infrared alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..contract.editors import EditorInfo
from ..ground.errors import CannotEdit
from ..operators import radar
from ..raster.bands import COLOURS, Layer, Roles, Stretch, data_bands, stretch_of_infrared
from ..raster.raster import Block
from ..synthesis.spectral import FROM_IMAGE, Where, carried
from .source import Source

RADAR = ("vv", "vh")
INFRARED = "nir"
WANTED = {"radar": "radar bands (VV, VH)", INFRARED: "a near-infrared band"}
VH_BELOW_VV_DB = 7.0
"""By how much cross-polarised echoes are weaker, about, of land and water at C band."""


OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Shown:
    """A region as its editor sees it.

    `image` (C, H, W) float32, about [0, 1], and its bands' `roles`; 0 where there is no ground.
    `whole`: all data bands the same way. `stretch`: how native values became that.
    """

    image: np.ndarray
    roles: tuple[str, ...]
    whole: np.ndarray
    stretch: Stretch


class View(ABC):
    """One way to see a layer, decided once for an edit."""

    note = ""
    """What was assumed, for the user."""

    @abstractmethod
    def show(self, block: Block, stretch: Stretch) -> Shown:
        """A window of native pixels as the editor sees it."""

    def back(self, shown: Shown, made: np.ndarray, where: Where, told: OnProgress) -> np.ndarray:
        """All data bands with what was made (C, H, W) in them; `where`: what is drawn (H, W), what
        is ground; `told` hears of slow work."""
        return made


def view_of(source: Source, info: EditorInfo, others: str) -> View:
    """The view that an editor is for; `others`: what becomes of bands beside the colours. Raises
    CannotEdit where the layer has no such bands."""
    if info.bands == "rgb":
        return ColourView(Colours.of(source.layer.roles, info.title), others)
    if info.bands in WANTED:
        return OneBandView(OneBand.of(source.layer, info, source.overview), source.layer.roles)
    return AllBandsView(source.layer.roles)


def _zeroed(image: np.ndarray, block: Block) -> np.ndarray:
    """0 where there is no ground."""
    if not block.valid.all():
        image[:, ~block.valid] = 0
    return image


class AllBandsView(View):
    """All data bands, stretched band by band to [0, 1]; what comes back goes back band by band."""

    def __init__(self, roles: Roles) -> None:
        self.roles = roles.names

    def show(self, block: Block, stretch: Stretch) -> Shown:
        """As they are, stretched."""
        image = _zeroed(stretch.normalise(block.values), block)
        # Of classes there is a plane each, which has no role.
        roles = self.roles if len(self.roles) == len(image) else ("",) * len(image)
        return Shown(image, roles, image, stretch)


class ColourView(View):
    """Red, green and blue alone; a single band counts for all three."""

    def __init__(self, colours: Colours, others: str) -> None:
        self.colours = colours
        self.others = others
        self.note = colours.note(others)

    def show(self, block: Block, stretch: Stretch) -> Shown:
        """The colours among all bands."""
        whole = _zeroed(stretch.normalise(block.values), block)
        return Shown(self.colours.chosen(whole), COLOURS, whole, stretch)

    def back(self, shown: Shown, made: np.ndarray, where: Where, told: OnProgress) -> np.ndarray:
        """The colours, and the other bands kept or found for them."""
        return self.colours.back(shown.whole, made, where, self.others, told)


class OneBandView(View):
    """Radar or near infrared alone, on a scale of its own."""

    def __init__(self, band: OneBand, roles: Roles) -> None:
        self.band = band
        self.roles = roles.names
        self.note = band.note

    def show(self, block: Block, stretch: Stretch) -> Shown:
        """The band, in its own units."""
        image = _zeroed(self.band.shown(block), block)
        return Shown(image, self.band.roles, image, stretch)


@dataclass(frozen=True)
class Colours:
    """Which data bands are seen as colours. `colours`: indices of red, green and blue among the
    data bands; the same thrice for a single band. `others`: indices of all other data bands.
    `names`: of all data bands, for the user: the role, or 'band 3' where it is not known."""

    colours: tuple[int, int, int]
    others: tuple[int, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, roles: Roles, title: str) -> Colours:
        """The bands to show; raises CannotEdit where a layer has no colours."""
        found = [roles.index(role) for role in COLOURS]
        names = tuple(name or f"band {i + 1}" for i, name in enumerate(roles.names))
        if None not in found:
            red, green, blue = (int(i) for i in found if i is not None)
            others = tuple(i for i in range(len(names)) if i not in (red, green, blue))
            return cls((red, green, blue), others, names)
        if any(role in roles.names for role in RADAR):
            raise CannotEdit(
                f"{title} knows pictures in colour; this layer is radar ({', '.join(names)})."
            )
        if len(names) == 1:
            return cls((0, 0, 0), (), names)
        raise CannotEdit(
            f"{title} needs to know which bands are red, green and blue; of this layer's "
            f"{len(names)} they are not all named. State them (band roles; --band red=1 ...)."
        )

    def chosen(self, image: np.ndarray) -> np.ndarray:
        """(3, H, W) of all data bands as an editor sees them."""
        return image[list(self.colours)]

    def back(
        self,
        image: np.ndarray,
        made: np.ndarray,
        where: Where,
        others: str,
        told: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """All data bands with an edit (3, H, W) in them; `where`: what is drawn, what is ground;
        `others`: what the rest does."""
        out = image.copy()
        if len(set(self.colours)) == 1:
            out[0] = made.mean(axis=0)
            return out
        out[list(self.colours)] = made
        if others == FROM_IMAGE and self.others:
            rest = list(self.others)
            out[rest] = carried(image[list(self.colours)], image[rest], made, where, told)
        return out

    def note(self, others: str) -> str:
        """What became of the other bands, for the user; empty where there are none."""
        if not self.others:
            return ""
        rest = ", ".join(self.names[i] for i in self.others)
        if others == FROM_IMAGE:
            return (
                f"{rest}: found for the new colours among the window's own pixels; an estimate, "
                "not a measurement."
            )
        return f"{rest}: kept as before; they do not show the edit."


@dataclass(frozen=True)
class OneBand:
    """What is decided once for a layer that is seen as one or a few grey bands.

    `chosen`: bands that are shown, from 0 in the file. `roles`: what they are. `note`: a sentence
    on what was assumed; may be empty. `stretch`: to [0, 1]; None for radar. `unit`: how radar
    values become dB; None: no radar. `scaled`: (scale, offset) a band from stored to physical
    values.
    """

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
                "(band roles) if that is wrong."
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

    def shown(self, block: Block) -> np.ndarray:
        """Image (C, H, W); radar from `radar.FLOOR_DB` (0) to `radar.TOP_DB` (1), VH alone raised
        to what VV would be."""
        if self.stretch is not None:
            return self.stretch.normalise(block.values)
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
