"""The interface of an editor: a scene of arrays in, an image of the same shape out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from scipy import ndimage

from ..contract.editors import EditorInfo, NoOptions, Option, options_of
from ..ground.errors import BadRequest, CannotEdit
from ..synthesis.nearest import filled
from ..synthesis.spectral import KEPT
from .models import Models

COLOURS = ("red", "green", "blue")


class OnStep(Protocol):
    """Who hears how far an editor has come, once a step; raises Dismissed where the job was
    dismissed."""

    def __call__(
        self,
        step: int,
        total: int,
        preview: np.ndarray | None = None,
        note: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """`step` of `total`; an unfinished image (C, H, W) where there is one; what to tell the
        user; facts to record with the result, `notes` among them as sentences for the user."""


def record_facts(facts: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add facts to those there are; sentences are gathered, all else is replaced."""
    notes = [*facts.get("notes", ()), *more.get("notes", ())]
    facts.update(more)
    if notes:
        facts["notes"] = list(dict.fromkeys(notes))


@dataclass(frozen=True)
class Facts:
    """An OnStep that keeps the facts, in `kept`, and hears nothing else."""

    kept: dict[str, Any]

    def __call__(
        self,
        step: int,
        total: int,
        preview: np.ndarray | None = None,
        note: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep what is told of how it is drawn; the rest goes unheard."""
        record_facts(self.kept, facts or {})


@dataclass(frozen=True)
class Drawn:
    """What an editor draws by itself. `picture`: (C, h, w) in [0, 1]. `facts`: how."""

    picture: np.ndarray
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """What an editor may go by when it resolves its options.

    `prompt`: the words. `finer`: whether the ground of a raster is only made finer. `satellite`:
    name of the satellite that made the layer, as its tags or file name tell; empty: unknown.
    """

    prompt: str = ""
    finer: bool = False
    satellite: str = ""


THINNEST_PX = 8
BYTES_A_PIXEL = 20
BYTES_A_VALUE = 16
"""Memory of a window while it is edited, whatever the editor does: masks and opacities; the band
before, as seen, and after."""
AUTOMATIC = "automatic"
"""The value of an option that is filled in from the raster."""


@dataclass(frozen=True)
class Patch:
    """Pixels to copy from. `image`: (C, h, w) as seen, about [0, 1]. `usable`: (h, w) bool, which
    of them may be used. `log_weight`: by how much better it fits the words than another, as a
    log-odds; 0 for the best or a drawn one. `around`: (h, w) bool, pixels beside them that may be
    looked at, and are the object's where it goes on there; None: there are none."""

    image: np.ndarray
    usable: np.ndarray
    log_weight: float = 0.0
    around: np.ndarray | None = None


@dataclass(frozen=True)
class Scene:
    """One window as an editor sees it.

    `image`: (C, H, W) float32, about [0, 1]. `valid`, `mask`: (H, W) bool, the mask holding the
    pixels to edit. `roles`: what the bands are. `gsd_m`: ground size of a pixel in metres, its
    height by its width `aspect`. `origin`: (row, column) of the first pixel in the raster, so that
    noise can be anchored to the raster instead of the window. `exemplars`: what there is to copy
    from. `elevation`: (H, W) in metres, where a model was given. `nir_white`: how bright near
    infrared may be, where colours end at 1. `parts`: (H, W), the number of the polygon that a pixel
    lies in from 1, 0 outside, where heights are given. `known`: by class of the ground
    (scene.classes), where the user's own layers have it (H, W, bool). `even`: the
    image on a scale that is the same for all bands, from no light on, where `image` is on another.
    `alone`: whether it is the only window of its edit. `examples`: edits to go by, pictures before
    and after (3, h, w) in [0, 1] of any size.
    """

    image: np.ndarray
    valid: np.ndarray
    mask: np.ndarray
    roles: tuple[str, ...]
    gsd_m: float
    origin: tuple[int, int] = (0, 0)
    exemplars: tuple[Patch, ...] = ()
    elevation: np.ndarray | None = None
    aspect: float = 1.0
    nir_white: float = 1.0
    parts: np.ndarray | None = None
    known: Mapping[str, np.ndarray] = field(default_factory=dict)
    even: np.ndarray | None = None
    alone: bool = True
    examples: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    def filled(self) -> np.ndarray:
        """The image with what is nodata taken from the nearest valid pixel."""
        return filled(self.image, self.valid)

    def part(self, rows: slice, cols: slice) -> Scene:
        """A smaller window of the same scene."""
        return replace(
            self,
            image=self.image[:, rows, cols],
            valid=self.valid[rows, cols],
            mask=self.mask[rows, cols],
            origin=(self.origin[0] + (rows.start or 0), self.origin[1] + (cols.start or 0)),
            elevation=None if self.elevation is None else self.elevation[rows, cols],
            parts=None if self.parts is None else self.parts[rows, cols],
            known={name: where[rows, cols] for name, where in self.known.items()},
            even=None if self.even is None else self.even[:, rows, cols],
        )

    def band(self, role: str) -> np.ndarray | None:
        """The band with that role, where there is one."""
        return self.image[self.roles.index(role)] if role in self.roles else None


def thick_enough(patches: Sequence[Patch], least_px: int = THINNEST_PX) -> list[Patch]:
    """The patches that hold a square of that side; raises CannotEdit where there are patches and
    none does."""
    found = [
        p
        for p in patches
        if min(p.usable.shape) >= least_px
        and (ndimage.minimum_filter(p.usable.astype(np.uint8), least_px, mode="constant") > 0).any()
    ]
    if not found and patches:
        raise CannotEdit(
            f"The exemplar is too thin to copy from: nowhere is it {least_px} pixels wide, less "
            "what is nodata or lies inside the edited polygons. Draw a larger area."
        )
    return found


Opt = TypeVar("Opt")


class Editor(ABC, Generic[Opt]):
    """What edits a scene. Subclasses fill in `Options`, `info` and `edit`.

    `Options`: the dataclass that declares its options (contract.editors.option). `tile_px`: the
    largest side edited at once, 0: no limit; `bytes_a_pixel`: the memory that a pixel takes then;
    `overlap_px`: how far tiles overlap. `soft_edge`: whether the rim may be feathered; editors that
    make their own rim say no. `redraws_surroundings`: outside the mask too it gives what it drew,
    by which its drift in tone is measured and taken out. `reads_text`: an image-text model, where
    there is one, finds its exemplars. `matches_exemplars`: whether exemplars of another raster take
    on this one's tone. `spares`: what it leaves as it is inside the polygons, in words.
    `instructs`: whether it takes any instruction as it is. `keeps_classes`: whether it takes whole
    pixels from elsewhere, so that it works where values are names. `takes_away`: whether it takes
    away what stands in the polygons, so that all of that is meant. `takes_things`: whether it takes
    things out of exemplars, so that it sees a little beside them. `reads_light`: whether values
    have to be brightness to it, and not heights or other numbers. `looks_around`: whether it goes
    by what the ground is, though not by what the user's layers say of it.
    """

    Options: type = NoOptions
    info: EditorInfo
    tile_px = 0
    bytes_a_pixel = 60
    overlap_px = 64
    soft_edge = True
    redraws_surroundings = False
    keeps_classes = False
    reads_text = False
    matches_exemplars = True
    spares = ""
    instructs = False
    takes_away = False
    takes_things = False
    reads_light = False
    looks_around = False

    def __init_subclass__(cls, **more: Any) -> None:
        """The options that `Options` declares become part of `info`."""
        super().__init_subclass__(**more)
        if "info" in cls.__dict__:
            cls.info = replace(cls.info, options=options_of(cls.Options))

    def __init__(self, models: Models) -> None:
        self.models = models

    def parse(self, given: Mapping[str, Any]) -> Opt:
        """The options of a request, defaults filled in; raises BadRequest for what it does not know
        or take."""
        return parsed(self.Options, self.info, given)

    def values(self, options: Opt) -> dict[str, Any]:
        """The options by name, those alone that the editor has."""
        return {one.name: getattr(options, one.name) for one in self.info.options}

    def described(self) -> EditorInfo:
        """The editor as it is now: what it can choose from, and what is missing."""
        return replace(self.info, missing=self.missing())

    def tiled_by(self, options: Opt) -> int:
        """The largest side edited at once with these options; 0: no limit."""
        return self.tile_px

    def memory_bytes(self, pixels: int, bands: int, options: Opt) -> int:
        """About how much memory editing a window of so many pixels takes, as measured; networks not
        counted."""
        side = self.tiled_by(options)
        at_once = min(pixels, side * side) if side else pixels
        return pixels * (BYTES_A_PIXEL + BYTES_A_VALUE * bands) + at_once * self.bytes_a_pixel

    def feathers(self, options: Opt) -> bool:
        """Whether the rim may be feathered with these options."""
        return self.soft_edge

    def searches(self, options: Opt) -> bool:
        """Whether exemplars are looked for in the layer where none is drawn."""
        return False

    def looks_in(self, options: Opt) -> tuple[bool, bool]:
        """Whether exemplars of a word are looked for in the layer, and in a library."""
        return True, False

    def with_word(self, options: Opt, word: str, objects: bool | None) -> Opt:
        """The options where a land cover is looked for; `objects`: whether to keep objects whole,
        None where the user has said."""
        return options

    def other_bands(self, options: Opt) -> str:
        """What becomes of bands beside red, green and blue where it sees those alone
        (synthesis.spectral)."""
        return KEPT

    def context_px(self, side_px: int) -> int:
        """Surroundings wanted around a mask whose longer side is `side_px`."""
        return 16

    def context_wanted(self, side_px: int, gsd_m: float, options: Opt) -> int:
        """The same where it depends on the ground size of a pixel or on options."""
        return self.context_px(side_px)

    def missing(self) -> str:
        """What it needs to run and does not find; empty where nothing is missing."""
        return ""

    def ready(self) -> bool:
        """Whether it can run now."""
        return not self.missing()

    def check(self, prompt: str, options: Opt) -> None:
        """Raise, before the job is queued, for what can be known to be wrong without pixels."""
        return

    def resolve(self, options: Opt, given: Given) -> Opt:
        """The options with what was chosen for the user in them, so that the same edit can be asked
        for again."""
        return options

    def summary(self, facts: Mapping[str, Any]) -> Sequence[str]:
        """Sentences for the user on all windows together, by what they recorded: numbers under
        `counts` are summed. Raises CannotEdit where all of them came to nothing."""
        return ()

    def own_picture(
        self, scene: Scene, prompt: str, options: Opt, seed: int, canvas: str = ""
    ) -> Drawn:
        """What it draws by itself, as its paper's code gives it: nothing of the source is laid over
        it afterwards, and the canvas may be another than the scene's. `canvas`: of frame.CANVASES;
        empty: as its paper."""
        facts: dict[str, Any] = {}
        made = self.edit(scene, prompt, options, seed, Facts(facts))
        return Drawn(np.clip(made, 0, 1), facts)

    @abstractmethod
    def edit(
        self, scene: Scene, prompt: str, options: Opt, seed: int, on_step: OnStep
    ) -> np.ndarray:
        """Return the image (C, H, W) with the mask edited; outside it, what should be unchanged."""


def parsed(declared: type[Opt], info: EditorInfo, given: Mapping[str, Any]) -> Opt:
    """A dataclass of options with the values of a request; raises BadRequest."""
    named = {name: one for one in info.options for name in (one.name, *one.formerly)}
    for name in given:
        if name not in named:
            known = ", ".join(one.name for one in info.options)
            raise BadRequest(
                f"options.{str(name)[:60]}: '{info.id}' has no such option; it has "
                f"{known or 'none'}."
            )
    values = {}
    for name, value in given.items():
        values[named[name].name] = _checked(named[name], value)
    return declared(**values)


def _checked(rule: Option, value: Any) -> Any:
    where = f"options.{rule.name}"
    if rule.type == "boolean":
        if not isinstance(value, bool):
            raise BadRequest(f"{where}: true or false is needed, not {value!r:.60}.")
        return value
    if rule.type == "string":
        if not isinstance(value, str) or (rule.choices and value not in rule.choices):
            raise BadRequest(f"{where}: {value!r:.60} is none of {', '.join(rule.choices)}.")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadRequest(f"{where}: a number is needed, not {value!r:.60}.")
    if rule.type == "integer" and value != int(value):
        raise BadRequest(f"{where}: a whole number is needed, not {value}.")
    low = -math.inf if rule.minimum is None else rule.minimum
    high = math.inf if rule.maximum is None else rule.maximum
    if not low <= value <= high:
        raise BadRequest(
            f"{where}: {value} is outside {low:g} ... {high:g} {rule.unit}".rstrip() + "."
        )
    return int(value) if rule.type == "integer" else float(value)
