"""Making the page: one file that holds all of its pictures, and beside it the key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ...evaluation import pictures
from ...ground.errors import BadRequest
from ...ground.files import write_json, write_text
from ..benchmark import runs
from ..benchmark.systems import IDENTITY, NOISE, REFERENCE
from . import GROUPS, HIGHEST, KEY, LOWEST, PAGE, QUESTIONS

TEMPLATE = Path(__file__).with_name("page.html")
HIDDEN = (IDENTITY, NOISE, REFERENCE)
"""Systems that nobody is asked about."""
LONGEST_PX = 480
LARGEST_BYTES = 40_000_000
"""Of a page, so that it can be sent by mail and opens anywhere."""


@dataclass(frozen=True)
class Shown:
    """One case. `name`, `request`: what was asked. `source`: path of the picture before; None where
    there was none. `pictures`: paths by system. `sources`: what each was made of, where systems
    were shown the case on canvases of their own."""

    name: str
    request: str
    source: Path | None
    pictures: Mapping[str, Path]
    sources: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What a questionnaire asks. `most`: cases at most, evenly taken; 0: all. `seed`: of names and
    order. `title`: of the page."""

    most: int = 0
    seed: int = 0
    title: str = "How good are these pictures?"


def make(results: Path, folder: Path, asked: Asked) -> Path:
    """The page and its key in a new folder, of the results of 'evaluate cases' or 'evaluate
    generation'; returns the page. Raises BadRequest."""
    cases = [case for case in shown_cases(results) if len(case.pictures) > 0]
    if not cases:
        raise BadRequest(
            f"{results} holds no pictures to ask about: give the folder of 'evaluate cases' or "
            "'evaluate generation'."
        )
    if asked.most and asked.most < len(cases):
        cases = [cases[number * len(cases) // asked.most] for number in range(asked.most)]
    rng = np.random.default_rng((asked.seed, 11))
    key: dict[str, dict[str, str]] = {}
    shown = []
    for number, case in enumerate(cases, 1):
        # Names that tell nothing, in an order that tells nothing; the page shuffles again for each
        # respondent.
        mine = []
        for system in rng.permutation(sorted(case.pictures)):
            token = f"{int(rng.integers(36**6)):06d}"[-6:] + f"{int(rng.integers(36**6)):x}"
            key[token] = {"case": case.name, "system": str(system)}
            mine.append({"id": token, "data": _embedded(case.pictures[str(system)])})
        source = _embedded(case.source) if case.source else ""
        shown.append(
            {"id": str(number), "request": case.request, "source": source, "pictures": mine}
        )
    data = {
        "title": asked.title,
        "cases": shown,
        "questions": list(QUESTIONS),
        "groups": list(GROUPS),
        "range": [LOWEST, HIGHEST],
    }
    text = TEMPLATE.read_text("utf8").replace("@TITLE@", escape(asked.title))
    text = text.replace("@DATA@", json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))
    if len(text) > LARGEST_BYTES:
        raise BadRequest(
            f"The page would have {len(text) / 1e6:.0f} MB of {LARGEST_BYTES / 1e6:.0f}; ask fewer "
            "cases (--most)."
        )
    numbers = {str(number): case.name for number, case in enumerate(cases, 1)}
    write_json(folder / KEY, {"title": asked.title, "cases": numbers, "pictures": key})
    write_text(folder / PAGE, text)
    return folder / PAGE


def _embedded(path: Path) -> str:
    """Of the pixels alone: a comment or tag of the file could name its system."""
    return pictures.coded(pictures.small(path, LONGEST_PX, 88))


def shown_cases(results: Path) -> Iterator[Shown]:
    """What an evaluation's folder shows, case by case; nothing where it is none."""
    if (results / runs.RESULTS).is_file():
        yield from _of_benchmark(results)
    elif (results / "report.json").is_file():
        yield from _of_generation(results)


def _of_benchmark(results: Path) -> Iterator[Shown]:
    """The first seed of each system, case by case."""
    prompts = _prompts(results)
    found: dict[str, dict[str, Any]] = {}
    for record in runs.records(results / runs.RESULTS):
        if record["failure"] or record["system"] in HIDDEN:
            continue
        one = found.setdefault(record["case"], {"pictures": {}, "sources": {}})
        one["pictures"].setdefault(record["system"], results / record["picture"])
        before = results / f"{record['beside']}-before.jpg"
        one["sources"].setdefault(record["system"], before)
    for name, one in found.items():
        # Of the product's way and the papers' canvases the one that shows most of the ground.
        source = max(one["sources"].values(), key=lambda path: path.stat().st_size)
        yield Shown(name, prompts.get(name, name), source, one["pictures"], one["sources"])


def _prompts(results: Path) -> dict[str, str]:
    """What was asked, by case; raises BadRequest."""
    try:
        found: dict[str, str] = json.loads((results / "results.json").read_text("utf8"))["prompts"]
        return found
    except (OSError, ValueError, KeyError) as error:
        raise BadRequest(
            f"{results} does not say what was asked ({error}): call 'evaluate cases' for it again, "
            "which goes on with what is there."
        ) from error


def _of_generation(results: Path) -> Iterator[Shown]:
    """The first picture of each prompt by each system."""
    report = json.loads((results / "report.json").read_text("utf8"))
    for number, prompt in enumerate(report["asked"]):
        there = {
            system: results / places[number]
            for system, places in report["shown"].items()
            if places[number] and (results / places[number]).is_file()
        }
        yield Shown(f"{number:05d}", prompt, None, there)
