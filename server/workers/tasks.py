"""What workers do, by name. Each task takes JSON and makes JSON.

The server never imports this module: what reads rasters runs in a worker (children.py), or, for
programs that hold the whole of Landbrush in one process, where they are (here.py).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows, where a worker ends with its server at once
    fcntl = None  # type: ignore[assignment]


from ..contract.comparison import ComparisonRequest
from ..contract.heights import HeightUnit, HeightUnitRequest
from ..contract.inspection import InspectionRequest
from ..contract.jobs import PREVIEW_FILE
from ..contract.library import KeepRequest
from ..contract.outlines import Outline, OutlineRequest
from ..contract.requests import EditRequest, RasterRef
from ..contract.words import (
    Ensemble,
    Found,
    InterpretationRequest,
    SearchRequest,
    SearchResult,
)
from ..editing.flatten import flatten
from ..editing.keeping import kept
from ..editing.path import Job as EditJob
from ..editing.tries import edit_well
from ..editors.models import Models
from ..editors.registry import Editors
from ..experiments.compare import compared
from ..ground.errors import BadRequest, Dismissed, RasterUnreadable
from ..jobs.folder import is_dismissed, load_job
from ..raster import bundle, display, polygons
from ..raster.bands import Layer
from ..raster.display import Preview, write_picture
from ..raster.heights import unit_of
from ..raster.inspection import inspected
from ..raster.polygon_files import polygons_for
from ..raster.raster import opened, profile_of
from ..raster.rasters import Rasters
from ..search.find import find
from ..search.thing import thing_at
from . import messages
from .admission import Admission
from .child import Start
from .warming import warm_up

UPLOAD_DRIVERS = ("GTiff", "PNG", "JPEG", "JP2OpenJPEG", "HFA")
"""Formats taken as uploads; read again, they are opened as what `doors.FORMATS` allows, never as a
VRT."""
HELD = "held"
"""In a job's folder: locked by the worker that writes there."""
TELL_EVERY_S = 0.1
PREVIEW_EVERY_S = 2.0


@dataclass(frozen=True)
class Desk:
    """What a task works with. `editors`: with the models of the home. `roots`: folders whose
    rasters may be named; None: any that the process can read. `uploads`: folder of what was sent.
    `tell`: takes a message to whoever waits for the task."""

    editors: Editors
    roots: tuple[Path, ...] | None
    uploads: Path
    tell: Callable[[dict[str, Any]], None]

    @property
    def admission(self) -> Admission:
        """What is let in."""
        return Admission(self.editors, self.roots or (), self.uploads)

    @contextlib.contextmanager
    def layer(self, raster: RasterRef, roles: Mapping[str, int]) -> Iterator[Layer]:
        """A raster that was named, open; `roles`: bands that the user states."""
        path = self.admission.path_of(raster)
        with opened(path, self.admission.roots_of(path)) as dataset:
            yield Layer.of(dataset, roles)

    def warm(self) -> list[str]:
        """Pretrained models that are ready to draw."""
        return self.editors.models.warm.names()


def desk_of(start: Start, line: Connection) -> Desk:
    """The desk of a worker's process."""

    def elsewhere(wanted: Ensemble) -> Ensemble:
        """A service on the network is asked by the server, since a worker cannot."""
        messages.send(line, {"ask": "paraphrases", "given": wanted.to_json()})
        reply = messages.receive(line)
        error = messages.as_error(reply)
        if error is not None:
            raise error
        return Ensemble.from_json(reply["done"])

    home = Path(start.home)
    models = Models(home, dict(start.given), elsewhere)
    roots = None if start.roots is None else tuple(map(Path, start.roots))
    return Desk(Editors(models), roots, home / "uploads", lambda told: messages.send(line, told))


