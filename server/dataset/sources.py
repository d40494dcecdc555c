"""The files that a dataset is built from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..ground.errors import BadRequest
from . import layouts
from .layouts import Known

RASTERS = (".tif", ".tiff", ".jp2", ".img", ".vrt")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(frozen=True)
class Source:
    """A file that samples are cut from. `path`: where it lies. `name`: its path below the dataset's
    folder, with forward slashes. `sha256`: of its content. `known`: what its dataset's layout tells
    of it; nothing in a plain folder."""

    path: Path
    name: str
    sha256: str
    known: Known


def sources(folder: Path, layout: layouts.Layout | None = None) -> list[Path]:
    """Rasters and pictures below a folder; raises BadRequest where there are none."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder.")
    patterns = layout.files if layout else ("**/*",)
    found = sorted(
        {
            p
            for pattern in patterns
            for p in folder.glob(pattern)
            if p.suffix.lower() in (*RASTERS, *PICTURES) and p.is_file()
        }
    )
    if not found:
        if layout:
            raise BadRequest(
                f"{folder} holds no pictures where this layout has them ({', '.join(patterns)})."
            )
        raise BadRequest(
            f"{folder} holds neither rasters ({', '.join(RASTERS)}) nor pictures "
            f"({', '.join(PICTURES)})."
        )
    return found
