"""Ratings as preferences to train on: of two edits of one picture the one that was liked better."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ...ground.errors import BadRequest
from ...ground.files import write_text
from ...training.preferences import LIST
from ..benchmark.protocol import plain
from .answers import Rating
from .make import shown_cases

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
    lines = []
    cases = [case for case in shown_cases(results) if case.source is not None]
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases):
        rated = [system for system in case.pictures if (case.name, system) in mean]
        for first, second in itertools.combinations(sorted(rated), 2):
            gap = mean[case.name, first] - mean[case.name, second]
            if abs(gap) < margin:
                continue
            better, worse = (first, second) if gap > 0 else (second, first)
            assert case.source is not None
            files = {
                "before": case.source,
                "better": case.pictures[better],
                "worse": case.pictures[worse],
            }
            lines.append(
                {
                    **{role: _copied(path, folder, case.name) for role, path in files.items()},
                    "caption": case.request,
                    "part": "val" if number % HELD_EVERY == HELD_EVERY - 1 else "train",
                    "margin": round(abs(gap), 3),
                }
            )
    if not lines:
        raise BadRequest(
            f"No two edits of one picture differ by {margin:g} in their mean score; ask more "
            "people, or give a smaller --margin."
        )
    write_text(folder / LIST, "".join(json.dumps(line) + "\n" for line in lines))
    return len(lines)


def _copied(path: Path, folder: Path, case: str) -> str:
    name = f"pictures/{plain(case)[:40]}-{plain(path.stem)[:80]}{path.suffix}"
    if not (folder / name).is_file():
        shutil.copyfile(path, folder / name)
    return name
