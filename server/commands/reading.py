"""What commands that read rasters have in common: a worker that is confined to the files they
name."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ground.errors import BadRequest, CannotEdit, Forbidden, ServerError
from ..jobs.workplace import Fault, Lost
from ..models.weights import ModelFolder
from ..workers.children import Children, Place


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
