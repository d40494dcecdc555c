"""What a raster says of edits made to it: by tags and file of this product, and by IPTC's digital
source type, which others state too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import shapely
import shapely.geometry

from ..contract.bundle import AREAS_END
from ..contract.inspection import Inspection
from .disclosure import disclosed
from .grid import Box
from .metadata import metadata_of
from .raster import opened
from .source_type import source_type_of

MADE = ("compositeSynthetic", "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
"""IPTC's terms for pictures that a program made, in whole or in part."""

TOLD = ("model", "seed", "version", "credits", "prompt")
"""What is told of each edit beside its editor."""


def inspected(path: Path, roots: Sequence[Path] | None = None) -> Inspection:
    """What the raster says; raises RasterUnreadable, Forbidden."""
    with opened(path, roots) as dataset:
        box = Box(0, 0, dataset.width, dataset.height)
        found = disclosed(dataset, box, path)
        mask = found.mask
        term = source_type_of(metadata_of(dataset).packet)
        flagged = dataset.tags().get("AI_GENERATED", "").upper() == "TRUE"
        pixel = abs(dataset.transform.determinant)
        share = None
        if mask is not None and pixel:
            share = round(mask.area / pixel / (box.width * box.height), 6)
        told = Inspection(
            synthetic=flagged or bool(found.history) or term in MADE,
            source_type=term,
            edits=tuple(dict(record) for record in found.history),
            crs=dataset.crs.to_string() if dataset.crs else None,
            area=None if mask is None else json.loads(shapely.to_geojson(mask)),
            share=share,
        )
    return replace(told, said=_sentences(told, found.coarse))


def _sentences(told: Inspection, coarse: bool) -> tuple[str, ...]:
    if not told.synthetic:
        return ("It says of no edit. That does not prove that there was none.",)
    where = "it does not say where"
    if told.share is not None:
        where = f"{told.share:.2%} of its pixels"
    lines = [f"It is synthetic: {where} (IPTC: {told.source_type or 'not stated'})."]
    if told.area is not None:
        left, bottom, right, top = shapely.geometry.shape(told.area).bounds
        lines.append(
            f"The edited ground lies at x {left:.8g} to {right:.8g}, y {bottom:.8g} to {top:.8g}."
        )
    if coarse:
        lines.append(
            "The file with the exact areas, which has the raster's name with "
            f"{AREAS_END} behind it, is not there: this is a rectangle around them."
        )
    for number, edit in enumerate(told.edits, 1):
        said = f"edit {number}: {edit.get('editor', '?')} ({edit.get('engine', '?')})"
        more = [f"{key} {edit[key]}" for key in TOLD if key in edit]
        lines.append(", ".join([said, *more]))
    return tuple(lines)
