"""Figures and page of a comparison of systems that draw from words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ...evaluation import features, fid, inception_score, pictures
from ...ground.files import whole_file, write_json, write_text
from ..distribution import NAMES
from .asked import Request

THUMBNAIL_PX = 224
MOST_ROWS = 60
"""Prompts that the page shows."""
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:24px auto;max-width:1280px;padding:0 16px;"
    "color-scheme:light dark}table{border-collapse:collapse;margin:12px 0}"
    "th,td{border-bottom:1px solid #8884;padding:5px 9px;text-align:left;vertical-align:top}"
    "img{width:100%;max-width:224px;display:block;border-radius:4px}.grid{overflow-x:auto}"
    ".grid td{min-width:150px}.prompt{max-width:26ch;font-size:.85rem}"
)


def measured(
    wanted: Request,
    there: Mapping[str, Sequence[Path]],
    beside: tuple[Path | None, Path | None],
    say: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Figures by system: Frechet distance from the real pictures and class score, by each network.
    `beside`: folder of real pictures and Inception's weights, either may be None."""
    real, weights = beside
    extractors = [features.lite0(), *([features.of_inception(weights)] if weights else [])]
    rows: dict[str, dict[str, Any]] = {system.name: {} for system in wanted.systems}
    for extractor in extractors:
        distance_name, score_name = NAMES[extractor.name]
        truth = None
        if real is not None:
            most = max(len(paths) for paths in there.values())
            truth = features.described(extractor, features.pictures_in(real, max(most, 2)))[0]
        for name, paths in there.items():
            if len(paths) < 2:
                continue
            say(f"{extractor.name}: {name}, {len(paths)} pictures ...")
            made, chances = features.described(extractor, list(paths))
            mean, spread = inception_score.score(chances)
            rows[name][score_name] = {"value": mean, "spread": spread}
            if truth is not None:
                found = fid.distance(truth, made)
                rows[name][distance_name] = {
                    "value": found.value,
                    "low": found.low,
                    "high": found.high,
                    "warning": found.warning,
                }
    return rows


def write(
    wanted: Request,
    folder: Path,
    shown: Mapping[str, Sequence[Path | None]],
    rows: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> Path:
    """report.json, tables.md and index.html; returns the page. `shown`: the first picture of each
    prompt, by system. `facts`: the settings, and `pictures`: their number by system."""
    write_json(folder / "report.json", {**facts, "rows": rows})
    table = _table(rows, facts["pictures"])
    warnings = sorted(
        {cell["warning"] for row in rows.values() for cell in row.values() if cell.get("warning")}
    )
    lines = [f"# {wanted.title}", "", *_markdown(table), "", *warnings, ""]
    write_text(folder / "tables.md", "\n".join(lines))
    page = folder / "index.html"
    write_text(page, _page(wanted, folder, shown, (table, warnings)))
    return page


def _table(rows: Mapping[str, Mapping[str, Any]], counts: Mapping[str, int]) -> list[list[str]]:
    """Header and rows; a dash where nothing was measured."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    out = [["system", "pictures", *names]]
    for system, row in rows.items():
        out.append([system, str(counts[system]), *(_cell(row.get(name)) for name in names)])
    return out


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "-"
    more = (
        f" ± {cell['spread']:.3g}"
        if "spread" in cell
        else f" [{cell['low']:.4g}, {cell['high']:.4g}]"
    )
    return f"{cell['value']:.4g}{more}"


def _markdown(table: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return [lines[0], "|---" * len(table[0]) + "|", *lines[1:]]


def _page(
    wanted: Request,
    folder: Path,
    shown: Mapping[str, Sequence[Path | None]],
    found: tuple[list[list[str]], list[str]],
) -> str:
    """Figures, then a row a prompt with each system's first picture of it."""
    table, warnings = found
    head, *body = (
        "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for tag, row in zip(["th"] + ["td"] * (len(table) - 1), table, strict=True)
    )
    rows = []
    every = max(1, -(-len(wanted.prompts) // MOST_ROWS))
    for number in range(0, len(wanted.prompts), every):
        cells = [f'<td class="prompt">{escape(wanted.prompts[number])}</td>']
        for system in wanted.systems:
            cells.append(_cell_of(folder, shown[system.name][number], system.name))
        rows.append(f"<tr>{''.join(cells)}</tr>")
    names = "".join(f"<th>{escape(system.name)}</th>" for system in wanted.systems)
    notes = "".join(f"<p>{escape(text)}</p>" for text in warnings)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(wanted.title)}'
        f"</title><style>{STYLE}</style></head><body><h1>{escape(wanted.title)}</h1>"
        f"<p>All pictures are synthetic.</p><table>{head}{''.join(body)}</table>{notes}"
        f'<div class="grid"><table><tr><th>prompt</th>{names}</tr>{"".join(rows)}</table></div>'
        "</body></html>"
    )


def firsts(folder: Path, paths: Sequence[Path], count: int) -> list[Path | None]:
    """A system's first picture of each of `count` prompts, None where there is none; of a folder
    made elsewhere, whose files do not tell, the one whose place is that prompt's."""
    numbered: dict[str, Path] = {}
    for path in paths:
        numbered.setdefault(path.name.partition("-")[0], path)
    elsewhere = not any(folder in path.parents for path in paths)
    by_place: list[Path | None] = list(paths[:count]) if elsewhere else []
    by_place += [None] * (count - len(by_place))
    return [numbered.get(f"{number:05d}", by_place[number]) for number in range(count)]


def _cell_of(folder: Path, path: Path | None, system: str) -> str:
    """A picture on the page, small."""
    if path is None:
        return "<td></td>"
    name = f"{path.parent.name}-{path.stem}.jpg"
    (folder / "shown").mkdir(exist_ok=True)
    with whole_file(folder / "shown" / name, lasting=False) as draft:
        draft.write_bytes(pictures.small(path, THUMBNAIL_PX))
    return f'<td><img src="shown/{escape(name)}" alt="{escape(system)}" loading="lazy"></td>'
