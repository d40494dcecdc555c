"""The contract between the QGIS plugin and the model server.

Frozen dataclasses of the standard library alone (Python 3.9 and newer). `from_json` is strict: unknown or missing keys, wrong
types, numbers not finite or out of range raise `ContractError`, whose sentence names the place and the value. Words and routes
follow OGC API - Processes 1.0 (OGC 18-062r2); errors are problem documents (RFC 9457).
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, Mapping, Optional, Tuple, Type, TypeVar, Union, get_type_hints

API_VERSION, DEFAULT_PORT = "1.0", 8765
AUTO = "auto"  # the process that lets the interpreter choose the editor from the prompt
MAX_PROMPT_CHARS, MAX_VERTICES, CRS_LENGTH = 4000, 200_000, 20_000
MODEL_STATES = ("missing", "installed", "in use", "busy", "failed")
MODEL_ACTIONS = ("", "import", "download", "verify", "remove", "unload", "stop")
STATUS_WORDS = ("accepted", "running", "successful", "failed", "dismissed")  # of a job (OGC 18-062r2, statusCode)
ACCEPTED, RUNNING, SUCCESSFUL, FAILED, DISMISSED = STATUS_WORDS
ENDED = frozenset((SUCCESSFUL, FAILED, DISMISSED))  # results, below /jobs/{id}/results/:
RESULT_FILE, MANIFEST_FILE, PREVIEW_FILE = "result.tif", "manifest.json", "preview.png"
RESULT_FILES = {RESULT_FILE: "image/tiff; application=geotiff", MANIFEST_FILE: "application/json", PREVIEW_FILE: "image/png"}

ROUTES = {
    **{name: f"/{name}" for name in ("conformance", "api", "rasters", "processes", "jobs", "models", "comparisons")},
    **{name: f"/{name}" for name in ("interpretations", "searches", "ensembles")}, "landing": "/", "model": "/models/{model_id}",
    "process": "/processes/{process_id}", "execution": "/processes/{process_id}/execution",
    "job": "/jobs/{job_id}", "results": "/jobs/{job_id}/results", "result_file": "/jobs/{job_id}/results/{name}"}
Json = Any
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
T = TypeVar("T", bound="Message")


class ContractError(ValueError):
    """A message that is not of the contract's form; its text starts with the JSON path."""

    def __init__(self, where: str, sentence: str) -> None:
        super().__init__(f"{where}: {sentence}")


def route(key: str, /, **parts: str) -> str:
    """The path of a route, its parts filled in."""
    return ROUTES[key].format(**parts)


class Message:
    """Base of everything that travels: strict parsing in, plain JSON out."""

    @classmethod
    def from_json(cls: Type[T], data: Json, where: str = "") -> T:
        """Parse a JSON object; raises ContractError when it is not of this form."""
        where = where or cls.__name__
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
        for key in _object(data, where):
            if key not in known:
                raise ContractError(where, f"unknown key {_shown(key)}; known: {', '.join(known)}")
        values = {}
        for name, spec in known.items():
            place = f"{where}.{name}"
            if name in data:
                values[name] = _parse(hints[name], data[name], place, spec.metadata)
            elif spec.default is MISSING and spec.default_factory is MISSING:
                raise ContractError(place, "required and missing")
        return cls(**values)

    def to_json(self) -> dict:
        """The JSON object of this message; None and empty defaults are left out."""
        held = [(spec, getattr(self, spec.name)) for spec in fields(self)]  # type: ignore[arg-type]
        return {spec.name: _plain(value) for spec, value in held
                if value is not None and (value not in ({}, (), spec.default) or spec.name == "api_version")}


def _plain(value: Json) -> Json:
    if isinstance(value, Message):
        return value.to_json()
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _object(value: Json, where: str) -> dict:
    if not isinstance(value, dict):
        raise ContractError(where, f"an object is needed, not {_shown(value)}")
    return value


def _shown(value: Json) -> str:
    return text if len(text := repr(value)) <= 60 else text[:57] + "..."


