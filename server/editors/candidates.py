"""Several drawings of one edit, of which the best is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from .base import OnStep, record_facts

T = TypeVar("T")
APART = 7919
"""Between the seeds of candidates."""


class Turn:
    """An OnStep of one candidate of several: its part of all steps; its facts are kept, not told.

    `facts`: what it told of how it was drawn.
    """

    def __init__(self, on_step: OnStep, number: int, count: int) -> None:
        self.on_step = on_step
        self.number = number
        self.count = count
        self.facts: dict[str, Any] = {}

    def __call__(
        self,
        step: int,
        total: int,
        preview: np.ndarray | None = None,
        note: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell the step as one of all candidates' steps."""
        record_facts(self.facts, facts or {})
        said = note or f"candidate {self.number + 1} of {self.count}"
        self.on_step(self.number * total + step, self.count * total, preview, said)


def best_of(
    draw: Callable[[int, OnStep], T],
    scored: Callable[[T], tuple[float | None, str]],
    seeds: tuple[int, int],
    on_step: OnStep,
) -> T:
    """The drawing with the highest score; of drawings without one the first.

    `draw`: by a seed. `scored`: a drawing's score, None where the judge gave none, and the judge's
    name. `seeds`: the first seed, and how many are drawn. What the kept one told of itself is told
    with all scores.
    """
    first, count = seeds
    found: list[tuple[float | None, T, dict[str, Any]]] = []
    judge = ""
    best = 0
    for number in range(count):
        told = Turn(on_step, number, count)
        seed = first + APART * number
        drawn = draw(seed, told)
        score, judge = scored(drawn)
        found.append((score, drawn, {**told.facts, "seed": seed}))
        highest = found[best][0]
        if score is not None and (highest is None or score > highest):
            best = number
        elif number != best:
            found[number] = (score, found[best][1], {})  # a drawing that lost is not held
    scores = [None if score is None else round(score, 4) for score, _, _ in found]
    on_step(1, 1, None, "", {**found[best][2], "candidates": scores, "ranked_by": judge})
    return found[best][1]
