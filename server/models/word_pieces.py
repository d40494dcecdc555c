"""Words as the pieces that a BERT model knows them by (WordPiece; Devlin et al., 2019,
arXiv:1810.04805, uncased)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

UNKNOWN = "[UNK]"
FIRST, LAST = "[CLS]", "[SEP]"
GOES_ON = "##"
"""Before a piece that goes on within a word."""
LONGEST_WORD = 100
"""Letters above which a word is not looked up."""


class WordPieces:
    """Numbers of the pieces of a text. `vocabulary`: all pieces, each at its number."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._numbers: Mapping[str, int] = {word: at for at, word in enumerate(vocabulary)}

    def of(self, text: str, most: int) -> list[int]:
        """The numbers for a text between those that mark its beginning and end, at most `most`."""
        found = [piece for word in _words(text) for piece in self._pieces(word)]
        return [self._numbers[FIRST], *found[: most - 2], self._numbers[LAST]]

    def _pieces(self, word: str) -> list[int]:
        """The longest known beginning, then the longest that goes on, to the end; unknown where
        there is none."""
        found = []
        start = 0
        while start < len(word):
            before = GOES_ON if start else ""
            end = next(
                (
                    at
                    for at in range(len(word), start, -1)
                    if before + word[start:at] in self._numbers
                ),
                0,
            )
            if not end or len(word) > LONGEST_WORD:
                return [self._numbers[UNKNOWN]]
            found.append(self._numbers[before + word[start:end]])
            start = end
        return found


def _words(text: str) -> Iterator[str]:
    """Words without case and accents; each sign and each Chinese character is one."""
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFD", text.lower())
        if unicodedata.category(letter) != "Mn"
    )
    word = ""
    for letter in plain:
        if letter.isspace() or unicodedata.category(letter) in ("Cc", "Cf"):
            if letter.isspace():
                yield from filter(None, [word])
                word = ""
        elif _stands_alone(letter):
            yield from filter(None, [word])
            yield letter
            word = ""
        else:
            word += letter
    yield from filter(None, [word])


def _stands_alone(letter: str) -> bool:
    """Whether a character is a word of its own."""
    code = ord(letter)
    sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    chinese = 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x2FA1F
    return sign or chinese or unicodedata.category(letter).startswith("P")
