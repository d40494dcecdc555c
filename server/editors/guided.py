"""What editors that words guide have in common: their options, the guide of a scene, and how
candidates are ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..contract.editors import Option
from ..contract.words import ENSEMBLE_SOURCES
from ..ground.errors import CannotEdit
from ..models import image_text, weights
from ..models.guidance import Shown, Steering, TextGuide, around, similarity_loss
from ..models.image_text import ImageText
from ..synthesis.scaling import Scaling
from .base import Scene

OPTIONS = (
    Option(
        "guidance",
        "number",
        0.3,
        "Guidance by the words",
        minimum=0.0,
        maximum=2.0,
        help="How hard an image-text model (CLIP, RemoteCLIP; named in the settings) pulls each "
        "step towards the words. "
        "Without such a model, or at 0, the words choose the content only.",
    ),
    Option(
        "momentum",
        "number",
        0.2,
        "Weight of the new estimate",
        minimum=0.01,
        maximum=1.0,
        help="Lambda: at each guided step so much is of the new estimate, the rest of the one "
        "before; 1: no momentum. "
        "Published: 0.2; a style takes a quarter of it.",
    ),
    Option(
        "schedule",
        "string",
        "1",
        "Guidance by scale",
        help="Factors from the coarsest scale to the finest, the last for all that follow: '0 1' "
        "leaves the coarsest "
        "alone, as the published method does.",
    ),
    Option(
        "views",
        "integer",
        4,
        "Views a step",
        minimum=1,
        maximum=16,
        help="Random views of each estimate that the model judges; the published method takes 16.",
    ),
    Option(
        "ensemble",
        "string",
        ENSEMBLE_SOURCES[0],
        "Paraphrases from",
        choices=ENSEMBLE_SOURCES,
        help="The image-text model is asked for the mean of several sentences that say the same.",
    ),
    Option(
        "paraphrases",
        "string",
        "",
        "Paraphrases",
        help="One a line, instead of those that would be made; those used are recorded with the "
        "result.",
    ),
    Option(
        "random_subset",
        "boolean",
        False,
        "Random subset",
        help="A random part of the sentences at each step, as SinDDM's code does with its "
        "templates, instead of their mean.",
    ),
)


def model_of(kind: str = "image-text") -> ImageText | None:
    """The image-text model that the user has named; None where none is."""
    path = weights.chosen(kind)
    return image_text.load(Path(path)) if path else None


def sentences_of(prompt: str, options: Mapping[str, Any]) -> list[str]:
    """The paraphrases to use: those in the options, else the prompt alone."""
    return [line.strip() for line in str(options["paraphrases"]).splitlines() if line.strip()] or [
        prompt.strip()
    ]


def steering_of(options: Mapping[str, Any], **more: Any) -> Steering:
    """Strength, momentum and schedule of the options; raises CannotEdit where the schedule is no
    list of numbers."""
    try:
        scales = tuple(float(part) for part in str(options["schedule"]).replace(",", " ").split())
    except ValueError:
        scales = ()
    if not scales or not all(0 <= factor <= 10 for factor in scales):
        raise CannotEdit(
            f"schedule: '{options['schedule'][:60]}' is no list of factors from 0 to 10, as '0 1'."
        )
    return Steering(
        **{
            "strength": options["guidance"],
            "momentum": options["momentum"],
            "scales": scales,
            **more,
        }
    )


def shown_of(scene: Scene, scaling: Scaling) -> Shown:
    """How the scene's bands are shown to an image-text model: red, green, blue, else the first band
    in grey."""
    found = [
        scene.roles.index(role) if role in scene.roles else None
        for role in ("red", "green", "blue")
    ]
    red, green, blue = (0 if None in found else int(index or 0) for index in found)
    return Shown((red, green, blue), scaling.centre, scaling.half)


def guide_of(
    shown: Shown, sentences: Sequence[str], options: Mapping[str, Any], how: Steering, seed: int
) -> TextGuide | None:
    """The guide towards the sentences; None without a model or with guidance 0."""
    model = model_of() if options["guidance"] > 0 else None
    if model is None:
        return None
    loss = similarity_loss(model, sentences, shown, options["views"], options["random_subset"])
    return TextGuide(loss, how, seed)


def record_of(guide: TextGuide | None) -> dict[str, Any]:
    """What guidance did, for the manifest."""
    if guide is None or not guide.losses:
        return {}
    model = model_of()
    return {
        "image_text_model": model.name if model else "",
        "guided_steps": len(guide.losses),
        "loss_first": round(guide.losses[0], 4),
        "loss_last": round(guide.losses[-1], 4),
    }


def similarity(
    model: ImageText, scene: Scene, image: np.ndarray, sentences: Sequence[str]
) -> float:
    """Cosine of the edited area (and a little around it) of an image (C, H, W), as seen, and the
    sentences' mean."""
    box = around(scene.mask)
    unscaled = Scaling(np.zeros(len(image), np.float32), np.ones(len(image), np.float32))
    cut = torch.from_numpy(np.ascontiguousarray(image[:, box[0], box[1]], np.float32))
    with torch.no_grad():
        seen = model.image(shown_of(scene, unscaled).picture(cut)[None])
        return float(seen[0] @ model.mean_text(sentences).to(seen))
