"""What a file says of the edits made to it, and where: tags inside it, and areas beside it where
they are too many for a tag."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import rasterio
import shapely
from rasterio.crs import CRS

from ..contract.bundle import AREAS_END
from ..contract.editors import EditorInfo
from ..contract.requests import EditRequest
from ..ground.errors import BadRequest
from .grid import Box
from .provenance import DISCLAIMER, file_name, version, without_folders, without_folders_in
from .vectors import read_vectors, write_vectors

KEPT_ELSEWHERE = "not in this file; the manifest beside it has it"
"""Value of the tags for prompt and request where the user did not ask for them in the file."""
MASK = "LANDBRUSH_MASK_WKB"
BESIDE = "LANDBRUSH_MASK_FILE"
"""Tag that says that the exact mask lies beside the file, and the other tag holds more."""
LONGEST_TAG = 200_000
"""Characters."""
LARGEST_AREAS = 512 << 20
"""Bytes of a file of areas that is read."""
HISTORY = "LANDBRUSH_HISTORY"
PROMPT = "LANDBRUSH_PROMPT"
REQUEST = "LANDBRUSH_REQUEST"
_FIELDS = ("edit", "editor", "engine", "prompt", "seed", "version", "model")
_TOLD = ("EDITOR", "ENGINE", "SEED", "VERSION", "MODEL", "CREDITS", "PROMPT", "REQUEST")


Areas = tuple[tuple[shapely.Geometry, dict[str, str]], ...]
"""Where was edited, in the raster's CRS, and what is recorded of that edit; one an edit."""


@dataclass(frozen=True)
class Disclosed:
    """What a raster already says of edits made to it. `areas`: where, in its CRS, each with the
    record of its edit; empty: nowhere, or not told. `history`: one record an edit, the first one
    first. `coarse`: the areas hold more ground than was edited, since the file that has the exact
    ones is not there."""

    areas: Areas = ()
    history: tuple[dict[str, str], ...] = ()
    coarse: bool = False

    @property
    def mask(self) -> shapely.Geometry | None:
        """All ground that was edited; None: not told."""
        if len(self.areas) < 2:
            return self.areas[0][0] if self.areas else None
        return shapely.union_all([area for area, _ in self.areas])


def disclosed(dataset: rasterio.DatasetReader, box: Box, path: Path) -> Disclosed:
    """The edits that a raster's tags, or the file of areas beside `path`, tell of, inside the
    window `box`."""
    tags = dataset.tags()
    if "LANDBRUSH_EDITOR" not in tags:
        return Disclosed()
    last = {
        name.lower(): tags[f"LANDBRUSH_{name}"]
        for name in _TOLD
        if tags.get(f"LANDBRUSH_{name}", KEPT_ELSEWHERE) != KEPT_ELSEWHERE
    }
    history = (*_history(tags.get(HISTORY, "[]")), last)
    areas = areas_beside(dataset, path) if BESIDE in tags else ()
    coarse = BESIDE in tags and not areas
    if not areas:
        try:
            areas = ((shapely.make_valid(shapely.from_wkb(tags[MASK])), last),)
        except (KeyError, shapely.errors.ShapelyError):
            return Disclosed((), history)
    corners = [
        (box.col, box.row),
        (box.col + box.width, box.row),
        (box.col + box.width, box.row + box.height),
        (box.col, box.row + box.height),
    ]
    frame = shapely.Polygon([dataset.transform @ corner for corner in corners])
    here = [
        (area if _within(area, frame) else shapely.intersection(area, frame), record)
        for area, record in areas
    ]
    held = tuple((area, record) for area, record in here if not area.is_empty)
    return Disclosed(held, history, coarse) if held else Disclosed()


def _within(area: shapely.Geometry, frame: shapely.Geometry) -> bool:
    """Whether all of an area lies in a convex frame, by its bounds: cheap where it has many
    parts."""
    return bool(shapely.contains(frame, shapely.envelope(area)))


def _history(text: str) -> tuple[dict[str, str], ...]:
    """Records of edits in a tag; none where it is no list of records."""
    try:
        return tuple({str(k): str(v) for k, v in record.items()} for record in json.loads(text))
    except (ValueError, AttributeError, TypeError):
        return ()


def areas_beside(dataset: rasterio.DatasetReader, path: Path) -> Areas:
    """Edited areas in the file beside a raster, one an edit, each with its record; none where it is
    not there, cannot be read, or is of another CRS."""
    beside = path.with_name(path.name + AREAS_END)
    if beside.is_symlink() or not beside.is_file() or beside.stat().st_size > LARGEST_AREAS:
        return ()
    try:
        found = read_vectors(beside, fields=True)
    except BadRequest:
        return ()
    if found.crs and dataset.crs is not None and CRS.from_user_input(found.crs) != dataset.crs:
        return ()
    rows = zip(*(found.fields.get(name, [""] * len(found.shapes)) for name in _FIELDS), strict=True)
    edits: dict[str, tuple[list[shapely.Geometry], dict[str, str]]] = {}
    for shape, row in zip(found.shapes, rows, strict=True):
        record = {name: str(value) for name, value in zip(_FIELDS, row, strict=True) if value}
        shapes, _ = edits.setdefault(record.pop("edit", ""), ([], record))
        shapes += [] if shape is None else [*shapely.get_parts(shape)]
    return tuple((shapely.multipolygons(shapes), record) for shapes, record in edits.values())


