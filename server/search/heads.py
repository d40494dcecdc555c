"""Windows that look like a word by small linear heads on network features of 38 m windows."""

from __future__ import annotations

import hashlib

import numpy as np

from ..editors.models import Models
from ..models.scene_words import WINDOW_PX
from ..raster.grid import Box
from .windows import ELSEWHERE, LEAST_VALID, MOST_SOURCES, Hit, Method, Search, View

MARGIN = 2.5
"""Least scene agreement of the best window; below it the word is not found."""
MARGINS = {"residential": 1.5}
"""The same for words that hardly any window of something else reaches, in California (NAIP) either.
"""
STRIDE_PX = 32


def by_heads(models: Models, name: str, view: View) -> Search:
    """The windows that look most like the word to its head."""
    rgb = view.rgb.round().astype(np.uint8)
    height, width = view.valid.shape
    if min(height, width) < WINDOW_PX:
        return Search(
            name,
            Method.HEADS,
            (),
            f"The layer is too small: {width} x {height} pixels at {view.gsd_m:.3g} m, one window "
            f"needs {WINDOW_PX}.",
        )
    corners = [
        (r, c)
        for r in range(0, height - WINDOW_PX + 1, STRIDE_PX)
        for c in range(0, width - WINDOW_PX + 1, STRIDE_PX)
        if view.valid[r : r + WINDOW_PX, c : c + WINDOW_PX].mean() > LEAST_VALID
    ]
    if not corners:
        return Search(name, Method.HEADS, (), "No window of this layer is free of nodata.")
    windows = np.stack([rgb[r : r + WINDOW_PX, c : c + WINDOW_PX] for r, c in corners])
    scores = _agreement(models, windows)[:, models.scene_words.words.index(name)].copy()
    for index, (r, c) in enumerate(corners):
        if view.blocked[r : r + WINDOW_PX, c : c + WINDOW_PX].mean() > 0.1:
            scores[index] = -np.inf
    hits: list[Hit] = []
    places = np.array(corners)
    while len(hits) < MOST_SOURCES and np.isfinite(scores.max()):
        best = int(np.argmax(scores))
        if scores[best] < MARGINS.get(name, MARGIN):
            break
        r, c = corners[best]
        hits.append(Hit(view.native(Box(c, r, WINDOW_PX, WINDOW_PX)), float(scores[best])))
        scores[(np.abs(places - places[best]) < WINDOW_PX).all(axis=1)] = -np.inf
    reason = "" if hits else f"Nothing in this layer looks enough like {name}. {ELSEWHERE}"
    return Search(name, Method.HEADS, tuple(hits), reason)


def _agreement(models: Models, windows: np.ndarray) -> np.ndarray:
    """Agreement (n, words) of windows (n, side, side, 3); kept by content, so that another word on
    the same layer costs nothing."""
    words = models.scene_words
    key = ("agreement", hashlib.sha256(windows.tobytes()).hexdigest())
    return models.cached(key, lambda: words.agreement(words.features(windows)))
