"""`edit`: edit a file, without a server."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..contract.editors import AUTO
from ..contract.jobs import AREAS_FILE, BESIDE, MANIFEST_FILE, RESULT_FILE, SIDECAR_FILE
from ..contract.manifest import Manifest
from ..contract.requests import Blend, EditRequest, Exemplar, Output, Polygons, RasterRef
from ..editors.models import Models
from ..editors.registry import Editors
from ..ground.errors import BadRequest
from ..ground.settings import default_home
from ..raster.polygon_files import polygons_for
from ..raster.polygons import as_polygons
from ..raster.raster import opened, profile_of
from ..raster.rasters import Rasters
from ..words import interpreter
from .home import add_models, models_of

ASIDE = {
    SIDECAR_FILE: "names of classes; keep it beside the result",
    AREAS_FILE: "the edited areas, which are too many for the result itself; keep it beside",
}
"""What lies beside some results."""
STALE = (".ovr", ".msk", ".msk.ovr")
"""Behind the name of a result that is replaced: of the old one, which GDAL would still read."""


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `edit` to the command line."""
    edit = commands.add_parser("edit", help="edit a file, without a server")
    edit.add_argument("raster", type=Path, help="the raster to edit; it is only read")
    edit.add_argument(
        "--polygons",
        type=Path,
        help="file of polygons: GeoJSON, shapefile, GeoPackage (FILE|layername=NAME where it "
        "holds several), FlatGeobuf or KML; an editor that makes bands does the whole layer "
        "without",
    )
    edit.add_argument(
        "--crs",
        default="",
        help="CRS of the polygons (default: the file's; of GeoJSON EPSG:4326); pixels: columns "
        "and rows of the raster, which is the default where the raster is a picture",
    )
    edit.add_argument("--prompt", default="", help="what should be there, in English")
    edit.add_argument(
        "--operation",
        default="",
        metavar="NAME",
        help="what is meant, where the words are not clear: " + ", ".join(interpreter.OFFERED),
    )
    edit.add_argument(
        "--editor",
        default=AUTO,
        help="auto: as the prompt says; else " + ", ".join(Editors(Models(default_home())).ids),
    )
    edit.add_argument("--exemplar", type=Path, help="file of the area to copy from")
    edit.add_argument(
        "--exemplar-raster", type=Path, help="the raster the exemplar lies in, if another"
    )
    edit.add_argument(
        "--protect",
        type=Path,
        help="file of areas inside the polygons that stay as they are",
    )
    edit.add_argument("--elevation", type=Path, help="elevation model in metres")
    edit.add_argument(
        "--band",
        action="append",
        default=[],
        metavar="ROLE=N",
        help="which band is what, where the file does not say: red=1, nir=4 ...",
    )
    edit.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the editor, for instance depth_cm=40; a wrong name lists them",
    )
    edit.add_argument(
        "--seed", type=int, default=0, help="same seed, same result; another, another"
    )
    edit.add_argument(
        "--area",
        choices=("window", "layer"),
        default="window",
        help="write the edited window, or the whole layer",
    )
    edit.add_argument("--cog", action="store_true", help="write a Cloud Optimized GeoTIFF")
    edit.add_argument("--compression", choices=("deflate", "zstd", "none"), default="deflate")
    edit.add_argument(
        "--keep-request",
        action="store_true",
        help="tell the prompt and the request in the file's tags too",
    )
    edit.add_argument("--grow", type=int, default=0, metavar="PX", help="enlarge the polygons")
    edit.add_argument(
        "--feather",
        type=int,
        default=Blend().feather_px,
        metavar="PX",
        help="soft edge inside the polygons",
    )
    edit.add_argument(
        "--output", type=Path, required=True, help="a GeoTIFF; its manifest is written beside it"
    )
    edit.add_argument("--overwrite", action="store_true", help="replace an output that is there")
    edit.add_argument(
        "--home",
        type=Path,
        default=default_home(),
        help="folder in which models are named and kept",
    )
    add_models(edit)
    edit.set_defaults(run=_edit)


def _area_of(given: argparse.Namespace, editors: Editors) -> Polygons:
    """The polygons, or all of the raster for an editor that makes bands."""
    if given.polygons is not None:
        return polygons_for(given.polygons, given.raster, given.crs)
    if given.editor == AUTO or not editors.get(given.editor).info.makes:
        raise BadRequest(
            "--polygons FILE is needed: the area to edit. Only editors that make bands do a whole "
            "layer without."
        )
    with opened(given.raster) as dataset:
        profile = profile_of(dataset)
        return as_polygons(profile.box, profile)


