"""Measures by networks: EfficientNet-Lite0, which is always there, and those that the user names
(CLIP, DINO, LPIPS)."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ...editors.models import Models
from ...evaluation import f1_damage, features, likeness
from ...models import damage_network, dino, lpips, weights
from ...models.image_text import ImageText
from .damage_labels import labelled
from .measures import (
    ALL,
    HIGHER,
    LOWER,
    Measure,
    Shot,
    Taken,
    Taker,
    changes,
    coloured,
    scenes,
)

LITE0 = Measure(
    "lite0_likeness",
    "likeness by EfficientNet-Lite0",
    HIGHER,
    -1,
    1,
    "cosine of pooled features with the reference's, around the polygon; this project, "
    "docs/evaluate.md",
    ALL,
)
NAMED = (
    Measure(
        "clip_i",
        "CLIP-I",
        HIGHER,
        -1,
        1,
        "cosine of image features with the reference's (MagicBrush, Zhang et al. 2023)",
        ALL,
    ),
    Measure(
        "clip_t",
        "CLIP-T",
        HIGHER,
        -1,
        1,
        "cosine of image features with those of a caption of what should be there (MagicBrush)",
        ALL,
    ),
    Measure(
        "clip_score",
        "CLIP score",
        HIGHER,
        -100,
        100,
        "100 times the cosine with the prompt (Hessel et al. 2021, not clipped at 0)",
    ),
    Measure(
        "dino_i",
        "DINO-I",
        HIGHER,
        -1,
        1,
        "cosine of DINO features with the reference's (MagicBrush)",
        ALL,
    ),
    Measure(
        "lpips",
        "LPIPS",
        LOWER,
        0,
        None,
        "learned distance to the reference, AlexNet, version 0.1 (Zhang et al. 2018)",
        ALL,
    ),
)
BY: dict[str, tuple[str, ...]] = {
    "damage": (),
    "image-text": ("clip_i", "clip_t", "clip_score"),
    "dino": ("dino_i",),
    "lpips": ("lpips",),
}


def named(models: Models) -> dict[str, str]:
    """The networks that the user has named, by kind, with their paths."""
    return {kind: models.chosen(kind) for kind in BY if models.chosen(kind)}


def measures_of(networks: dict[str, str]) -> tuple[Measure, ...]:
    """The measures that are taken with those networks."""
    wanted = {name for kind in networks for name in BY[kind]}
    found = (measure for measure in NAMED if measure.name in wanted)
    return (LITE0, *(_with_version(measure, networks) for measure in found))


def _with_version(measure: Measure, networks: dict[str, str]) -> Measure:
    """A measure that says which network takes it, where there are several that may."""
    if measure.name != "dino_i":
        return measure
    version = dino.named_in(Path(networks["dino"]))
    return replace(measure, source=f"cosine of {version}, with the reference's (MagicBrush)")


def takers(models: Models, networks: dict[str, str]) -> tuple[Taker, ...]:
    """What takes all measures but Lite0's, whose features are kept too; raises WeightsMissing for a
    network that is not where it was named."""
    found: list[Taker] = [changes, functools.partial(scenes, models.scene_words)]
    if "image-text" in networks:
        model = models.image_text_at(Path(networks["image-text"]))
        found.append(functools.partial(_clip, model))
    if "damage" in networks:
        _damage_network(models, networks["damage"])
    if "dino" in networks:
        found.append(functools.partial(_dino, dino.load(networks["dino"])))
    if "lpips" in networks:
        found.append(functools.partial(_lpips, lpips.load(networks["lpips"])))
    return tuple(found)


def lite0_features(models: Models, picture: np.ndarray) -> np.ndarray:
    """(1280,) of a picture (3, H, W) in [0, 1]."""
    with torch.inference_mode():
        network = models.cached("lite0", features.lite0).network
        return network(torch.from_numpy(picture)[None])[0][0].numpy()


def lite0(models: Models, shot: Shot) -> tuple[np.ndarray, Taken]:
    """The features of a result, and their likeness to the reference's."""
    after, reference = shot.crops
    made = lite0_features(models, after)
    return made, {} if reference is None else {
        LITE0.name: _cosine(made, lite0_features(models, reference))
    }


def _clip(model: ImageText, shot: Shot) -> Taken:
    after, reference = shot.crops
    with torch.inference_mode():
        made = model.image(torch.from_numpy(after)[None])[0]
        found = {"clip_score": 100 * float(made @ model.text([shot.case.prompt])[0])}
        if shot.case.caption:
            found["clip_t"] = float(made @ model.text([shot.case.caption])[0])
        if reference is not None:
            found["clip_i"] = float(made @ model.image(torch.from_numpy(reference)[None])[0])
    return found


def _dino(net: dino.Dino, shot: Shot) -> Taken:
    after, reference = shot.crops
    if reference is None:
        return {}
    return {
        "dino_i": _cosine(
            *(net.features(torch.from_numpy(one)).numpy() for one in (after, reference))
        )
    }


def _lpips(net: lpips.Lpips, shot: Shot) -> Taken:
    after, reference = shot.crops
    if reference is None:
        return {}
    return {"lpips": net.distance(torch.from_numpy(after), torch.from_numpy(reference))}


def damage(models: Models, networks: dict[str, str], shot: Shot) -> list[list[int]] | None:
    """Hits, false alarms and misses of the damage classes, where a network and labels are given: F1
    is of all cases together."""
    if "damage" not in networks or shot.case.labels is None:
        return None
    case, seen = shot.case, shot.seen
    picture = case.image if case.reference is None else case.reference
    labels = labelled(shot.case.labels, picture.stem, seen.size, seen.place.box)
    pictures = [coloured(image, shot.seen.roles) for image in (shot.seen.before, shot.seen.after)]
    building, scores = _damage_network(models, networks["damage"]).forward(*pictures)
    found = f1_damage.counted(labels, f1_damage.named(building, scores)[0])
    return [list(found.hit), list(found.wrong), list(found.missed)]


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(likeness.cosines(first[None], second[None])[0])


def _damage_network(models: Models, path: str) -> damage_network.DamageNetwork:
    key = ("damage", path, str(weights.state_of(Path(path))))
    return models.cached(key, lambda: damage_network.load(path))
