"""Text to image, on the ground: empty extents, or polygons of a layer (MMM-RS, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..contract.editors import Option
from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from ..store.catalogue import Entry
from .base import AUTOMATIC
from .pretrained import Pretrained, bringable, options_for
from .prompt_parts import LEVELS, NONE, composed


class Generate(Pretrained):
    """Draws what the words say and looks at no picture; around polygons it fits what is there."""

    instructs = False
    info = bringable(
        id="generate",
        title="Generate from text",
        description="Draws new ground from a description, at a stated ground size of a pixel: an "
        "empty extent as a new layer, "
        "or polygons of a layer. Needs a model that you bring (Models).",
        engine="text-to-image latent diffusion",
        needs=("prompt?", "raster?"),
        native_size_px=512,
        weights=("mmm-rs", "text2earth", "sd15", "sd21"),
        options=(
            *(
                option
                for option in options_for(strength=True)
                if option.name not in ("keep_detail", "scenario", "severity")
            ),
            Option(
                "modality",
                "string",
                "Satellite imagery",
                "Modality",
                help="First part of the prompt; empty: left out.",
            ),
            Option(
                "gsd_level",
                "string",
                AUTOMATIC,
                "Ground size in words",
                choices=(AUTOMATIC, NONE, *(w for w, _ in LEVELS)),
                help="Automatic: from the raster's pixels.",
            ),
            Option("weather", "string", "", "Weather", help="For instance snow, fog, night."),
            Option("category", "string", "", "Category", help="For instance built-up, farmland."),
            Option(
                "satellite",
                "string",
                AUTOMATIC,
                "Satellite",
                help="For instance GF2, Google Earth; automatic: as the layer's tags or file "
                "name tell; empty: left out.",
            ),
            Option(
                "dataset",
                "string",
                "",
                "Dataset",
                help="Whose look it is to have, for instance GID.",
            ),
        ),
    )

    def worded(self, prompt: str, options: Mapping[str, Any]) -> str:
        """The caption; raises BadRequest where there is none."""
        return super().worded(prompt, {"scenario": NONE, "severity": "", **options})

    def composed(self, words: str, options: Mapping[str, Any], gsd_m: float) -> str:
        """With the parts around the caption."""
        return composed(words, options, gsd_m)

    def published(self, entry: Entry) -> Mapping[str, Any]:
        """From noise alone, unless a strength is asked for."""
        return {**entry.paper, **entry.generate, "strength": 1.0}

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """From noise."""
        return recipes.redrawn(drawing, options["worked_at_m"])
