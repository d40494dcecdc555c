"""The main path: one edit of one raster, from a request to a file that passed the gate.

Read `edit` from top to bottom; every step is a module of its own.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from rasterio.enums import Resampling
from rasterio.warp import reproject

from ..contract.jobs import MANIFEST_FILE, PREVIEW_FILE, RESULT_FILE
from ..contract.requests import EditRequest
from ..editors.base import AUTOMATIC, Scene
from ..ground.errors import CannotEdit
from ..models import image_text, weights
from ..raster import bands, masks, provenance, sensor
from ..raster.bands import Layer
from ..raster.geotiff import Mosaic, WriteOptions, write_geotiff
from ..raster.masks import Placing, Region
from ..raster.raster import Block, Box, Profile, opened, read_window
from ..search import retrieval
from ..synthesis.spectral import KEPT
from ..words import prompts
from . import blend, exemplars, gate, one_band, rgb, tiling
from . import output as canvases
from .output import Canvas, canvas_of
from .plan import Plan, plan
from .quality import Quality, agreement
from .report import Made, manifest_of

Progress = Callable[..., None]
"""Called with stage, step, steps, and while editing where there is one an unfinished picture (H, W,
3, bytes) and a note; raises Dismissed to stop the edit."""


WINDOW_MARGIN_PX = 8
"""Unchanged pixels around the polygons in a window result: enough to see that it fits, not more."""


FINER_STRENGTH = 0.6
"""How much ground that is made finer may change, 0 to 1: what is coarser stays, detail comes."""


@dataclass(frozen=True)
class Files:
    """The rasters of a request, as paths this process may read; `roots`: folders below which they
    lie with all they refer to, looked at whenever one is opened; None: anywhere."""

    raster: Path
    exemplar: Path | None = None
    elevation: Path | None = None
    roots: tuple[Path, ...] | None = None


def edit(
    request: EditRequest, process_id: str, files: Files, folder: Path, progress: Progress
) -> dict[str, Any]:
    """Make result.tif, manifest.json and preview.png in `folder`; returns the report of the
    edit."""
    clock = _Clock()
    progress("understanding", 0, 1)
    todo = _paraphrased(plan(request, process_id), request.prompt)
    todo = replace(todo, options=todo.editor.settled(todo.options))
    if request.raster.extent is not None:
        # There is no ground around it that a rim could fade into, or a tone be taken from.
        # Its bands are red, green and blue, whatever those of a raster were that it was made of.
        request = replace(
            request,
            blend=replace(request.blend, feather_px=0, radiometric_match=False),
            band_roles={},
        )
        if (request.raster.path or request.raster.upload) and not todo.options.get("strength", 1.0):
            todo = replace(todo, options={**todo.options, "strength": FINER_STRENGTH})
    if "model" in todo.options:
        request = replace(request, options={**request.options, "model": todo.options["model"]})
    with (
        _layer(request, files) as layer,
        _opened(files.exemplar, files) as other,
        _opened(files.elevation, files) as elevation,
        canvas_of(layer, todo.editor.info, folder) as canvas,
    ):
        if todo.options.get("satellite") == AUTOMATIC:
            found = sensor.satellite_of(layer.profile, str(files.raster))
            todo = replace(todo, options={**todo.options, "satellite": found})
        job = _Job(request, todo, layer, elevation, clock, {}, canvas, set(), Quality())
        target = canvas.layer.dataset
        # 1. Where: polygons on the raster's own grid.
        progress("reading", 0, 1)
        shapes, asked, out_box = _place(job, progress)
        # 2. From what: drawn exemplars, or windows that look like the word.
        patches, search = _sources(job, other, shapes, progress)
        clock.lap("read")
        # 3. The edit itself, window by window, as arrays.
        edited = []
        left = 0
        for index, region in enumerate(asked.regions):

            def on_step(step: int, total: int, *shown: Any, done: int = index) -> None:
                progress("editing", done * total + step, total * len(asked.regions), *shown)

            pixels, skipped = _edit_region(job, region, patches, on_step)
            edited.append((region.box, pixels))
            left += skipped
        clock.lap("edit")
        # 4. Written on the same grid, checked against the source, and only then given its name.
        progress("writing", 0, 1)
        draft = folder / f".{RESULT_FILE}.part.tif"
        tags = provenance.tags(
            request,
            todo.editor.info,
            _in_crs(shapes, layer),
            str(job.drawn.get("model", "")),
            provenance.disclosed(target, out_box),
        )
        options = WriteOptions(
            request.output.compression, request.output.cog, tags, frozenset(job.changed)
        )
        try:
            write_geotiff(
                target,
                Mosaic(out_box, edited),
                draft,
                options,
                lambda i, n: progress("writing", i, n),
            )
            clock.lap("write")
            progress("checking", 0, 1)
            checked = gate.verify(
                target, out_box, draft, asked, lambda i, n: progress("checking", i, n)
            )
            if canvas.made and not canvas.apart:
                gate.verify_kept(layer.dataset, out_box, draft)
            clock.lap("check")
            _preview(canvas.layer if canvas.apart else layer, draft, out_box, folder)
            progress("checking", 1, 1)
            report = manifest_of(
                Made(request, todo, layer, job.drawn, clock.total(), out_box, left), search, checked
            )
            outside = checked.pixels_outside_different
            report["quality"] = job.quality.to_json(outside, _looks(job, draft, out_box, shapes))
            provenance.write_json(folder / MANIFEST_FILE, report)
            os.replace(draft, folder / RESULT_FILE)
        finally:
            draft.unlink(missing_ok=True)
    return report


def _looks(job: _Job, draft: Path, box: Box, shapes: list) -> tuple[str, int, int] | None:
    """How much of what was written looks like the land cover that was asked for."""
    if not job.todo.word:
        return None
    with opened(draft) as written:
        return agreement(
            Layer.of(written, job.request.band_roles),
            box,
            shapes,
            retrieval.canonical(job.todo.word),
        )


def _paraphrased(todo: Plan, prompt: str) -> Plan:
    """The plan with the sentences that an image-text model will be asked for, where they are not
    given."""
    if not todo.paraphrased or todo.options["paraphrases"].strip() or not prompt.strip():
        return todo
    texts = prompts.ensemble(prompt, todo.options["ensemble"]).texts
    return replace(todo, options={**todo.options, "paraphrases": "\n".join(texts)})


@dataclass(frozen=True)
class _Job:
    """What all steps of one edit share."""

    request: EditRequest
    todo: Plan
    layer: Layer
    elevation: rasterio.DatasetReader | None
    clock: _Clock
    drawn: dict[str, Any]
    canvas: Canvas
    changed: set[int]
    quality: Quality

    @functools.cached_property
    def overview(self) -> Block:
        """All of the layer, thinned."""
        return bands.overview(self.layer)

    @functools.cached_property
    def alone(self) -> one_band.OneBand:
        """What an editor of radar or near infrared sees of the layer."""
        return one_band.OneBand.of(self.layer, self.todo.editor.info, self.overview)

    @functools.cached_property
    def from_dark(self) -> bands.Stretch:
        """One stretch for all regions, as bands that are made need it."""
        return bands.stretch_from_dark(self.layer.profile, self.layer.roles, self.overview)

    def note_changed(self, before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> None:
        """Remember which bands (from 0) an edit changed."""
        left = [band for band in range(len(before)) if band not in self.changed]
        self.changed.update(band for band in left if (before[band] != after[band])[mask].any())

    def told(self, about: Mapping[str, Any]) -> None:
        """Keep what an editor says of its drawing; sentences for the user are gathered over windows
        and tiles."""
        notes = [*self.drawn.get("notes", ()), *about.get("notes", ())]
        self.drawn.update(about)
        if notes:
            self.drawn["notes"] = list(dict.fromkeys(notes))


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = self.start = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self.last, 4)
        self.last = now

    def total(self) -> dict[str, float]:
        """Seconds of each step so far, and of all."""
        return {**self.laps, "total": round(time.perf_counter() - self.start, 4)}


@contextlib.contextmanager
def _layer(request: EditRequest, files: Files) -> Iterator[Layer]:
    with opened(files.raster, files.roots) as dataset:
        yield Layer.of(dataset, request.band_roles)


@contextlib.contextmanager
def _opened(path: Path | None, files: Files) -> Iterator[rasterio.DatasetReader | None]:
    if path is None:
        yield None
        return
    with opened(path, files.roots) as dataset:
        yield dataset


def placing_of(request: EditRequest, todo: Plan, profile: Profile, shapes: list) -> Placing:
    """Where the polygons may be edited, with how much around them, and what that takes."""
    limit = masks.extent_box(request.extent, profile)
    blended = request.blend
    side = max(
        (int(max(s.bounds[2] - s.bounds[0], s.bounds[3] - s.bounds[1])) for s in shapes), default=1
    )
    wanted = todo.editor.context_wanted(min(side, 4096), profile.gsd_m, todo.options)
    context = max(blended.context_px, wanted) + blended.beyond_px
    return Placing(
        profile.box,
        limit,
        blended.grow_px,
        context,
        profile.count,
        lambda pixels: todo.editor.memory_bytes(pixels, profile.count, todo.options),
        profile.count * np.dtype(profile.dtype).itemsize,
    )


def _place(job: _Job, progress: Progress) -> tuple[list, gate.Edited, Box]:
    """Polygons in pixels, where is edited and what of it was asked for, and the window to write."""
    request = job.request
    profile = job.layer.profile
    shapes = masks.pixel_polygons(request.polygons, profile)
    if request.raster.extent is not None:
        shapes = canvases.all_of_it(shapes, profile.box)
    protect = masks.pixel_polygons(request.protect, profile, "protect") if request.protect else []
    placing = placing_of(request, job.todo, profile, shapes)
    limit = placing.limit
    regions = masks.regions(shapes, protect, placing, lambda i, n: progress("reading", i, n))
    asked = gate.Edited(regions, masks.wanted(request.polygons, request.protect, limit, profile))
    if request.output.area == "layer":
        return shapes, asked, profile.box
    if request.extent is not None:
        return shapes, asked, limit
    rows, cols = zip(*(_edited_span(r) for r in regions), strict=True)
    top = min(r[0] for r in rows)
    left = min(c[0] for c in cols)
    tight = Box(left, top, max(c[1] for c in cols) - left, max(r[1] for r in rows) - top)
    return shapes, asked, tight.grown(WINDOW_MARGIN_PX, profile.box)


def _edited_span(region: Region) -> tuple[tuple[int, int], tuple[int, int]]:
    rows = np.nonzero(region.mask.any(axis=1))[0]
    cols = np.nonzero(region.mask.any(axis=0))[0]
    return (
        (region.box.row + int(rows[0]), region.box.row + int(rows[-1]) + 1),
        (region.box.col + int(cols[0]), region.box.col + int(cols[-1]) + 1),
    )


def _sources(
    job: _Job, other: rasterio.DatasetReader | None, shapes: list, progress: Progress
) -> tuple[tuple[exemplars.Cut, ...], dict[str, Any] | None]:
    """What to copy from, and how they were found where a word was looked for."""
    request = job.request
    layer = job.layer
    todo = job.todo
    if not todo.editor.info.takes("exemplar"):
        return (), None
    if request.exemplar is not None:
        match = request.blend.radiometric_match and todo.editor.matches_exemplars
        return tuple(exemplars.drawn(request.exemplar, layer, other, shapes, match)), None
    if not (todo.word or todo.by_text):
        return (), None
    progress("searching", 0, 1)
    by_text = None
    if todo.by_text:
        by_text = (
            image_text.load(Path(weights.chosen("image-text"))),
            todo.options["paraphrases"].splitlines(),
        )
    patches, search = exemplars.found(todo.word, layer, shapes, by_text)
    windows = [
        {
            "box": [h.box.col, h.box.row, h.box.width, h.box.height],
            "agreement": round(h.agreement, 2),
        }
        for h in search.hits
    ]
    pixels = sum(int(patch.usable.sum()) for patch in patches)
    return tuple(patches), {
        "word": search.word,
        "rule": search.rule,
        "windows": windows,
        "pixels": pixels,
    }


def _seen(job: _Job, block: Block, stretch: bands.Stretch) -> tuple[np.ndarray, tuple[str, ...]]:
    """Image (C, H, W) of all data bands, or of those alone that the editor is for, 0 where nodata;
    the bands' roles."""
    layer = job.layer
    info = job.todo.editor.info
    if info.bands in one_band.WANTED:
        job.told({"notes": [job.alone.note] if job.alone.note else []})
        image = job.alone.seen(block)
        names = job.alone.roles
    else:
        image = stretch.seen(block.values)
        names = layer.roles.names
    if not block.valid.all():
        image[:, ~block.valid] = 0
    return image, names


