"""`library`: exemplars that words are filled with where the layer holds none, from the command
line."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ..contract.library import KeepRequest
from ..contract.requests import Polygons, RasterRef
from ..ground.errors import BadRequest
from ..ground.settings import default_home
from ..library import own
from ..library.sample import write_sample
from ..library.shelf import LIBRARY, Library
from .reading import Files, add_roots, ask, workers_for

ACTIONS = ("list", "add", "remove", "sample")


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `library` to the command line."""
    parser = commands.add_parser(
        "library",
        help="exemplars that words are filled with where the layer holds none",
        description="list: what there is. add RASTER --polygons FILE --name NAME --words WORDS: "
        "keep what the polygons show. remove NAME: delete one of your own. sample FILE.tif: write "
        "a raster to try edits on. Your own are GeoTIFFs with a JSON each in the folder "
        "'library' of the home; they may be copied to others.",
    )
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list")
    parser.add_argument(
        "what",
        nargs="?",
        default="",
        metavar="RASTER or NAME",
        help="to add, to remove, or to write the sample to",
    )
    parser.add_argument("--polygons", type=Path, metavar="FILE", help="add: what is kept")
    parser.add_argument("--crs", default="", help="add: CRS of the polygons, where they state none")
    parser.add_argument("--name", default="", help="add: what it is called")
    parser.add_argument(
        "--words", default="", help="add: what it shows, separated by commas, the first as its kind"
    )
    parser.add_argument("--credit", default="", help="add: whose imagery it is")
    parser.add_argument("--word", default="", help="list: those alone that show it")
    add_roots(parser)
    parser.add_argument("--home", type=Path, default=default_home())
    parser.set_defaults(run=_library)


def _library(given: argparse.Namespace) -> int:
    {"list": _list, "add": _add, "remove": _remove, "sample": _sample}[given.action](given)
    return 0


def _list(given: argparse.Namespace) -> None:
    library = Library(given.home / LIBRARY)
    word = given.word.strip().lower()
    found = [chip for chip in library.chips() if not word or word in chip.words]
    if word and not found:
        raise BadRequest(
            f"--word {word}: no exemplar shows it. Known: {', '.join(library.words())}."
        )
    for chip in found:
        whose = "own" if chip.own else chip.licence
        print(f"{chip.id:50} {chip.gsd_m:5.2f} m  {', '.join(chip.words):36} {whose}")
    many = "exemplar" if len(found) == 1 else "exemplars"
    print(f"{len(found)} {many}; your own lie in {library.folder}")


def _add(given: argparse.Namespace) -> None:
    if not given.what or given.polygons is None:
        raise BadRequest("add needs a raster and --polygons FILE: what of it is kept.")
    raster = Path(given.what)
    folder = given.home / LIBRARY
    own.checked(own.Kept(given.name, tuple(given.words.split(","))))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".landbrush-", dir=folder) as drafts:
        files = Files((raster,), (given.polygons,), tuple(given.root), (Path(drafts),))
        with workers_for(given.home, files) as workers:
            about = {"file": str(given.polygons), "raster": str(raster), "crs": given.crs}
            shapes = Polygons.from_json(ask(workers, "polygons", about))
            wanted = KeepRequest(
                RasterRef(path=str(raster)),
                shapes,
                given.name,
                tuple(given.words.split(",")),
                given.credit,
            )
            about = {"wanted": wanted.to_json(), "folder": drafts, "raster": str(raster)}
            told = ask(workers, "keep", about)
        chip = own.moved(str(told["id"]), Path(drafts), folder)
    print(f"Kept as '{chip.id}' ({', '.join(chip.words)}) in {folder}.")


def _remove(given: argparse.Namespace) -> None:
    own.remove(given.home / LIBRARY, given.what)
    print(f"Removed '{given.what}'.")


def _sample(given: argparse.Namespace) -> None:
    target = Path(given.what)
    if target.suffix.lower() not in (".tif", ".tiff"):
        raise BadRequest(f"sample needs the name of a GeoTIFF to write, not '{given.what}'.")
    chip = write_sample(target)
    print(f"{target}: {chip.gsd_m:g} m a pixel; {chip.credit} ({chip.licence}).")
