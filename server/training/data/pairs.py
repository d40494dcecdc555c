"""A pair before and after an edit, as editors are trained on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..captioned import Paired, opened

TRAIN = "train"
VAL = "val"
TEST = "test"
PARTS = (TRAIN, VAL, TEST)


@dataclass(frozen=True)
class EditPair(Paired):
    """`control` is the picture before, `path` the one after, `caption` what changed; `part` of its
    dataset; `labels`: xBD's outlines of buildings with their damage, where there are any;
    `outcome`: what the later picture shows, where that is told."""

    part: str = TRAIN
    labels: Path | None = None
    outcome: str = ""

    def squares(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """After and before as (3, side, side) in [-1, 1]: all of the picture, whatever its aspect,
        without turns or crops, as RSEdit was trained."""
        return whole(opened(self.path), side), whole(opened(self.control), side)


def whole(picture: Image.Image, side: int) -> np.ndarray:
    """All of a picture as (3, side, side) in [-1, 1], whatever its aspect."""
    pixels = (
        np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 127.5 - 1
    )
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