def _option(text: str, form: str = "--option NAME") -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise BadRequest(f"'{text}': write {form}=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _edit(given: argparse.Namespace) -> int:
    from ..editing.path import Job, edit

    editors = Editors(models_of(given))
    beside = given.output.with_suffix(".manifest.json")
    aside = {
        name: given.output.with_name(given.output.name + name.removeprefix(RESULT_FILE))
        for name in BESIDE.values()
    }
    _check_targets(given, (given.output, beside, *aside.values()))
    other = RasterRef(path=str(given.exemplar_raster)) if given.exemplar_raster else None
    exemplar = None
    if given.exemplar:
        lies_in = given.exemplar_raster or given.raster
        exemplar = Exemplar(polygons_for(given.exemplar, lies_in, given.crs), other)
    protect = None
    if given.protect:
        protect = polygons_for(given.protect, given.raster, given.crs)
    request = EditRequest(
        raster=RasterRef(path=str(given.raster)),
        polygons=_area_of(given, editors),
        prompt=given.prompt,
        operation=given.operation,
        options=dict(_option(text) for text in given.option),
        band_roles=dict(_option(text, "--band ROLE") for text in given.band),
        seed=given.seed,
        exemplar=exemplar,
        elevation=RasterRef(path=str(given.elevation)) if given.elevation else None,
        protect=protect,
        blend=Blend(grow_px=given.grow, feather_px=given.feather),
        output=Output(given.area, given.compression, given.cog, given.keep_request),
    )
    request = EditRequest.from_json(request.to_json())  # the same limits as over HTTP
    if given.editor == AUTO and given.prompt.strip():
        drawn = exemplar is not None
        meaning = editors.models.interpret(given.prompt, given.operation, drawn)
        if meaning.sure:  # what is not clear is refused, with what it may mean
            print(meaning.understood)
    rasters = Rasters(given.raster, given.exemplar_raster, given.elevation)
    job = Job(request, given.editor, rasters)
    with tempfile.TemporaryDirectory(prefix=".landbrush-", dir=given.output.parent) as folder:
        manifest = edit(job, editors, Path(folder), _print_progress)
        (Path(folder) / MANIFEST_FILE).replace(beside)
        _put(Path(folder), given.output, aside)
    _tell(manifest, given.output)
    for name, target in aside.items():
        if target.is_file():
            print(f"{target}: {ASIDE[name]}")
    return 0


def _put(folder: Path, output: Path, aside: dict[str, Path]) -> None:
    """Move a result and what lies beside it to where they were asked for; what lay beside an older
    one goes."""
    for stale in (*aside.values(), *(output.with_name(output.name + end) for end in STALE)):
        stale.unlink(missing_ok=True)
    for name, target in aside.items():
        if (folder / name).is_file():
            (folder / name).replace(target)
    (folder / RESULT_FILE).replace(output)


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


def _check_targets(given: argparse.Namespace, targets: tuple[Path, ...]) -> None:
    """Refuse to write over what is read, and over anything else unless that is wanted."""
    if not given.output.parent.is_dir():
        raise BadRequest(f"--output {given.output}: there is no folder {given.output.parent}.")
    if given.output.suffix.lower() not in (".tif", ".tiff"):
        raise BadRequest(
            f"--output {given.output}: the result is a GeoTIFF; give it the suffix .tif."
        )
    read = [
        given.raster,
        given.exemplar_raster,
        given.elevation,
        given.polygons,
        given.exemplar,
        given.protect,
    ]
    for target in (t for t in targets if t.exists()):
        if any(path is not None and path.exists() and path.samefile(target) for path in read):
            raise BadRequest(
                f"{target} is one of the inputs; choose another --output, so that nothing is lost."
            )
        if not given.overwrite:
            raise BadRequest(
                f"{target} is already there; choose another --output, or add --overwrite."
            )


def _print_progress(
    stage: str, step: int, steps: int, picture: object = None, note: str = ""
) -> None:
    """One line that is overwritten; nothing where nobody watches it."""
    if sys.stderr.isatty():
        print(f"\r{stage} {step}/{steps} {note}   ", end="", file=sys.stderr, flush=True)
