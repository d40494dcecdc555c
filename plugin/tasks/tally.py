"""What a scenario adds up to: what each row changed, and all of a kind together, as a table."""

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsVectorLayerFeatureSource,
)

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
    was given."""

    kind: str
    area_m2: float = 0.0
    changed_m2: float = 0.0
    pixels: int = 0
    indices: dict = field(default_factory=dict)
    buildings: object = None

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


def tally_of(told, area_m2, buildings=None):
    """The Tally of what a journal kept (`about`); a journal of an older version kept nothing."""
    inside = told.get("inside", 0)
    share = told.get("changed", 0) / inside if inside else 0.0
    return Tally(
        told.get("kind", ""),
        area_m2 or 0.0,
        share * (area_m2 or 0.0),
        inside,
        {name: tuple(pair) for name, pair in told.get("indices", {}).items()},
        buildings,
    )


def by_kind(tallies):
    """Rows of the table: all of a kind together, in the order in which the kinds come."""
    kinds: dict = {}
    for one in tallies:
        kinds.setdefault(one.kind, []).append(one)
    rows = []
    for kind, all_of in kinds.items():
        row = {"kind": kind, "edits": len(all_of)}
        for name in ("area_m2", "changed_m2"):
            row[name] = round(sum(getattr(one, name) for one in all_of), 2)
        known = [one.buildings for one in all_of if one.buildings is not None]
        row["buildings"] = sum(known) if known else ""
        for name in INDICES:
            told = [one for one in all_of if name in one.indices]
            weight = sum(one.pixels for one in told)
            for when, place in (("before", 0), ("after", 1)):
                total = sum(one.pixels * one.indices[name][place] for one in told)
                row[f"{name}_{when}"] = round(total / weight, 4) if weight else ""
        rows.append(row)
    return rows


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
    """Counts the shapes of a layer that polygons touch: taken where that is quick, and read in any
    thread. `layer`: of polygons. `crs`: of the polygons. `context`:
    QgsCoordinateTransformContext."""

    def __init__(self, layer, crs, context) -> None:
        self.source = QgsVectorLayerFeatureSource(layer)
        self.back = QgsCoordinateTransform(crs, layer.crs(), context)

    def touched(self, geometry):
        """How many lie in a polygon, all or in part; None where it has no place among them."""
        there = QgsGeometry(geometry)
        try:
            there.transform(self.back)
        except QgsCsException:
            return None
        wanted = QgsFeatureRequest().setFilterRect(there.boundingBox()).setNoAttributes()
        shapes = (feature.geometry() for feature in self.source.getFeatures(wanted))
        return sum(not shape.isEmpty() and _overlaps(shape, there) for shape in shapes)


def _overlaps(shape, other) -> bool:
    """Whether two polygons share ground, not only an edge."""
    sound = shape if shape.isGeosValid() else shape.makeValid()
    return sound.intersects(other) and sound.intersection(other).area() > 0
