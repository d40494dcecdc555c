"""What a server says, in the user's language: its sentences stand in catalogues of their own, with
numbered places for what differs each time."""

import json
import re
from functools import cache

from .translated import CATALOGUES, catalogue, language

SENTENCES = CATALOGUES / "server"
"""Files `de.json`, `fr.json`, ...: an English sentence of the server with places {0}, {1}, ... ->
the same in the language."""
ENDS = re.compile(r"((?<=[.!?])\s+(?=[A-Z{'\"]))")
"""Between sentences."""
PLACE = re.compile(r"\{(\d+)\}")
DEEPEST = 3
"""So often what fills a place may hold a sentence with places itself."""


def told(text: str) -> str:
    """A text from a server in the user's language, sentence by sentence; what the catalogue lacks
    stays English."""
    return in_language(text, language())


def in_language(text: str, code: str, depth: int = 0) -> str:
    """The same for the two letters of a language."""
    sentences = _sentences(code)
    if not sentences or not text.strip() or depth > DEEPEST:
        return text
    whole = _found(text, code, depth)
    if whole is not None:
        return whole
    parts = ENDS.split(text)
    if len(parts) == 1:
        return text
    found = [
        part if number % 2 else _found(part, code, depth) or part
        for number, part in enumerate(parts)
    ]
    return "".join(found)


def _found(text, code, depth):
    """The translation of one sentence; None where there is none."""
    plain, patterns = _sentences(code)
    if text in plain:
        return plain[text]
    for start, pattern, translation in patterns:
        match = pattern.fullmatch(text) if text.startswith(start) else None
        if match:
            return _filled(
                translation, [in_language(one, code, depth + 1) for one in match.groups()]
            )
    return None


def _filled(translation, values):
    return PLACE.sub(lambda place: values[int(place[1])], translation)


@cache
def _sentences(code):
    """({sentence: translation}, [(how it begins, pattern, translation)]) of a language, what has
    most text of its own first; empty for one without a catalogue."""
    path = SENTENCES / f"{code}.json"
    if not path.is_file():
        return ()
    known = json.loads(path.read_text(encoding="utf8"))
    plain = {**catalogue(code)}
    patterns = []
    for text, translation in known.items():
        if not PLACE.search(text):
            plain[text] = translation
            continue
        pieces = PLACE.split(text)[::2]
        pattern = re.compile("(.*?)".join(map(re.escape, pieces)), re.DOTALL)
        patterns.append((sum(map(len, pieces)), pieces[0], pattern, translation))
    patterns.sort(key=lambda one: -one[0])
    return plain, [one[1:] for one in patterns]
