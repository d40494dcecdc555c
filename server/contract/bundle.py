"""Files beside a raster that say something of it, and travel with it in one zip."""

from __future__ import annotations

from pathlib import PurePosixPath

AREAS_END = ".mask.fgb"
"""Behind the name of a result: its edited areas, where they are too many for a tag."""
BEHIND = (".msk", ".aux.xml", ".prj", ".wld", AREAS_END)
"""Endings of files beside a raster, put behind its whole name ..."""
INSTEAD = (
    ".aux.xml", ".prj", ".wld", ".tfw", ".tifw", ".tiffw", ".pgw", ".pngw", ".jgw", ".jpgw",
    ".jpegw", ".j2w", ".jp2w", ".bpw", ".bmpw",
)  # fmt: skip
"""... and in the place of its own ending."""
KEPT_BESIDE = (".aux.xml", AREAS_END)
"""Behind the name of the GeoTIFF that is made of a zip: names of classes and tables, areas of
edits."""
MOST_FILES = 12


def is_beside(name: str, raster: str) -> bool:
    """Whether a file of that name says something of a raster."""
    lower, main = name.lower(), raster.lower()
    stem = PurePosixPath(main).stem
    return lower in {main + end for end in BEHIND} | {stem + end for end in INSTEAD}
