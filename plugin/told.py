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
STOPS = {"zh": "。"}
"""What ends a sentence, where it is no full stop."""
LONGEST = 4000
"""Characters of a text from which on it is nothing that a server says, but a file that it cites."""
QUOTES = ("'", '"', "`")


def told(text: str) -> str:
    """A text from a server in the user's language, sentence by sentence; what the catalogue lacks
    stays English."""
    return in_language(text, language())


def in_language(text: str, code: str, depth: int = 0) -> str:
    """The same for the two letters of a language."""
    sentences = _sentences(code)
    if not sentences or not text.strip() or depth > DEEPEST or len(text) > LONGEST:
        return text
    parts = ENDS.split(text)
    if len(parts) == 1:
        return _found(text, code, depth) or text
    if text in sentences[0] or text in catalogue(code):
        return _found(text, code, depth)
    # Sentence by sentence first: a place at the end of one would swallow all that follow.
    each = [part if number % 2 else _found(part, code, depth) for number, part in enumerate(parts)]
    if None in each:
        whole = _found(text, code, depth)
        if whole is not None:
            return whole
    return "".join(part if found is None else found for part, found in zip(parts, each))


def _found(text, code, depth):
    """The translation of one sentence; None where there is none."""
    plain, patterns = _sentences(code)
    known = plain.get(text) or catalogue(code).get(text)
    if known:
        return known
    # What is joined of words ends as a sentence does, and its words stand in the catalogue.
    ends = text.endswith(".") and not text.endswith("..")
    stop = STOPS.get(code, ".")
    for pieces, translation in patterns:
        values = _values(text, pieces)
        if values is not None:
            stopped = ends and not pieces[-1] and values[-1].endswith(".")
            if stopped:
                values[-1] = values[-1][:-1]
            # What stands in quotes is a name, even where it is spelt as a button is.
            found = [
                one if pieces[at].endswith(QUOTES) else in_language(one, code, depth + 1)
                for at, one in enumerate(values)
            ]
            return _filled(translation, found) + (stop if stopped else "")
    bare = text[:-1] if ends else ""
    known = plain.get(bare) or catalogue(code).get(bare)
    return known + stop if known else None


def _values(text, pieces):
    """What stands between pieces of a sentence in a text, each as short as can be; None where the
    text is another. Each piece is looked for once, so that it takes no longer than reading."""
    first, *between, last = pieces
    if not text.startswith(first):
        return None
    values, at = [], len(first)
    for piece in between:
        there = text.find(piece, at)
        if there < 0:
            return None
        values.append(text[at:there])
        at = there + len(piece)
    end = len(text) - len(last)
    if end < at or not text.endswith(last):
        return None
    return [*values, text[at:end]]


def _filled(translation, values):
    return PLACE.sub(lambda place: values[int(place[1])], translation)


@cache
def _sentences(code):
    """({sentence: translation}, [(pieces between its places, translation)]) of a language, what has
    most text of its own first; empty for one without a catalogue."""
    path = SENTENCES / f"{code}.json"
    if not path.is_file():
        return ()
    known = json.loads(path.read_text(encoding="utf8"))
    plain = {}
    patterns = []
    for text, translation in known.items():
        if not PLACE.search(text):
            plain[text] = translation
            continue
        pieces = PLACE.split(text)[::2]
        patterns.append((pieces, translation))
    patterns.sort(key=lambda one: -sum(map(len, one[0])))
    return plain, patterns
