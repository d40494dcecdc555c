"""Vines in rows on bare soil."""

from __future__ import annotations

import numpy as np

from ..scene.rules import smoothstep
from .on_plan import LEAVES, Frame, Work
from .things import covered

VINE_M, LEAVES_M, HEADLAND_M = 2.3, 0.9, 3.0
"""From row to row, width of the leaves, and what is left free around."""
SOIL = {"red": 0.43, "green": 0.37, "blue": 0.3, "nir": 0.45, "swir1": 0.48, "swir2": 0.42}


def vines(work: Work, frame: Frame) -> int:
    """Draw them in a part of the mask; how many rows there are."""
    gsd = frame.gsd_m
    soil = work.tone(SOIL, "bare")[:, None, None]
    texture = work.texture(frame.box, 6.0, 0.12) * work.texture(frame.box, 1.0, 0.1)
    work.paint(frame.box, frame.own.astype(np.float32), soil * texture)
    wander = 0.12 * (work.ground.noise(25.0, work.seed + 5, 2)[frame.box] - 0.5)
    off = (frame.v + wander) / VINE_M
    number = np.rint(off).astype(int)
    thick = LEAVES_M * (0.75 + 0.5 * work.ground.noise(1.4, work.seed + 6, 2)[frame.box])
    leaves = covered(np.abs(off - number) * VINE_M - thick / 2, gsd)
    gaps = work.ground.noise(2.2, work.seed + 7, 2)[frame.box] > 0.24
    leaves = leaves * gaps * smoothstep((frame.inside - HEADLAND_M) / 1.0) * frame.own
    tone = work.tone(LEAVES, "tree")[:, None, None]
    tone = tone * work.texture(frame.box, 0.7, 0.35) * work.texture(frame.box, 15.0, 0.15)
    box = (slice(None), *frame.box)
    work.above[box] += (tone - work.above[box]) * (leaves > 0)
    work.shown[frame.box] = np.maximum(work.shown[frame.box], leaves)
    work.tall[frame.box] = np.where(leaves > 0.5, 1.6, work.tall[frame.box])
    return len(np.unique(number[leaves > 0.5]))
