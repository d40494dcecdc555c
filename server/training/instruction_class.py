"""Which edits are of one kind, so that one may be the example for another."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .data.pairs import EditPair

HAZARDS = {
    "flood": "flood",
    "hurricane": "hurricane",
    "typhoon": "hurricane",
    "tsunami": "tsunami",
    "tornado": "tornado",
    "wildfire": "fire",
    "bushfire": "fire",
    "fire": "fire",
    "earthquake": "earthquake",
    "volcan": "volcano",
    "eruption": "volcano",
    "landslide": "landslide",
    "explosion": "explosion",
}
"""Parts of words that name a hazard, in files (xBD's and RSCC's: joplin-tornado_...) and
captions."""


def class_of(pair: EditPair) -> str:
    """The kind of change: the hazard that the file's name or the caption tells, else the caption's
    first word (MagicBrush's instructions begin with their verb)."""
    for text in (pair.path.stem.lower(), pair.caption.lower()):
        found = [(text.find(part), kind) for part, kind in HAZARDS.items() if part in text]
        if found:
            return min(found)[1]
    words = re.findall(r"[a-z]+", pair.caption.lower())
    return words[0] if words else ""


class Examples:
    """Pairs by their kind, from which examples are drawn."""

    def __init__(self, pairs: Sequence[EditPair]) -> None:
        self.by_class: dict[str, list[EditPair]] = defaultdict(list)
        for pair in pairs:
            self.by_class[class_of(pair)].append(pair)

    def for_one(self, pair: EditPair, most: int, rng: np.random.Generator) -> list[EditPair]:
        """At most so many others of a pair's kind, at random, none twice."""
        others = [one for one in self.by_class.get(class_of(pair), ()) if one.path != pair.path]
        return [others[int(n)] for n in rng.permutation(len(others))[:most]]