def _parse(hint: Any, value: Json, where: str, rules: Mapping[str, Any]) -> Any:
    origin, arguments = getattr(hint, "__origin__", None), tuple(getattr(hint, "__args__", ()))
    if origin is Union:
        return None if value is None else _parse(next(a for a in arguments if a is not type(None)), value, where, rules)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ContractError(where, f"a list is needed, not {_shown(value)}")
        return tuple(_parse(arguments[0], v, f"{where}[{i}]", rules) for i, v in enumerate(value))
    if isinstance(hint, type) and is_dataclass(hint):
        return hint.from_json(value, where)  # type: ignore[attr-defined]
    if origin is not None and issubclass(origin, dict) or hint in (dict, Mapping):
        return _parse_object(arguments, value, where, rules)
    return value if hint is Any else _parse_scalar(hint, value, where, rules)


def _parse_object(arguments: tuple, value: Json, where: str, rules: Mapping[str, Any]) -> dict:
    keys = rules.get("keys")
    for key in _object(value, where):
        if not isinstance(key, str) or (keys and key not in keys):
            raise ContractError(where, f"unknown key {_shown(key)}" + (f"; known: {', '.join(keys)}" if keys else ""))
    inner = arguments[1] if len(arguments) == 2 else Any
    return {k: _parse(inner, v, f"{where}.{k}", {**rules, "keys": None}) for k, v in value.items()}


def _parse_scalar(hint: Any, value: Json, where: str, rules: Mapping[str, Any]) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1e300 else math.inf
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ContractError(where, f"a {_WORDS[hint]} is needed, not {_shown(value)}")
    if hint is float and not math.isfinite(value):
        raise ContractError(where, f"{value} is not a finite number")
    low, high = rules.get("minimum"), rules.get("maximum")
    if hint in (int, float) and ((low is not None and value < low) or (high is not None and value > high)):
        raise ContractError(where, f"{value} is outside {low} ... {high}")
    if "choices" in rules and value not in rules["choices"]:
        raise ContractError(where, f"{_shown(value)} is none of {', '.join(filter(None, rules['choices']))}")
    if hint is str and (len(value) > rules.get("longest", 100_000) or any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)):
        raise ContractError(where, f"text of {len(value)} characters is too long, or holds a NUL or half a character")
    return value


def _field(help_text: str, default: Any = MISSING, **rules: Any) -> Any:
    """A dataclass field with its help and its rules: minimum, maximum, choices, longest, keys."""
    kind = {} if default is MISSING else {"default_factory": dict} if default is dict else {"default": default}
    return field(metadata={"help": help_text, **rules}, **kind)


def check_geometry(geometry: Json, where: str) -> None:
    """Refuse what is not a GeoJSON Polygon or MultiPolygon with closed, finite rings."""
    if not isinstance(geometry, dict) or set(geometry) - {"type", "coordinates"}:
        raise ContractError(where, f"a GeoJSON geometry is needed, not {_shown(geometry)}")
    kind, parts = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        raise ContractError(where, f"type must be Polygon or MultiPolygon, not {_shown(kind)}")
    polygons = [parts] if kind == "Polygon" else parts
    if not isinstance(polygons, (list, tuple)) or not polygons:
        raise ContractError(where, "coordinates must hold at least one polygon")
    if (vertices := sum(_check_rings(rings, where) for rings in polygons)) > MAX_VERTICES:
        raise ContractError(where, f"{vertices} vertices; at most {MAX_VERTICES} are taken")


def _check_rings(rings: Json, where: str) -> int:
    if not isinstance(rings, (list, tuple)) or not rings:
        raise ContractError(where, "a polygon needs at least an outer ring")
    for ring in rings:
        if not isinstance(ring, (list, tuple)) or len(ring) < 4:
            raise ContractError(where, f"a ring needs 4 or more positions: {_shown(ring)}")
        for at in ring:
            if not isinstance(at, (list, tuple)) or not 2 <= len(at) <= 4 or any(
                    isinstance(n, bool) or not isinstance(n, (int, float)) or not abs(n) < 1e15 for n in at):
                raise ContractError(where, f"a position needs two numbers, finite ones: {_shown(at)}")
        if list(ring[0])[:2] != list(ring[-1])[:2]:
            raise ContractError(where, f"a ring must end where it starts: {_shown(ring[0])}")
    return sum(len(ring) for ring in rings)


