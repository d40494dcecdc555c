"""What people answered: read strictly, and summed up with intervals."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...evaluation import tables
from ...ground.errors import BadRequest
from ...ground.files import write_json, write_text
from . import COLUMNS, GROUPS, HIGHEST, KEY, LOWEST, QUESTIONS

LARGEST_ROWS = 20_000
LONGEST_NAME = 80
RESAMPLES = 1000


@dataclass(frozen=True)
class Rating:
    """One picture by one person. `respondent`, `group`: who. `case`, `system`: of what.
    `fidelity`, `satisfaction`: 1 to 5."""

    respondent: str
    group: str
    case: str
    system: str
    fidelity: int
    satisfaction: int

    @property
    def score(self) -> float:
        """The paper's subjective score."""
        return (self.fidelity + self.satisfaction) / 2


def key_in(folder: Path) -> dict[str, Any]:
    """The key of a questionnaire; raises BadRequest where it is not there."""
    try:
        found: dict[str, Any] = json.loads((folder / KEY).read_text("utf8"))
        return found
    except (OSError, ValueError) as error:
        raise BadRequest(
            f"{folder} is no questionnaire: {KEY} cannot be read ({error})."
        ) from error


def read(text: str, key: dict[str, Any], where: str) -> list[Rating]:
    """The ratings of a CSV; raises BadRequest that names the line. A picture that one person rated
    twice counts as rated last."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        return _ratings(reader, key, where)
    except csv.Error as error:
        raise BadRequest(f"{where} is no CSV: {error}.") from error


def _ratings(reader: csv.DictReader[str], key: dict[str, Any], where: str) -> list[Rating]:
    if reader.fieldnames is None or not set(COLUMNS) <= set(reader.fieldnames):
        raise BadRequest(f"{where}: the columns {', '.join(COLUMNS)} are needed.")
    found: dict[tuple[str, str], Rating] = {}
    for number, row in enumerate(reader, 2):
        if number > LARGEST_ROWS:
            raise BadRequest(f"{where}: more than {LARGEST_ROWS:,} lines.")
        about = key["pictures"].get(row["picture"])
        if about is None:
            raise BadRequest(
                f"{where}, line {number}: the picture '{str(row['picture'])[:40]}' is not of this "
                "questionnaire."
            )
        person = str(row["respondent"])[:LONGEST_NAME]
        values = [_value(row[name], f"{where}, line {number}, {name}") for name in QUESTIONS]
        if row["group"] not in GROUPS:
            raise BadRequest(
                f"{where}, line {number}: the group '{str(row['group'])[:40]}' is none of "
                f"{', '.join(GROUPS)}."
            )
        found[person, row["picture"]] = Rating(
            person, row["group"], about["case"], about["system"], values[0], values[1]
        )
    return list(found.values())


def _value(text: str | None, where: str) -> int:
    if (
        text is None
        or not (text.strip().isascii() and text.strip().isdigit())
        or not LOWEST <= int(text) <= HIGHEST
    ):
        raise BadRequest(
            f"{where}: '{str(text)[:20]}' is no whole number from {LOWEST} to {HIGHEST}."
        )
    return int(text)


def summed(ratings: Sequence[Rating], folder: Path, title: str) -> Path:
    """results.json and results.md in the folder; returns the second."""
    if not ratings:
        raise BadRequest("Nobody has answered yet.")
    rows = {one: _row(ratings, one) for one in sorted({one.system for one in ratings})}
    cases: dict[str, dict[str, list[float]]] = {system: defaultdict(list) for system in rows}
    for one in ratings:
        cases[one.system][one.case].append(one.score)
    people = {group: {one.respondent for one in ratings if one.group == group} for group in GROUPS}
    about = {
        "title": title,
        "ratings": len(ratings),
        "respondents": {group: len(found) for group, found in people.items()},
        "rows": rows,
        "cases": cases,
    }
    write_json(folder / "results.json", about)
    lines = [
        f"# {title}",
        "",
        f"{len(ratings)} ratings by {len(people['expert'])} experts and {len(people['lay'])} "
        f"others, {LOWEST} to {HIGHEST}; score: mean of fidelity and satisfaction. In brackets the "
        "middle 95 % of the mean over resampled respondents and cases.",
        "",
        *_table(rows),
        "",
        "## Score by case",
        "",
        tables.markdown(cases, "system"),
    ]
    path = folder / "results.md"
    write_text(path, "\n".join(lines))
    return path


def _row(ratings: Sequence[Rating], system: str) -> dict[str, dict[str, Any] | None]:
    """A system's means: of both questions, of their mean, and of that by group."""
    found = {
        "fidelity": _mean(ratings, system, lambda one: one.fidelity),
        "satisfaction": _mean(ratings, system, lambda one: one.satisfaction),
        "score": _mean(ratings, system, lambda one: one.score),
    }
    for group in GROUPS:
        mine = [one for one in ratings if one.group == group]
        found[f"score, {group}"] = _mean(mine, system, lambda one: one.score)
    return found


def _table(rows: Mapping[str, Mapping[str, dict[str, Any] | None]]) -> list[str]:
    columns = list(next(iter(rows.values())))
    return [
        "| system | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *(
            f"| {system} | " + " | ".join(_cell(row[name]) for name in columns) + " |"
            for system, row in rows.items()
        ),
    ]


def _mean(ratings: Iterable[Rating], system: str, value: Any) -> dict[str, Any] | None:
    """Mean and interval of a system; None without ratings. Resampled are people and cases, since
    the ratings of one person, and those of one case, are alike."""
    mine = [one for one in ratings if one.system == system]
    if not mine:
        return None
    people = sorted({one.respondent for one in mine})
    cases = sorted({one.case for one in mine})
    grid = np.full((len(people), len(cases)), np.nan)
    for one in mine:
        grid[people.index(one.respondent), cases.index(one.case)] = value(one)
    mean = float(np.nanmean(grid))
    if grid.size < 2:
        return {"mean": mean, "low": None, "high": None, "ratings": len(mine)}
    rng = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(people), len(people))
        columns = rng.integers(0, len(cases), len(cases))
        drawn = grid[rows][:, columns]
        if np.isfinite(drawn).any():
            means.append(float(np.nanmean(drawn)))
    low, high = np.percentile(means, (2.5, 97.5))
    return {"mean": mean, "low": float(low), "high": float(high), "ratings": len(mine)}


def _cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "-"
    between = "" if cell["low"] is None else f" [{cell['low']:.2f}, {cell['high']:.2f}]"
    return f"{cell['mean']:.2f}{between}"
