"""The plugin on Qt 6, as far as that can be shown without QGIS 4: names, and the widgets that need
no QGIS."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "plugin").rglob("*.py"))
pytest.importorskip("PyQt6.QtCore", exc_type=ImportError)


def qt_modules():
    """PyQt6's modules by name; skips where a system library of Qt's is missing."""
    found = {}
    for name in ("QtCore", "QtGui", "QtWidgets", "QtNetwork"):
        try:
            found[name] = importlib.import_module(f"PyQt6.{name}")
        except ImportError as error:
            pytest.skip(f"PyQt6 cannot be loaded: {error}")
    return found


def chain(node):
    """The names of a dotted expression, outermost last; None where it is not one."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else None


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_every_qt_name_is_there_in_qt6(path):
    """Also enum members: Qt 6 knows them by their scope only, as in Qt.ItemDataRole.UserRole."""
    qt, tree, imported = qt_modules(), ast.parse(path.read_text("utf8")), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
            module = qt[node.module.rpartition(".")[2]]
            for alias in node.names:
                assert hasattr(module, alias.name), f"{module.__name__} has no {alias.name}"
                imported[alias.asname or alias.name] = getattr(module, alias.name)
        assert not (
            isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("PyQt5", "PyQt6"))
        )
    for node in ast.walk(tree):
        names = chain(node) if isinstance(node, ast.Attribute) else None
        if not names or names[0] not in imported:
            continue
        here = imported[names[0]]
        for name in names[1:]:
            assert hasattr(here, name), f"{'.'.join(names)} (line {node.lineno}) is not in Qt 6"
            here = getattr(here, name)
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr == "exec_"], (
        "exec_ is gone in Qt 6"
    )


WORDS = """
import sys, types, importlib
from pathlib import Path
for name in ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtTest"):
    sys.modules[f"qgis.PyQt.{name}"] = importlib.import_module(f"PyQt6.{name}")
sys.modules["qgis"] = types.ModuleType("qgis")
sys.modules["qgis.PyQt"] = types.ModuleType("qgis.PyQt")
package = types.ModuleType("plugin_alone"); package.__path__ = [str(Path(sys.argv[1]).parent)]
sys.modules["plugin_alone"] = package
words = importlib.import_module("plugin_alone.panel.words")
from PyQt6.QtWidgets import QApplication
from PyQt6.QtTest import QTest
from landbrush.server.contract.editors import EditorInfo, Option
from landbrush.server.contract.words import Choice, Interpretation
app = QApplication([])
words.LISTEN_MS = 1
box = words.WordsBox()
heard = []
box.asked.connect(heard.append)
box.show()
QTest.keyClicks(box.prompt, "make it nicer")
QTest.qWait(50)
assert heard == ["make it nicer"], heard
choices = (Choice("fog", "Fog", 0.5), Choice("snow", "Snow", 0.4))
meaning = Interpretation("make it nicer", "unknown", "", "Perhaps: fog.", choices=choices)
box.show_meaning(meaning)
assert box.choices_row.count() == 2 and box.meaning.text().startswith("Perhaps")
box.choices_row.itemAt(1).widget().click()
assert box.text() == "make it nicer" and box.understood is None
assert box.chosen == "snow" and box.pending()
assert heard == ["make it nicer"] * 2
wanted = []
box.adjust_wanted.connect(wanted.append)
snow = EditorInfo("snow", "Snow", "", "", options=(Option("depth_cm", "number", 12.0, "Depth"),))
meaning = Interpretation("make it nicer", "snow", "snow", "Snow", sure=True)
box.show_meaning(meaning, {"snow": snow})
assert not box.pending() and "<b>12</b>" in box.parts.text()
assert [box.choices_row.itemAt(n).widget().isEnabled() for n in (0, 1)] == [True, False]
box.adjust.click()
assert [w.editor for w in wanted] == ["snow"]
print("works on Qt", app.applicationVersion() or "6")
"""


def test_the_prompt_box_works_on_qt6():
    """Real PyQt6, offscreen, in a process of its own; the box is the one part of the dock without
    QGIS classes."""
    qt_modules()
    done = subprocess.run(
        [sys.executable, "-c", WORDS, str(ROOT / "plugin" / "panel")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    if (
        "could not be loaded" in done.stderr
        or "Could not load the Qt platform plugin" in done.stderr
    ):
        pytest.skip(done.stderr[-300:])
    assert done.returncode == 0, done.stderr[-2000:]
