"""MMM-RS's prompts, composed of parts: {modality}, {GSD level}, {weather}, {category}, {caption},
{satellite}, {dataset}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import AUTOMATIC

PARTS = ("modality", "gsd_level", "weather", "category", "satellite", "dataset")
"""All but the caption."""
NONE = "none"
MODALITIES = {"rgb": "Satellite imagery", "nir": "Near infrared imagery", "radar": "SAR imagery"}
"""First part of the prompts for a kind of picture."""
LEVELS = (
    ("Ultra-high precision resolution", 0.5),
    ("High precision resolution", 1.0),
    ("Medium precision resolution", 10.0),
    ("Low precision resolution", float("inf")),
)
"""Words for the ground size of a pixel, each up to so many metres. The first two and the last stand
in MMM-RS's prompts; the bounds and the third are this project's reading, for its text gives
none."""


def level_of(gsd_m: float) -> str:
    """The words for a ground size of a pixel."""
    # A pixel that is meant to be half a metre measures a little more or less on the ellipsoid.
    return next(words for words, bound in LEVELS if gsd_m <= 1.01 * bound)


def composed(caption: str, parts: Mapping[str, Any], gsd_m: float) -> str:
    """MMM-RS's prompt without empty parts: {modality}, {GSD level}, {weather}, {category},
    {caption}, {satellite}, {dataset}."""
    level = {AUTOMATIC: level_of(gsd_m), NONE: ""}.get(parts["gsd_level"], parts["gsd_level"])
    found = (
        parts["modality"],
        level,
        parts["weather"],
        parts["category"],
        caption,
        parts["satellite"],
        parts["dataset"],
    )
    return ", ".join(part.strip() for part in found if part.strip())
