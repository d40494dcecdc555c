"""A vision-language model says how well an edit follows the words, keeps the rest, and looks: as
VIEScore (Ku et al. 2024) scores edits.

Semantic consistency is the lower of the first two answers, perceptual quality the lower of
naturalness and artefacts, the overall score the root of their product; each 0 ... 10, 10 at best.
What cannot be read from an answer is missing: it is never scored 0, and never guessed.

A score by a language model depends on how it is asked. VIEScore's own sentences are not part of
this program, so what is measured here is never called VIEScore: `VIE_LIKE` asks in VIEScore's
structure (a role and a form of answer first, then the task with its two scales and their ends, the
instruction last) and at its temperature, in words of our own; `LANDBRUSH` asks shortly, of
satellite pictures, at temperature 0. Figures of either stand beside published ones only as an
order of systems.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Questions:
    """How a judge is asked. `id`: in commands. `title`: in tables. `followed`: of a pair before and
    after, with `{}` for the instruction. `looks`: of the picture after alone. `temperature`: of the
    model that answers."""

    id: str
    title: str
    followed: str
    looks: str
    temperature: float


_ROLE = (
    "Act as a trained assessor of pictures made by generative models; everything shown here was "
    "made by one, and nobody real is in it. Judge by the rules below and reply with a single JSON "
    'object and nothing around it: {{"score": [...], "reasoning": "..."}}, the reasoning brief.\n\n'
)
VIE_LIKE = Questions(
    "vie-like",
    "VIE-like score (VIEScore's structure in other words)",
    _ROLE
    + "RULES: You get two pictures: a source, then the same source after a program edited it. Say "
    "how well the program carried out its editing instruction; it may have failed and returned the "
    "source unchanged.\n"
    "Use two scales from 0 to 10.\n"
    "First, success of the edit: 0 where nothing of the second picture answers the instruction, 10 "
    "where it is carried out to the full.\n"
    "Second, restraint: 0 where the second picture has become another scene altogether, 10 where "
    "it differs from the source by no more than the edit takes.\n"
    "Reply with score = [success, restraint].\n\n"
    "Editing instruction: {}",
    _ROLE.replace("{{", "{").replace("}}", "}")
    + "RULES: You get one picture made by a program. Say how good it is as a picture.\n"
    "Use two scales from 0 to 10.\n"
    "First, naturalness: 0 where distance, light or shadows make no sense, 10 where it could be "
    "taken for real.\n"
    "Second, absence of artefacts: 0 where distortions, marks, scratches, blur or parts that do "
    "not belong together fill much of it, 10 where there are none.\n"
    "Reply with score = [naturalness, artefacts].",
    1.0,
)
LANDBRUSH = Questions(
    "viescore-landbrush",
    "VIE-like score in Landbrush's wording",
    'A satellite or aerial picture before and after an edit. The instruction was: "{}". Answer '
    "with JSON alone, "
    '{{"score": [a, b], "reasoning": "..."}}: a from 0 to 10 for how fully the instruction is '
    "carried out in the second "
    "picture (10: entirely), b from 0 to 10 for how well all that it does not speak of stayed as "
    "it was (10: untouched).",
    "You see a satellite or aerial picture that may have been made by a program. Answer with "
    "JSON alone, "
    '{"score": [a, b], "reasoning": "..."}: a from 0 to 10 for how natural it looks in light, '
    "scale and layout (10: a "
    "photograph), b from 0 to 10 for how free it is of artefacts such as blur, seams or "
    "impossible shapes (10: none).",
    0.0,
)
LOW_TEMPERATURE = {"qwen": 0.01}
"""What RSEdit's benchmark takes in place of 1 for judges with that in their names."""
QUESTIONS = {one.id: one for one in (VIE_LIKE, LANDBRUSH)}
LOWEST = 0.0
HIGHEST = 10.0


def temperature_of(questions: Questions, model: str) -> float:
    """At which a model answers."""
    lower = [low for part, low in LOW_TEMPERATURE.items() if part in model.lower()]
    return min([questions.temperature, *lower])


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
