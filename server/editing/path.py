"""The main path: one edit of one raster, from a request to a file that passed the gate.

Read `edit` from top to bottom, then `repaint`; every step is a module of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from ..contract.jobs import (
    AREAS_FILE,
    BESIDE,
    MANIFEST_FILE,
    PREVIEW_FILE,
    RESULT_FILE,
    SIDECAR_FILE,
)
from ..contract.manifest import GateReport, Manifest, Quality, ResultFile
from ..contract.requests import EditRequest, Polygons
from ..editors.base import Scene, record_facts
from ..editors.operator import understood_of
from ..editors.registry import Editors
from ..evaluation.indices import together
from ..ground.errors import CannotEdit
from ..ground.files import facts_of, whole_file, write_json
from ..promise.case import Case
from ..promise.judge import Verdict, judge
from ..raster import bands, disclosure, display, masks
from ..raster.bands import Layer
from ..raster.composed import composed, disclosed_by
from ..raster.disclosure import Disclosure
from ..raster.geotiff import Mosaic, Patch, WriteOptions, write_geotiff
from ..raster.masks import Region
from ..raster.raster import opened
from ..raster.rasters import Rasters
from ..raster.source_type import EDITED, MADE
from ..raster.transformations import used_for
from ..words import land_cover
from . import tiling
from .exemplars import Cuts, find_exemplars
from .ground_size import ground_size, size_of_picture
from .manifest import Findings, editor_facts, manifest_of
from .meant_part import named_class, parts_of
from .output import Drawn, Output, Repainted, output_for
from .plan import Plan, decide
from .quality import agreement_of, quality_of
from .region import KnownShapes, Place, locate
from .source import Source, opened_source
from .views import View, view_of


class StepOfRegion(Protocol):
    """Who hears how far a region has come."""

    def __call__(
        self, done: int, steps: int, picture: display.Preview | None = None, note: str = ""
    ) -> None:
        """`done` of `steps`, with an unfinished picture where there is one."""


StepOfEditor: TypeAlias = "Callable[[int, int, np.ndarray | None, str], None]"
"""The same of a window's editor, whose picture is bytes (H, W, 3)."""


class Progress(Protocol):
    """Who hears how far an edit has come; raises Dismissed to stop it."""

    def __call__(
        self,
        stage: str,
        step: int,
        steps: int,
        picture: display.Preview | None = None,
        note: str = "",
    ) -> None:
        """`step` of `steps` of a stage; while editing, where there is one, an unfinished picture
        and a note."""


@dataclass(frozen=True)
class Job:
    """What is asked for: by `request`, of the process `process_id`, on `rasters`. `drawn`: the
    polygons as the user gave them, where the request's have been grown since."""

    request: EditRequest
    process_id: str
    rasters: Rasters
    drawn: Polygons | None = None


@dataclass(frozen=True)
class Work:
    """What all regions of an edit share. `plan`: what will be done. `source`: to what. `out`:
    written on what. `view`: how the editor sees it. `cuts`: what there is to copy from. `known`:
    what the user's layers tell of the ground. `gsd_m`: ground size of a pixel, a guess for a
    picture that states none. `windows`: in how many it is edited."""

    plan: Plan
    source: Source
    out: Output
    view: View
    cuts: Cuts
    known: KnownShapes
    gsd_m: float
    windows: int


