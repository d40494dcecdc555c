#!/usr/bin/env python3
"""Every text of the plugin that a person reads, as it stands in the sources; and what each
catalogue of resources/i18n lacks, or has too much. The same for what the server says
(sentences.py, resources/i18n/server).

python scripts/strings.py            lists them as JSON
python scripts/strings.py --check    fails where a catalogue is not complete
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import sentences

ROOT = Path(__file__).resolve().parents[1]
CATALOGUES = ROOT / "resources" / "i18n"
TITLED = {"polygons": 1, "whole_number": 1, "blend_number": 1}
"""Functions of the plugin that translate a title given to them: which argument it is."""
STATES = ("accepted", "running", "successful", "failed", "dismissed")


def in_source(path: Path) -> Iterator[str]:
    """Texts given to `tr`, or to a function that gives them to it."""
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", "")
        place = 0 if name == "tr" else TITLED.get(name)
        if place is None or len(node.args) <= place:
            continue
        for part in ast.walk(node.args[place]):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def named() -> Iterator[str]:
    """Texts that are given by name: constants of modules, titles of editors and their options,
    states of jobs, titles in tables."""
    for path in sorted((ROOT / "plugin").rglob("*.py")):
        for node in ast.parse(path.read_text("utf8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in (
                "SYNTHETIC",
                "PROMISE",
            ):
                yield ast.literal_eval(node.value)
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in (
                "EXPRESSIONS",
            ):
                yield from (row[1] for row in ast.literal_eval(node.value))
    for editor in json.loads((ROOT / "resources" / "editors.json").read_text("utf8")):
        yield editor["title"]
        yield from (option["title"] for option in editor.get("options", ()))
    yield from STATES


def all_texts() -> list[str]:
    """Each text once, in alphabetical order."""
    found = set(named())
    for path in sorted((ROOT / "plugin").rglob("*.py")):
        found.update(in_source(path))
    return sorted(text for text in found if re.search(r"[A-Za-z]{2}", text))


def places(text: str) -> list[str]:
    """Names of the places in braces, which a translation must have too."""
    return sorted(re.findall(r"\{(\w+)\}", text))


def faults() -> list[str]:
    """What is wrong with the catalogues."""
    texts = all_texts()
    found = _faults_in(CATALOGUES, texts)
    said = [one for one in sentences.all_sentences() if one not in texts]
    return found + _faults_in(CATALOGUES / "server", said)


def _faults_in(folder: Path, wanted: list[str]) -> list[str]:
    """What is wrong with the catalogues in a folder."""
    found = []
    for path in sorted(folder.glob("*.json")):
        catalogue = json.loads(path.read_text("utf8"))
        found += [
            f"{path.name}: not translated: {text!r}" for text in wanted if not catalogue.get(text)
        ]
        found += [f"{path.name}: not used: {text!r}" for text in catalogue if text not in wanted]
        found += [
            f"{path.name}: other places in braces: {text!r}"
            for text, there in catalogue.items()
            if places(text) != places(there)
        ]
    return found


def main() -> int:
    """Print the texts, or check the catalogues."""
    if "--check" not in sys.argv:
        both = {"plugin": all_texts(), "server": sentences.all_sentences()}
        print(json.dumps(both, indent=0, ensure_ascii=False))
        return 0
    wrong = faults()
    count = len(set(all_texts()) | set(sentences.all_sentences()))
    print("\n".join(wrong) or f"{count} texts, each in every catalogue")
    print(f"figure strings_untranslated {sum('not translated' in one for one in wrong)} texts")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
