"""The chips of a library: what is seen on each, at what ground size, in what light, and whose it
is."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ..scene.classes import CLASSES

SHIPPED = Path(__file__).resolve().parents[2] / "resources" / "library"
SIDES = ("red", "green", "blue")
"""Bands of a shipped chip."""
LEAST_SHARE = 0.02
"""Of a picture that a class must cover for its tone to be known."""


class Shares(Protocol):
    """What tells how likely a pixel is of a class."""

    def share(self, *names: str) -> np.ndarray:
        """Probability (H, W) that a pixel is one of these classes."""


@dataclass(frozen=True)
class Chip:
    """One exemplar. `id`: its name in the library. `words`: what it shows, the first as its name.
    `gsd_m`: ground size of a pixel. `sun`: where it stands, degrees clockwise from the picture's
    up; None where shadows do not tell. `tones`: by class of the ground its share and its median
    brightness by colour. `credit`, `licence`, `source`: whose it is. `path`: its file. `own`:
    whether the user kept it. `pixels`: of its file that may be copied, as (column, row) corners of
    polygons; empty: all."""

    id: str
    words: tuple[str, ...]
    gsd_m: float
    sun: float | None
    tones: Mapping[str, tuple[float, ...]]
    credit: str
    licence: str
    source: str
    path: Path
    own: bool = False
    pixels: tuple[tuple[tuple[float, float], ...], ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """What clients are told of it (contract.library.ExemplarInfo)."""
        return {
            "id": self.id,
            "words": list(self.words),
            "gsd_m": self.gsd_m,
            "credit": self.credit,
            "licence": self.licence,
            "source": self.source,
            "own": self.own,
        }


def tones_of(
    parse: Shares, rgb: np.ndarray, valid: np.ndarray | None = None
) -> dict[str, tuple[float, ...]]:
    """Share and median colour of each class that a picture (3, H, W) holds enough of, where there
    is data (`valid`: H, W)."""
    found = {}
    data = np.ones(rgb.shape[1:], bool) if valid is None else valid
    for name in CLASSES:
        there = (parse.share(name) > 0.5) & data
        share = float(there.sum() / max(int(data.sum()), 1))
        if share >= LEAST_SHARE:
            found[name] = (share, *(float(np.median(band[there])) for band in rgb))
    return found


@functools.cache
def shipped() -> tuple[Chip, ...]:
    """The chips that come with the product."""
    listed = SHIPPED / "library.json"
    if not listed.is_file():
        return ()
    told = json.loads(listed.read_text(encoding="utf8"))
    return tuple(
        Chip(
            one["id"],
            tuple(one["words"]),
            float(one["gsd_m"]),
            one["sun"],
            {name: tuple(tone) for name, tone in one["tones"].items()},
            **told["credits"][one["credit"]],
            path=SHIPPED / "chips" / f"{one['id']}.webp",
        )
        for one in told["chips"]
    )


def shipped_picture(chip: Chip) -> np.ndarray:
    """A shipped chip's colours (3, H, W) in [0, 1]."""
    with Image.open(chip.path) as image:
        return np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1) / 255
