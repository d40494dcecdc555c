"""The contract between the QGIS plugin and the model server.

Frozen dataclasses of the standard library alone (Python 3.9 and newer). `from_json` is strict:
unknown or missing keys, wrong types, numbers not finite or out of range raise `ContractError`,
whose sentence names the place and the value. Words and routes follow OGC API - Processes 1.0
(OGC 18-062r2); errors are problem documents (RFC 9457).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Tuple

from .wire import ContractError, Message, check_geometry
from .wire import field_of as _field

API_VERSION = "1.0"
DEFAULT_PORT = 8765
AUTO = "auto"  # the process that lets the interpreter choose the editor from the prompt

MAX_PROMPT_CHARS = 4000
CRS_LENGTH = 20_000

# Status words of a job (OGC 18-062r2, statusCode).
STATUS_WORDS = ("accepted", "running", "successful", "failed", "dismissed")
ACCEPTED, RUNNING, SUCCESSFUL, FAILED, DISMISSED = STATUS_WORDS
ENDED = frozenset((SUCCESSFUL, FAILED, DISMISSED))

# Files a successful job offers below /jobs/{id}/results/.
RESULT_FILE, MANIFEST_FILE, PREVIEW_FILE = "result.tif", "manifest.json", "preview.png"
RESULT_FILES = {RESULT_FILE: "image/tiff; application=geotiff", MANIFEST_FILE: "application/json", PREVIEW_FILE: "image/png"}

ROUTES = {
    "landing": "/", "conformance": "/conformance", "api": "/api", "rasters": "/rasters",
    "processes": "/processes", "process": "/processes/{process_id}", "execution": "/processes/{process_id}/execution",
    "jobs": "/jobs", "job": "/jobs/{job_id}", "results": "/jobs/{job_id}/results",
    "result_file": "/jobs/{job_id}/results/{name}", "interpretations": "/interpretations", "searches": "/searches",
    "ensembles": "/ensembles",
}


def route(key: str, /, **parts: str) -> str:
    """The path of a route, its parts filled in."""
    return ROUTES[key].format(**parts)


@dataclass(frozen=True)
class Polygons(Message):
    """Polygons on the map: a GeoJSON (Multi)Polygon and the CRS of its coordinates."""
    geometry: Any = _field("GeoJSON Polygon or MultiPolygon, x before y")
    crs: str = _field("WKT or 'EPSG:n'; empty: the raster's own CRS", "", longest=CRS_LENGTH)

    def __post_init__(self) -> None:
        check_geometry(self.geometry, "Polygons.geometry")


@dataclass(frozen=True)
class RasterRef(Message):
    """A raster the server can read: an upload's id, or a path inside an allowed folder."""
    upload: str = _field("id given by POST /rasters", "", longest=64)
    path: str = _field("path below one of the server's roots", "", longest=4096)

    def __post_init__(self) -> None:
        if bool(self.upload) == bool(self.path):
            raise ContractError("RasterRef", "give either upload or path")


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


@dataclass(frozen=True)
class Blend(Message):
    """How the edit meets its surroundings; lengths in pixels of the raster."""
    grow_px: int = _field("enlarge the polygons by this much before editing", 0, minimum=0, maximum=64)
    beyond_px: int = _field("drawn around the polygons too, through their rim, and not kept", 0, minimum=0, maximum=64)
    feather_px: int = _field("soft edge, inside the polygon's own rim", 3, minimum=0, maximum=128)
    context_px: int = _field("surroundings shown to the editor", 64, minimum=0, maximum=2048)
    radiometric_match: bool = _field("match each band to the ring around the polygon", True)


BAND_ROLES = ("red", "green", "blue", "nir", "swir1", "swir2", "pan", "vv", "vh")
_BANDS = {"keys": BAND_ROLES, "minimum": 1, "maximum": 4096}


@dataclass(frozen=True)
class EditRequest(Message):
    """One edit of one raster. This is the body's `inputs` of an execution."""
    raster: RasterRef
    polygons: Polygons
    api_version: str = _field("version of this contract", API_VERSION, longest=16)
    prompt: str = _field("what should be there", "", longest=MAX_PROMPT_CHARS)
    options: dict = _field("the editor's own options, see its description", dict)
    seed: int = _field("same seed, same result", 0, minimum=0, maximum=2**31 - 1)
    exemplar: Optional[Exemplar] = _field("what to copy from", None)
    extent: Optional[Extent] = _field("edit only inside this rectangle", None)
    elevation: Optional[RasterRef] = _field("elevation model, in metres", None)
    protect: Optional[Polygons] = _field("areas inside the polygons that stay as they are", None)
    band_roles: dict[str, int] = _field("1-based band of a role, where the file does not say", dict, **_BANDS)
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
    bands: str = _field("which bands it takes", "all", choices=("all", "rgb"))
    options: Tuple[Option, ...] = ()
    needs: Tuple[str, ...] = _field("prompt, exemplar, elevation; with '?' where it can do without", ())
    native_size_px: int = 0
    licence: str = "GPL-2.0-or-later"
    weights: Tuple[str, ...] = ()
    missing: str = _field("why it cannot run now; empty: it can", "")

    def takes(self, what: str) -> bool:
        """Whether it has a use for a prompt, an exemplar or an elevation model, needed or not."""
        return what in self.needs or f"{what}?" in self.needs


@dataclass(frozen=True)
class Choice(Message):
    """An operation offered to the user when the words were not clear."""
    operation: str
    title: str
    score: float


@dataclass(frozen=True)
class Interpretation(Message):
    """What was understood of a prompt, in parts that the user can change."""
    prompt: str
    operation: str
    editor: str
    understood: str
    sure: bool = False
    to_class: str = ""
    from_class: str = ""
    protect: str = ""
    severity: str = ""
    options: dict = _field("option values that the words give", dict)
    choices: Tuple[Choice, ...] = ()


ENSEMBLE_SOURCES = ("templates", "language model", "endpoint", "none")


@dataclass(frozen=True)
class EnsembleRequest(Message):
    """Ask for sentences that say the same as a prompt, whose embeddings are averaged."""
    prompt: str = _field("what should be there", longest=MAX_PROMPT_CHARS)
    source: str = _field("built-in templates and synonyms, the server's own language model, or its endpoint", "templates",
                         choices=ENSEMBLE_SOURCES)
    count: int = _field("how many sentences, the prompt among them", 6, minimum=1, maximum=32)


@dataclass(frozen=True)
class Ensemble(Message):
    """The sentences, the prompt first, and who made them."""
    prompt: str
    source: str
    texts: Tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchRequest(Message):
    """Look for windows of a raster that look like a word."""
    raster: RasterRef
    word: str = _field("a land-cover word", longest=200)
    extent: Optional[Extent] = None
    band_roles: dict[str, int] = _field("1-based band of a role", dict, **_BANDS)
    most: int = _field("how many windows", 5, minimum=1, maximum=20)


@dataclass(frozen=True)
class Found(Message):
    """One window: its outline in the raster's CRS, how well it agrees, a thumbnail."""
    polygons: Polygons
    agreement: float
    thumbnail_png: str = _field("base64", "")


@dataclass(frozen=True)
class SearchResult(Message):
    """The windows found, best first; none and a reason where nothing agrees enough."""
    word: str
    rule: str
    found: Tuple[Found, ...] = ()
    reason: str = ""


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
