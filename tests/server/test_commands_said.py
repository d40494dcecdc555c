"""Every command that the documentation shows, and that a command or an error tells to call, is one
that the program takes."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from landbrush.server.__main__ import _parser

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.compile(r"\s*(?:\$ )?(?:\.venv/bin/)?landbrush-server (.*)")
TOLD = re.compile(r": landbrush-server ([a-z][^\n]*)")


def documented() -> Iterator[tuple[str, str]]:
    """Place and command of each line of code; square brackets mark what may be left out."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*"))):
        if page.suffix != ".md":
            continue
        code = False
        for line in page.read_text("utf8").replace("\\\n", " ").splitlines():
            if line.strip().startswith("```"):
                code = not code
            elif code and (found := SHOWN.match(line)):
                yield page.name, re.sub(r"[\[\]]", "", found.group(1))


def told() -> Iterator[tuple[str, str]]:
    """Place and command of each sentence that ends in one; values are X."""
    for path in sorted((ROOT / "server").rglob("*.py")):
        tree = ast.parse(path.read_text("utf8"))
        joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
        parts = {id(part) for node in joined for part in node.values}
        texts = [
            "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
            for node in joined
        ]
        texts += [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in parts
        ]
        for text in texts:
            for found in TOLD.finditer(text):
                yield path.name, re.split(r"  |[.,;)](?= |$)", found.group(1))[0].strip()


def taken(command: str) -> bool:
    words = shlex.split(command, comments=True)
    try:
        _parser(words[0]).parse_args(words)
    except SystemExit as end:
        return not end.code
    return True


@pytest.mark.parametrize("source", [documented, told])
def test_commands_are_such_as_the_program_takes(source, capsys):
    found = list(source())
    assert len(found) >= 15
    wrong = [(place, command) for place, command in found if not taken(command)]
    assert not wrong, f"{wrong} {capsys.readouterr().err}"


def test_a_command_that_lacks_something_is_noticed(capsys):
    assert not taken("edit scene.tif out.tif --editor sinddm")
    assert not taken("evaluate case --cases a.toml")
    assert taken("models set dino FOLDER")
    capsys.readouterr()
