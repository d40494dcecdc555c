"""F1 of building damage, as RSEdit is judged (its Table 1): localisation times damage class, the
harmonic mean over the classes.

Masks hold 0 (no building), 1 (no damage), 2 (minor), 3 (major), 4 (destroyed) and 255 (not
labelled). Pixels whose label is 0 or 255 do not count, as in xView2's second task; a class that is
nowhere makes the harmonic mean nearly 0: it needs a whole test set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLASSES = (1, 2, 3, 4)
IGNORED = (0, 255)
SMALL = 1e-6


@dataclass(frozen=True)
class Counts:
    """Pixels by class, each a number for the classes 1 to 4; add those of several pictures. `hit`:
    of the class and named so (true positives). `wrong`: named so, but of another class (false
    positives). `missed`: of the class, but named otherwise."""

    hit: tuple[int, ...] = (0,) * len(CLASSES)
    wrong: tuple[int, ...] = (0,) * len(CLASSES)
    missed: tuple[int, ...] = (0,) * len(CLASSES)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            *(
                tuple(a + b for a, b in zip(mine, theirs, strict=True))
                for mine, theirs in (
                    (self.hit, other.hit),
                    (self.wrong, other.wrong),
                    (self.missed, other.missed),
                )
            )
        )

    @property
    def f1(self) -> tuple[float, ...]:
        """Of each class, 0 where it was neither there nor named."""
        return tuple(
            2 * hit / max(2 * hit + wrong + missed, 1)
            for hit, wrong, missed in zip(self.hit, self.wrong, self.missed, strict=True)
        )

    @property
    def harmonic(self) -> float:
        """4 / sum of 1 / (F1 + 1e-6): F1_dam."""
        return len(CLASSES) / sum(1 / (one + SMALL) for one in self.f1)

    @property
    def weighted(self) -> float:
        """F1 weighted by how many pixels are of each class."""
        there = [hit + missed for hit, missed in zip(self.hit, self.missed, strict=True)]
        return sum(one * count for one, count in zip(self.f1, there, strict=True)) / max(
            sum(there), 1
        )


def counted(labels: np.ndarray, named: np.ndarray) -> Counts:
    """Of one picture or several: integer masks of one shape; raises ValueError for others, which
    would be broadcast."""
    if labels.shape != named.shape:
        raise ValueError(f"labels have the shape {labels.shape}, what was named {named.shape}")
    kept = ~np.isin(labels, IGNORED)
    truth = labels[kept]
    said = named[kept]
    hit = tuple(int(((truth == c) & (said == c)).sum()) for c in CLASSES)
    return Counts(
        hit,
        tuple(int(((truth != c) & (said == c)).sum()) for c in CLASSES),
        tuple(int(((truth == c) & (said != c)).sum()) for c in CLASSES),
    )


def named(building: np.ndarray, damage: np.ndarray) -> np.ndarray:
    """Classes (B, H, W) from the probability of a building, (B, H, W) or (B, 1, H, W), and scores
    of no damage and the four classes (B, 5, H, W): the most likely class where there is a building
    (above 0.5), else 0."""
    if building.ndim == damage.ndim:
        building = building[:, 0]
    if building.shape != damage.shape[:1] + damage.shape[2:]:
        raise ValueError(f"buildings have the shape {building.shape}, damage {damage.shape}")
    return np.asarray(damage.argmax(axis=1) * (building > 0.5))
