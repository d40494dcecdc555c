"""Figures and page of a comparison of systems that draw from words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from ...evaluation import features, fid, inception_score
from ...ground.errors import BadRequest
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
    there: Mapping[str, Sequence[Path]],
    rows: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> Path:
    """report.json, tables.md and index.html; returns the page."""
    counts = {name: len(paths) for name, paths in there.items()}
    write_json(folder / "report.json", {**facts, "pictures": counts, "rows": rows})
    table = _table(rows, counts)
    warnings = sorted(
        {cell["warning"] for row in rows.values() for cell in row.values() if cell.get("warning")}
    )
    lines = [f"# {wanted.title}", "", *_markdown(table), "", *warnings, ""]
    write_text(folder / "tables.md", "\n".join(lines))
    page = folder / "index.html"
    write_text(page, _page(wanted, folder, there, (table, warnings)))
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
    there: Mapping[str, Sequence[Path]],
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
            cells.append(f"<td>{_shown(folder, there[system.name], system.name, number)}</td>")
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


def _shown(folder: Path, paths: Sequence[Path], system: str, number: int) -> str:
    """The system's first picture of a prompt, small; of a folder made elsewhere the one whose place
    is that prompt's."""
    mine = [path for path in paths if path.name.startswith(f"{number:05d}-")]
    elsewhere = not any(folder in path.parents for path in paths)
    path = mine[0] if mine else (paths[number] if elsewhere and number < len(paths) else None)
    if path is None:
        return ""
    small = folder / "shown" / f"{path.parent.name}-{path.stem}.jpg"
    small.parent.mkdir(exist_ok=True)
    try:
        with Image.open(path) as picture:
            seen = picture.convert("RGB")
    except OSError as error:
        raise BadRequest(f"{path} cannot be read as a picture: {error}") from error
    seen.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    with whole_file(small, lasting=False) as draft:
        seen.save(draft, "JPEG", quality=85)
    return f'<img src="shown/{escape(small.name)}" alt="{escape(system)}" loading="lazy">'
