"""What commands that read rasters have in common: a worker that is confined to the files they
name."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ground.errors import BadRequest, CannotEdit, Forbidden, NoSpace, ServerError
from ..jobs.workplace import Fault, Lost
from ..models.weights import ModelFolder
from ..workers.children import Children, Place

STALE = (".ovr", ".msk", ".msk.ovr")
"""Ends of what may lie beside an older file of a name, and would be read with the new one."""


@dataclass(frozen=True)
class Files:
    """What a command reads and writes. `rasters`: with each what lies in its folder. `shapes`:
    files of polygons, with what bears their names. `roots`: further folders of rasters. `writes`:
    folders it writes in."""

    rasters: tuple[Path | None, ...]
    shapes: tuple[Path | None, ...] = ()
    roots: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders below which rasters must lie, with all that they refer to."""
        given = [path.absolute().parent for path in self.rasters if path is not None]
        return tuple(dict.fromkeys([*given, *(root.resolve() for root in self.roots)]))

    @property
    def beside(self) -> tuple[Path, ...]:
        """The files of polygons, and those that belong to them: a shapefile is several."""
        found: list[Path] = []
        for path in filter(None, self.shapes):
            found.append(path.absolute())
            with contextlib.suppress(OSError):
                stem = path.stem.lower()
                found += [p for p in path.absolute().parent.iterdir() if p.stem.lower() == stem]
        return tuple(found)


def add_roots(parser: argparse.ArgumentParser) -> None:
    """Add the option that names further folders."""
    parser.add_argument(
        "--root",
        type=Path,
        action="append",
        default=[],
        help="further folder whose files may be read; a raster that refers to files beyond its own "
        "folder needs it",
    )


@contextlib.contextmanager
def workers_for(
    home: Path, files: Files, given: Mapping[str, str] | None = None
) -> Iterator[Children]:
    """Workers of one command, ended with it. `home`: of the models; `given`: those of this time.
    Raises BadRequest for a root that is no folder."""
    for root in files.roots:
        if not root.is_dir():
            raise BadRequest(f"--root {root}: there is no such folder.")
    folders = files.folders
    writes = files.writes
    if writes:  # what an edit learns is kept; a home that cannot be written keeps nothing
        with contextlib.suppress(OSError):
            writes = (*writes, ModelFolder(home / "models").make_learned())
    workers = Children(Place(home, given or {}, (*folders, *files.beside), writes, folders))
    try:
        yield workers
    except Lost as error:
        raise CannotEdit(str(error)) from error
    except Fault as error:
        raise ServerError(f"{error}. This is a fault of Landbrush; please report it.") from error
    except MemoryError:
        raise CannotEdit("There is not enough memory for this. Take a smaller area.") from None
    except Forbidden as error:
        said = str(error).partition(" Upload the raster")[0].partition(" Make a GeoTIFF")[0]
        raise Forbidden(
            f"{said} On the command line a raster may lead to files in its own folder; name the "
            "folder of the others, or the one that a link leads to, with --root FOLDER."
        ) from error
    finally:
        workers.close()


def ask(workers: Children, task: str, given: dict[str, Any]) -> Any:
    """What a task makes; all tasks of a command by one worker."""
    return workers.edit_by(task, given, lambda told: None)


def check_targets(given: argparse.Namespace, read: Sequence[Path], targets: Sequence[Path]) -> None:
    """Refuse to write over what is read, and over anything else unless that is wanted."""
    if not given.output.parent.is_dir():
        raise BadRequest(f"--output {given.output}: there is no folder {given.output.parent}.")
    if given.output.suffix.lower() not in (".tif", ".tiff"):
        raise BadRequest(
            f"--output {given.output}: the result is a GeoTIFF; give it the suffix .tif."
        )
    for target in (t for t in targets if t.exists()):
        if any(path.exists() and path.samefile(target) for path in read):
            raise BadRequest(
                f"{target} is one of the inputs; choose another --output, so that nothing is lost."
            )
        if not given.overwrite:
            raise BadRequest(
                f"{target} is already there; choose another --output, or add --overwrite."
            )


def check_there(read: Sequence[Path]) -> None:
    """Refuse what is not there before anything is loaded that would look for it."""
    for path in read:
        # GDAL's own names (NETCDF:a.nc:x, /vsizip/...) are no files, and refused with their reason.
        plain = not (path.parts[:2] and path.as_posix().startswith("/vsi")) and ":" not in path.name
        if plain and not path.exists():
            raise BadRequest(f"There is no file '{path}'.")


def print_progress(told: Mapping[str, Any]) -> None:
    """One line that is overwritten; nothing where nobody watches it."""
    if sys.stderr.isatty():
        line = f"\r{told['stage']} {told['step']}/{told['steps']} {told.get('note', '')}   "
        print(line, end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def beside_output(parent: Path) -> Iterator[str]:
    """A folder for drafts, on the disk that the result will lie on; raises NoSpace where nothing
    can be written there."""
    try:
        made = tempfile.TemporaryDirectory(prefix=".landbrush-", dir=parent)
    except OSError as error:
        raise NoSpace(
            f"--output: nothing can be written in {parent.absolute()} ({error.strerror}). Choose "
            "another folder."
        ) from error
    with made as folder:
        yield folder


def put(made: Path, output: Path, aside: Mapping[Path, Path]) -> None:
    """Move what was made, and what of `aside` (from, to) is there, to where it was asked for; what
    lay beside an older file of the name goes."""
    for stale in (*aside.values(), *(output.with_name(output.name + end) for end in STALE)):
        stale.unlink(missing_ok=True)
    for draft, target in aside.items():
        if draft.is_file():
            draft.replace(target)
    made.replace(output)
