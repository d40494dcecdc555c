"""Inpainting by description with Stable Diffusion, Text2Earth and Kandinsky: the baselines of Han
et al."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..diffusion import recipes
from ..diffusion.drawing import Drawing
from .pretrained import Pretrained, bringable, options_for


class Inpaint(Pretrained):
    """Draws the polygons anew, whatever was there."""

    instructs = False
    info = bringable(
        id="inpaint",
        title="Inpaint as described",
        description="Draws the polygons anew after a description of what should be there, to fit "
        "what is around them. Needs a "
        "model that you bring (Models).",
        engine="inpainting latent diffusion",
        native_size_px=512,
        weights=("sd15-inpainting", "text2earth-inpainting", "kandinsky22-inpainting"),
        options=options_for(),
    )

    def draw(
        self, drawing: Drawing, options: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """With mask and masked source beside the noise."""
        if drawing.model.has("movq"):
            return recipes.kandinsky(drawing)
        return recipes.inpainted(drawing, options["worked_at_m"])