def edit(job: Job, editors: Editors, folder: Path, progress: Progress) -> Manifest:
    """Make result.tif, manifest.json and preview.png in `folder`; tells what was done."""
    clock = _Clock()
    progress("understanding", 0, 1)
    with (
        composed(job.rasters, folder) as rasters,
        opened_source(job.request, rasters) as source,
    ):
        job = replace(job, rasters=rasters)
        plan = decide(job.request, job.process_id, editors, source.satellite)
        with output_for(plan, source, folder) as out:
            progress("reading", 0, 1)
            place = locate(plan, source, lambda i, n: progress("reading", i, n))
            cuts = find_exemplars(plan, source, place.shapes, editors.models, progress)
            view = view_of(source, plan.editor.info, plan.editor.other_bands(plan.options))
            known = KnownShapes.of(job.request, source.profile, plan.editor.info)
            gsd_m, guess = ground_size(source, plan, cuts)
            work = Work(plan, source, out, view, cuts, known, gsd_m, len(place.regions))
            clock.mark("read")
            parts = [repaint(region, work, step) for region, step in _over(place, progress)]
            clock.mark("edit")
            with _draft_in(folder) as draft:
                told = disclosure_of(job.rasters, work, place, parts)
                write(work, place, (parts, told), draft, progress)
                clock.mark("write")
                verdict = judged(job, work, place, draft, progress)
                clock.mark("check")
                quality = assess(work, place, parts, verdict.report, draft)
                moved = used_for(job.drawn or job.request.polygons, source.profile)
                found = Findings(cuts.search, verdict, quality, place, moved, guess)
                manifest = manifest_of(plan, source, place.window, parts, found)
                manifest = replace(manifest, seconds=clock.total())
                manifest = save(manifest, work, place, draft)
                progress("checking", 1, 1)
    return manifest


def repaint(region: Region, work: Work, step: StepOfRegion) -> Repainted:
    """One region, edited: read, shown to the editor in tiles, laid back in native pixels."""
    plan = work.plan
    out = work.out
    block = out.prepare(work.source.read(region.box), region.mask)
    mask = region.mask & block.valid
    left = int((region.mask & ~block.valid).sum())
    if not mask.any():
        step(1, 1)
        only = mask if region.divided else None
        return Repainted(region.box, out.untouched(block, region.box), left, only=only)
    # Two masks: what the editor draws, and, feathered inside the polygon, what is taken of it.
    reach = masks.grown(mask, plan.blend.beyond_px) & block.valid
    copied = [cut.values[:, cut.usable] for cut in work.cuts.patches]
    shown = work.view.show(block, out.stretch_for(block).including(copied))
    drawn, said = _as_meant(region, work, Drawn(region.box, block, mask, reach, shown))
    if not drawn.mask.any():
        step(1, 1)
        only = region.mask if region.divided else None
        untouched = out.untouched(block, region.box)
        return Repainted(region.box, untouched, left, notes=(said,), only=only)
    image, facts = run_tiled(plan, scene_of(region, work, drawn), _placed(step, region, work))
    made = out.lay_back(replace(drawn, image=image), plan, work.view, lambda *_: step(1, 1))
    notes = (said, work.view.note, *facts.pop("notes", ()))
    only = region.mask if region.divided else None
    return replace(made, left=left, facts=facts, notes=tuple(filter(None, notes)), only=only)


def _as_meant(region: Region, work: Work, drawn: Drawn) -> tuple[Drawn, str]:
    """The same with the part of the region that the words name, and what to say of it."""
    named = named_class(work.plan, work.gsd_m, drawn.shown.roles)
    if not named:
        return drawn, ""
    models = work.plan.editor.models
    gsd_m = size_of_picture(work.source, models) or work.gsd_m
    scene = replace(scene_of(region, work, drawn), gsd_m=gsd_m)
    parse = understood_of(scene, models.understanding)
    part, notes = parts_of(drawn.mask, region.numbered(), parse, (named, gsd_m))
    said = " ".join(notes)
    if not part.any() and work.windows == 1:
        raise CannotEdit(said)
    reach = masks.grown(part, work.plan.blend.beyond_px) & drawn.block.valid
    return replace(drawn, mask=part, reach=reach), said


def _placed(step: StepOfRegion, region: Region, work: Work) -> StepOfEditor:
    """Hears an editor's steps, and tells where the pictures lie that it shows."""

    def told(done: int, steps: int, picture: np.ndarray | None = None, note: str = "") -> None:
        seen = None
        if picture is not None:
            seen = display.Preview.of(picture, region.box, work.source.profile)
        step(done, steps, seen, note)

    return told


