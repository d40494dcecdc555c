"""What `edit` takes on the command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..contract.editors import AUTO
from ..contract.requests import GROUND_KINDS, Blend
from ..ground.errors import BadRequest
from ..ground.settings import default_home
from ..words.operations import OFFERED
from .home import ids_shipped


def add_arguments(edit: argparse.ArgumentParser) -> None:
    """What is edited, where, and into what."""
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
    edit.add_argument(
        "--prompt",
        default="",
        help="what should be there, in English, German, French, Spanish or Chinese",
    )
    edit.add_argument(
        "--operation",
        default="",
        metavar="NAME",
        help="what is meant, where the words are not clear: " + ", ".join(OFFERED),
    )
    edit.add_argument(
        "--editor",
        default=AUTO,
        help="auto: as the prompt says; else " + ", ".join(ids_shipped()),
    )
    edit.add_argument("--exemplar", type=Path, help="file of the area to copy from")
    edit.add_argument("--exemplar-raster", type=Path, help="the raster it lies in, if another")
    edit.add_argument(
        "--protect",
        type=Path,
        help="file of areas inside the polygons that stay as they are",
    )
    edit.add_argument(
        "--ground",
        action="append",
        default=[],
        metavar="KIND=FILE",
        help="file of polygons that know the ground, for flood, snow and the like: "
        + ", ".join(f"{kind}=FILE" for kind in GROUND_KINDS),
    )
    edit.add_argument("--elevation", type=Path, help="elevation model in metres")
    edit.add_argument(
        "--example",
        type=Path,
        nargs="+",
        action="append",
        default=[],
        metavar="FILE",
        help="an edit to go by: a raster before, one after, and perhaps polygons around what is "
        "shown of them (ICEdit); several, each again",
    )
    _add_details(edit)


def _add_details(edit: argparse.ArgumentParser) -> None:
    """Bands and options."""
    edit.add_argument(
        "--pixel-size",
        type=float,
        default=0.0,
        metavar="METRES",
        help="ground size of a pixel of a picture that has no place on the ground (default: "
        "guessed from what is seen)",
    )
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


def add_output(edit: argparse.ArgumentParser) -> None:
    """How it is written, and where."""
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
        "--whole-objects",
        action="store_true",
        help="where something is removed: enlarge the polygons to all of what they mostly cover, "
        "and to its shadow",
    )
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


def option(text: str, form: str = "--option NAME") -> tuple[str, Any]:
    """Name and value of NAME=VALUE, the value as JSON where it is; raises BadRequest."""
    name, sign, value = text.partition("=")
    if not sign:
        raise BadRequest(f"'{text}': write {form}=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def examples_of(given: argparse.Namespace) -> list[list[Path]]:
    """What --example gave: raster before, raster after, and perhaps a file of polygons; raises
    BadRequest."""
    for one in given.example:
        if not 2 <= len(one) <= 3:
            raise BadRequest(
                f"--example {' '.join(map(str, one))}: a raster before, one after, and perhaps "
                "polygons."
            )
    return list(given.example)


def ground_files(given: argparse.Namespace) -> list[tuple[str, Path]]:
    """What --ground gave: kinds and files; raises BadRequest."""
    found = []
    for text in given.ground:
        kind, sign, file = text.partition("=")
        if not sign or kind not in GROUND_KINDS or not file:
            raise BadRequest(
                f"--ground {text}: write KIND=FILE, with KIND one of {', '.join(GROUND_KINDS)}."
            )
        found.append((kind, Path(file)))
    return found
