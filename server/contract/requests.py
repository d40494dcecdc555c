"""What is asked for: one edit of one raster, with its polygons, exemplar, options and output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Tuple

from .message import ContractError, Json, Message, declare, shortened
from .routes import Route

API_VERSION = "1.1"
MAX_PROMPT_CHARS = 4000
MAX_VERTICES = 1_200_000
CRS_LENGTH = 20_000


LARGEST_COORDINATE = 1e15


def check_geometry(geometry: Json, where: str) -> None:
    """Refuse what is not a GeoJSON Polygon or MultiPolygon with closed, finite rings."""
    if not isinstance(geometry, dict) or set(geometry) - {"type", "coordinates"}:
        raise ContractError(where, f"a GeoJSON geometry is needed, not {shortened(geometry)}")
    kind = geometry.get("type")
    parts = geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        raise ContractError(where, f"type must be Polygon or MultiPolygon, not {shortened(kind)}")
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
            raise ContractError(where, f"a ring needs 4 or more positions: {shortened(ring)}")
        for at in ring:
            if (
                not isinstance(at, (list, tuple))
                or not 2 <= len(at) <= 4
                or any(
                    isinstance(n, bool)
                    or not isinstance(n, (int, float))
                    or not abs(n) < LARGEST_COORDINATE
                    for n in at
                )
            ):
                raise ContractError(
                    where, f"a position needs two numbers, finite ones: {shortened(at)}"
                )
        if list(ring[0])[:2] != list(ring[-1])[:2]:
            raise ContractError(where, f"a ring must end where it starts: {shortened(ring[0])}")
    return sum(len(ring) for ring in rings)


PIXELS = "pixels"
"""Instead of a CRS: x is the column and y the row of the raster's pixels, from its upper left
corner, rows downwards."""
PIXELS_UP = "pixels-up"
"""The same with y upwards, so that rows are negative: as GIS programs show a picture that has no
place on the ground."""
_CRS = "WKT, 'EPSG:n', 'pixels' (column, row) or 'pixels-up' (column, -row)"


LAYER_NAME = "|layername="
"""Between a file and the layer in it that is meant, as QGIS writes it."""


@dataclass(frozen=True)
class Polygons(Message):
    """Polygons on the map: a GeoJSON (Multi)Polygon and the CRS of its coordinates."""

    geometry: Any = declare("GeoJSON Polygon or MultiPolygon, x before y")
    crs: str = declare(f"{_CRS}; empty: the raster's own CRS", "", longest=CRS_LENGTH)

    def __post_init__(self) -> None:
        check_geometry(self.geometry, "Polygons.geometry")


@dataclass(frozen=True)
class RasterRef(Message):
    """A raster the server can read: an upload or a path; an extent of empty ground; or an extent of
    such a raster, made finer."""

    upload: str = declare("id given by POST /rasters", "", longest=64)
    path: str = declare("path below one of the server's roots", "", longest=4096)
    extent: Optional[Extent] = declare(
        "of a new raster, with its CRS; for editors that need no picture", None
    )
    gsd_m: float = declare(
        "ground size of the new raster's pixels, in metres", 0.0, minimum=0, maximum=100_000
    )

    def __post_init__(self) -> None:
        file = bool(self.upload) + bool(self.path)
        extent = self.extent
        if (
            file > 1
            or not (file or extent)
            or bool(extent) != bool(self.gsd_m)
            or (extent and not extent.crs)
        ):
            raise ContractError(
                "RasterRef",
                "give upload or path, or an extent with crs and gsd_m (with either: made finer)",
            )


@dataclass(frozen=True)
class Exemplar(Message):
    """What to copy from. `polygons`: around it, in the same layer or in another raster."""

    polygons: Polygons
    raster: Optional[RasterRef] = declare("another raster; none: the edited one", None)


@dataclass(frozen=True)
class ExamplePair(Message):
    """An edit as an example: the same ground `before` and `after`, for editors that go by such."""

    before: RasterRef
    after: RasterRef
    polygons: Optional[Polygons] = declare(
        "around what is shown of it, in the raster before; none: all of it", None
    )


MOST_EXAMPLES = 4
GROUND_KINDS = ("roof", "paved", "tree", "low", "bare", "water")
"""What a layer of the user's may tell of the ground."""
MOST_KNOWN = 50


@dataclass(frozen=True)
class KnownGround(Message):
    """Ground that the user's own layers know. `polygons`: footprints of houses, roads, woods,
    water; they are moved to where the picture shows what they mean, by a few metres at most."""

    polygons: Polygons
    kind: str = declare("what they show", "roof", choices=GROUND_KINDS)


