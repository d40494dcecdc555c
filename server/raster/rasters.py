"""The rasters of a request, as paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Rasters:
    """What an edit reads, as paths this process may read.

    `raster`: the one that is edited. `exemplar`: where the exemplar lies, None: in the same.
    `elevation`: heights, None: none. `roots`: folders below which they lie with all they refer to,
    looked at whenever one is opened; None: anywhere.
    """

    raster: Path
    exemplar: Path | None = None
    elevation: Path | None = None
    roots: tuple[Path, ...] | None = None
