"""`inspect`: whether a raster is synthetic, where, and what made it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..contract.inspection import Inspection
from ..ground.settings import default_home
from .reading import Files, add_roots, ask, workers_for


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `inspect` to the command line."""
    parser = commands.add_parser(
        "inspect", help="say whether a raster is synthetic, where, and what made it"
    )
    parser.add_argument("raster", type=Path)
    add_roots(parser)
    parser.add_argument("--json", action="store_true", help="all of it, the area as GeoJSON")
    parser.set_defaults(run=_inspect)


def _inspect(given: argparse.Namespace) -> int:
    """0 for a synthetic raster, 3 for one that says nothing of it."""
    files = Files((given.raster,), roots=tuple(given.root))
    with workers_for(default_home(), files) as workers:
        told = Inspection.from_json(ask(workers, "inspect file", {"raster": str(given.raster)}))
    if given.json:
        print(json.dumps({"file": given.raster.name, **told.to_json()}, indent=1))
    else:
        print("\n".join((f"{given.raster.name}:", *told.said)))
    return 0 if told.synthetic else 3
