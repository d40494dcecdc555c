"""Bands of another kind, made from those a layer has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from ..api import EditorInfo
from ..models import near_infrared
from .base import Editor, OnStep, Scene

FEWEST_PX = 64
"""Of the network's pixels along a side, below which it sees too little ground to tell what is smooth."""
CONTEXT_M = 400.0
"""Surroundings from which brightness and contrast of the picture are taken."""


class NearInfrared(Editor):
    """A near-infrared band for colour imagery, by the project's own network."""

    soft_edge = False
    info = EditorInfo(
        id="near-infrared",
        title="Near infrared from colours",
        description="Appends a near-infrared band, estimated from colours and texture; the bands there are stay bit for bit. For "
                    "false-colour views and plausible vegetation indices, not for measurements.",
        engine="near-infrared network (multi-scale colour and texture, trained on NAIP and Sentinel-2)",
        bands="rgb",
        makes=("nir",),
    )

    def context_wanted(self, side_px: int, gsd_m: float, options: Mapping[str, Any]) -> int:
        """Enough ground for the picture's own brightness and contrast."""
        return int(min(max(CONTEXT_M / max(gsd_m, 1e-6), 64), 1024))

    def edit(self, scene: Scene, prompt: str, options: Mapping[str, Any], seed: int, on_step: OnStep) -> np.ndarray:
        """The band (1, H, W), in the units of the colours."""
        rgb, height, width = scene.filled(), *scene.mask.shape
        working = min(max(scene.gsd_m, near_infrared.FINEST_GSD_M), near_infrared.COARSEST_GSD_M)
        shape = tuple(max(1, round(side * min(scene.gsd_m / working, 1.0))) for side in (height, width))
        small = _resized(rgb, shape)
        valid = _resized(scene.valid[None].astype(np.float32), shape)[0] > 0.99
        if not valid.any():
            valid[:] = True
        made = near_infrared.near_infrared(small, valid, on_step)
        whole = _resized(made[None], (height, width))
        if shape != (height, width):
            # Detail finer than the network works at: that of the colours' brightness.
            smooth = _resized(_resized(rgb.mean(axis=0, keepdims=True), shape), (height, width))
            whole = whole * np.clip((rgb.mean(axis=0, keepdims=True) + 0.02) / (smooth + 0.02), 0.25, 4)
        notes = ["The near-infrared band is an estimate from colours and texture; indices made from it are not measurements."]
        if scene.gsd_m > near_infrared.COARSEST_GSD_M * 1.05:
            notes.append(f"The network works at {near_infrared.FINEST_GSD_M:g} to {near_infrared.COARSEST_GSD_M:g} m a "
                         f"pixel; this layer has {scene.gsd_m:.3g} m.")
        if min(shape) < FEWEST_PX:
            notes.append(f"The window is only {min(shape) * max(scene.gsd_m, working):.0f} m wide: too little ground to tell "
                         "water from meadows by their surroundings.")
        on_step(1, 1, None, "", {"notes": notes, "worked_at_m": round(max(scene.gsd_m, working), 3)})
        return np.maximum(whole, 0).astype(np.float32)


def _resized(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(C, H, W) to another shape: averaged where it shrinks."""
    if image.shape[1:] == tuple(shape):
        return image
    part = torch.from_numpy(np.ascontiguousarray(image, np.float32))[None]
    return functional.interpolate(part, shape, mode="bilinear", antialias=True, align_corners=False)[0].numpy()
