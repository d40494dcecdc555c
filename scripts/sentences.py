"""Every sentence of the server that a person may read in QGIS, as it stands in the sources: errors,
notes, what was understood, and what is said of editors and their options. What differs each time
is a numbered place: {0}, {1}, ...

`strings.py --check` compares them with resources/i18n/server.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SERVER = ROOT / "server"
ROOMS = (
    *("ground", "raster", "words", "search", "editing", "editors", "promise", "synthesis"),
    *("operators", "scene", "library", "jobs", "workers", "web", "store", "diffusion", "models"),
)
"""Whose sentences reach a panel; commands, training and experiments speak to a console."""
TOLD = (
    "words/interpreter.py",
    "words/amounts.py",
    "words/operations.py",
    "ground/errors.py",
    "editing/quality.py",
)
"""Modules whose texts are read although they are no sentences."""
UNTOLD = (
    "words/lexicon.py",
    "words/grammar.py",
    "words/land_cover.py",
    "words/prompts.py",
    "words/languages.py",
    "editors/scenario_prompts.py",
    "diffusion/families/",
    "models/weights.py",
    "models/vision_language.py",
    "search/heads.py",
    "search/image_text.py",
    "search/rules.py",
    "raster/references.py",
)
"""Modules whose texts are for models and programs."""
FRAGMENTS = (
    *("up", "down", "left", "right", "upper left", "upper right", "lower left", "lower right"),
    *("reach", "reaches", "break", "breaks", "stay", "stays", "shows", "hardly shows"),
    *("building", "buildings"),
    *("forest", "shrub", "grass", "farmland", "bare ground", "beach", "water", "water body"),
    *("housing", "residential", "industrial", "industry or commerce", "parking", "road", "solar"),
    *("vehicles", "trees", "snow", "fog", "damage", "tornado", "hurricane", "earthquake"),
    *("German", "French", "Spanish", "Chinese"),
    *("explosion", "tsunami", "asphalt", "bare", "cleared", "snowed in", "tracked"),
)
"""Words that fill places of sentences."""
CHOICES = (
    *("orchard", "vineyard", "golf course", "baseball field", "tennis court", "sports pitch"),
    *("dense housing", "scattered houses", "mobile homes", "housing estate", "warehouse"),
    *("commercial buildings", "storage tanks", "aircraft", "marina", "desert", "landslide"),
    *("construction site", "freeway", "overpass", "road crossing", "runway", "solar roof"),
    *("rubble", "layer, then library", "layer", "library", "what stands out"),
    *("all that is drawn", "the object alone", "gradients", "patch diffusion", "new content"),
    *("same layout", "style", "exemplars", "automatic", "closed form", "learned", "templates"),
    *("language model", "endpoint", "none", "copied content", "finest scale", "fast"),
    *("published", "autumn leaves", "leafless trees", "drought", "fresh green", "low water"),
    *("either", "the elevation model's zero", "the lowest ground", "as in the layer", "clear"),
    *("muddy", "swimming pool", "solar panels", "the exemplar", "rows", "along the middle"),
    *("scattered", "car park", "houses", "vines", "paper", "flood", "wildfire", "volcano"),
    *("growth", "season", "report: volcano", "report: tornado", "report: wildfire"),
    *("report: hurricane", "report: earthquake without damage", "report: tsunami", "minor"),
    *("major", "destroyed", "as the preset", "words and what stays", "vision-language model"),
    *("kept", "from the image", "Ultra-high precision resolution"),
    *("High precision resolution", "Medium precision resolution", "Low precision resolution"),
)
"""What an option can be set to, where that is words; a test of the server holds it to what editors
declare."""
COMPOSED = (
    "{0} in place of {1}",
    "{0} (low severity)",
    "{0} (high severity)",
    "{0} - leave {1} alone (draw it under 'Leave as it is')",
    "Remove: {0}",
    "Perhaps: {0}",
    "Read as '{0}' ({1}).",
    "Read as '{0}' ({1}; not read: {2}).",
    "{0}, with tarpaulins",
    "with tarpaulins",
    "{0}, about {1} % of the buildings destroyed, {2} % damaged",
    "Damage by {0}",
    "Damage {0}",
    "Copy from a marked area of {0}",
    "Flood {0}",
    "Snow {0}",
    "Lake with a shore",
    "Swimming pool",
    "{0}, with roads {1}",
    "{0} with mud and debris",
    "by {0}, about {1} % of the buildings destroyed, {2} % damaged",
    "about {0} % of the buildings destroyed, {1} % damaged",
)
"""What is understood of words, as the interpreter joins it."""
DECLARED = ("declare", "option", "Route", "Resource", "EditorInfo")
ENDS = re.compile(r"(?<=[.!?])\s+(?=[A-Z{'\"])")
WORD = re.compile(r"[A-Za-z]{2,}")
NO_TEXT = re.compile(r"\\b|\(\?:|\||^[\w.-]*$|^\w+:\S*$")
"""Patterns, names and addresses."""


def template(node: ast.AST) -> str | None:
    """A literal as a text, with {} for what is put in; None: it is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template(node.left), template(node.right)
        return None if left is None and right is None else (left or "{}") + (right or "{}")
    return None


def numbered(text: str) -> str:
    """With {0}, {1}, ... for {}."""
    count = itertools.count()
    return re.sub(r"\{\}", lambda _: f"{{{next(count)}}}", text)


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of a text, each by itself."""
    for one in ENDS.split(text.strip()):
        if one.strip():
            yield one.strip()


def in_module(path: Path) -> Iterator[str]:
    """The sentences of one module."""
    tree = ast.parse(path.read_text("utf8"))
    told = path.relative_to(SERVER).as_posix() in TOLD
    passed, raised = _places(tree)
    for node in ast.walk(tree):
        text = None if id(node) in passed else template(node)
        if text is None:
            continue
        passed.update(id(part) for part in ast.walk(node))
        if not NO_TEXT.search(text):
            wanted = told or id(node) in raised
            yield from (numbered(one) for one in sentences_of(text) if _is_said(one, wanted))


def _places(tree: ast.AST) -> tuple[set[int], set[int]]:
    """Nodes whose text nobody reads in QGIS, as docstrings and what is declared; and those in what
    is raised."""
    passed: set[int] = set()
    raised: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", ())
        passed.update(
            id(one.value)
            for one in (body if isinstance(body, list) else ())
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        )
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in DECLARED:
            passed.update(id(part) for part in ast.walk(node))
        if isinstance(node, ast.Raise):
            raised.update(id(part) for part in ast.walk(node))
    return passed, raised


def _is_said(text: str, wanted: bool) -> bool:
    """Whether a text is read by a person: a sentence, or one that is wanted."""
    sentence = text.endswith((".", "!", "?")) or wanted
    return sentence and len(WORD.findall(text)) > 1 and not NO_TEXT.search(text)


def of_editors() -> Iterator[str]:
    """What is said of editors and their options."""
    for editor in json.loads((ROOT / "resources" / "editors.json").read_text("utf8")):
        helps = (option.get("help", "") for option in editor.get("options", ()))
        for text in (editor.get("description", ""), editor.get("engine", ""), *helps):
            yield from (one for one in sentences_of(text) if WORD.search(one))


def all_sentences() -> list[str]:
    """Each once, in alphabetical order."""
    found = {*of_editors(), *FRAGMENTS, *CHOICES, *COMPOSED}
    for room in ROOMS:
        for path in sorted((SERVER / room).rglob("*.py")):
            if not path.relative_to(SERVER).as_posix().startswith(UNTOLD):
                found.update(in_module(path))
    return sorted(found)
