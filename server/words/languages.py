"""Prompts in other languages, read word by word as English through a lexicon of the scenario
vocabulary."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..ground.files import read_toml

FILE = Path(__file__).resolve().parents[2] / "resources" / "languages.toml"

LETTERS = r"[^\W\d_]"
CHINESE = re.compile(r"[\u3400-\u9fff]")
PART = re.compile(rf"{LETTERS}+(?:[-.]{LETTERS}+)*|\d+(?:[.,]\d+)?|%|\S")
_TOLD = read_toml(FILE)
ENGLISH = frozenset(_TOLD.pop("english").split())
"""Words by which a sentence is known to be English."""


@dataclass(frozen=True)
class Reading:
    """A prompt as it was read. `language`: its name in English. `english`: what it says. `unread`:
    words that the lexicon does not have. `foreign`: how many parts are no English words."""

    language: str
    english: str
    unread: tuple[str, ...] = ()
    foreign: int = 0

    def told(self) -> str:
        """For the user: what was read."""
        left = f"; not read: {', '.join(self.unread)}" if self.unread else ""
        return f"Read as '{self.english}' ({self.language}{left})."


@dataclass(frozen=True)
class _Entry:
    pattern: re.Pattern[str]
    english: str
    small: bool


@dataclass(frozen=True)
class _Language:
    title: str
    entries: tuple[_Entry, ...]
    spaced: bool

    def best(self, text: str, place: int) -> tuple[_Entry, int] | None:
        """The longest entry that fits at a place, and where it ends; of two that are as long, the
        one that says more."""
        found = None
        for entry in self.entries:
            match = entry.pattern.match(text, place)
            if match and match.end() > place and (found is None or match.end() > found[1]):
                found = (entry, match.end())
        return found


@functools.cache
def _languages() -> dict[str, _Language]:
    found = {}
    for code, language in _TOLD.items():
        spaced = code != "zh"
        end = rf"(?!{LETTERS})" if spaced else ""
        found[code] = _Language(
            language["title"],
            tuple(
                _Entry(re.compile(f"(?:{pattern}){end}"), english, small)
                for name, small in (("words", False), ("small", True))
                for pattern, english in language[name]
            ),
            spaced,
        )
    return found


OTHER = re.compile(r"[^\u3400-\u9fff\s]+|.")
"""In a text without spaces: what is no Chinese letter, or one of them."""
DIGITS = {one: value for value, one in enumerate("零一二三四五六七八九")} | {"两": 2}
NUMERAL = re.compile(
    "[零一二三四五六七八九两十百]*[十百][零一二三四五六七八九两十百]*|[一二三四五六七八九两](?=米|公尺|厘米|公分)"
)


def _number(text: str) -> str:
    """A whole number in Chinese words, up to 999, in digits."""
    total = part = 0
    for one in text:
        if one in DIGITS:
            part = DIGITS[one]
        else:
            total += max(part, 1) * (100 if one == "百" else 10)
            part = 0
    return str(total + part)


def folded(text: str) -> str:
    """Lower case, without accents, apostrophes as spaces."""
    text = text.lower().replace("ß", "ss").replace("’", " ").replace("'", " ")
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.combining(c)))


def in_english(prompt: str) -> Reading | None:
    """A prompt of another language in English; None for one that is English, or of a language that
    is not known."""
    text = folded(prompt)
    if CHINESE.search(text):
        text = NUMERAL.sub(lambda found: _number(found[0]), text)
        tried = [_read(text, _languages()["zh"])]
    else:
        tried = [_read(text, one) for one in _languages().values() if one.spaced]
    best = max(tried, key=lambda one: (one.known, one.said))
    # Words that both have count for English: a sentence is foreign by words that English lacks.
    if not best.said or best.foreign == 0 or best.english_words >= best.known:
        return None
    if len(best.unread) >= best.known:
        return None
    return Reading(best.language, " ".join(best.words), tuple(best.unread), best.foreign)


@dataclass
class _Try:
    language: str
    words: list[str]
    unread: list[str]
    known: int = 0
    said: int = 0
    foreign: int = 0
    english_words: int = 0


def _read(text: str, language: _Language) -> _Try:
    found = _Try(language.title, [], [])
    for part, entry in _parts(text, language):
        # A turn of phrase is no English, though it may hold a word that English has too.
        found.english_words += part in ENGLISH
        if entry is not None:
            found.known += 1
            found.said += not entry.small
            found.foreign += part not in ENGLISH
            if entry.english:
                found.words.append(entry.english)
        elif part[0].isdigit() or not part[0].isalpha():
            found.words.append(part)
        else:
            found.unread.append(part)
            found.words.append(part)
    return found


def _parts(text: str, language: _Language) -> Iterator[tuple[str, _Entry | None]]:
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        best = language.best(text, place)
        if best is not None:
            yield text[place : best[1]], best[0]
            place = best[1]
            continue
        match = (PART if language.spaced else OTHER).match(text, place)
        end = match.end() if match else place + 1
        yield text[place:end], None
        place = end