def _edit_region(
    job: _Job, region: Region, cuts: tuple[exemplars.Cut, ...], on_step: Callable[..., None]
) -> tuple[np.ndarray, int]:
    """Native pixels (bands, H, W) of one region with its mask edited, and how many nodata pixels
    were left as they are."""
    request = job.request
    layer = job.layer
    todo = job.todo
    block = read_window(layer.dataset, region.box)
    makes = bool(job.canvas.made)
    if not makes:
        block = bands.without_specks(block, region.mask, layer.profile)
    mask = region.mask & block.valid
    skipped = int((region.mask & ~block.valid).sum())
    if not mask.any():
        on_step(1, 1)
        return read_window(job.canvas.layer.dataset, region.box).values, skipped
    stretch = job.from_dark if makes else bands.stretch_of(layer.profile, layer.roles, block)
    image, names = _seen(job, block, stretch)
    heights = _elevation(layer, region.box, job.elevation) if job.elevation is not None else None
    # Two masks: what the editor draws, and, feathered inside the polygon, what is taken of it.
    drawn = (
        masks.grown(mask, request.blend.beyond_px) & block.valid
        if request.blend.beyond_px
        else mask
    )
    editor = todo.editor
    others = str(todo.options.get("other_bands", KEPT))
    view = rgb.View.of(layer.roles, editor.info.title) if editor.info.bands == "rgb" else None
    shown = view.seen(image) if view else image
    scene = Scene(
        shown,
        block.valid,
        drawn,
        bands.COLOURS if view else names,
        layer.profile.gsd_m,
        (region.box.row, region.box.col),
        tuple(cut.patch(stretch) for cut in cuts),
        heights,
        layer.profile.aspect,
        1.0 if layer.profile.dtype == "uint8" else bands.NIR_WHITE,
        None if heights is None else region.numbered(),
    )
    tiles = tiling.cut(scene, editor.tiled_by(todo.options), editor.overlap_px)

    def edit_tile(index: int, part: Scene) -> np.ndarray:
        def step(
            done: int,
            total: int,
            preview: np.ndarray | None = None,
            note: str = "",
            about: Mapping[str, Any] | None = None,
        ) -> None:
            job.told(about or {})
            picture = None
            if preview is not None and len(tiles) == 1:
                picture = bands.picture(
                    preview,
                    bands.Roles(names if len(preview) == len(names) else bands.COLOURS, "shown"),
                )
            on_step(index * total + done, total * len(tiles), picture, note)

        return editor.edit(part, request.prompt, todo.options, request.seed, step)

    result = tiling.merge(scene, tiles, editor.overlap_px, edit_tile)
    if makes:
        return job.canvas.laid(region.box, result, stretch, mask), skipped
    if request.blend.radiometric_match and editor.redraws_surroundings:
        result = blend.match_ring(result, shown, drawn, block.valid)
    if view:
        result = view.back(image, result, (drawn, block.valid), others, lambda *_: on_step(1, 1))
        job.told({"notes": [note for note in (view.note(others),) if note]})
    native = bands.write_back(result, stretch, block, layer.profile)
    opacity = blend.feather(mask, request.blend.feather_px if editor.feathers(todo.options) else 0)
    mixed = blend.composite(block.values, native, opacity, mask)
    job.note_changed(block.values, mixed, mask)
    job.quality.add(image, mixed, mask, stretch)
    return bands.away_from_nodata(mixed, mask, layer.profile), skipped