@dataclass(frozen=True)
class Polygons(Message):
    """Polygons on the map: a GeoJSON (Multi)Polygon and the CRS of its coordinates."""
    geometry: Any = _field("GeoJSON Polygon or MultiPolygon, x before y")
    crs: str = _field("WKT or 'EPSG:n'; empty: the raster's own CRS", "", longest=CRS_LENGTH)

    def __post_init__(self) -> None:
        check_geometry(self.geometry, "Polygons.geometry")


@dataclass(frozen=True)
class RasterRef(Message):
    """A raster the server can read: an upload or a path; an extent of empty ground; or an extent of such a raster, made finer."""
    upload: str = _field("id given by POST /rasters", "", longest=64)
    path: str = _field("path below one of the server's roots", "", longest=4096)
    extent: Optional[Extent] = _field("of a new raster, with its CRS; for editors that need no picture", None)
    gsd_m: float = _field("ground size of the new raster's pixels, in metres", 0.0, minimum=0, maximum=100_000)

    def __post_init__(self) -> None:
        file, extent = bool(self.upload) + bool(self.path), self.extent
        if file > 1 or not (file or extent) or bool(extent) != bool(self.gsd_m) or (extent and not extent.crs):
            raise ContractError("RasterRef", "give upload or path, or an extent with crs and gsd_m (with either: made finer)")


@dataclass(frozen=True)
class Exemplar(Message):
    """What to copy from: polygons in the same layer, or in another raster."""
    polygons: Polygons
    raster: Optional[RasterRef] = _field("another raster; none: the edited one", None)


@dataclass(frozen=True)
class Extent(Message):
    """A rectangle in the given CRS (empty: the raster's), in that CRS's units."""
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    crs: str = _field("WKT or 'EPSG:n'", "", longest=CRS_LENGTH)

    def __post_init__(self) -> None:
        if not (self.xmin < self.xmax and self.ymin < self.ymax):
            raise ContractError("Extent", f"empty: x {self.xmin} ... {self.xmax}, y {self.ymin} ... {self.ymax}")


@dataclass(frozen=True)
class Output(Message):
    """How the result is written."""
    area: str = _field("the edited window, or the whole layer", "window", choices=("window", "layer"))
    compression: str = _field("lossless compression", "deflate", choices=("deflate", "zstd", "none"))
    cog: bool = _field("write a Cloud Optimized GeoTIFF", False)
    keep_request: bool = _field("tell prompt and request in the file's tags too, not in the manifest alone", False)


@dataclass(frozen=True)
class Blend(Message):
    """How the edit meets its surroundings; lengths in pixels of the raster."""
    grow_px: int = _field("enlarge the polygons by this much before editing", 0, minimum=0, maximum=64)
    beyond_px: int = _field("drawn around the polygons too, through their rim, and not kept", 0, minimum=0, maximum=64)
    feather_px: int = _field("soft edge, inside the polygon's own rim", 3, minimum=0, maximum=128)
    context_px: int = _field("surroundings shown to the editor", 64, minimum=0, maximum=2048)
    radiometric_match: bool = _field("match each band to the ring around the polygon", True)


BAND_ROLES = ("red", "green", "blue", "nir", "swir1", "swir2", "pan", "vv", "vh")


