"""Which of several candidates fits the words best, by the most independent judge there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..models.scene_words import GSD_M, WINDOW_PX
from ..synthesis.resampling import BILINEAR, resized
from .base import COLOURS, Scene
from .guided import similarity
from .models import Models

COARSEST_GSD_M = 1.0
"""Ground size of a pixel above which the scene network is no judge."""
SCENE_AGREEMENT = "scene agreement (the network that found the exemplars)"


def has_judge(models: Models, scene: Scene, word: str) -> bool:
    """Whether anything can tell which of several candidates fits best."""
    if models.chosen("second-image-text") or models.chosen("image-text"):
        return True
    known = word in models.scene_words.words
    return known and scene.gsd_m <= COARSEST_GSD_M and set(COLOURS) <= set(scene.roles)


def ranked(
    models: Models, scene: Scene, drawn: Sequence[np.ndarray], sentences: Sequence[str], word: str
) -> tuple[list[float], str]:
    """How well each candidate (C, H, W) fits the words, and the judge's name: the second
    image-text model, else the first, else the scene network; no name where there is no judge."""
    model = models.image_text("second-image-text") or models.image_text()
    if model is not None:
        return [similarity(model, scene, picture, sentences) for picture in drawn], model.name
    if not has_judge(models, scene, word):
        return [0.0] * len(drawn), ""
    network = models.scene_words
    windows = np.stack([_window(scene, picture) for picture in drawn])
    scores = network.agreement(network.features(windows))[:, network.words.index(word)]
    return [float(score) for score in scores], SCENE_AGREEMENT


def _window(scene: Scene, picture: np.ndarray) -> np.ndarray:
    """The middle of the edited area as the scene network sees it: 38 m in 64 pixels."""
    rows, cols = np.nonzero(scene.mask)
    half = max(8, round(WINDOW_PX * GSD_M / scene.gsd_m / 2))
    row = int(rows.mean())
    col = int(cols.mean())
    cut = picture[
        [scene.roles.index(role) for role in COLOURS],
        max(0, row - half) : row + half,
        max(0, col - half) : col + half,
    ]
    seen = resized(cut, (WINDOW_PX,) * 2, BILINEAR)
    return np.asarray((seen.clip(0, 1) * 255).transpose(1, 2, 0), np.uint8)