@dataclass(frozen=True)
class Extent(Message):
    """A rectangle: `xmin`, `ymin`, `xmax`, `ymax` in the units of its CRS."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    crs: str = declare(f"{_CRS}; empty: the raster's own CRS", "", longest=CRS_LENGTH)

    def __post_init__(self) -> None:
        for value in (self.xmin, self.ymin, self.xmax, self.ymax):
            if not abs(value) < LARGEST_COORDINATE:
                raise ContractError("Extent", f"{shortened(value)} is no coordinate")
        if not (self.xmin < self.xmax and self.ymin < self.ymax):
            raise ContractError(
                "Extent", f"empty: x {self.xmin} ... {self.xmax}, y {self.ymin} ... {self.ymax}"
            )


@dataclass(frozen=True)
class Output(Message):
    """How the result is written."""

    area: str = declare(
        "the edited window, or the whole layer", "window", choices=("window", "layer")
    )
    compression: str = declare(
        "lossless compression", "deflate", choices=("deflate", "zstd", "none")
    )
    cog: bool = declare("write a Cloud Optimized GeoTIFF", False)
    keep_request: bool = declare(
        "tell prompt and request in the file's tags too, not in the manifest alone", False
    )


@dataclass(frozen=True)
class Blend(Message):
    """How the edit meets its surroundings; lengths in pixels of the raster."""

    grow_px: int = declare(
        "enlarge the polygons by this much before editing", 0, minimum=0, maximum=64
    )
    beyond_px: int = declare(
        "drawn around the polygons too, through their rim, and not kept", 0, minimum=0, maximum=64
    )
    feather_px: int = declare("soft edge, inside the polygon's own rim", 3, minimum=0, maximum=128)
    context_px: int = declare("surroundings shown to the editor", 64, minimum=0, maximum=2048)
    radiometric_match: bool = declare("match each band to the ring around the polygon", True)
    whole_objects: bool = declare(
        "for editors that take things away: enlarge the polygons to all of what they mostly cover, "
        "and to the shadow that falls from it",
        False,
    )


BAND_ROLES = ("red", "green", "blue", "nir", "swir1", "swir2", "pan", "vv", "vh")


MOST_OVER = 500
"""Results that may lie over a raster."""


@dataclass(frozen=True)
class EditRequest(Message):
    """One edit of one raster: the `inputs` of an execution. `raster`: what; `polygons`: where."""

    raster: RasterRef
    polygons: Polygons
    api_version: str = declare("version of this contract", API_VERSION, longest=16)
    prompt: str = declare("what should be there", "", longest=MAX_PROMPT_CHARS)
    operation: str = declare(
        "what the user chose of the choices offered for the prompt; process auto alone",
        "",
        longest=40,
    )
    options: dict = declare("the editor's own options, see its description", dict)
    seed: int = declare("same seed, same result", 0, minimum=0, maximum=2**31 - 1)
    exemplar: Optional[Exemplar] = declare("what to copy from", None)
    examples: Tuple[ExamplePair, ...] = declare(
        "edits of the kind that is wanted, before and after, for editors that learn from them in "
        "context",
        (),
    )
    extent: Optional[Extent] = declare("edit only inside this rectangle", None)
    elevation: Optional[RasterRef] = declare("elevation model, in metres", None)
    over: Tuple[RasterRef, ...] = declare(
        "results of earlier edits of this raster that lie over it, the lowest first: the edit is "
        "made of what is seen then",
        (),
    )
    protect: Optional[Polygons] = declare("areas inside the polygons that stay as they are", None)
    known: Tuple[KnownGround, ...] = declare(
        "what the user's own layers tell of the ground, for editors that go by it", ()
    )
    band_roles: dict[str, int] = declare(
        "band of a role, from 1, where unnamed", dict, keys=BAND_ROLES, minimum=1, maximum=4096
    )
    pixel_m: float = declare(
        "ground size of a pixel, in metres, of a picture that has no place on the ground; 0: it is "
        "guessed from what is seen",
        0.0,
        minimum=0,
        maximum=1000,
    )
    blend: Blend = declare("how the edit meets its surroundings", Blend())
    output: Output = declare("how the result is written", Output())

    def __post_init__(self) -> None:
        if self.api_version.split(".")[0] != API_VERSION.split(".")[0]:
            raise ContractError(
                "EditRequest.api_version",
                f"'{self.api_version}' is not {API_VERSION}. Update the older side.",
            )
        if len(self.examples) > MOST_EXAMPLES:
            raise ContractError(
                "EditRequest.examples",
                f"{len(self.examples)} pairs are more than the {MOST_EXAMPLES} that are shown",
            )
        if len(self.known) > MOST_KNOWN:
            raise ContractError(
                "EditRequest.known",
                f"{len(self.known)} entries are more than {MOST_KNOWN}; give the polygons of a "
                "kind together, as one MultiPolygon",
            )
        if len(self.over) > MOST_OVER:
            raise ContractError(
                "EditRequest.over",
                f"{len(self.over)} results are more than the {MOST_OVER} that are laid over a "
                "raster. Write the layer once (output area 'layer') and go on with that.",
            )


@dataclass(frozen=True)
class Upload(Message):
    """A raster that was sent: `upload` is its id, which is its content's."""

    upload: str


RASTERS = Route(
    "POST",
    "/rasters",
    "upload a raster, or a zip of one and the files beside it; the id is the content's",
    answer=Upload,
    status=201,
    body="image/tiff",
)