def _elevation(layer: Layer, box: Box, elevation: rasterio.DatasetReader) -> np.ndarray:
    """Heights in metres on the window's own grid, NaN where the model has none."""
    if (elevation.crs is None) != (layer.profile.crs is None):
        raise CannotEdit(
            "One of layer and elevation model has no CRS; assign one, so that they can be laid "
            "over one another."
        )
    heights = np.full((box.height, box.width), np.nan, np.float32)
    reproject(
        rasterio.band(elevation, 1),
        heights,
        dst_transform=layer.profile.transform_of(box),
        dst_crs=layer.profile.crs or elevation.crs,
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
    )
    if not np.isfinite(heights).any():
        raise CannotEdit(
            "The elevation model holds no height where the polygons are. Does it cover them?"
        )
    return heights * np.float32(elevation.scales[0]) + np.float32(elevation.offsets[0])


def _in_crs(shapes: list, layer: Layer) -> shapely.Geometry:
    t = layer.profile.transform
    moved = [
        shapely.transform(s, lambda xy: np.column_stack(t @ (xy[:, 0], xy[:, 1]))) for s in shapes
    ]
    return shapely.multipolygons(moved)


def _preview(layer: Layer, result: Path, box: Box, folder: Path) -> None:
    data = bands.data_bands(layer.profile)
    seen = [layer.roles.index(r) for r in ("red", "green", "blue")]
    rgb = [data[i] + 1 for i in seen if i is not None] if None not in seen else [data[0] + 1] * 3
    provenance.write_preview(result, box, rgb, folder / PREVIEW_FILE)
