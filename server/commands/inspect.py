"""`inspect`: whether a raster is synthetic, where, and what made it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import shapely

from ..raster.disclosure import disclosed
from ..raster.grid import Box
from ..raster.metadata import metadata_of
from ..raster.raster import opened
from ..raster.source_type import source_type_of

MADE = ("compositeSynthetic", "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
"""IPTC's terms for pictures that a program made, in whole or in part."""


def told_of(path: Path) -> dict[str, Any]:
    """What a raster says of edits: `synthetic`, `source_type` (IPTC), `edits` (one record each, the
    first one first), `area` (GeoJSON in the raster's CRS, None: not told), `share` of the raster.
    Raises RasterUnreadable."""
    with opened(path) as dataset:
        box = Box(0, 0, dataset.width, dataset.height)
        found = disclosed(dataset, box, path)
        mask = found.mask
        term = source_type_of(metadata_of(dataset).packet)
        flagged = dataset.tags().get("AI_GENERATED", "").upper() == "TRUE"
        pixel = abs(dataset.transform.determinant)
        area = None if mask is None else json.loads(shapely.to_geojson(mask))
        share = None
        if mask is not None and pixel:
            share = round(mask.area / pixel / (box.width * box.height), 6)
        return {
            "file": path.name,
            "synthetic": flagged or bool(found.history) or term in MADE,
            "source_type": term,
            "edits": list(found.history),
            "crs": dataset.crs.to_string() if dataset.crs else None,
            "area": area,
            "share": share,
        }


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `inspect` to the command line."""
    parser = commands.add_parser(
        "inspect", help="say whether a raster is synthetic, where, and what made it"
    )
    parser.add_argument("raster", type=Path)
    parser.add_argument("--json", action="store_true", help="all of it, the area as GeoJSON")
    parser.set_defaults(run=_inspect)


def _inspect(given: argparse.Namespace) -> int:
    """0 for a synthetic raster, 3 for one that says nothing of it."""
    told = told_of(given.raster)
    if given.json:
        print(json.dumps(told, indent=1))
    else:
        print("\n".join(_sentences(told)))
    return 0 if told["synthetic"] else 3


def _sentences(told: dict[str, Any]) -> list[str]:
    if not told["synthetic"]:
        return [f"{told['file']} says of no edit. That does not prove that there was none."]
    where = "it does not say where"
    if told["share"] is not None:
        where = f"{told['share']:.2%} of its pixels"
    lines = [f"{told['file']} is synthetic: {where} (IPTC: {told['source_type'] or 'not stated'})."]
    for number, edit in enumerate(told["edits"], 1):
        said = f"edit {number}: {edit.get('editor', '?')} ({edit.get('engine', '?')})"
        more = [
            f"{key} {edit[key]}" for key in ("model", "seed", "version", "prompt") if key in edit
        ]
        lines.append(", ".join([said, *more]))
    return lines
