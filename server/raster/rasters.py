"""The rasters of a request, as paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Rasters:
    """What an edit reads, as paths this process may read.

    `raster`: the one that is edited. `exemplar`: where the exemplar lies, None: in the same.
    `elevation`: heights, None: none. `over`: results that lie over the raster, the lowest first.
    `roots`: folders below which they lie with all they refer to, looked at whenever one is opened;
    None: anywhere. `beneath`: what the results lie over, where `raster` is all of them in one.
    `examples`: edits to go by, before and after.
    """

    raster: Path
    exemplar: Path | None = None
    elevation: Path | None = None
    over: tuple[Path, ...] = ()
    roots: tuple[Path, ...] | None = None
    beneath: Path | None = None
    examples: tuple[tuple[Path, Path], ...] = ()

    def allowed(self, roots: tuple[Path, ...], uploads: Path) -> tuple[Path, ...]:
        """Where the files may lie, with all they refer to: the roots, and what was sent, each for
        itself."""
        shown = (path for pair in self.examples for path in pair)
        named = (self.raster, self.exemplar, self.elevation, *self.over, *shown)
        return (*roots, *(path for path in named if path is not None and path.parent == uploads))

    def to_json(self) -> dict[str, Any]:
        """The paths as text, '' where there is none."""
        return {
            "raster": str(self.raster),
            "exemplar": str(self.exemplar or ""),
            "elevation": str(self.elevation or ""),
            "over": [str(path) for path in self.over],
            "examples": [[str(path) for path in pair] for pair in self.examples],
        }

    @classmethod
    def of(cls, paths: Mapping[str, Any], roots: tuple[Path, ...] | None = None) -> Rasters:
        """What `to_json` told; raises ValueError where it names no raster."""
        if not paths.get("raster"):
            raise ValueError("no raster is named")

        def path(name: str) -> Path | None:
            return Path(paths[name]) if paths.get(name) else None

        over = tuple(map(Path, paths.get("over", ())))
        examples = tuple((Path(a), Path(b)) for a, b in paths.get("examples", ()))
        return cls(
            Path(paths["raster"]),
            path("exemplar"),
            path("elevation"),
            over,
            roots,
            examples=examples,
        )
