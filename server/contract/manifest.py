"""What an edit did: in short with the job's state, in full in the manifest beside the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple

from .message import Message
from .requests import API_VERSION, EditRequest
from .words import Interpretation


@dataclass(frozen=True)
class GateReport(Message):
    """What the gate counted in the written file.

    Every `different`, `missed` and `protected` is 0 in a file that passed. `crs_equal`,
    `affine_equal`: whether CRS and grid are the source's, to the bit. `pixels_outside`, and of
    them `pixels_outside_different`: in any bit. `pixels_inside`, and of them
    `pixels_inside_changed`.
    `pixels_wanted`: whose centre lies in a polygon as it was given, less what is protected, 0 where
    that was not looked at; `pixels_wanted_missed`: those that were neither drawn nor nodata.
    `pixels_protected_changed`: that were to stay. `validity_different`: that became nodata, or
    ground. `sha256_source_window`, `sha256_result`: of the pixels before and after.
    """

    crs_equal: bool
    affine_equal: bool
    pixels_outside: int
    pixels_outside_different: int
    pixels_inside: int
    pixels_inside_changed: int
    pixels_wanted: int
    pixels_wanted_missed: int
    pixels_protected_changed: int
    validity_different: int
    sha256_source_window: str
    sha256_result: str

    KEEPS_ALL = True


@dataclass(frozen=True)
class FoundWindow(Message):
    """A window of the layer that was copied from: `box` is column, row, width, height in pixels;
    `agreement` how well it fits the words."""

    box: Tuple[int, ...]
    agreement: float

    KEEPS_ALL = True


@dataclass(frozen=True)
class SearchReport(Message):
    """What was looked for: the `word`, by which `rule`, the `windows` of the layer that were copied
    from, and how many `pixels` they hold; or the `chips` of a library, by their ids, and whose
    imagery those are (`credits`)."""

    word: str
    rule: str
    windows: Tuple[FoundWindow, ...]
    pixels: int
    chips: Tuple[str, ...] = ()
    credits: Tuple[str, ...] = ()

    KEEPS_ALL = True


@dataclass(frozen=True)
class Quality(Message):
    """Numbers beside a result; None where there is none.

    `outside_changed`: pixels outside the polygons that differ. `rim_colour`: step of colour at the
    edge, 0 to 1. `rim_gradient`: jumps at the edge by those beside it. `changed_inside`: share of
    the polygons that changed visibly. `scene_agreement`: share of the places inside that look like
    the word. `said`: the same in sentences. `indices`: mean of `ndvi` and `ndwi` over the edited
    pixels, before and after, where the bands are there; of the file's numbers.
    """

    outside_changed: int
    rim_colour: Optional[float] = None
    rim_gradient: Optional[float] = None
    changed_inside: Optional[float] = None
    scene_agreement: Optional[float] = None
    said: Tuple[str, ...] = ()
    indices: dict = field(default_factory=dict)

    KEEPS_ALL = True


@dataclass(frozen=True)
class BandRoles(Message):
    """What the bands of a layer were taken for. `roles`: one a data band, '' where unknown.
    `source`: how that was found, in words."""

    roles: Tuple[str, ...]
    source: str

    KEEPS_ALL = True


@dataclass(frozen=True)
class EditReport(Message):
    """What an edit did, in short.

    `editor`, `engine`: who made it, and how. `operation`: what the words asked for, or the editor.
    `understood`: what was made of the words, where they chose the editor. `search`: what was looked
    for in the layer. `gate`: what the check of the file counted. `pixels_left_nodata`: inside the
    polygons. `notes`: what the user should know, in sentences. `seconds`: of each step. `window`:
    column, row, width, height of what was written, in pixels of the source. `crs`: of the layer.
    `seed`: same seed, same result.
    """

    editor: str
    engine: str
    operation: str
    gate: GateReport
    window: Tuple[int, ...]
    seed: int = 0
    understood: Optional[Interpretation] = None
    search: Optional[SearchReport] = None
    pixels_left_nodata: int = 0
    notes: Tuple[str, ...] = ()
    seconds: dict = field(default_factory=dict)
    crs: Optional[str] = None

    KEEPS_ALL = True


@dataclass(frozen=True)
class ResultFile(Message):
    """One file of a result, by which a copy of it is known to be whole. `name`: as results have
    it. `bytes`: its length. `sha256`: of its content, in hexadecimal digits."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest(EditReport):
    """What an edit did, in full.

    `synthetic`: that it is no survey data. `licence`: of what made it. `process`, `prompt`,
    `options`: as they were used. `editor_facts`: what the editor says of its work. `request`: by
    which it can be made again. `transform`: the affine of the window (a, b, c, d, e, f). `gsd_m`:
    ground size of a pixel. `band_roles`: which band was taken for what. `quality`: numbers beside
    the result. `versions`: of the programs that took part. `transformation`: by which polygons
    given in another CRS came to the layer's; empty: they were given in its own.
    `files`: the GeoTIFF and what lies beside it. `api_version`: of the contract it is written in.
    `job`: id of the job, set by the plugin.
    """

    synthetic: str = ""
    licence: str = ""
    process: str = ""
    prompt: str = ""
    options: dict = field(default_factory=dict)
    editor_facts: dict = field(default_factory=dict)
    request: Optional[EditRequest] = None
    transform: Tuple[float, ...] = ()
    gsd_m: float = 0.0
    band_roles: Optional[BandRoles] = None
    quality: Optional[Quality] = None
    versions: dict = field(default_factory=dict)
    transformation: str = ""
    files: Tuple[ResultFile, ...] = ()
    api_version: str = API_VERSION
    job: str = ""

    def report(self) -> EditReport:
        """In short, for the job's state."""
        names = EditReport.__dataclass_fields__
        return EditReport(**{name: getattr(self, name) for name in names})
