"""The house's budgets: modules, functions and parameters stay small."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted([*(ROOT / "server").rglob("*.py"), *(ROOT / "plugin").rglob("*.py")])


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_budget(path):
    text = path.read_text("utf8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            names = [
                a.arg
                for a in (*node.args.args, *node.args.kwonlyargs)
                if a.arg not in ("self", "cls")
            ]
            assert len(names) <= 5, f"{node.name} has {len(names)} parameters"
            assert node.end_lineno - node.lineno < 60, (
                f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
            )


def test_the_median_module_is_small():
    assert statistics.median(len(p.read_text("utf8").splitlines()) for p in MODULES) <= 150
