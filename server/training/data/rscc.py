"""RSCC (Chen et al.) as it is published: xBD's and EBD's pictures cut into four parts, captions in
lists of JSON lines, damage as masks or as xBD's outlines.

A part's name ends in `_part1` to `_part4` (in some lists `_1` to `_4`): upper left, upper right,
lower left, lower right of the picture it was cut from. RSEdit's test split (its Tables 1 and 2) is
a list whose lines name a `mask`, too: a grey picture of 0 (no building) to 4 (destroyed).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .pairs import TEST, TRAIN, EditPair

PART = re.compile(r"_(?:part)?([1-4])$")
TEST_LIST = "test_set.txt"
TESTS = re.compile(r"test[-_ ](?:split|set)(?:$|[-_. ])", re.IGNORECASE)
"""In a list's name, or its folder's, where all of it is to test on."""


def part_of(stem: str) -> int | None:
    """Which part of a picture a name means, 0 to 3 in reading order; None: all of it."""
    found = PART.search(stem)
    return int(found.group(1)) - 1 if found and "_disaster" in stem else None


def lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """The entries of a list: JSON lines, or one JSON array."""
    text = path.read_text(encoding="utf8")
    if text.lstrip().startswith("["):
        yield from json.loads(text)
        return
    for line in text.splitlines():
        if line.strip():
            yield json.loads(line)


def pairs(folder: Path) -> Iterator[EditPair]:
    """The pairs of all lists of a folder, paths relative to it; what failed when it was made is
    left out."""
    for path in sorted(folder.glob("*.jsonl")):
        tested = bool(TESTS.search(path.stem) or TESTS.search(folder.name))
        for line in lines(path):
            if line.get("status", "success") != "success":
                continue
            after = folder / line["post_image"]
            yield EditPair(
                after,
                str(line["change_caption"]),
                folder / line["pre_image"],
                part=TEST if tested else TRAIN,
                labels=_labels(folder, after, line.get("mask")),
            )


def _labels(folder: Path, after: Path, mask: Any) -> Path | None:
    """Where the damage of a picture stands: in its mask, else in xBD's JSON of the picture that it
    was cut from; None where there is neither."""
    if mask:
        return folder / str(mask)
    whole = PART.sub("", after.stem) if part_of(after.stem) is not None else after.stem
    beside = [folder, after.parent, after.parent.parent]
    for place in beside:
        for found in (
            place / "masks" / f"{after.stem}.png",
            place / "labels" / f"{after.stem}.json",
            place / "labels" / f"{whole}.json",
        ):
            if found.is_file():
                return found
    return None


def named(wanted: set[str], found: list[EditPair], folder: Path) -> tuple[list[bool], set[str]]:
    """Which pairs a list of test pictures means, by path below the folder or by the name of the
    earlier picture, with or without its ending; and what of it is not there."""
    left = set(wanted)
    meant = []
    for pair in found:
        try:
            path = pair.control.relative_to(folder).as_posix()
        except ValueError:
            path = pair.control.as_posix()
        keys = {path, pair.control.name, pair.control.stem} & wanted
        left -= keys
        meant.append(bool(keys))
    return meant, left
