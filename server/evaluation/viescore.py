"""VIEScore (Ku et al. 2024) for edits: a vision-language model says how well an edit follows the
words, keeps the rest, looks.

Semantic consistency is the lower of the first two answers, perceptual quality the lower of
naturalness and artefacts, the overall score the root of their product; each 0 ... 10, 10 at best.
What cannot be read from an answer is missing: it is never scored 0, and never guessed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

FOLLOWED = (
    'A satellite or aerial picture before and after an edit. The instruction was: "{}". Answer '
    "with JSON alone, "
    '{{"score": [a, b], "reasoning": "..."}}: a from 0 to 10 for how fully the instruction is '
    "carried out in the second "
    "picture (10: entirely), b from 0 to 10 for how well all that it does not speak of stayed as "
    "it was (10: untouched)."
)
LOOKS = (
    "You see a satellite or aerial picture that may have been made by a program. Answer with "
    "JSON alone, "
    '{"score": [a, b], "reasoning": "..."}: a from 0 to 10 for how natural it looks in light, '
    "scale and layout (10: a "
    "photograph), b from 0 to 10 for how free it is of artefacts such as blur, seams or "
    "impossible shapes (10: none)."
)
LOWEST = 0.0
HIGHEST = 10.0


class Unreadable(ValueError):
    """An answer without two scores from 0 to 10."""


@dataclass(frozen=True)
class Score:
    """`consistency`, `quality`; None where the judge failed."""

    consistency: float | None
    quality: float | None

    @property
    def overall(self) -> float | None:
        """The root of their product; None where either is missing."""
        if self.consistency is None or self.quality is None:
            return None
        return math.sqrt(self.consistency * self.quality)


def read(answer: str) -> float:
    """The lower of the scores in an answer; raises Unreadable."""
    for text in (answer, *re.findall(r"\{.*\}", answer, re.DOTALL)):
        try:
            found = json.loads(text)
            scores = found["score"] if isinstance(found, dict) else None
        except (ValueError, KeyError, RecursionError):
            continue
        if isinstance(scores, list) and len(scores) == 2 and all(_is_score(one) for one in scores):
            return float(min(scores))
    raise Unreadable(f"no two scores from 0 to 10 in '{' '.join(answer.split())[:120]}'")


def _is_score(one: object) -> bool:
    return isinstance(one, (int, float)) and not isinstance(one, bool) and LOWEST <= one <= HIGHEST


def mean(scores: Sequence[Score]) -> tuple[float | None, int]:
    """The mean overall score of those that have one, and how many have none."""
    found = [one.overall for one in scores if one.overall is not None]
    return (sum(found) / len(found) if found else None), len(scores) - len(found)
