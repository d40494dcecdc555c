"""Which of several candidates fits the words best, by the most independent judge there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..ground.errors import ModelNotNamed
from ..ground.optional import torch
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


WORDS_AND_REST = "words and what stays"
BY_EYE = "vision-language model"
JUDGES = (WORDS_AND_REST, BY_EYE)
FEWEST_OUTSIDE = 0.05
"""Share of a picture outside the polygons from which on it tells how well the rest was kept."""


def check_judge(models: Models, judge: str) -> None:
    """Raise ModelNotNamed where the judge of several candidates is not here."""
    if judge == BY_EYE and not models.chosen("vision-language"):
        raise ModelNotNamed(
            "Candidates ranked by a vision-language model need one: landbrush-server models set "
            "vision-language FOLDER."
        )
    if judge == WORDS_AND_REST and not models.chosen("image-text"):
        raise ModelNotNamed(
            "Candidates ranked by words need an image-text model: landbrush-server models set "
            "image-text FILE."
        )


def judged(
    models: Models, judge: str, seen: tuple[np.ndarray, np.ndarray, np.ndarray], words: str
) -> tuple[float | None, str]:
    """How good one candidate is, and who says so. `seen`: picture before, picture after as the
    model drew it (3, H, W in [0, 1]), mask (H, W). By words and what stays: the cosine of picture
    and words (CLIP-T) times the share of structure kept (a cosine below 0 becomes the lower, the
    less is kept); by eye: the overall score of viescore, 0 to 10, None where the answer holds
    none."""
    before, after, mask = seen
    if judge == BY_EYE:
        return _by_eye(models, before, after, words)
    model = models.image_text("second-image-text") or models.image_text()
    assert model is not None
    with torch.inference_mode():
        made = model.image(torch.from_numpy(np.ascontiguousarray(after))[None])[0]
        fits = float(made @ model.text([words])[0])
    stays = kept(before, after, mask)
    score = fits * stays if fits >= 0 else fits * (2 - stays)
    return score, f"{model.name}, {WORDS_AND_REST}"


def kept(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float:
    """Share of structure that a drawn picture keeps, 0 to 1: the correlation of gradients' sizes
    outside the mask, or everywhere where that is nearly all of it."""
    where = ~mask if (~mask).mean() >= FEWEST_OUTSIDE else np.ones_like(mask)
    first, second = (
        np.hypot(*np.gradient(picture.mean(axis=0)))[where] for picture in (before, after)
    )
    if first.std() < 1e-6 or second.std() < 1e-6:
        return float(np.allclose(first, second, atol=1e-3))
    return float(np.clip(np.corrcoef(first, second)[0, 1], 0, 1))


def _by_eye(
    models: Models, before: np.ndarray, after: np.ndarray, words: str
) -> tuple[float | None, str]:
    from ..evaluation import pictures, viescore
    from ..models import vision_language

    path = models.chosen("vision-language")
    reader = models.cached(("vision-language", path), lambda: vision_language.load(path))
    asked = viescore.LANDBRUSH
    shown = [
        pictures.jpeg((one.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))
        for one in (before, after)
    ]
    found: list[float | None] = []
    for question, sides in ((asked.followed.format(words), shown), (asked.looks, shown[1:])):
        try:
            found.append(viescore.read(reader.answer(question, sides)))
        except viescore.Unreadable:
            found.append(None)
    return viescore.Score(*found).overall, f"{Path(path).name}, {asked.id}"


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
