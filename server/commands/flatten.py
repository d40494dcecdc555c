"""`flatten`: a raster and results of its edits as one cloud-optimised GeoTIFF."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..contract.bundle import KEPT_BESIDE
from ..ground.settings import default_home
from .reading import (
    Files,
    add_roots,
    beside_output,
    check_targets,
    check_there,
    print_progress,
    put,
    workers_for,
)


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `flatten` to the command line."""
    parser = commands.add_parser(
        "flatten",
        help="a raster and results of its edits as one cloud-optimised GeoTIFF",
        description="Write RASTER with the edited pixels of each RESULT on it, the lowest first. "
        "What the results say of themselves stands in the file; all other pixels are the raster's.",
    )
    parser.add_argument("raster", type=Path)
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.tif")
    parser.add_argument("--overwrite", action="store_true")
    add_roots(parser)
    parser.set_defaults(run=_flatten)


def _flatten(given: argparse.Namespace) -> int:
    read = (given.raster, *given.results)
    check_there(read)
    output = given.output
    beside = [output.with_name(output.name + end) for end in KEPT_BESIDE]
    check_targets(given, read, (output, *beside))
    with beside_output(output.parent) as folder:
        files = Files(read, roots=tuple(given.root), writes=(Path(folder),))
        draft = Path(folder).absolute() / output.name
        about = {
            "raster": str(given.raster.absolute()),
            "over": [str(path.absolute()) for path in given.results],
            "target": str(draft),
        }
        with workers_for(default_home(), files) as workers:
            told = workers.edit_by("flatten file", about, print_progress)
        put(draft, output, {draft.with_name(path.name): path for path in beside})
    several = "result" if told["results"] == 1 else "results"
    print(
        f"{output}: {told['results']} {several} on {given.raster.name}, "
        f"{told['pixels']:,} pixels are not the raster's."
    )
    return 0
