"""Ratings as preferences to train on: of two edits of one picture the one that was liked better."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...ground.errors import BadRequest
from ...ground.files import write_text
from ...training.preferences import LIST
from ..benchmark.protocol import plain
from .answers import Rating
from .make import Shown, shown_cases

HELD_EVERY = 10
"""Of so many cases one is kept to validate on."""


def write(ratings: Sequence[Rating], results: Path, folder: Path, margin: float) -> int:
    """Pictures and preferences.jsonl in a new folder; returns how many preferences there are.

    `results`: the folder that the questionnaire was made of. `margin`: by how much the mean scores
    of two edits must differ. Raises BadRequest where no two do.
    """
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in ratings:
        scores[one.case, one.system].append(one.score)
    mean = {key: sum(found) / len(found) for key, found in scores.items()}
    lines: list[dict[str, Any]] = []
    cases = [case for case in shown_cases(results) if case.source is not None]
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases):
        part = "val" if number % HELD_EVERY == HELD_EVERY - 1 else "train"
        lines += [{**line, "part": part} for line in _of_case(case, mean, folder, margin)]
    if not lines:
        raise BadRequest(
            f"No two edits of one picture differ by {margin:g} in their mean score; ask more "
            "people, or give a smaller --margin."
        )
    write_text(folder / LIST, "".join(json.dumps(line) + "\n" for line in lines))
    return len(lines)


def _of_case(
    case: Shown, mean: Mapping[tuple[str, str], float], folder: Path, margin: float
) -> Iterator[dict[str, Any]]:
    """A line for each two edits of a case that differ enough."""
    assert case.source is not None
    rated = sorted(system for system in case.pictures if (case.name, system) in mean)
    for first, second in itertools.combinations(rated, 2):
        gap = mean[case.name, first] - mean[case.name, second]
        # Of one canvas alone: else before and after would show different ground.
        if abs(gap) < margin or case.sources.get(first) != case.sources.get(second):
            continue
        better, worse = (first, second) if gap > 0 else (second, first)
        files = {
            "before": case.sources.get(first, case.source),
            "better": case.pictures[better],
            "worse": case.pictures[worse],
        }
        yield {
            **{role: _copied(path, folder, case.name) for role, path in files.items()},
            "caption": case.request,
            "margin": round(abs(gap), 3),
        }


def _copied(path: Path, folder: Path, case: str) -> str:
    name = f"pictures/{plain(case)[:40]}-{plain(path.stem)[:80]}{path.suffix}"
    if not (folder / name).is_file():
        shutil.copyfile(path, folder / name)
    return name
