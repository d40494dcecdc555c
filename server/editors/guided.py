"""What editors that words guide have in common: their options, the guide of a scene, and how
candidates are ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from ..contract.editors import option
from ..contract.words import ENSEMBLE_SOURCES
from ..ground.errors import CannotEdit
from ..ground.optional import torch
from ..models.guidance import Shown, Steering, TextGuide, around, similarity_loss
from ..models.image_text import ImageText
from ..synthesis.scaling import Scaling
from .base import Scene
from .models import Models


@dataclass(frozen=True)
class GuidedOptions:
    """How words guide what is drawn."""

    guidance: float = option(
        "Guidance by the words",
        0.3,
        minimum=0.0,
        maximum=2.0,
        help=(
            "How hard an image-text model (CLIP, RemoteCLIP; named in the settings) pulls each "
            "step towards the words. Without such a model, or at 0, the words choose the content "
            "only."
        ),
    )
    momentum: float = option(
        "Weight of the new estimate",
        0.05,
        minimum=0.01,
        maximum=1.0,
        help=(
            "Lambda: at each guided step so much is of the new estimate, the rest of the one "
            "before; 1: no momentum. Published: 0.05 (Han et al., equation 13); SinDDM's code has "
            "0.2, and 0.05 for a style."
        ),
    )
    schedule: str = option(
        "Guidance by scale",
        "1",
        help=(
            "Factors from the coarsest scale to the finest, the last for all that follow: '0 1' "
            "leaves the coarsest alone, as the published method does."
        ),
    )
    views: int = option(
        "Views a step",
        4,
        minimum=1,
        maximum=16,
        help="Random views of each estimate that the model judges; the published method takes 16.",
    )
    ensemble: str = option(
        "Paraphrases from",
        ENSEMBLE_SOURCES[0],
        choices=ENSEMBLE_SOURCES,
        help="The image-text model is asked for the mean of several sentences that say the same.",
    )
    paraphrases: str = option(
        "Paraphrases",
        "",
        help=(
            "One a line, instead of those that would be made; those used are recorded with the "
            "result."
        ),
    )
    random_subset: bool = option(
        "Random subset",
        False,
        help=(
            "A random part of the sentences at each step, as SinDDM's code does with its "
            "templates, instead of their mean."
        ),
    )


G = TypeVar("G", bound=GuidedOptions)


def with_paraphrases(models: Models, options: G, prompt: str) -> G:
    """The options with the sentences that an image-text model will be asked for, where one is named
    and they are not given."""
    if options.paraphrases.strip() or not prompt.strip() or not models.chosen("image-text"):
        return options
    texts = models.paraphrases(prompt, options.ensemble).texts
    return replace(options, paraphrases="\n".join(texts))


def sentences_of(prompt: str, options: GuidedOptions) -> list[str]:
    """The paraphrases to use: those in the options, else the prompt alone."""
    return [line.strip() for line in str(options.paraphrases).splitlines() if line.strip()] or [
        prompt.strip()
    ]


def steering_of(options: GuidedOptions, **more: Any) -> Steering:
    """Strength, momentum and schedule of the options; raises CannotEdit where the schedule is no
    list of numbers."""
    try:
        scales = tuple(float(part) for part in str(options.schedule).replace(",", " ").split())
    except ValueError:
        scales = ()
    if not scales or not all(0 <= factor <= 10 for factor in scales):
        raise CannotEdit(
            f"schedule: '{options.schedule[:60]}' is no list of factors from 0 to 10, as '0 1'."
        )
    return Steering(
        **{
            "strength": options.guidance,
            "momentum": options.momentum,
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


@dataclass(frozen=True)
class Guidance(Generic[G]):
    """The hold that words have. `model`: the image-text model that was named; None: none is,
    or words do not guide. `options`: of the editor, with how strongly they do."""

    model: ImageText | None
    options: G

    @property
    def on(self) -> bool:
        """Whether there is a model, and guidance above 0."""
        return self.model is not None and self.options.guidance > 0

    def guide(
        self, shown: Shown, sentences: Sequence[str], how: Steering, seed: int
    ) -> TextGuide | None:
        """The guide towards the sentences; None without a model or with guidance 0."""
        if self.model is None or not self.on:
            return None
        views = self.options.views
        subset = self.options.random_subset
        loss = similarity_loss(self.model, sentences, shown, views, subset)
        return TextGuide(loss, how, seed)

    def record(self, guide: TextGuide | None) -> dict[str, Any]:
        """What guidance did, for the manifest."""
        if self.model is None or guide is None or not guide.losses:
            return {}
        return {
            "image_text_model": self.model.name,
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