def scene_of(region: Region, work: Work, drawn: Drawn) -> Scene:
    """A region as arrays, for the editor."""
    profile = work.source.profile
    shown = drawn.shown
    heights = work.source.heights(region.box)
    return Scene(
        shown.image,
        drawn.block.valid,
        drawn.reach,
        shown.roles,
        work.gsd_m,
        origin=(region.box.row, region.box.col),
        exemplars=tuple(cut.patch(shown.stretch) for cut in work.cuts.patches),
        elevation=heights,
        aspect=profile.aspect,
        nir_white=1.0 if profile.dtype == "uint8" else bands.NIR_WHITE,
        parts=None if heights is None else region.numbered(),
        known=work.known.on(region.box),
        even=work.source.even(drawn.block, shown.roles),
        alone=work.windows == 1,
        examples=work.source.examples,
    )


def run_tiled(plan: Plan, scene: Scene, hear: StepOfEditor) -> tuple[np.ndarray, dict[str, Any]]:
    """The scene's image edited tile by tile, and what the editor says of its work."""
    editor = plan.editor
    tiles = tiling.cut(scene, editor.tiled_by(plan.options), editor.overlap_px)
    said: dict[str, Any] = {}

    def edit_tile(index: int, part: Scene) -> np.ndarray:
        def on_step(
            step: int,
            total: int,
            preview: np.ndarray | None = None,
            note: str = "",
            facts: Mapping[str, Any] | None = None,
        ) -> None:
            record_facts(said, facts or {})
            shown = None
            if preview is not None and len(tiles) == 1:
                shown = display.picture(preview, scene.roles)
            hear(index * total + step, total * len(tiles), shown, note)

        return editor.edit(part, plan.request.prompt, plan.options, plan.request.seed, on_step)

    return tiling.merge(scene, tiles, editor.overlap_px, edit_tile), said


def disclosure_of(
    rasters: Rasters, work: Work, place: Place, parts: Sequence[Repainted]
) -> Disclosure:
    """What the result says of this edit, and of those that its source says were made before."""
    plan = work.plan
    profile = work.source.profile
    model = str(editor_facts(parts).get("model", ""))
    search = work.cuts.search
    whose = search.credits if search else ()
    made = disclosure.Made(place.edited_ground(profile), place.cover(profile), model, whose)
    before = disclosed_by(work.out.dataset, place.window, rasters)
    return disclosure.disclosure(plan.request, plan.editor.info, made, before)


def write(
    work: Work,
    place: Place,
    made: tuple[Sequence[Repainted], Disclosure],
    draft: Path,
    progress: Progress,
) -> None:
    """The window on the target's own grid, with tags that disclose the edit, and what a GeoTIFF
    cannot hold beside it."""
    progress("writing", 0, 1)
    plan = work.plan
    request = plan.request
    target = work.out.dataset
    parts, told = made
    changed = frozenset(band for part in parts for band in part.changed)
    classes = work.source.classes is not None
    drawn_from_nothing = request.raster.extent is not None and not (
        request.raster.path or request.raster.upload
    )
    how = MADE if drawn_from_nothing else EDITED
    output = request.output
    kept = work.out.metadata
    options = WriteOptions(output.compression, output.cog, told.tags, changed, classes, how, kept)
    patches = [Patch(part.box, part.pixels, part.only) for part in parts]
    mosaic = Mosaic(place.window, patches)
    write_geotiff(target, mosaic, draft, options, lambda i, n: progress("writing", i, n))
    if kept.sidecar:
        _beside(draft, SIDECAR_FILE).write_text(kept.sidecar, encoding="utf8")
    if told.areas:
        crs = work.source.profile.crs
        told.write_areas(
            _beside(draft, AREAS_FILE), "" if crs is None else crs.to_wkt(version="WKT2_2019")
        )


