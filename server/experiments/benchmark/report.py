"""The report of a benchmark: results.json, tables.md and index.html in its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from ...ground.files import write_json, write_text
from ...raster import provenance
from .measures import Measure
from .protocol import Protocol
from .summary import FRECHET

PAGE = Path(__file__).with_name("page.html")
MOST_ON_PAGE = 12_000
"""Runs whose pictures and numbers a page holds; of more, those of evenly chosen cases."""
FRECHET_TITLE = "Frechet distance on EfficientNet-Lite0"


def write(
    folder: Path,
    protocol: Protocol,
    measures: Sequence[Measure],
    found: Mapping[str, Any],
    records: Iterable[Mapping[str, Any]],
) -> Path:
    """All three; returns the page."""
    about = {
        "title": protocol.title,
        "systems": list(protocol.systems),
        "sensible": protocol.sensible,
        "seeds": list(protocol.seeds),
        "cases": len(protocol.cases),
        "prompts": {case.name: case.prompt for case in protocol.cases},
        "named": {name: asdict(system) for name, system in protocol.named.items()},
        "versions": provenance.versions(),
        "measures": {measure.name: _described(measure) for measure in measures},
    }
    write_json(folder / "results.json", {**about, **found})
    (folder / "tables.md").write_text(tables(protocol, measures, found), "utf8")
    return _page(folder, protocol, {**about, **found}, records)


def _described(measure: Measure) -> dict[str, Any]:
    return {
        "title": measure.title,
        "better": measure.better,
        "low": measure.low,
        "high": measure.high,
        "source": measure.source,
        "claims": [list(pair) for pair in measure.claims],
    }


def tables(protocol: Protocol, measures: Sequence[Measure], found: Mapping[str, Any]) -> str:
    """The means with deviation over cases and interval, and the check, in Markdown."""
    shown = [
        measure
        for measure in measures
        if any(measure.name in row["cells"] for row in found["rows"])
    ]
    lines = [
        f"# {protocol.title}",
        "",
        f"{len(protocol.cases)} cases, seeds {', '.join(map(str, protocol.seeds))}. Mean ± "
        "standard deviation over cases, [95 % of the mean by bootstrap over cases].",
        "",
    ]
    for measure in shown:
        lines += _measure_table(measure, found["rows"])
    lines += _frechet_table(found["frechet"])
    lines += _damage_table([row for row in found["rows"] if row["damage"]])
    lines += _check_table(found["checks"])
    lines += _failure_table(found["rows"])
    lines += _unjudged_table(found["rows"])
    return "\n".join([*lines, ""])


def _measure_table(measure: Measure, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each system's value by one measure."""
    arrow = "↓ is better" if measure.better == "lower" else "↑ is better"
    lines = [
        f"## {measure.title} ({arrow})",
        "",
        measure.source,
        "",
        "| system | value | cases |",
        "|---|---|---|",
    ]
    for row in rows:
        cell = row["cells"].get(measure.name)
        lines.append(f"| {row['system']} | {cell_text(cell)} | {cell['cases'] if cell else 0} |")
    return [*lines, ""]


def _frechet_table(distances: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """Each system's distance from the reference; nothing where none was measured."""
    if not distances:
        return []
    lines = [
        f"## {FRECHET_TITLE} (↓ is better)",
        "",
        "| system | distance from the reference |",
        "|---|---|",
    ]
    lines += [
        f"| {name} | {'-' if one is None else '{value:.4g} ({cases} cases)'.format(**one)} |"
        for name, one in distances.items()
    ]
    return [*lines, ""]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _damage_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The scores of the systems that have one; nothing where none has."""
    if not rows:
        return []
    lines = [
        "## F1 of damage (↑ is better), all cases together",
        "",
        "| system | F1_dam (harmonic) | weighted | weighted, mean of cases | "
        "none, minor, major, destroyed |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        score = row["damage"]
        lines.append(
            f"| {row['system']} | {score['f1_dam']:.4f} | {score['f1_weighted']:.4f} | "
            f"{_number(score['f1_weighted_of_cases'])} | "
            + ", ".join(f"{one:.3f}" for one in score["f1_classes"])
            + " |"
        )
    return [*lines, ""]


def _check_table(checks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether each measure ranks the systems as it claims to."""
    lines = [
        "## Do the measures rank what they claim to?",
        "",
        "| measure | should be better | than | cases where it is | means | in all |",
        "|---|---|---|---|---|---|",
    ]
    for check in checks:
        first, second = check["means"]
        held = f"{'' if check['held'] is None else str(check['held']) + ' of '}{check['cases']}"
        lines.append(
            f"| {check['measure']} | {check['better']} | {check['worse']} | {held} | {first:.3g} "
            f"/ {second:.3g} | {check['verdict']} |"
        )
    return lines


def _failure_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The runs that failed, by reason; nothing where none did."""
    failed = _reasons(rows, "failures")
    if not failed:
        return []
    return ["", "## Runs that failed", "", "| system | runs | why |", "|---|---|---|", *failed]


def _unjudged_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The questions that the judge failed at, by reason; nothing where there are none."""
    unjudged = _reasons(rows, "unjudged")
    if not unjudged:
        return []
    return [
        "",
        "## Questions that the judge failed at (missing values, not zeros)",
        "",
        "| system | questions | why |",
        "|---|---|---|",
        *unjudged,
    ]


def _reasons(rows: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """A line for each system and reason counted under `kind`."""
    return [
        f"| {row['system']} | {count} | {_cell(reason)} |"
        for row in rows
        for reason, count in row[kind].items()
    ]


def _cell(text: str) -> str:
    """A sentence in a table of Markdown."""
    return " ".join(text.split())[:300].replace("|", "/")


def cell_text(cell: Mapping[str, Any] | None) -> str:
    """Mean ± deviation [interval]; a dash where nothing was measured."""
    if cell is None:
        return "-"
    spread = "" if cell["sd"] is None else f" ± {cell['sd']:.3g}"
    between = "" if cell["low"] is None else f" [{cell['low']:.3g}, {cell['high']:.3g}]"
    return f"{cell['mean']:.4g}{spread}{between}"


def _page(
    folder: Path, protocol: Protocol, about: Mapping[str, Any], records: Iterable[Mapping[str, Any]]
) -> Path:
    """One page; its pictures lie beside it."""
    # A page of ten thousand cases opens nowhere; the tables are of all of them.
    every = max(1, -(-sum(row["runs"] for row in about["rows"]) // MOST_ON_PAGE))
    chosen = protocol.cases[::every]
    prompts = {
        case.name: {"prompt": case.prompt, "reference": case.reference is not None}
        for case in chosen
    }
    runs = [
        [
            record["case"],
            record["system"],
            record["seed"],
            record["picture"],
            record["seconds"],
            record["failure"],
            {
                name: None if value is None else round(value, 5)
                for name, value in record["values"].items()
            },
            record["beside"],
        ]
        for record in records
        if record["case"] in prompts
    ]
    more = {
        "prompts": prompts,
        "runs": runs,
        "shown": len(chosen),
        "frechet_name": FRECHET,
        "frechet_title": FRECHET_TITLE,
    }
    data = json.dumps({**about, **more}, default=str, separators=(",", ":"))
    # "</script" in a prompt would end the data.
    filled = {"@TITLE@": escape(protocol.title), "@DATA@": data.replace("<", "\\u003c")}
    text = re.sub("@TITLE@|@DATA@", lambda found: filled[found.group()], PAGE.read_text("utf8"))
    path = folder / "index.html"
    write_text(path, text)
    return path
