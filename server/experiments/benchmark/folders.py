"""Cases of a folder of pictures, as AID and HRSC2016-MS are laid out: what a paper asks of a kind
of picture is asked of pictures of that kind.

[[case]]
name = "ship"
pictures = ["AllImages", "ship"]      # folders, one of which must lie in --data; any depth
prompt = "Big holes on deck"
object = true                         # the polygon: the first object of its annotation (VOC, HRSC)
middle = 0.4                          # else, or without annotation: so much of each side's middle
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ...ground.errors import BadRequest
from ...raster.raster import opened

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
ANNOTATIONS = ("Annotations", "annotations")
BOXES = (
    ("HRSC_Objects/HRSC_Object", ("box_xmin", "box_ymin", "box_xmax", "box_ymax")),
    ("object/bndbox", ("xmin", "ymin", "xmax", "ymax")),
)
"""Where an annotation says an object's upright box, in pixels: HRSC2016's own, and VOC's."""
LARGEST_XML = 4_000_000
"""Bytes of one annotation."""


def pictures_of(folder: Path, kinds: list[str], most: int) -> list[Path]:
    """So many pictures of a kind, evenly taken; 0: one. Raises BadRequest where no folder below
    has one of those names."""
    wanted = {kind.lower() for kind in kinds}
    places = [
        place
        for place in sorted([folder, *(p for p in folder.rglob("*") if p.is_dir())])
        if place.name.lower() in wanted
    ]
    found = sorted(
        path for place in places for path in place.iterdir() if path.suffix.lower() in SUFFIXES
    )
    if not found:
        raise BadRequest(
            f"{folder} has no pictures in a folder called {' or '.join(kinds)} (AID has a folder a "
            "class, HRSC2016-MS has AllImages)."
        )
    count = min(most or 1, len(found))
    return [found[number * len(found) // count] for number in range(count)]


def polygon_of(picture: Path, entry: Mapping[str, Any]) -> list[list[float]] | None:
    """The ring (x, y) in pixels that a case of a kind asks to change; None: all of it."""
    box = _annotated(picture) if entry.get("object") else None
    if box is None and "middle" not in entry:
        return None
    if box is None:
        share = entry["middle"]
        if type(share) not in (int, float) or not 0 < share <= 1:
            raise BadRequest(f"middle = {share!r:.40}: a number of more than 0, at most 1.")
        with opened(picture) as dataset:
            width, height = dataset.width, dataset.height
        box = (
            width * (1 - share) / 2,
            height * (1 - share) / 2,
            width * (1 + share) / 2,
            height * (1 + share) / 2,
        )
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def _annotated(picture: Path) -> tuple[float, float, float, float] | None:
    """The first object's box of a picture's annotation; None where there is none."""
    for name in ANNOTATIONS:
        path = picture.parent.parent / name / f"{picture.stem}.xml"
        if path.is_file() and path.stat().st_size <= LARGEST_XML:
            return _box_in(path)
    return None


def _box_in(path: Path) -> tuple[float, float, float, float] | None:
    text = path.read_text("utf8", errors="replace")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadRequest(f"{path}: an annotation with a document type of its own is not read.")
    try:
        root = ElementTree.fromstring(text)
        for place, names in BOXES:
            for one in root.iterfind(place):
                left, top, right, bottom = (float(one.findtext(name) or "nan") for name in names)
                if left < right and top < bottom:
                    return left, top, right, bottom
    except (ElementTree.ParseError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read as an annotation: {error}.") from error
    return None
