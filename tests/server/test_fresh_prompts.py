"""150 prompts by somebody who had not seen the rules; one half was looked at while words were
mended, the other never."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from landbrush.server.words import land_cover

from tests.server.test_interpreter import MODELS

FILE = Path(__file__).resolve().parents[2] / "resources" / "phrases_fresh.json"
ROWS = json.loads(FILE.read_text("utf8"))
OTHER = {kind.name for kind in land_cover.FINER if not kind.parent} | {"shrub", "beach", "marina"}


def acted(row):
    """The operations that it may be called; None where the user is asked."""
    found = MODELS.interpret(row["prompt"])
    if not found.sure or found.operation == "unknown":
        return None
    names = {found.operation}
    if found.options.get("word") in OTHER:
        names |= {"other_fill"}
    return names


@pytest.mark.parametrize(("seen", "least"), [(True, 0.92), (False, 0.8)])
def test_what_is_acted_on_is_right(seen, least):
    rows = [row for row in ROWS if row["seen"] == seen]
    told = [(row, names) for row in rows if (names := acted(row)) is not None]
    right = [bool(names & set(row["right"])) for row, names in told]
    print(f"acted on {len(told)} of {len(rows)}, right {sum(right)}")
    assert sum(right) / len(right) >= least
    assert len(told) / len(rows) > 0.6
