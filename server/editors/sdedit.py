"""SDEdit: the source is noised and redrawn after a description (Meng et al. 2022); with Text2Earth
at the raster's own scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from .pretrained import Pretrained, bringable, options_for


class SDEdit(Pretrained):
    """Stable Diffusion 1.5, 2.1, or Text2Earth, which is told the ground size of a pixel."""

    instructs = False
    info = bringable(
        id="sdedit",
        title="SDEdit: redraw as described",
        description="Redraws the polygons after a description of the scene ('satellite image of "
        "a flooded town'). Needs a "
        "model that you bring (Models).",
        engine="SDEdit (latent diffusion from the noised source)",
        native_size_px=512,
        weights=("text2earth", "sd15", "sd21"),
        options=options_for(strength=True),
    )

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """From the noised source."""
        return recipes.redrawn(drawing, options["worked_at_m"])
