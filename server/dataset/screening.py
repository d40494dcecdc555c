"""Looking a dataset over: a page on which a person keeps or rejects samples and mends their
categories (MMM-RS, section 3: manual screening), and what comes of it.

The page is one file with small pictures in it; what was decided is saved as screening.json.
Rejected samples leave the list for another; their pictures stay, so that nothing is lost.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ..editors.prompt_parts import NONE, composed
from ..evaluation import pictures
from ..ground.errors import BadRequest
from ..ground.files import write_text
from . import files

REJECTED = "rejected.jsonl"
TEMPLATE = Path(__file__).with_name("screening.html")
SHOWN_PX = 160
LARGEST_BYTES = 60_000_000
KEEP, REJECT = "keep", "reject"


def page(dataset: Path, target: Path, select: int, seed: int) -> Path:
    """Write the page of so many samples (0: all), evenly of all kinds; returns it."""
    listed = list({line["file_name"]: line for line in _listed(dataset)}.values())
    chosen = listed if not select or select >= len(listed) else _evenly(listed, select, seed)
    samples = [
        {
            "id": line["file_name"],
            "category": line.get("parts", {}).get("category", ""),
            "weather": line.get("parts", {}).get("weather", ""),
            "text": line["text"],
            "data": pictures.coded(pictures.small(dataset / line["file_name"], SHOWN_PX)),
        }
        for line in chosen
    ]
    data = json.dumps(samples, separators=(",", ":")).replace("<", "\\u003c")
    text = TEMPLATE.read_text("utf8").replace("@DATA@", data)
    if len(text) > LARGEST_BYTES:
        raise BadRequest(
            f"The page would have {len(text) / 1e6:.0f} MB; look at fewer (--select 2000)."
        )
    write_text(target, text)
    return target


def _listed(dataset: Path) -> list[dict[str, Any]]:
    found = files.lines(dataset / files.LISTED)
    if not found:
        raise BadRequest(
            f"{dataset} holds no samples ({files.LISTED}); 'dataset build' makes them."
        )
    return found


def _evenly(listed: list[dict[str, Any]], count: int, seed: int) -> list[dict[str, Any]]:
    """As many of each source, weather and modality in turn as there are, at random."""
    rng = np.random.default_rng((seed, 5))
    kinds: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for line in listed:
        parts = line.get("parts", {})
        kinds[
            tuple(str(parts.get(part, "")) for part in ("dataset", "weather", "modality"))
        ].append(line)
    heaps = [[lines[int(n)] for n in rng.permutation(len(lines))] for lines in kinds.values()]
    out: list[dict[str, Any]] = []
    while len(out) < count:
        for heap in heaps:
            if heap and len(out) < count:
                out.append(heap.pop())
    return out


def applied(dataset: Path, answers: Path) -> tuple[int, int, int]:
    """Take rejected samples out of the list, and mended categories into the prompts; how many are
    kept, rejected, mended. Raises BadRequest and changes nothing where an answer makes no sense."""
    listed = _listed(dataset)
    decided = _read(answers, {line["file_name"] for line in listed})
    kept = []
    rejected = []
    mended = 0
    for line in listed:
        # A pair falls with either of its pictures, and a category is of the ground of both.
        mine = decided.get(line["file_name"], {})
        shown = decided.get(line.get("conditioning_image", ""), {})
        if REJECT in (mine.get("decision"), shown.get("decision")):
            rejected.append(line)
            continue
        category = mine.get("category", shown.get("category"))
        parts = line.get("parts", {})
        if category is not None and category != parts.get("category", ""):
            parts = {**parts, "category": category}
            line = {**line, "parts": parts, "text": _text(line, parts)}
            mended += 1
        kept.append(line)
    if not kept:
        raise BadRequest(f"{answers} rejects all of {dataset}'s samples; nothing was changed.")
    before = files.lines(dataset / REJECTED) if (dataset / REJECTED).is_file() else []
    files.replaced(dataset / REJECTED, [*before, *rejected])
    files.replaced(dataset / files.LISTED, kept)
    _recounted(dataset, kept)
    return len(kept), len(rejected), mended


def _recounted(dataset: Path, kept: list[dict[str, Any]]) -> None:
    """The ledger's counts of samples, so that a build goes on from here."""
    counts: dict[str, int] = defaultdict(int)
    for line in kept:
        counts[line.get("source_sha256", "")] += 1
    ledger = files.lines(dataset / files.LEDGER)
    files.replaced(
        dataset / files.LEDGER,
        [{**line, "samples": counts.get(line["sha256"], 0)} for line in ledger],
    )


def _text(line: dict[str, Any], parts: dict[str, str]) -> str:
    level = parts.get("gsd_level") or NONE
    return composed(
        line.get("caption", ""), {**parts, "gsd_level": level}, line.get("gsd_m") or 1.0
    )


def _read(path: Path, known: set[str]) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(path.read_text("utf8"))["samples"]
        out = {}
        for name, one in found.items():
            if name not in known:
                raise ValueError(f"'{name[:60]}' is no sample of this dataset")
            if one.get("decision", KEEP) not in (KEEP, REJECT):
                raise ValueError(f"'{name[:60]}': decision '{str(one['decision'])[:40]}'")
            category = one.get("category")
            if category is not None and (not isinstance(category, str) or len(category) > 200):
                raise ValueError(f"'{name[:60]}': a category is a text of at most 200 letters")
            out[name] = one
        return out
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"{path} is no screening.json of this dataset: {error}.") from error