def judged(job: Job, work: Work, place: Place, draft: Path, progress: Progress) -> Verdict:
    """What the judge counts in the written file; raises PromiseBroken."""
    progress("checking", 0, 1)
    window = place.window
    case = Case(
        work.source.layer.dataset,
        draft,
        (window.col, window.row, window.width, window.height),
        job.request,
        work.plan.blend.grow_px,
        made=work.out.count_made,
        alone=work.out.kept_of is None,
        anywhere=job.request.raster.extent is not None,
        beneath=job.rasters.beneath,
        over=job.rasters.over,
    )
    return judge(case, lambda i, n: progress("checking", i, n))


def save(manifest: Manifest, work: Work, place: Place, draft: Path) -> Manifest:
    """The files beside the result: preview, what was written beside the draft, and the manifest,
    which then knows them."""
    folder = draft.parent
    layer = work.out.preview_layer
    chosen = display.colour_bands(layer.profile, layer.roles)
    if layer.profile.palette is None and work.source.classes is None:
        display.write_preview(draft, place.window, chosen, folder / PREVIEW_FILE)
    else:
        display.write_class_preview(draft, layer.profile.palette, folder / PREVIEW_FILE)
    files = [ResultFile(RESULT_FILE, *facts_of(draft))]
    for name in BESIDE.values():
        if _beside(draft, name).is_file():
            _beside(draft, name).replace(folder / name)
            files.append(ResultFile(name, *facts_of(folder / name)))
    manifest = replace(manifest, files=tuple(files))
    write_json(folder / MANIFEST_FILE, manifest.to_json())
    return manifest


def assess(
    work: Work, place: Place, parts: Sequence[Repainted], checked: GateReport, draft: Path
) -> Quality:
    """Numbers beside the result: how its edge shows, and whether it looks like what was asked
    for."""
    measured = [part.quality for part in parts if part.quality is not None]
    word = work.plan.word
    agreement = None
    # Of a polygon in which a few things alone were meant, the rest does not look like the word.
    named = named_class(work.plan, work.gsd_m, work.source.layer.roles.names)
    if land_cover.is_known(word) and not named:
        with opened(draft) as written:
            layer = Layer.of(written, work.plan.request.band_roles)
            network = work.plan.editor.models.scene_words
            name = land_cover.canonical(word)
            agreement = agreement_of(network, layer, place.window, place.shapes, name)
    found = quality_of(measured, checked.pixels_outside_different, agreement)
    return replace(found, indices=together(part.indices for part in parts))


@contextlib.contextmanager
def _draft_in(folder: Path) -> Iterator[Path]:
    """A draft of the result, which gets its name when all is well; nothing beside it stays where it
    is not."""
    with whole_file(folder / RESULT_FILE) as draft:
        try:
            yield draft
        finally:
            for name in BESIDE.values():
                _beside(draft, name).unlink(missing_ok=True)


def _beside(draft: Path, name: str) -> Path:
    """Where a file that is to lie beside the result lies beside its draft."""
    return draft.with_name(draft.name + name.removeprefix(RESULT_FILE))


def _over(place: Place, progress: Progress) -> Iterator[tuple[Region, StepOfRegion]]:
    """The regions one after the other, each with who hears how far it has come."""
    total = len(place.regions)
    for index, region in enumerate(place.regions):

        def step(
            done: int,
            steps: int,
            picture: display.Preview | None = None,
            note: str = "",
            before: int = index,
        ) -> None:
            progress("editing", before * steps + done, steps * total, picture, note)

        yield region, step


class _Clock:
    """Seconds of each step so far."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.start = time.perf_counter()
        self.last = self.start

    def mark(self, name: str) -> None:
        """A step has ended."""
        now = time.perf_counter()
        self.laps[name] = round(now - self.last, 4)
        self.last = now

    def total(self) -> dict[str, float]:
        """Seconds of each step, and of all."""
        return {**self.laps, "total": round(time.perf_counter() - self.start, 4)}
