"""The house's budgets: modules, functions and parameters stay small."""

from __future__ import annotations

import ast
import json
import statistics
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted([*(ROOT / "server").rglob("*.py"), *(ROOT / "plugin").rglob("*.py")])
MOST_LINES = 60
"""Of a function that decides anything; one that only declares may be as long as what it lists."""
MOST_COMPLEX = 12
LONG_MODULE = 320
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.comprehension)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def complexity(node: ast.FunctionDef) -> int:
    """McCabe's number of ways through a function, conditional expressions and comprehensions
    counted; functions inside it count for themselves."""

    def branches(part: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(part):
            if isinstance(child, FUNCTIONS):
                continue
            if isinstance(child, BRANCHES):
                yield child
            yield from branches(child)

    return 1 + sum(1 for _ in branches(node))


def functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text("utf8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.filterwarnings("default:.*two subjects")
@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_budget(path):
    lines = len(path.read_text("utf8").splitlines())
    if lines > LONG_MODULE:
        warnings.warn(f"{path.relative_to(ROOT)} has {lines} lines: two subjects?", stacklevel=1)
    for node in functions(path):
        arguments = (*node.args.args, *node.args.kwonlyargs)
        names = [a.arg for a in arguments if a.arg not in ("self", "cls")]
        assert len(names) <= 5, f"{node.name} has {len(names)} parameters"
        ways = complexity(node)
        assert ways <= MOST_COMPLEX, f"{node.name} has {ways} ways through it"
        length = node.end_lineno - node.lineno + 1
        assert ways == 1 or length <= MOST_LINES, f"{node.name} has {length} lines"


def test_the_median_module_is_small():
    assert statistics.median(len(p.read_text("utf8").splitlines()) for p in MODULES) <= 150


def undocumented(path: Path) -> Iterator[str]:
    """Fields of the public dataclasses of a module that nobody says what they are: neither the
    docstring of the class, by their names in backticks, nor a text below them, nor their help."""
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        if not any("dataclass" in ast.unparse(one) for one in node.decorator_list):
            continue
        told = ast.get_docstring(node) or ""
        for field, after in zip(node.body, [*node.body[1:], None]):
            if not isinstance(field, ast.AnnAssign) or "ClassVar" in ast.unparse(field.annotation):
                continue
            name = ast.unparse(field.target)
            below = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            helped = field.value is not None and ast.unparse(field.value).startswith(
                ("option(", "declare(")
            )
            if not (below or helped or f"`{name}`" in told):
                yield f"{node.name}.{name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_field_is_documented(path):
    assert list(undocumented(path)) == []


def test_what_is_counted():
    """The measure is not blind to what is packed into one line."""
    text = "def f(a):\n    return [b if b else 1 for b in a] or (2 if a else 3)\n"
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef) and complexity(node) == 4


def test_every_option_says_what_it_does():
    """In the panel and the toolbox the help is all that a user has."""
    editors = json.loads((ROOT / "resources" / "editors.json").read_text("utf8"))
    bare = [
        f"{editor['id']}.{option['name']}"
        for editor in editors
        for option in editor.get("options", ())
        if not option.get("help")
    ]
    assert bare == []


def test_every_editor_is_kept_from_the_others():
    """The contract of imports names each module that declares an editor."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["tool"]["importlinter"]
    kept = next(
        contract["modules"]
        for contract in contracts["contracts"]
        if contract["name"] == "editors do not import one another"
    )
    declare = {
        f"landbrush.server.editors.{path.stem}"
        for path in (ROOT / "server" / "editors").glob("*.py")
        if "info = EditorInfo(" in path.read_text("utf8")
    }
    assert declare and not declare - set(kept)
