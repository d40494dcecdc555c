"""What a library holds for a word, and which of it fits a scene best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import own
from .chips import Chip, shipped
from .fitting import Surroundings

LIBRARY = "library"
"""Folder of the user's own in a home."""
FINEST = 0.28
COARSEST = 3.4
"""Ground size of a layer by that of a chip from which on the chip is too coarse, or too small."""
MOST = 3
"""Chips that are copied from at once: those that look most alike."""
FLAT = ("parking", "road", "freeway", "runway", "forest", "grass", "farmland", "bare", "desert",
        "beach", "shrub", "golf course", "sports pitch", "vineyard", "orchard")  # fmt: skip
"""Words for ground on which no building stands: the less of one a chip shows the better."""
CHANCE = 0.35
"""How far another seed may prefer another chip, beside the differences in tone."""


@dataclass(frozen=True)
class Library:
    """Chips by their words. `folder`: the user's own; theirs come first."""

    folder: Path

    def chips(self) -> tuple[Chip, ...]:
        """All, the user's own before those that are shipped."""
        return (*own.chips(self.folder), *shipped())

    def words(self) -> tuple[str, ...]:
        """What can be asked for."""
        return tuple(dict.fromkeys(word for chip in self.chips() for word in chip.words))

    def own_words(self) -> dict[str, str]:
        """Words and names of the user's own exemplars, and the word that each stands for."""
        kept = own.chips(self.folder)
        return {
            **{chip.id.lower(): chip.words[0] for chip in kept},
            **{word: word for chip in kept for word in chip.words},
        }

    def having(self, word: str) -> tuple[Chip, ...]:
        """Those that show a word: the user's own where there are any."""
        found = [chip for chip in self.chips() if word in chip.words]
        mine = [chip for chip in found if chip.own]
        return tuple(mine or found)


def fitting(chips: Sequence[Chip], scene: Surroundings, word: str, seed: int) -> list[Chip]:
    """Those of a word that fit a scene best, and look alike; none where all are too coarse, or too
    fine. Another seed may prefer another."""
    usable = [chip for chip in chips if FINEST <= scene.gsd_m / chip.gsd_m <= COARSEST]
    if not usable:
        return []
    draw = np.random.default_rng(seed).random(len(usable))

    def cost(at: int) -> float:
        chip = usable[at]
        # What is finer loses nothing when it is brought to the layer's size; what is coarser lacks.
        octaves = math.log2(scene.gsd_m / chip.gsd_m)
        scale = 0.3 * octaves if octaves > 0 else -1.5 * octaves
        # A leafless forest is a forest; an orchard is farmland, and not what is meant by it.
        other_first = 0.0 if chip.words[0] == word else 0.1 if chip.words[0].endswith(word) else 0.8
        unlike = hue_apart(chip.tones, scene.tones)
        other_first += 2.0 * chip.tones.get("roof", (0.0,))[0] * (word in FLAT)
        return 0.35 * scale + other_first + 4.0 * unlike + CHANCE * float(draw[at])

    best = usable[min(range(len(usable)), key=cost)]
    alike = sorted(
        (chip for chip in usable if chip is not best and chip.words == best.words),
        key=lambda chip: hue_apart(chip.tones, best.tones) + abs(chip.gsd_m - best.gsd_m),
    )
    close = [chip for chip in alike if hue_apart(chip.tones, best.tones) < 0.06]
    return [best, *close[: MOST - 1]]


def hue_apart(one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> float:
    """How unlike two pictures are in the hue of the ground that both show; a middling number where
    they share none."""
    shared = [name for name in one if name in other]
    if not shared:
        return 0.08
    apart = [np.abs(_hue(one[name]) - _hue(other[name])).mean() for name in shared]
    weights = [min(one[name][0], other[name][0]) ** 0.5 for name in shared]
    return float(np.average(apart, weights=weights))


def _hue(tone: Sequence[float]) -> np.ndarray:
    """Red and blue by all light, of a share and three colours."""
    light = max(sum(tone[1:4]), 1e-3)
    return np.array([tone[1] / light, tone[3] / light])
