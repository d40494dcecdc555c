"""What is told of an edit that was made: the manifest's content, and sentences for the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..contract.manifest import BandRoles, Manifest, Quality, SearchReport
from ..promise.judge import Verdict
from ..raster import provenance
from ..raster.grid import Box
from ..raster.transformations import Used
from .output import Repainted
from .plan import Plan
from .region import Place
from .source import Source

LITTLE_CHANGED = 0.6
LITTLE_BEYOND = 0.005
"""Share of the polygons' area outside the raster of which nothing is said."""


@dataclass(frozen=True)
class Findings:
    """What was found on the way: `search`: where an exemplar was looked for; `verdict`: by the
    check of the file, and what it does not say any more; `quality`: beside it; `place`: where
    was edited; `moved`: how polygons came to the raster's CRS; `guess`: what was assumed of the
    ground size."""

    search: SearchReport | None
    verdict: Verdict
    quality: Quality
    place: Place
    moved: Used = Used()
    guess: str = ""


def manifest_of(
    plan: Plan,
    source: Source,
    window: Box,
    parts: Sequence[Repainted],
    found: Findings,
) -> Manifest:
    """All that is known of the edit, but for how long it took."""
    info = plan.editor.info
    profile = source.profile
    roles = source.layer.roles
    facts = editor_facts(parts)
    left = sum(part.left for part in parts)
    said = [*plan.editor.summary(facts), *facts.get("notes", ())]
    return Manifest(
        editor=info.id,
        engine=info.engine,
        operation=plan.operation,
        gate=found.verdict.report,
        window=(window.col, window.row, window.width, window.height),
        seed=plan.request.seed,
        understood=plan.understood,
        search=found.search,
        pixels_left_nodata=left,
        notes=notes_of(plan, source, left, said, found),
        crs=profile.crs.to_string() if profile.crs else None,
        synthetic=provenance.DISCLAIMER,
        licence=str(facts.get("licence", info.licence)),
        process=plan.process,
        prompt=plan.request.prompt,
        options=plan.values,
        editor_facts=facts,
        request=plan.request,
        transform=tuple(profile.transform_of(window))[:6],
        gsd_m=profile.gsd_m,
        band_roles=BandRoles(roles.names, roles.source),
        quality=found.quality,
        versions=provenance.versions(),
        transformation=found.moved.name,
    )


def editor_facts(parts: Sequence[Repainted]) -> dict[str, Any]:
    """What the editor says of its work in all regions: the last word counts, each sentence is said
    once, and counts are summed."""
    facts: dict[str, Any] = {}
    counts: Counter[str] = Counter()
    notes: list[str] = []
    ground: list[str] = []
    for part in parts:
        facts.update(part.facts)
        ground += part.facts.get("ground", ())
        notes += part.notes
        counts.update(part.facts.get("counts", {}))
    if counts:
        facts["counts"] = dict(counts)
    if notes:
        facts["notes"] = list(dict.fromkeys(notes))
    if ground:
        facts["ground"] = list(dict.fromkeys(ground))
    return facts


def notes_of(
    plan: Plan, source: Source, left: int, said: Sequence[str], found: Findings
) -> tuple[str, ...]:
    """What the user should know of this result, in sentences; `left`: pixels that are nodata;
    `said`: by the editor and the view."""
    notes = list(said)
    checked = found.verdict.report
    roles = source.layer.roles
    if source.heights_note and plan.editor.info.takes("elevation"):
        notes.append(source.heights_note)
    changed = checked.pixels_inside_changed / max(checked.pixels_inside, 1)
    if left:
        notes.append(f"{left:,} pixels inside the polygons are nodata and were left.")
    if changed < LITTLE_CHANGED:
        why = f": {plan.editor.spares}" if plan.editor.spares else ""
        notes.append(f"Only {changed:.0%} of the polygons' pixels changed{why}.")
    if len(roles.names) > 3 and roles.assumed and any(roles.names):
        named = enumerate(roles.names, 1)
        guess = ", ".join(f"{role}={band}" for band, role in named if role)
        notes.append(
            f"The file does not name its bands; taken as {guess}. State them if that is wrong."
        )
    beyond = found.place.beyond
    if beyond > LITTLE_BEYOND:
        notes.append(
            f"{beyond:.0%} of the polygons' area lies outside the raster or the extent, and "
            "was left out."
        )
    if found.place.spared_elsewhere:
        notes.append(
            "What is to stay as it is lies beside the polygons: it spares nothing of them."
        )
    notes += _copied(found.search)
    if found.moved.note:
        notes.append(found.moved.note)
    if found.guess:
        notes.append(found.guess)
    if found.verdict.lost:
        notes.append(f"Not kept in the new file: {', '.join(found.verdict.lost)}.")
    return tuple(notes)


def _copied(search: SearchReport | None) -> list[str]:
    """From which exemplars of a library was copied, and whose they are."""
    if search is None or not search.chips:
        return []
    whose = f" Credit: {'; '.join(search.credits)}." if search.credits else ""
    return [
        f"'{search.word}' was copied from the library of exemplars, fitted to this layer: "
        f"{', '.join(search.chips)}.{whose}"
    ]