@dataclass(frozen=True)
class EditRequest(Message):
    """One edit of one raster: an execution's `inputs`."""
    raster: RasterRef
    polygons: Polygons
    api_version: str = _field("version of this contract", API_VERSION, longest=16)
    prompt: str = _field("what should be there", "", longest=MAX_PROMPT_CHARS)
    operation: str = _field("what the user chose of the choices offered for the prompt; process auto alone", "", longest=40)
    options: dict = _field("the editor's own options, see its description", dict)
    seed: int = _field("same seed, same result", 0, minimum=0, maximum=2**31 - 1)
    exemplar: Optional[Exemplar] = _field("what to copy from", None)
    extent: Optional[Extent] = _field("edit only inside this rectangle", None)
    elevation: Optional[RasterRef] = _field("elevation model, in metres", None)
    protect: Optional[Polygons] = _field("areas inside the polygons that stay as they are", None)
    band_roles: dict[str, int] = _field("band of a role, from 1, where unnamed", dict, keys=BAND_ROLES, minimum=1, maximum=4096)
    blend: Blend = _field("how the edit meets its surroundings", Blend())
    output: Output = _field("how the result is written", Output())

    def __post_init__(self) -> None:
        if self.api_version.split(".")[0] != API_VERSION.split(".")[0]:
            raise ContractError("EditRequest.api_version", f"'{self.api_version}' is not {API_VERSION}. Update the older side.")


@dataclass(frozen=True)
class Option(Message):
    """One option of an editor: drives the dock's form, Processing and the OpenAPI page."""
    name: str
    type: str
    default: Any
    title: str
    help: str = ""
    unit: str = ""
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    choices: Tuple[str, ...] = ()


@dataclass(frozen=True)
class EditorInfo(Message):
    """What an editor is, needs and can be told."""
    id: str
    title: str
    description: str
    engine: str
    bands: str = _field("which bands it takes", "all", choices=("all", "rgb", "radar", "nir"))
    makes: Tuple[str, ...] = _field("roles of bands that it appends, in the whole layer where no polygons limit it", ())
    apart: bool = _field("whether the bands it makes are a new layer, of the same grid, instead of being appended", False)
    options: Tuple[Option, ...] = ()
    needs: Tuple[str, ...] = _field("prompt, exemplar, elevation; with '?', also raster: can do without", ())
    native_size_px: int = 0
    licence: str = "GPL-2.0-or-later"
    weights: Tuple[str, ...] = ()
    missing: str = _field("why it cannot run now; empty: it can", "")

    def takes(self, what: str) -> bool:
        """Whether it has a use for a prompt, an exemplar or an elevation model, needed or not."""
        return what in self.needs or f"{what}?" in self.needs


@dataclass(frozen=True)
class Model(Message):
    """A pretrained model on the server's machine, or missing there; sent with an action: what to do with it."""
    id: str
    title: str = ""
    state: str = _field("whether it is there", "missing", choices=MODEL_STATES)
    editors: Tuple[str, ...] = ()
    about: dict = _field("sentences for the user: good_for, licence, restrictions, source, missing, memory", dict)
    progress: int = _field("of what goes on, in per cent", 0, minimum=0, maximum=100)
    message: str = ""
    action: str = _field("asked for", "", choices=MODEL_ACTIONS)
    path: str = _field("folder or zip on the server's machine to import", "", longest=4096)
    revision: str = _field("commit to download, where the server knows none", "", longest=40)
    accept_licence: bool = _field("the user has read the licence and accepts it", False)


@dataclass(frozen=True)
class Problem(Message):
    """A problem document (RFC 9457)."""
    title: str
    status: int
    detail: str = ""
    type: str = "about:blank"
    instance: str = ""


@dataclass(frozen=True)
class JobInfo(Message):
    """The state of a job: OGC statusInfo with stage, step, place in the queue and ETA."""
    jobID: str
    processID: str
    status: str = _field("OGC status word", choices=STATUS_WORDS)
    type: str = "process"
    message: str = ""
    created: str = ""
    started: str = ""
    finished: str = ""
    updated: str = ""
    progress: int = 0
    stage: str = ""
    step: int = 0
    steps: int = 0
    eta_s: Optional[float] = None
    position: int = 0
    problem: Optional[Problem] = None
    report: dict = _field("what the gate found", dict)
    links: Tuple[dict, ...] = ()
