"""Results of an experiment as a table: mean and deviation over seeds, in Markdown and JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Scores = Mapping[str, Mapping[str, Sequence[float]]]
"""Row, column, the values over seeds."""


def shown(values: Sequence[float]) -> str:
    """Mean and sample deviation; a dash where nothing was measured."""
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def markdown(scores: Scores, corner: str) -> str:
    """Rows and columns as given, the mean of each row's columns at its end."""
    columns = list(dict.fromkeys(column for row in scores.values() for column in row))
    lines = [
        f"| {corner} | " + " | ".join(columns) + " | mean |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for name, row in scores.items():
        means = [statistics.mean(values) for values in row.values() if values]
        cells = [shown(row.get(column, ())) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {shown(means).split(' ')[0]} |")
    return "\n".join(lines) + "\n"


def write(folder: Path, title: str, scores: Scores, about: Mapping[str, Any], corner: str) -> Path:
    """table.md and table.json in the folder; returns the first."""
    facts = "".join(
        f"- {key}: {value}\n" for key, value in about.items() if not isinstance(value, (dict, list))
    )
    path = folder / "table.md"
    path.write_text(f"# {title}\n\n{facts}\n{markdown(scores, corner)}", "utf8")
    values = {
        row: {column: list(found) for column, found in cells.items()}
        for row, cells in scores.items()
    }
    plain = {"title": title, "about": about, "scores": values}
    (folder / "table.json").write_text(json.dumps(plain, indent=1, default=str), "utf8")
    return path
