"""Rasters that are written to a file before they are edited: out of an archive, or exported."""

import os
import shutil
import tempfile
import uuid
import zipfile
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from ...server.contract.bundle import is_beside
from ..errors import Cancelled
from .layers import Export, run_export


@dataclass
class Taken(ABC):
    """A layer that is written to a file before it is edited. `path`: once that was done. `note`:
    what the user should know of it. `ending`: of the file's name."""

    note: str = field(default="", init=False)
    path: Optional[Path] = field(default=None, init=False)
    ending: str = field(default=".tif", init=False)

    def file(self, folder, feedback):
        """The file, written into `folder` the first time; any thread."""
        if self.path is None or not self.path.is_file():
            name = f"landbrush-source-{uuid.uuid4().hex[:8]}{self.ending}"
            with tempfile.TemporaryDirectory(prefix=".landbrush-", dir=str(folder)) as scratch:
                draft = Path(scratch) / name
                self.write(draft, feedback)
                for part in Path(scratch).iterdir():  # first what lies beside
                    if part.name != name:
                        os.replace(part, Path(folder) / part.name)
                os.replace(draft, Path(folder) / name)
            self.path = Path(folder) / name
        return self.path

    @abstractmethod
    def write(self, path, feedback):
        """Write the file, and what belongs beside it."""


@dataclass
class Exported(Taken):
    """A web map, painted at a resolution. `export`: which part of it, and how."""

    export: Export

    def __post_init__(self) -> None:
        size = self.export.extent.width() / self.export.width
        self.note = (
            f"The layer has no pixels of its own: edited is an export of it at {size:.6g} map "
            "units a pixel, and 'outside' is meant of that export."
        )

    def write(self, path, feedback):
        """As QGIS paints it."""
        run_export(self.export, path, feedback)


@dataclass
class Unpacked(Taken):
    """A file in a zip. `archive`: that. `member`: its name inside."""

    archive: Path
    member: str

    def __post_init__(self) -> None:
        self.ending = Path(self.member).suffix

    def write(self, path, feedback):
        """Byte by byte, with what lies beside it in the archive."""
        inner = Path(self.member)
        with zipfile.ZipFile(self.archive) as packed:
            for one in packed.namelist():
                other = Path(one)
                if one == self.member:
                    target = path
                elif other.parent == inner.parent and is_beside(other.name, inner.name):
                    # 'a.tif.aux.xml' and 'a.tfw' under the new name.
                    longer = other.name.startswith(inner.name)
                    ending = other.name[len(inner.name if longer else inner.stem) :]
                    target = path.with_name((path.name if longer else path.stem) + ending)
                else:
                    continue
                if feedback.isCanceled():
                    raise Cancelled
                with packed.open(one) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
