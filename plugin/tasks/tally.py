"""What a scenario adds up to: what each row changed, and all of a kind together, as a table."""

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsSpatialIndex,
    QgsVectorLayerFeatureSource,
)

from ..errors import Cancelled

INDICES = ("ndvi", "ndwi")
COLUMNS = (
    "kind", "edits", "area_m2", "changed_m2", "buildings",
    *(f"{name}_{when}" for name in INDICES for when in ("before", "after")),
)  # fmt: skip
"""Of the table. `changed_m2`: of pixels that changed in any bit; the indices are means over the
edited pixels, each edit weighed by them."""


@dataclass(frozen=True)
class Tally:
    """What one row changed. `kind`: the operation, such as flood. `area_m2`: of its polygon.
    `changed_m2`, `pixels`: that changed, that were edited. `indices`: (before, after) by name;
    empty: the bands are not there. `buildings`: that its polygon touches; None: no layer of them
    was given. What is not known is None."""

    kind: str
    area_m2: Optional[float] = None
    changed_m2: Optional[float] = None
    pixels: int = 0
    indices: dict = field(default_factory=dict)
    buildings: Optional[int] = None

    def values(self):
        """By column, less `edits`; None where it is not known."""
        found = {
            "kind": self.kind,
            "area_m2": self.area_m2,
            "changed_m2": self.changed_m2,
            "buildings": self.buildings,
        }
        for name in INDICES:
            before, after = self.indices.get(name, (None, None))
            found[f"{name}_before"], found[f"{name}_after"] = before, after
        return found


def about(manifest):
    """What the journal keeps of an edit for its tally."""
    quality, gate = manifest.quality, manifest.gate
    return {
        "kind": manifest.operation or manifest.editor,
        "inside": gate.pixels_inside,
        "changed": gate.pixels_inside_changed,
        "indices": dict(quality.indices) if quality is not None else {},
    }


def tally_of(told, area_m2, pixel_m2, buildings=None):
    """The Tally of what a journal kept (`about`); a journal of an older version kept nothing.
    `pixel_m2`: ground of a pixel of the raster; None: not known."""
    changed = told.get("changed")
    return Tally(
        told.get("kind", ""),
        area_m2,
        changed * pixel_m2 if changed is not None and pixel_m2 else None,
        told.get("inside", 0),
        {name: tuple(pair) for name, pair in told.get("indices", {}).items()},
        buildings,
    )


def by_kind(tallies):
    """Rows of the table: all of a kind together, in the order in which the kinds come."""
    kinds: dict = {}
    for one in tallies:
        kinds.setdefault(one.kind, []).append(one)
    return [{"kind": kind, **_together(all_of)} for kind, all_of in kinds.items()]


def _together(tallies):
    """The columns of tallies of one kind; '' for what is not known of each."""
    row: dict = {"edits": len(tallies)}
    for name in ("area_m2", "changed_m2", "buildings"):
        found = [getattr(one, name) for one in tallies]
        row[name] = "" if None in found else round(sum(found), 2)
    for name in INDICES:
        told = [one for one in tallies if name in one.indices]
        weight = sum(one.pixels for one in told)
        for when, place in (("before", 0), ("after", 1)):
            total = sum(one.pixels * one.indices[name][place] for one in told)
            row[f"{name}_{when}"] = round(total / weight, 4) if weight else ""
    return row


def write_table(path, rows) -> None:
    """Write rows as CSV (UTF-8, with a heading), whole or not at all; raises OSError."""
    draft = Path(f"{path}.part")
    try:
        with draft.open("w", newline="", encoding="utf-8-sig") as out:  # so that Excel reads it
            table = csv.DictWriter(out, COLUMNS)
            table.writeheader()
            table.writerows(rows)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


class Buildings:
    """Counts the shapes of a layer that polygons touch; in any thread. `layer`: of polygons. `crs`:
    of the polygons that touch them. `transforms`: QgsCoordinateTransformContext. `feedback`: who
    may stop it."""

    def __init__(self, layer, crs, transforms, feedback) -> None:
        self.feedback = feedback
        self.back = QgsCoordinateTransform(crs, layer.crs(), transforms)
        source = QgsVectorLayerFeatureSource(layer)  # which must outlive what it gives
        self.index = QgsSpatialIndex(
            source.getFeatures(QgsFeatureRequest().setNoAttributes()),
            feedback,
            QgsSpatialIndex.Flag.FlagStoreFeatureGeometries,
        )

    def touched(self, geometry):
        """How many lie in a polygon, all or in part; None where it has no place among them."""
        there = QgsGeometry(geometry)
        try:
            there.transform(self.back)
        except QgsCsException:
            return None
        count = 0
        for one in self.index.intersects(there.boundingBox()):
            if self.feedback.isCanceled():
                raise Cancelled
            count += _overlaps(self.index.geometry(one), there)
        return count


def _overlaps(shape, other) -> bool:
    """Whether two polygons share ground, not only an edge."""
    sound = shape if shape.isGeosValid() else shape.makeValid()
    return sound.intersects(other) and sound.intersection(other).area() > 0