@dataclass(frozen=True)
class Disclosure:
    """What a result says of the edits made to it. `tags`: GeoTIFF tags. `areas`: what lies beside
    the file, each polygon with its record; empty: the tags hold it all."""

    tags: tuple[tuple[str, str], ...]
    areas: Areas = ()

    def write_areas(self, path: Path, crs: str) -> None:
        """Write the areas as FlatGeobuf, a feature a polygon; raises NoSpace."""
        rows = [
            (part, {"edit": str(number), **record})
            for number, (area, record) in enumerate(self.areas, 1)
            for part in shapely.get_parts(area)
            if part.geom_type == "Polygon"
        ]
        fields = {name: [record.get(name, "") for _, record in rows] for name in _FIELDS}
        write_vectors(path, [part for part, _ in rows], crs, fields)


@dataclass(frozen=True)
class Made:
    """The edit that is disclosed. `mask`: where was edited, in the raster's CRS; `cover`: simpler
    shapes that hold it. `model`: the pretrained one it was drawn with; empty: none. `credits`:
    whose imagery was copied from, beside the layer's own."""

    mask: shapely.Geometry
    cover: shapely.Geometry
    model: str = ""
    credits: tuple[str, ...] = ()


def disclosure(request: EditRequest, info: EditorInfo, made: Made, before: Disclosed) -> Disclosure:
    """The disclosure of this edit and of those before it.

    Prompt and request stand in the file only where the user asked for that, and then without
    folders of this machine; the manifest always has them. A mask that is too long for a tag lies
    beside the file, and the tag holds simpler shapes around it.
    """
    kept = request.output.keep_request
    record = _record(request, info, made)
    history = [
        old if kept else {k: v for k, v in old.items() if k not in ("prompt", "request")}
        for old in before.history
    ]
    text, areas = _mask_and_areas(made, record, before)
    found = [
        ("AI_GENERATED", "TRUE"),
        ("LANDBRUSH_SYNTHETIC", DISCLAIMER),
        ("LANDBRUSH_EDITOR", record["editor"]),
        ("LANDBRUSH_ENGINE", record["engine"]),
        (PROMPT, record["prompt"] if kept else KEPT_ELSEWHERE),
        ("LANDBRUSH_SEED", record["seed"]),
        ("LANDBRUSH_VERSION", record["version"]),
        (REQUEST, _replay(request) if kept else KEPT_ELSEWHERE),
        (MASK, text),
        (BESIDE, f"this file's name with {AREAS_END} behind it" if areas else ""),
        ("LANDBRUSH_MODEL", record["model"]),
        ("LANDBRUSH_CREDITS", record["credits"]),
        (HISTORY, json.dumps(without_folders(history), separators=(",", ":")) if history else ""),
    ]
    return Disclosure(tuple((name, value) for name, value in found if value), areas)


def disclosure_of_history(found: Disclosed) -> Disclosure:
    """The disclosure of a raster that holds edits made before, and no new one; says nothing where
    none is told."""
    if not found.history:
        return Disclosure(())
    *earlier, last = found.history
    text, areas = "", found.areas
    if found.mask is not None:
        text = shapely.to_wkb(found.mask, hex=True)
        if len(text) <= LONGEST_TAG:
            areas = ()
        else:
            hulls = [shapely.envelope(area) for area, _ in found.areas]
            text = shapely.to_wkb(shapely.union_all(hulls), hex=True)
    tags = [
        ("AI_GENERATED", "TRUE"),
        ("LANDBRUSH_SYNTHETIC", DISCLAIMER),
        *((f"LANDBRUSH_{name}", last.get(name.lower(), "")) for name in _TOLD),
        (MASK, text),
        (BESIDE, f"this file's name with {AREAS_END} behind it" if areas else ""),
        (HISTORY, json.dumps(earlier, separators=(",", ":")) if earlier else ""),
    ]
    return Disclosure(tuple((name, value) for name, value in tags if value), areas)


def _replay(request: EditRequest) -> str:
    """A request as text for a tag; where it is too long, that it is elsewhere."""
    text = json.dumps(without_folders(request.to_json()), separators=(",", ":"), sort_keys=True)
    return text if len(text) <= LONGEST_TAG else KEPT_ELSEWHERE


def _record(request: EditRequest, info: EditorInfo, made: Made) -> dict[str, str]:
    """What is told of an edit beside its area."""
    prompt = without_folders_in(request.prompt) if request.output.keep_request else ""
    return {
        "editor": info.id,
        "engine": info.engine,
        "prompt": prompt,
        "seed": str(request.seed),
        "version": version(),
        "model": file_name(made.model),
        "credits": "; ".join(made.credits),
    }


def _mask_and_areas(made: Made, record: dict[str, str], before: Disclosed) -> tuple[str, Areas]:
    """The mask for the tag, and what lies beside the file where that is too long for one."""
    whole = shapely.union_all([made.mask, before.mask]) if before.areas else made.mask
    text = shapely.to_wkb(whole, hex=True)
    if len(text) <= LONGEST_TAG:
        return text, ()
    earlier = [(area, {k: v for k, v in old.items() if k in record}) for area, old in before.areas]
    hulls = [shapely.envelope(area) for area, _ in before.areas]
    cover = shapely.union_all([made.cover, *hulls])
    return shapely.to_wkb(cover, hex=True), (*earlier, (made.mask, record))
