"""`flatten`: a raster and results of its edits as one cloud-optimised GeoTIFF."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..contract.bundle import AREAS_END
from ..ground.settings import default_home
from .reading import Files, add_roots, check_targets, check_there, print_progress, workers_for


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
    beside = given.output.with_name(given.output.name + AREAS_END)
    check_targets(given, read, (given.output, beside))
    files = Files(read, roots=tuple(given.root), writes=(given.output.absolute().parent,))
    with workers_for(default_home(), files) as workers:
        told = workers.edit_by(
            "flatten file",
            {
                "raster": str(given.raster.absolute()),
                "over": [str(path.absolute()) for path in given.results],
                "target": str(given.output.absolute()),
            },
            print_progress,
        )
    print(
        f"{given.output}: {told['results']} results on {given.raster.name}, "
        f"{told['pixels']:,} pixels are not the raster's."
    )
    return 0
