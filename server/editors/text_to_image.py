"""Text to image, on the ground: empty extents, or polygons of a layer (MMM-RS, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..contract.editors import EditorInfo, option
from ..store.catalogue import EditorEntry, Entry
from .base import AUTOMATIC, Given
from .models import Models
from .pretrained import Pretrained
from .pretrained_options import PretrainedOptions
from .prompt_parts import LEVELS, NONE, PARTS, composed


@dataclass(frozen=True)
class GenerateOptions(PretrainedOptions):
    """The parts of the prompt around the caption."""

    modality: str = option(
        "Modality", "Satellite imagery", help="First part of the prompt; empty: left out."
    )
    gsd_level: str = option(
        "Ground size in words",
        AUTOMATIC,
        choices=(AUTOMATIC, NONE, *(w for w, _ in LEVELS)),
        help="Automatic: from the raster's pixels.",
    )
    weather: str = option("Weather", "", help="For instance snow, fog, night.")
    category: str = option("Category", "", help="For instance built-up, farmland.")
    satellite: str = option(
        "Satellite",
        AUTOMATIC,
        help=(
            "For instance GF2, Google Earth; automatic: as the layer's tags or file name tell; "
            "empty: left out."
        ),
    )
    dataset: str = option("Dataset", "", help="Whose look it is to have, for instance GID.")


class Generate(Pretrained[GenerateOptions]):
    """Draws what the words say and looks at no picture; around polygons it fits what is there."""

    Options = GenerateOptions
    hides = ("keep_detail", "scenario", "grade")

    def __init__(self, models: Models) -> None:
        super().__init__(
            models,
            EditorEntry(
                id="generate",
                family="sd",
                recipe="redraw",
                title="Generate from text",
                description="Draws new ground from a description, at a stated ground size of a "
                "pixel: an empty extent as a new layer, or polygons of a layer. Needs a model that "
                "you bring (Models).",
                engine="text-to-image latent diffusion",
                native_size_px=512,
                weights=("mmm-rs", "text2earth", "sd15", "sd20", "sd21", "sdxl"),
            ),
        )

    def about(self, entry: EditorEntry) -> EditorInfo:
        """It needs no raster."""
        return replace(super().about(entry), needs=("prompt?", "raster?"))

    def resolve(self, options: GenerateOptions, given: Given) -> GenerateOptions:
        """With the satellite's name, where the raster tells it."""
        chosen = super().resolve(options, given)
        if chosen.satellite == AUTOMATIC:
            chosen = replace(chosen, satellite=given.satellite)
        return chosen

    def composed(self, words: str, options: GenerateOptions, gsd_m: float) -> str:
        """With the parts around the caption."""
        return composed(words, {name: getattr(options, name) for name in PARTS}, gsd_m)

    def published(self, entry: Entry) -> Mapping[str, Any]:
        """From noise alone, unless a strength is asked for."""
        return {**entry.paper, **entry.generate, "strength": 1.0}