class _WorkerProgress:
    """Tells how far an edit has come, and stops it where its job was dismissed."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk = desk
        self.folder = folder
        self.stage = ""
        self.told = -TELL_EVERY_S
        self.shown = -PREVIEW_EVERY_S

    def __call__(
        self, stage: str, step: int, steps: int, picture: Preview | None = None, note: str = ""
    ) -> None:
        """Tell, at most each tenth of a second or when a stage begins; raises Dismissed."""
        if is_dismissed(self.folder):
            raise Dismissed
        now = time.monotonic()
        if picture is not None and now - self.shown > PREVIEW_EVERY_S:
            self.shown = now
            with contextlib.suppress(OSError):  # a full disk ends the edit where it writes
                write_picture(picture.pixels, self.folder / PREVIEW_FILE, picture.corners)
        if stage != self.stage or now - self.told > TELL_EVERY_S:
            self.stage = stage
            self.told = now
            self.desk.tell({"stage": stage, "step": step, "steps": steps, "note": note})


def _edit(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """Edit the raster of a job's folder; makes the manifest's report."""
    folder = Path(given["folder"])
    job = load_job(folder)
    files = job.files
    if desk.roots is not None:
        files = replace(files, roots=files.allowed(desk.roots, desk.uploads))
    asked = EditJob(job.request, job.process_id, files)
    with _alone(folder):
        manifest = edit_well(asked, desk.editors, folder, _WorkerProgress(desk, folder))
    return manifest.report().to_json()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else writes in a job's folder: the worker of a server that was killed may live for a
    moment longer."""
    with open(folder / HELD, "a", encoding="ascii") as stream:
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _edit_file(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """Edit files without a job; makes the manifest."""
    folder = Path(given["folder"])
    asked = EditJob(
        EditRequest.from_json(given["request"]), given["process"], Rasters.of(given, desk.roots)
    )
    return edit_well(asked, desk.editors, folder, _WorkerProgress(desk, folder)).to_json()


def _admit(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """Check a request; makes the paths of its files."""
    request = EditRequest.from_json(given["request"], "inputs")
    return desk.admission.admit(given["process"], request).to_json()


def _receive(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """Look through a file that was sent; makes the path of what is to be kept of it (of a zip, one
    GeoTIFF) and of what lies beside."""
    draft = Path(given["draft"])
    if not draft.stat().st_size:
        raise BadRequest("The upload is empty.")
    kept = draft
    if bundle.is_bundle(draft):
        kept = Path(given["whole"])
        bundle.as_one(draft, kept, int(given["limit"]))
    with opened(kept, (kept,)) as dataset:
        if dataset.driver not in UPLOAD_DRIVERS:
            raise RasterUnreadable(
                "The upload is not a raster of a kind that is taken "
                f"({', '.join(UPLOAD_DRIVERS)}), but {dataset.driver}."
            )
        profile_of(dataset)
    return {"kept": str(kept)}


def _search(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    wanted = SearchRequest.from_json(given)
    with desk.layer(wanted.raster, wanted.band_roles) as layer:
        area = polygons.extent_box(wanted.extent, layer.profile)
        result = find(desk.editors.models, layer, wanted.word, area)
        found = tuple(
            Found(
                polygons.as_polygons(hit.box, layer.profile),
                round(hit.agreement, 2),
                display.thumbnail(layer, hit.box),
            )
            for hit in result.hits[: wanted.most]
        )
    return SearchResult(result.word, result.rule, found, result.reason).to_json()


def _outline_at(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """The outline of the thing at a place."""
    wanted = OutlineRequest.from_json(given)
    with desk.layer(wanted.raster, wanted.band_roles) as layer:
        middle = polygons.middle_of(wanted.place, layer.profile)
        found = thing_at(desk.editors.models, layer, *middle)
        outline = polygons.in_own_crs(found.polygon, layer.profile)
    return Outline(outline, found.what, found.by, found.note).to_json()


def _height_unit(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """In what an elevation model counts."""
    path = desk.admission.path_of(HeightUnitRequest.from_json(given).raster)
    with opened(path, desk.admission.roots_of(path)) as dataset:
        found = unit_of(dataset)
    return HeightUnit(found.metres, found.note).to_json()


def _keep(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """Keep a part of a raster as an exemplar, in a folder."""
    wanted = KeepRequest.from_json(given["wanted"])
    if desk.roots is None or given.get("raster"):
        path, roots = Path(given["raster"]), desk.roots
    else:
        path = desk.admission.path_of(wanted.raster)
        roots = desk.admission.roots_of(path)
    return kept(wanted, path, roots, desk.editors.models, Path(given["folder"])).to_json()


def _inspect(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    wanted = InspectionRequest.from_json(given)
    path = desk.admission.path_of(wanted.raster)
    return inspected(path, desk.admission.roots_of(path)).to_json()


def _inspect_file(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    return inspected(Path(given["raster"]), desk.roots).to_json()


def _flatten_file(desk: Desk, given: dict[str, Any]) -> dict[str, int]:
    """Write a raster and its results as one file, without a job."""
    over = tuple(Path(path) for path in given["over"])
    rasters = Rasters(Path(given["raster"]), over=over, roots=desk.roots)

    def told(part: int, parts: int) -> None:
        desk.tell({"stage": "writing", "step": part, "steps": parts})

    return flatten(rasters, Path(given["target"]), told)


def _compare(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    wanted = ComparisonRequest.from_json(given)
    before = desk.admission.path_of(wanted.before)
    after = desk.admission.path_of(wanted.after)
    roots = (*desk.admission.roots_of(before), *desk.admission.roots_of(after))
    return compared(before, after, wanted.polygons, roots).to_json()


def _polygons(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """Polygons of a file, for a raster."""
    found = polygons_for(Path(given["file"]), Path(given["raster"]), given["crs"], desk.roots)
    return found.to_json()


def _outline(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """All of a raster as a polygon."""
    with opened(Path(given["raster"]), desk.roots) as dataset:
        profile = profile_of(dataset)
        return polygons.as_polygons(profile.box, profile).to_json()


def _interpret(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """What words are understood to ask for."""
    asked = InterpretationRequest.from_json(given)
    meaning = desk.editors.models.interpret(asked.prompt, asked.operation, asked.exemplar)
    return meaning.to_json()


def _paraphrase(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """Sentences that say the same."""
    asked = Ensemble.from_json(given)
    return desk.editors.models.paraphrases(asked.prompt, asked.source, asked.count).to_json()


def _unload(desk: Desk, given: dict[str, Any]) -> bool:
    return desk.editors.models.warm.drop(str(given["model"]))


def _warm_up(desk: Desk, given: dict[str, Any]) -> bool:
    """Load what nearly every edit uses, so that the first one does not wait for it."""
    if given["edits"]:
        warm_up(desk.editors)
    else:
        desk.editors.models.interpret("snow on what is not said otherwise")
    return True


def _process(desk: Desk, given: dict[str, Any]) -> int:
    """Which process this is, once it has everything imported."""
    return os.getpid()


TASKS: dict[str, Callable[[Desk, dict[str, Any]], Any]] = {
    "edit": _edit,
    "edit file": _edit_file,
    "admit": _admit,
    "receive": _receive,
    "search": _search,
    "outline at": _outline_at,
    "height unit": _height_unit,
    "keep": _keep,
    "inspect": _inspect,
    "inspect file": _inspect_file,
    "flatten file": _flatten_file,
    "compare": _compare,
    "polygons": _polygons,
    "outline": _outline,
    "interpret": _interpret,
    "paraphrase": _paraphrase,
    "unload": _unload,
    "warm up": _warm_up,
    "process": _process,
}
