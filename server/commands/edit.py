"""`edit`: edit a file, without a server."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..contract.editors import AUTO
from ..contract.jobs import AREAS_FILE, BESIDE, MANIFEST_FILE, RESULT_FILE, SIDECAR_FILE
from ..contract.manifest import Manifest
from ..contract.requests import (
    LAYER_NAME,
    Blend,
    EditRequest,
    ExamplePair,
    Exemplar,
    KnownGround,
    Output,
    Polygons,
    RasterRef,
)
from ..contract.words import Interpretation
from ..ground.errors import BadRequest
from ..jobs.asked import answer
from ..workers.children import Children
from .edit_arguments import add_arguments, add_output, examples_of, ground_files, option
from .home import add_models, model_folder_of, models_of, shipped_editors
from .reading import (
    Files,
    add_roots,
    ask,
    beside_output,
    check_targets,
    check_there,
    print_progress,
    put,
    workers_for,
)

ASIDE = {
    SIDECAR_FILE: "names of classes; keep it beside the result",
    AREAS_FILE: "the edited areas, which are too many for the result itself; keep it beside",
}
"""What lies beside some results."""


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `edit` to the command line."""
    edit = commands.add_parser("edit", help="edit a file, without a server")
    add_arguments(edit)
    add_output(edit)
    add_roots(edit)
    add_models(edit)
    edit.set_defaults(run=_edit)


def _area_of(given: argparse.Namespace, workers: Children) -> Polygons:
    """The polygons, or all of the raster for an editor that makes bands."""
    if given.polygons is not None:
        return _polygons(given, given.polygons, given.raster, workers)
    made = {info.id: info.makes for info in shipped_editors()}
    if given.editor == AUTO or not made.get(given.editor.replace("_", "-"), True):
        raise BadRequest(
            "--polygons FILE is needed: the area to edit. Only editors that make bands do a whole "
            "layer without."
        )
    return Polygons.from_json(ask(workers, "outline", {"raster": str(given.raster)}))


def _polygons(
    given: argparse.Namespace,
    file: Path,
    raster: Path,
    workers: Children,
    crs: str | None = None,
) -> Polygons:
    """Polygons of a file; `crs`: that counts before what the file says, None: as --crs says."""
    about = {"file": str(file), "raster": str(raster), "crs": given.crs if crs is None else crs}
    return Polygons.from_json(ask(workers, "polygons", about))


def _edit(given: argparse.Namespace) -> int:
    beside = given.output.with_suffix(".manifest.json")
    aside = {
        name: given.output.with_name(given.output.name + name.removeprefix(RESULT_FILE))
        for name in BESIDE.values()
    }
    rasters, shapes = _named(given)
    read = [path for path in (*rasters, *shapes) if path is not None]
    check_targets(given, read, (given.output, beside, *aside.values()))
    models = model_folder_of(given)
    with beside_output(given.output.parent) as folder:
        check_there(read)
        files = Files(rasters, shapes, tuple(given.root), (Path(folder),))
        with workers_for(given.home, files, models.given) as workers:
            request = _request(given, workers)
            if given.editor == AUTO and given.prompt.strip():
                _tell_meaning(request, workers)
            made = workers.edit_by(
                "edit file",
                {
                    "folder": folder,
                    "process": given.editor,
                    "request": request.to_json(),
                    "raster": str(given.raster),
                    "exemplar": str(given.exemplar_raster or ""),
                    "elevation": str(given.elevation or ""),
                    "examples": [[str(path) for path in one[:2]] for one in examples_of(given)],
                },
                functools.partial(_hear, given),
            )
        manifest = Manifest.from_json(made)
        (Path(folder) / MANIFEST_FILE).replace(beside)
        made = Path(folder)
        put(made / RESULT_FILE, given.output, {made / name: to for name, to in aside.items()})
    _tell(manifest, given.output)
    for name, target in aside.items():
        if target.is_file():
            print(f"{target}: {ASIDE[name]}")
    return 0


def _named(given: argparse.Namespace) -> tuple[tuple[Path | None, ...], tuple[Path, ...]]:
    """The rasters and the files of polygons that the command names."""
    shown = examples_of(given)
    rasters = (given.raster, given.exemplar_raster, given.elevation)
    named = [given.polygons, given.exemplar, given.protect]
    named += [file for _, file in ground_files(given)]
    shapes = tuple(Path(str(path).partition(LAYER_NAME)[0]) for path in named if path is not None)
    shapes += tuple(one[2] for one in shown if len(one) > 2)
    return (*rasters, *(path for one in shown for path in one[:2])), shapes


def _request(given: argparse.Namespace, workers: Children) -> EditRequest:
    """What the command line asks for; raises BadRequest, ContractError."""
    other = RasterRef(path=str(given.exemplar_raster)) if given.exemplar_raster else None
    exemplar = None
    if given.exemplar:
        lies_in = given.exemplar_raster or given.raster
        exemplar = Exemplar(_polygons(given, given.exemplar, lies_in, workers), other)
    protect = None
    if given.protect:
        protect = _polygons(given, given.protect, given.raster, workers)
    request = EditRequest(
        raster=RasterRef(path=str(given.raster)),
        polygons=_area_of(given, workers),
        prompt=given.prompt,
        operation=given.operation,
        options=dict(option(text) for text in given.option),
        pixel_m=given.pixel_size,
        band_roles=dict(option(text, "--band ROLE") for text in given.band),
        seed=given.seed,
        exemplar=exemplar,
        elevation=RasterRef(path=str(given.elevation)) if given.elevation else None,
        examples=tuple(_example(given, one, workers) for one in examples_of(given)),
        protect=protect,
        known=tuple(
            KnownGround(_polygons(given, file, given.raster, workers, crs=""), kind)
            for kind, file in ground_files(given)
        ),
        blend=Blend(
            grow_px=given.grow, feather_px=given.feather, whole_objects=given.whole_objects
        ),
        output=Output(given.area, given.compression, given.cog, given.keep_request),
    )
    return EditRequest.from_json(request.to_json())  # the same limits as over HTTP


def _example(given: argparse.Namespace, files: Sequence[Path], workers: Children) -> ExamplePair:
    """An edit to go by, of a raster before, one after, and perhaps polygons."""
    around = _polygons(given, files[2], files[0], workers, crs="") if len(files) > 2 else None
    before, after = (RasterRef(path=str(path)) for path in files[:2])
    return ExamplePair(before, after, around)


def _tell_meaning(request: EditRequest, workers: Children) -> None:
    """What the words are understood to ask for, before it is done."""
    about = {
        "prompt": request.prompt,
        "operation": request.operation,
        "exemplar": request.exemplar is not None,
    }
    meaning = Interpretation.from_json(ask(workers, "interpret", about))
    if meaning.sure:  # what is not clear is refused, with what it may mean
        print(meaning.understood, flush=True)


def _tell(manifest: Manifest, output: Path) -> None:
    """What was done, for whoever typed the command."""
    gate = manifest.gate
    said = manifest.quality.said if manifest.quality else ()
    for note in (*said, *manifest.notes):
        print(f"\n{note}", end="")
    print(
        f"\n{output}: {manifest.editor} ({manifest.engine}), "
        f"{manifest.seconds['total']:.2f} s, {gate.pixels_inside_changed:,} pixels changed inside, "
        f"{gate.pixels_outside_different} of {gate.pixels_outside:,} outside"
    )


def _hear(given: argparse.Namespace, told: dict[str, Any]) -> None:
    """What a worker tells, or asks for."""
    if "ask" in told:
        told["reply"].update(answer(models_of(given), told))
    else:
        print_progress(told)
