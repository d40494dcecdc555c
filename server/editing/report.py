"""What is told of an edit that was made: the manifest's content, and sentences for the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..contract.editors import AUTO
from ..contract.requests import EditRequest
from ..raster import provenance
from ..raster.bands import Layer
from ..raster.raster import Box
from .gate import GateReport
from .plan import Plan

LITTLE_CHANGED = 0.6


@dataclass(frozen=True)
class Made:
    """One edit: what was asked for and decided, of which layer, what the editor said, seconds a
    step, the window written, and how many pixels inside are nodata and were left."""

    request: EditRequest
    todo: Plan
    layer: Layer
    drawn: Mapping[str, Any]
    seconds: Mapping[str, float]
    box: Box
    left: int


def notes_of(made: Made, checked: GateReport) -> list[str]:
    """What the user should know of this result, in sentences."""
    notes = list(made.drawn.get("notes", ()))
    roles = made.layer.roles
    nodata = made.left
    changed = checked.pixels_inside_changed / max(checked.pixels_inside, 1)
    if nodata:
        notes.append(f"{nodata:,} pixels inside the polygons are nodata and were left.")
    if changed < LITTLE_CHANGED:
        why = f": {made.todo.editor.spares}" if made.todo.editor.spares else ""
        notes.append(f"Only {changed:.0%} of the polygons' pixels changed{why}.")
    if len(roles.names) > 3 and roles.source.startswith("assumed") and any(roles.names):
        guess = ", ".join(f"{role}={band + 1}" for band, role in enumerate(roles.names) if role)
        notes.append(
            f"The file does not name its bands; taken as {guess}. State them if that is wrong."
        )
    return notes


def manifest_of(made: Made, search: dict[str, Any] | None, checked: GateReport) -> dict[str, Any]:
    """All that is known of the edit, but for the numbers beside it (see quality.py)."""
    request = made.request
    todo = made.todo
    layer = made.layer
    box = made.box
    info = made.todo.editor.info
    return {
        "synthetic": provenance.DISCLAIMER,
        "editor": info.id,
        "engine": info.engine,
        "licence": made.drawn.get("licence", info.licence),
        "operation": todo.operation,
        "understood": todo.understood.to_json() if todo.understood else None,
        "prompt": request.prompt,
        "seed": request.seed,
        "options": todo.options,
        "search": search,
        "drawn": made.drawn,
        "request": request.to_json(),
        "gate": checked.to_json(),
        "pixels_left_nodata": made.left,
        "notes": notes_of(made, checked),
        "window": [box.col, box.row, box.width, box.height],
        "crs": layer.profile.crs.to_string() if layer.profile.crs else None,
        "transform": list(layer.profile.transform_of(box))[:6],
        "gsd_m": layer.profile.gsd_m,
        "band_roles": {"roles": list(layer.roles.names), "from": layer.roles.source},
        "seconds": dict(made.seconds),
        "versions": provenance.versions(),
        "process": AUTO if todo.understood else info.id,
    }
